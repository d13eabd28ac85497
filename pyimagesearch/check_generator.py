"""Find what a generator of batches does wrong without an error; needs only numpy."""

from collections import Counter
from itertools import accumulate, chain, islice, pairwise

import numpy as np


def check_generator(make_generator, steps, rows=None, validation=None):
    """Print what two epochs of batches hold, and return a list of what is wrong.

    make_generator, called without arguments, returns a new generator of (inputs,
    targets) or (inputs, targets, weights), each an array, or a dict or tuple of arrays.
    steps is the number of batches per epoch, rows the number of rows in your data; they
    can be counted only without augmentation. validation is another such function: its
    first two batches are compared. The findings, one line each, are also printed, after
    [WARNING]. No batch is changed, and an error of the generator is a finding.
    """
    findings, hashes, classes, ranges, first = [], [], {}, {}, []
    for batch in read_batches(make_generator, 2 * steps + 2, findings):
        if len(first) < 2:
            first.append((batch, {name: batch[name].copy() for name in batch}))
        for name, array in batch.items():
            low, high = ranges.get(name, (np.inf, -np.inf))
            ranges[name] = min(low, array.min()), max(high, array.max())
            if name.startswith("targets"):
                classes.setdefault(name, []).append(to_classes(array))
        counted = [batch[name] for name in batch if not name.startswith("weights")]
        row_parts = zip(*counted)
        hashes.append([hash(tuple(a.tobytes() for a in row)) for row in row_parts])
    if not findings and len(hashes) < 2 * steps + 2:
        end = f"the generator ends after {len(hashes)} batches"
        again = "fit goes on with the first two of them: loop inside `while True:`"
        findings.append(f"{end}; in later epochs {again}")

    hashes = hashes[: 2 * steps]  # the last two only show that it continues
    classes = {name: parts for name, parts in classes.items() if None not in parts}
    if hashes:
        print_ranges("training", first[0][1], ranges, classes)
        for number, (batch, copy) in enumerate(first, start=1):
            changed = [n for n in batch if batch[n].tobytes() != copy[n].tobytes()]
            if changed:
                change = f"batch {number}: {changed[0]} changed after the yield"
                findings.append(f"{change}; yield a new array each time, or a .copy()")
                break
        findings += check_rows(hashes, steps, rows)
        for name, parts in classes.items():
            findings += check_mixture(name, parts, hashes)
    if validation is not None and hashes:
        findings += check_validation(validation, first, ranges, classes)
    for finding in findings:
        print("[WARNING]", finding)
    return findings


def read_batches(make_generator, count, findings):
    """Yield {name: array} for each batch, until one is of no use: a finding."""
    number, shapes = 0, {}
    try:
        for number, batch in enumerate(islice(make_generator(), count), start=1):
            if not isinstance(batch, tuple) or len(batch) not in (2, 3):
                found = f"batch {number} is a {type(batch).__name__}"
                findings.append(f"{found}; fit needs a tuple: yield inputs, targets")
                return
            values = name_parts("", dict(zip(("inputs", "targets", "weights"), batch)))
            arrays = {name: np.asarray(value) for name, value in values.items()}
            for name, array in arrays.items():
                problem = find_problem(
                    values[name], array, shapes.setdefault(name, array.shape[1:])
                )
                if problem:
                    findings.append(f"batch {number}: {name} {problem}")
                    return
            lengths = {name: len(array) for name, array in arrays.items()}
            if len(set(lengths.values())) > 1:
                findings.append(f"batch {number} has unlike numbers of rows: {lengths}")
                return
            yield arrays
    except Exception as error:  # noqa: BLE001
        findings.append(f"after batch {number}, the generator raised {error!r}")


def find_problem(value, array, shape):
    """Return why fit can't use an array of a batch, or learns nothing from it."""
    if isinstance(value, list):
        return "is a list; yield an array: np.array(...)"
    if array.dtype.kind in "OUS":
        example = f" ({array.ravel()[0]!r:.40})" if array.size else ""
        return f"holds text or objects{example}; yield numbers, or one-hot rows"
    if not array.ndim or not len(array):
        return "has no rows; don't yield an empty batch"
    if array.shape[1:] != shape:
        return f"has rows of shape {array.shape[1:]}, those before {shape}"
    bad = sum(not np.isfinite(row).all() for row in array)
    return (
        bad and f"has nan or inf in {bad} of {len(array)} rows; they make the loss nan"
    )


def name_parts(name, value):
    """Return {name: array} of what may be a dict or tuple of arrays."""
    if isinstance(value, tuple):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {name: value}
    parts = {}
    for key, part in value.items():
        parts |= name_parts(f"{name}[{key!r}]" if name else key, part)
    return parts


def to_classes(array):
    """Return the class of each row of one-hot or whole-number targets, or None."""
    flat = array.reshape(len(array), -1)
    if flat.shape[1] == 1 and (flat >= 0).all() and (flat % 1 == 0).all():
        return flat[:, 0].astype("int64").tolist()
    if array.ndim == 2 and ((flat == 1).sum(axis=1) == 1).all():
        if ((flat != 0).sum(axis=1) == 1).all():
            return flat.argmax(axis=1).tolist()
    return None


def print_ranges(part, batch, ranges, classes):
    for name, array in batch.items():
        low, high = ranges[name]
        print(f"[INFO] {part} {name}: {array.dtype} {array.shape}, {low:g} to {high:g}")
    for name, parts in classes.items():
        counts = Counter(chain.from_iterable(parts))
        most = ", ".join(f"{k}: {n}" for k, n in sorted(counts.items())[:10])
        print(f"[INFO] {len(counts)} classes in {name}, with rows: {most}")


def check_rows(batches, steps, rows):
    """Count rows, given as hashes; return what no order of complete passes explains."""
    stream = list(chain.from_iterable(batches))
    different, sizes = len(set(stream)), [len(batch) for batch in batches]
    for number, epoch in enumerate((batches[:steps], batches[steps:]), start=1):
        counts = Counter(chain.from_iterable(epoch))
        most = max(counts.values(), default=0)
        print(
            f"[INFO] epoch {number}: {counts.total():,} rows, {len(counts):,} "
            f"different, each at most {most} times"
        )
    # A row that comes again is followed by the same row, unless passes are shuffled.
    again = len(stream) - different
    shuffled = len(set(pairwise(stream))) - different > again / 2
    if again:
        print(
            f"[INFO] the order of the rows {'changes' if shuffled else 'stays the same'}"
        )

    findings = []
    alike = "(rows that are alike in your data count as one)"
    if steps > 1 and len({frozenset(b) for b in batches}) == 1 and different != rows:
        return [
            f"every batch holds the same {different} rows; what chooses them must move on inside the loop"
        ]
    if rows and again and different < rows:
        if not shuffled or rows - different > rows % max(sizes):
            findings.append(
                f"only {different:,} of {rows:,} rows were seen in two epochs {alike}: "
                "see where the lists are created and emptied, and which rows the loop takes"
            )
    if rows and different > rows:
        findings.append(
            f"{different:,} different rows were seen, but rows is {rows:,}: check without augmentation, or correct rows"
        )
    ends = [end for end, size in zip(accumulate(sizes), sizes) if size < max(sizes)]
    for length in (different, different - different % max(sizes)):
        cuts = (
            ends if different in ends[:1] else range(length, len(stream), length or 1)
        )
        passes = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]
        if all(len(set(part)) == len(part) for part in passes):
            return findings
    most = max(Counter(stream[: sum(sizes[:steps])]).values())
    findings.append(
        f"rows come again before the others have come, one {most} times in an epoch {alike}: "
        "step by the batch size, and empty the lists after each yield"
    )
    return findings


def check_mixture(name, parts, hashes):
    """Return whether batches hold fewer classes than shuffled rows would."""
    seen, fresh = set(), []
    for labels, rows in zip(parts, hashes):  # a row that comes again says nothing new
        fresh.append([k for k, row in zip(labels, rows) if row not in seen])
        seen.update(rows)

    def unlike(labels):  # pairs of rows, and those of unlike classes
        n = len(labels)
        return n * (n - 1), n * n - sum(k * k for k in Counter(labels).values())

    pairs, differ = np.sum([unlike(labels) for labels in fresh], axis=0)
    all_pairs, all_differ = unlike(list(chain.from_iterable(fresh)))
    if not pairs or not all_differ:
        return []
    expected, found = all_differ / all_pairs, differ / pairs
    spread = (expected * (1 - expected) / (pairs / 2)) ** 0.5
    if found < expected / 2 and expected - found > 6 * spread:
        mean = np.mean([len(set(labels)) for labels in fresh if labels])
        count = len(set(chain.from_iterable(fresh)))
        return [
            f"{name}: a batch holds {mean:.1f} of {count} classes on average: "
            "the rows are sorted; shuffle them"
        ]
    return []


def check_validation(make_generator, first, ranges, classes):
    findings = []
    for batch in read_batches(make_generator, 2, findings):
        for name, array in batch.items():
            if name not in ranges:
                findings.append(f"validation has {name}, training hasn't")
            elif array.shape[1:] != first[0][0][name].shape[1:]:
                findings.append(f"validation: {name} shape {array.shape}")
            else:
                low, high = ranges[name]
                span = max(abs(low), abs(high)), max(abs(array.min()), abs(array.max()))
                if max(span) > 10 * min(span) and name.startswith("inputs"):
                    findings.append(
                        f"{name} {low:g} to {high:g} in training, {array.min():g} to {array.max():g} in validation: scale both alike"
                    )
        if findings:
            break
    return findings
