"""Find what a generator of batches does wrong without an error; needs only numpy."""

from collections import Counter
from copy import deepcopy
from itertools import accumulate, chain, islice, pairwise

import numpy as np


def check_generator(make_generator, steps, rows=None, validation=None):
    """Print what two epochs of `steps` batches hold; return a list of the mistakes.

    make_generator() returns a new generator of (inputs, targets) or (inputs, targets,
    weights), each an array, or a dict or tuple of arrays. rows is the number of rows in
    your data: if you give it, leave out augmentation. validation() returns another
    generator, of which two batches are compared. Each mistake is a line, also printed
    after [WARNING]. No batch is changed; what a generator raises is a mistake, too.
    """
    print(f"[INFO] pulling {2 * steps + 2} batches: two epochs, and two more")
    mistakes, others = [], {}
    kept, batches, facts = pull(make_generator, 2 * steps + 2, mistakes)
    if not mistakes and len(batches) < 2 * steps + 2:
        text = f"the generator ends after {len(batches)} batches, and fit then repeats"
        mistakes.append(f"{text} the first two in every epoch: loop in `while True:`")
    if validation and kept:
        others = pull(validation, 2, mistakes, "validation ", kept[0][0])[2]
    for name, array in kept[0][0].items() if kept else ():
        lows, highs, labels = zip(*facts[name])
        print(f"[INFO] {name}: {array.dtype} {array.shape}, {min(lows):g} to", end=" ")
        print(f"{max(highs):g}")
        if name.startswith("targets"):
            mistakes += check_classes(name, array, labels, batches)
        if name in others:
            mistakes += compare(name, facts[name], others[name])
    if any(now[n].tobytes() != then[n].tobytes() for now, then in kept for n in now):
        text = "a batch changed after it was yielded: yield a new array each time, and"
        mistakes.append(f"{text} change a .copy() of your data's rows, never a view")
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
            arrays = name_arrays(batch)
            model = model or arrays
            for name, array in arrays.items():
                shape = model.get(name, array).shape[1:]
                if array.shape[1:] != shape:
                    text = f"{name}: rows of shape {array.shape[1:]} after {shape}"
                    raise ValueError(f"{text}: bring all rows to one shape")
                low, high = float(array.min()), float(array.max())
                if not np.isfinite([low, high]).all():
                    raise ValueError(f"{name}: nan or inf, which make the loss nan")
                classes = find_classes(array) if name.startswith("targets") else None
                facts.setdefault(name, []).append((low, high, classes))
            if len(kept) < 2:
                kept.append((arrays, deepcopy(arrays)))
            parts = zip(*[arrays[n] for n in arrays if not n.startswith("weights")])
            batches.append([hash(tuple(p.tobytes() for p in row)) for row in parts])
    except Exception as error:  # noqa: BLE001, a generator may raise anything
        text = error if isinstance(error, ValueError) else f"raised {error!r}"
        mistakes.append(f"{part}batch {len(batches) + 1}: {text}")
    return kept, batches, facts


def name_arrays(batch):
    """Return a batch as {name: array}; raise ValueError if fit can't use it."""
    if not isinstance(batch, tuple) or len(batch) not in (2, 3):
        kind = f"{type(batch).__name__}, not a tuple of two or three"
        raise ValueError(f"{kind}: yield inputs, targets")
    arrays = {}
    for name, part in zip(("inputs", "targets", "weights"), batch):
        part = dict(enumerate(part)) if isinstance(part, tuple) else part
        for key, array in (part if isinstance(part, dict) else {"": part}).items():
            arrays[f"{name} {key}".strip()] = np.asarray(array)
    for name, array in arrays.items():
        if array.dtype.kind in "OUS":
            text = f"{name}: text or objects ({array.dtype}), no numbers"
            raise ValueError(f"{text}: turn labels into one-hot rows")
    rows = {name: len(a) if a.ndim else 0 for name, a in arrays.items()}
    if 0 in rows.values() or len(set(rows.values())) > 1:
        text = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise ValueError(f"rows: {text}; yield as many in each, and never none")
    return arrays


def find_classes(array):
    """Return the classes of one-hot or whole-number targets as a list, or None."""
    flat = array.reshape(len(array), -1)
    if flat.shape[1] == 1:
        return flat[:, 0].tolist() if (flat % 1 == 0).all() else None
    one_hot = (flat.sum(1) == 1) & (flat.max(1) == 1) & (flat.min(1) == 0)
    return flat.argmax(1).tolist() if array.ndim == 2 and one_hot.all() else None


def check_classes(name, array, labels, batches):
    """Print which loss suits, and rows per class; yield a line if they are sorted."""
    if None in labels:
        if array.ndim == 2 and np.isin(array, (0, 1)).all():
            print(f"[INFO] {name}: several labels per row, for binary_crossentropy")
        return
    labels = labels[: -(-len(set(chain(*batches))) // max(map(len, batches)))]
    counts = Counter(chain(*labels))  # of one pass, since later ones prove no more
    loss = f"{'sparse_' * (array.size == len(array))}categorical_crossentropy"
    some = ", ".join(f"{label:g}: {n}" for label, n in sorted(counts.items())[:20])
    print(f"[INFO] {name} for {loss}, rows per class in {len(labels)} batches: {some}")
    size, found = np.mean([(len(part), len(set(part))) for part in labels], 0)
    shares = np.array([*counts.values()]) / counts.total()
    chances = 1 - (1 - shares) ** size  # of each class to be in a shuffled batch
    expected, spread = chances.sum(), (chances @ (1 - chances) / len(labels)) ** 0.5
    if found - 1 < (expected - 1) / 2 and expected - found > 4 * spread:
        text = f"{name}: a batch holds {found:.1f} classes on average, of shuffled rows"
        yield f"{text} it would hold {expected:.1f}: shuffle your rows"


def compare(name, facts, others):
    """Yield how two batches of validation differ from those of training."""
    lows, highs, labels = zip(*facts)
    other_lows, other_highs, other_labels = zip(*others)
    if None not in labels + other_labels:
        unknown = set(chain(*other_labels)) - set(chain(*labels))
        if unknown and min(Counter(chain(*labels)).values()) > 2:
            text = f"{name}: validation holds classes that training lacks"
            yield f"{text}: {sorted(unknown)[:10]}; split your rows again"
        return
    lowest, highest = min(other_lows), max(other_highs)
    size, other_size = max(map(abs, lows[:2] + highs[:2])), max(-lowest, highest)
    bottom = sorted([min(lows[:2]), lowest])
    smaller = size > 10 * other_size
    negative = bottom[1] >= 0 > max(size, other_size) + 10 * bottom[0]
    larger = other_size > 10 * max(map(abs, lows + highs))
    if larger or (name.startswith("inputs") and (smaller or negative)):
        text = f"{name}: {min(lows):g} to {max(highs):g} in training, {lowest:g} to"
        yield f"{text} {highest:g} in validation: scale both in the same way"


def check_rows(batches, steps, rows):
    """Count rows, given as hashes; yield what no series of complete passes explains."""
    stream, sizes = [*chain(*batches)], [len(batch) for batch in batches]
    for number, part in enumerate((batches[:steps], batches[steps : 2 * steps]), 1):
        some = [*chain(*part)]
        print(f"[INFO] epoch {number}: {len(some)} rows, {len(set(some))} different")
    different, again = len(set(stream)), len(stream) - len(set(stream))
    # Where the order stays, each row is always followed by the same one.
    shuffled = len(set(pairwise(stream))) - different > again / 4
    order = (
        f"in {'another' if shuffled else 'the same'} order" if again else "none twice"
    )
    print(f"[INFO] all {len(batches)} batches: {different} different rows, {order}")

    # A pass ends with a shorter batch, or holds all rows, or all but a short batch.
    ends = [end for end, size in zip(accumulate(sizes), sizes) if size < max(sizes)]
    full = different - different % max(sizes) * shuffled or different
    ways = [range(length, len(stream), length) for length in (different, full)]
    ways = [ends] if different in ends[:1] else ways
    passes = [[stream[a:b] for a, b in pairwise([0, *w, len(stream)])] for w in ways]
    explained = any(all(len(set(p)) == len(p) for p in way) for way in passes)

    found = f"{different} of {rows} rows" if rows else f"{different} rows"
    most = (
        f"one of them {max(Counter(stream).values())} times in {len(batches)} batches"
    )
    most += " (identical rows count as one)"
    missing, dropped = (rows or different) - different, (rows or 0) % max(sizes)
    one_set = min(steps, len(batches)) > 1 == len(set(map(frozenset, batches)))
    if missing < 0:
        yield f"{different} different rows, but rows={rows}: correct it, or augment later"
    elif one_set and (missing or not rows):
        yield f"all batches hold the same {found}: choose the rows inside the loop"
    elif again and not shuffled and missing == dropped > 0:
        text = f"only {found} come, each pass drops the {dropped} that fill no batch"
        yield f"{text}: create the lists before `while True:`, or yield a shorter batch"
    elif again and missing > dropped * shuffled:
        text = f"only {found} come, {most}: check the step of the index, and where"
        yield f"{text} lists are created and emptied"
    elif not explained:
        text = f"rows come again before the others have come, {most}: draw no row twice"
        yield f"{text} in a pass, and empty lists after each yield"
