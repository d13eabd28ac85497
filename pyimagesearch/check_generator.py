"""Find what a generator of batches does wrong without an error; needs only numpy."""

from collections import Counter
from copy import deepcopy
from itertools import accumulate, chain, islice, pairwise

import numpy as np


def check_generator(make_generator, steps, rows=None, validation=None):
    """Print what two epochs of `steps` batches hold; return a list of what is wrong.

    make_generator() returns a new generator of (inputs, targets) or (inputs, targets,
    weights), each an array, or a dict or tuple of arrays. rows is the number of rows in
    your data: with it, leave out augmentation. Of validation(), another generator, two
    batches are compared. The list has one line per mistake, also printed after
    [WARNING]. No batch is changed; an error that a generator raises is a mistake, too.
    """
    print(f"[INFO] pulling {2 * steps + 2} batches: two epochs, and two more")
    mistakes, others = [], {}
    kept, batches, facts = pull(make_generator, 2 * steps + 2, mistakes)
    if not mistakes and len(batches) < 2 * steps + 2:
        text = f"the generator ends after {len(batches)} batches; fit then repeats the"
        mistakes.append(f"{text} first two in each epoch: loop inside `while True:`")
    if validation and kept:
        others = pull(validation, 2, mistakes, "validation ", kept[0][0])[2]
    for name, array in kept[0][0].items() if kept else ():
        mistakes += check_array(
            name, array, facts[name], others.get(name), batches, steps
        )
    if any(now[n].tobytes() != then[n].tobytes() for now, then in kept for n in now):
        text = "a batch changed after it was yielded: yield a new array each time, and"
        mistakes.append(f"{text} change only copies of your data's rows, no views")
    elif batches:
        mistakes += check_rows(batches, steps, rows)
    for mistake in mistakes:
        print("[WARNING]", mistake)
    return mistakes


def pull(make_generator, count, mistakes, part="", model=None):
    """Return two batches with their copies, all rows' hashes, and facts on each array.

    A batch that fit can't use, or learns nothing from, is a mistake, and the last one.
    """
    kept, batches, facts = [], [], {}
    try:
        made = make_generator() if callable(make_generator) else make_generator
        for batch in islice(made, count):
            if not isinstance(batch, tuple) or len(batch) not in (2, 3):
                kind = type(batch).__name__
                raise ValueError(f"a {kind}; fit needs a tuple: yield inputs, targets")
            arrays = {}
            for name, value in zip(("inputs", "targets", "weights"), batch):
                value = dict(enumerate(value)) if isinstance(value, tuple) else value
                value = value if isinstance(value, dict) else {"": value}
                arrays |= {f"{name} {k}".strip(): np.asarray(value[k]) for k in value}
            model = model or arrays
            counts = {name: len(a) if a.ndim else 0 for name, a in arrays.items()}
            if 0 in counts.values() or len(set(counts.values())) > 1:
                raise ValueError(
                    f"rows {counts}; yield as many in each, and never none"
                )
            for name, array in arrays.items():
                shape = model.get(name, array).shape[1:]
                if array.dtype.kind in "OUS":
                    raise ValueError(
                        f"{name}: {array.dtype}; one-hot encode text labels"
                    )
                if array.shape[1:] != shape:
                    raise ValueError(f"{name}: rows {array.shape[1:]}, others {shape}")
                if not np.isfinite(array).all():
                    raise ValueError(f"{name}: nan or inf, which make the loss nan")
                classes = find_classes(array) if name.startswith("targets") else None
                facts.setdefault(name, []).append(
                    (float(array.min()), float(array.max()), classes)
                )
            if len(kept) < 2:
                kept.append((arrays, deepcopy(arrays)))
            parts = zip(*[arrays[n] for n in arrays if not n.startswith("weights")])
            batches.append([hash(tuple(p.tobytes() for p in row)) for row in parts])
    except Exception as error:  # noqa: BLE001, a generator may raise anything
        text = error if isinstance(error, ValueError) else f"raised {error!r}"
        mistakes.append(f"{part}batch {len(batches) + 1}: {text}")
    return kept, batches, facts


def find_classes(array):
    """Return the classes of one-hot or whole-number targets as a list, or None."""
    flat = array.reshape(len(array), -1)
    if flat.shape[1] == 1:
        return flat[:, 0].tolist() if (flat % 1 == 0).all() else None
    one_hot = (flat.sum(1) == 1) & (flat.max(1) == 1) & (flat.min(1) == 0)
    return flat.argmax(1).tolist() if array.ndim == 2 and one_hot.all() else None


def check_array(name, array, facts, others, batches, steps):
    """Print what an array holds; yield a line on sorted classes or another scale."""
    lows, highs, labels = zip(*facts)
    known = Counter(chain(*labels)) if None not in labels else {}
    text = f"{name}: {array.dtype} {array.shape}, {min(lows):g} to {max(highs):g}"
    if known:
        sparse = "sparse_" if array.size == len(array) else ""
        text += f", for {sparse}categorical_crossentropy; rows per class in epoch 1: "
        counts = sorted(Counter(chain(*labels[:steps])).items())
        text += ", ".join(f"{label:g}: {count}" for label, count in counts[:20])
    elif name.startswith("targets") and np.isin(array, (0, 1)).all():
        text += ", for binary_crossentropy: several labels per row"
    print("[INFO]", text)

    if known:  # one pass, since later ones prove no more, against shuffled rows
        labels = labels[: -(-len(set(chain(*batches))) // max(map(len, batches)))]
        counts = np.array([*Counter(chain(*labels)).values()])
        size, found = np.mean([(len(part), len(set(part))) for part in labels], 0)
        chances = 1 - (1 - counts / counts.sum()) ** size  # of each class, per batch
        expected, spread = chances.sum(), (chances @ (1 - chances) / len(labels)) ** 0.5
        if found - 1 < (expected - 1) / 2 and expected - found > 4 * spread:
            text = (
                f"{name}: a batch holds {found:.1f} of {len(counts)} classes on average"
            )
            yield f"{text}, shuffled rows would hold {expected:.1f}: shuffle your rows"
        unknown = {*chain(*(label or [] for *_, label in others or []))} - {*known}
        if unknown and min(known.values()) > 2:
            yield f"{name}: classes {sorted(unknown)[:10]} come in validation only"
    elif others:
        ours, theirs = [
            np.array([fact[:2] for fact in part[:2]], float) for part in (facts, others)
        ]
        size, other_size = np.abs(ours).max(), np.abs(theirs).max()
        smaller = (
            size > 10 * other_size
            or max(size, other_size) < -10 * min(ours.min(), theirs.min())
            and max(ours.min(), theirs.min()) >= 0
        )
        larger = other_size > 10 * max(-min(lows), max(highs))
        if larger or (smaller and name.startswith("inputs")):
            text = (
                f"{name}: {min(lows):g} to {max(highs):g} in training, {theirs.min():g}"
            )
            yield f"{text} to {theirs.max():g} in validation: scale both in the same way"


def check_rows(batches, steps, rows):
    """Count rows, given as hashes; yield what no series of complete passes explains."""
    stream, sizes = [*chain(*batches)], [len(batch) for batch in batches]
    for number, part in enumerate((batches[:steps], batches[steps : 2 * steps]), 1):
        some = [*chain(*part)]
        print(
            f"[INFO] epoch {number}: {len(some):,} rows, {len(set(some)):,} different"
        )
    different, again = len(set(stream)), len(stream) - len(set(stream))
    # Where the order stays, each row is always followed by the same one.
    shuffled = len(set(pairwise(stream))) - different > again / 4
    order = (
        f"in {'another' if shuffled else 'the same'} order" if again else "none twice"
    )
    print(f"[INFO] all {len(batches)} batches: {different:,} different rows, {order}")

    # A pass ends with a shorter batch, or holds all rows, or all but a short batch.
    ends = [end for end, size in zip(accumulate(sizes), sizes) if size < max(sizes)]
    full = different - different % max(sizes) * shuffled or different
    ways = [range(length, len(stream), length) for length in (different, full)]
    ways = [ends] if different in ends[:1] else ways
    passes = [[stream[a:b] for a, b in pairwise([0, *w, len(stream)])] for w in ways]
    explained = any(all(len(set(p)) == len(p) for p in way) for way in passes)

    found = f"{different:,} of {rows:,} rows" if rows else f"{different:,} rows"
    most = f"one {max(Counter(stream).values())} times in {len(batches)} batches"
    missing, dropped = (rows or different) - different, (rows or 0) % max(sizes)
    one_set = min(steps, len(batches)) > 1 == len(set(map(frozenset, batches)))
    if missing < 0:
        yield f"{found}: correct `rows`, or leave out the augmentation"
    elif one_set and (missing or not rows):
        yield f"all batches hold the same {found}: choose rows inside the loop"
    elif again and not shuffled and missing == dropped > 0:
        yield f"only {found} come: each pass drops the {dropped} that fill no batch"
    elif again and missing > dropped * shuffled:
        yield f"only {found} come, {most} (equal rows count once): check index and lists"
    elif not explained:
        yield f"rows come again before all have come, {most}: empty lists after a yield"
