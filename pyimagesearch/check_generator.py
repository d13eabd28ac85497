"""Find what a generator of batches does wrong without an error; needs only numpy."""

from collections import Counter
from itertools import chain, islice, pairwise

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
    mistakes = [] if steps else ["steps is 0, so no epoch ends: use max(1, steps)"]
    kept, batches, facts = pull(make_generator, 2 * steps + 2, mistakes)
    if not mistakes and len(batches) < 2 * steps + 2:
        text = f"the generator ends after {len(batches)} batches, and fit then repeats"
        mistakes.append(f"{text} the first two in each epoch: loop in `while True:`")
    others = {}
    if validation and kept:
        others = pull(validation, 2, mistakes, "validation ", kept[0][0])[2]
    for name, array in kept[0][0].items() if kept else ():
        mistakes += check_array(name, array, facts[name], others.get(name), batches)
    if any(now[n].tobytes() != then[n].tobytes() for now, then in kept for n in now):
        text = "a batch changed after it was yielded: yield a new array each time, and"
        mistakes.append(f"{text} change a .copy() of your data's rows, never a view")
    elif batches:
        mistakes += check_rows(batches, steps, rows)
    for mistake in mistakes:
        print("[WARNING]", mistake)
    return mistakes


def pull(make_generator, count, mistakes, part="", model=None):
    """Return two batches with their copies, all rows' hashes, and facts on arrays."""
    kept, batches, facts = [], [], {}
    try:
        if not callable(make_generator):
            raise TypeError("pass the function that makes the generator, uncalled")
        for batch in islice(make_generator(), count):
            arrays = name_arrays(batch, model)
            model = arrays
            for name, array in arrays.items():
                classes = find_classes(array) if name.startswith("targets") else None
                fact = float(array.min()), float(array.max()), classes
                facts.setdefault(name, []).append(fact)
            if len(kept) < 2:
                kept.append((arrays, {n: a.copy() for n, a in arrays.items()}))
            parts = zip(*[arrays[n] for n in arrays if not n.startswith("weights")])
            batches.append([hash(tuple(p.tobytes() for p in row)) for row in parts])
    except Exception as error:  # noqa: BLE001, a generator may raise anything
        found = error if isinstance(error, ValueError) else f"raised {error!r}"
        mistakes.append(f"{part}batch {len(batches) + 1}: {found}")
    return kept, batches, facts


def name_arrays(batch, model):
    """Return a batch as {name: array}; raise ValueError if it is of no use to fit."""
    if not isinstance(batch, tuple) or len(batch) not in (2, 3):
        kind = type(batch).__name__
        raise ValueError(f"{kind}, not a tuple of 2 or 3: yield inputs, targets")
    arrays = {}
    for name, part in zip(("inputs", "targets", "weights"), batch):
        part = dict(enumerate(part)) if isinstance(part, tuple) else part
        part = part if isinstance(part, dict) else {"": part}
        arrays |= {f"{name} {key}".strip(): np.asarray(part[key]) for key in part}
    lengths = [len(array) if array.ndim else 0 for array in arrays.values()]
    for name, array in arrays.items():
        if array.dtype.kind in "OUS":
            found = f"{name}: '{array.flat[0]!s:.20}' is not a number"
            raise ValueError(f"{found}; turn labels into one-hot rows")
        shape = (model or arrays).get(name, array).shape[1:]
        if array.shape[1:] != shape:
            found = f"{name}: rows of shape {array.shape[1:]}, earlier ones {shape}"
            raise ValueError(f"{found}; resize all to one shape")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: nan or inf, so the loss becomes nan; remove it")
    if 0 in lengths or len(set(lengths)) > 1:
        found = ", ".join(map("{} {}".format, arrays, lengths))
        raise ValueError(f"numbers of rows: {found}; make them equal, and never 0")
    return arrays


def find_classes(array):
    """Return the classes of one-hot or whole-number targets as a list, or None."""
    flat = array.reshape(len(array), -1)
    if flat.shape[1] == 1:
        return flat[:, 0].tolist() if (flat % 1 == 0).all() else None
    one_hot = (flat.sum(1) == 1) & (flat.max(1) == 1)
    return flat.argmax(1).tolist() if one_hot.all() else None


def check_array(name, array, facts, others, batches):
    """Print what an array holds; yield what is wrong with its order or validation."""
    lows, highs, labels = zip(*facts)
    other_lows, other_highs, other_labels = zip(*others or facts)
    span = f"{min(lows):g} to {max(highs):g}"
    text = f"[INFO] {name}: {array.dtype} {array.shape}, {span}"
    if None not in labels + other_labels:
        different, rows = len(set(chain(*batches))), sum(map(len, batches))
        labels = labels[: -(-different // max(map(len, batches)))]
        counts = Counter(chain(*labels))  # of one pass: others are no more evidence
        kind = "binary" if max(highs) <= 1 else "sparse_categorical"
        kind = kind if array.size == len(array) else "categorical"
        text += f", for {kind}_crossentropy; rows per class in about a pass: "
        text += ", ".join(f"{label:g}: {n}" for label, n in sorted(counts.items())[:20])
        size, found = np.mean([(len(part), len(set(part))) for part in labels], 0)
        shares = np.array([*counts.values()]) / counts.total()
        chances = 1 - (1 - shares) ** size  # of each class to be in a shuffled batch
        expected, spread = chances.sum(), (chances @ (1 - chances) / len(labels)) ** 0.5
        if found - 1 < (expected - 1) / 2 and expected - found > 4 * spread:
            mean = f"{name}: a batch holds {found:.1f} classes on average, but would"
            yield f"{mean} hold {expected:.1f} if the rows were shuffled: shuffle them"
        unknown = set(chain(*other_labels)) - set(counts)
        if unknown and min(counts.values()) > 2 and different < rows:
            known = f"{name}: validation has classes unknown in training, {unknown}"
            yield f"{known}: split your rows again"
    else:
        low, high, bottom = min(other_lows), max(other_highs), min(lows[:2])
        size, other_size = max(-bottom, *highs[:2]), max(-low, high)
        wrong = size > 10 * other_size  # or only one of the two goes far below 0
        wrong |= max(low, bottom) >= 0 > max(size, other_size) + 10 * min(low, bottom)
        wrong &= name.startswith("inputs")
        if wrong or other_size > 10 * max(-min(lows), max(highs)):
            span = f"{span} in training, {low:g} to {high:g} in validation"
            yield f"{name}: {span}; scale both the same way"
        if name.startswith("targets") and np.isin(array, (0, 1)).all():
            text += ", for binary_crossentropy: several labels, or a mask"
    print(text)


def check_rows(batches, steps, rows):
    """Count rows, given as hashes; yield what no series of complete passes explains."""
    stream, sizes = [*chain(*batches)], [len(batch) for batch in batches]
    repeats = []
    for number, part in enumerate((batches[:steps], batches[steps : 2 * steps]), 1):
        some = [*chain(*part)]
        print(f"[INFO] epoch {number}: {len(some)} rows, {len(set(some))} different")
        repeats.append(len(some) - len(set(some)))
    different, again = len(set(stream)), len(stream) - len(set(stream))
    # Where the order stays, each row is always followed by the same one.
    shuffled = len(set(pairwise(stream))) - different > again / 4
    order = f"in {'another' if shuffled else 'the same'} order" if again else "once"
    print(f"[INFO] all {len(batches)} batches: {different} different rows, {order}")

    # A pass ends with a shorter batch, or holds all rows, or all but a short batch.
    ends = np.cumsum(sizes)[np.less(sizes, max(sizes))]
    full = different - different % max(sizes) * shuffled or different
    places = np.arange(len(stream))
    passes = [places // different, places // full]
    if different in ends[:1]:
        passes = [np.searchsorted(ends, places, "right")]
    explained = any(len({*zip(stream, p.tolist())}) == len(stream) for p in passes)
    # Augmentation may make a row twice by chance, but not many times in an epoch.
    explained |= not rows and different not in ends[:1] and repeats[0] <= max(sizes)

    found = f"{different} of {rows} rows" if rows else f"{different} rows"
    times = f"one of them {max(Counter(stream).values())} times"
    missing, dropped = (rows or different) - different, (rows or 0) % max(sizes)
    one_set = min(steps, len(batches)) > 1 == len(set(map(frozenset, batches)))
    if missing < 0:
        yield f"{different} different rows, but rows={rows}: correct it, or don't augment"
    elif one_set and (missing or not rows):
        text = f"all {len(batches)} batches hold the same {found}: choose the rows"
        yield f"{text}, or move the index, inside the loop"
    elif again and missing > dropped * shuffled:
        text = f"only {found} were seen, {times} (identical rows count as one): check"
        yield f"{text} the step of the index, and where lists are created and emptied"
    elif not explained:
        text = f"rows come again before all were seen, {times} (identical rows count as"
        yield f"{text} one): use each once per pass, and empty lists after each yield"
