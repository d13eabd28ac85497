"""Build the two CSVs from photographs.

`python -m pyimagesearch.datasets.build_csv` downloads Flowers-17 (Visual Geometry
Group, Oxford) and writes flowers17_training.csv and flowers17_testing.csv.
"""

import os
import re
import tarfile
import tempfile
import warnings
import zipfile
from collections import Counter, defaultdict
from pathlib import Path, PurePath

from PIL import Image
from sklearn.model_selection import train_test_split
from tensorflow import keras

from pyimagesearch import options
from pyimagesearch.csv_rows import InputError
from pyimagesearch.images import load_image
from pyimagesearch.safe_files import replacing_pair

TRAIN_CSV, TEST_CSV = "flowers17_training.csv", "flowers17_testing.csv"
URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/17/17flowers.tgz"
SHA256 = "fe38a60f8b4a95e657551247d3e7d799a3fafcdbc595be504b12839967823d70"

# jpg/image_0001.jpg to image_0080.jpg are daffodils, the next 80 snowdrops, ...
FLOWERS = (  # noqa: SIM905, as 17 lines it would be no clearer
    "daffodil snowdrop lilyvalley bluebell crocus iris tigerlily tulip fritillary"
    " sunflower daisy coltsfoot dandelion cowslip buttercup windflower pansy"
).split()
FLOWERS17 = {f"image_{k + 1:04}.jpg": FLOWERS[k // 80] for k in range(1360)}

# Folders such as train, Testing, val_set, seg_pred or test1.
PART = re.compile(r"(\w+_)?(train|test|val|valid|validation|pred|meta)(ing)?(_set)?\d*")


def download():
    """Return the path of the official archive, downloaded once to ~/.keras/datasets."""
    try:
        return keras.utils.get_file(origin=URL, file_hash=SHA256)
    except Exception as error:  # what get_file raises if it can't reach the server
        raise InputError(f"{URL}: {error}") from error


def unpack(archive, folder):
    """Unpack a zip or tar archive into `folder` only, or raise InputError."""
    try:
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter=_regular_files)
                # tarfile stops at the first block of zeros, or where the archive was
                # truncated. Reading the rest also makes gzip compare its checksum.
                tar.fileobj.seek(tar.offset)
                rest = tar.fileobj.read()
                if len(rest) < tarfile.BLOCKSIZE or rest.strip(b"\0"):
                    raise tarfile.TarError("truncated or damaged")
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(folder)
        else:
            raise tarfile.TarError("neither a tar nor a zip file, or a truncated one")
    except Exception as error:  # each decompressor has its own for damaged data
        raise InputError(f"{archive}: can't be unpacked ({error})") from error


def _regular_files(member, folder):
    # Python 3.11.7's own filter lets nested links lead out of the folder
    # (CVE-2025-4517), and an archive of photographs has none.
    if member.issym() or member.islnk():
        raise tarfile.TarError(f"{member.name!r} is a link")
    return tarfile.data_filter(member, folder)


def find_images(folder):
    """Return the relative paths of all images, sorted, and the others by reason."""
    paths, errors = list(Path(folder).iterdir()), []
    # A folder at the top may be a link; links further down aren't followed.
    for top in [path for path in paths if path.is_dir()]:
        for root, below, files in os.walk(top, onerror=errors.append):
            paths += [Path(root, name) for name in below + files]
    if errors:
        raise errors[0]
    images, folders, left_out = [], [], defaultdict(list)
    for path in sorted(paths, key=Path.as_posix):  # Windows' own order ignores case
        name = path.relative_to(folder)
        if any(part.startswith((".", "__MACOSX")) for part in name.parts):
            if not path.is_dir():
                left_out["hidden"].append(name)
        elif path.is_dir() and (len(name.parts) == 1 or not path.is_symlink()):
            folders.append(name)
        elif not path.is_file():
            left_out["not regular files"].append(name)
        elif not _is_image(path):
            left_out["not images that Pillow can open"].append(name)
        else:
            images.append(name)
    used = {parent for name in images for parent in name.parents}
    left_out["folders without an image"] = [f for f in folders if f not in used]
    return images, left_out


def _is_image(path):
    # An image's suffix is enough: damaged images must be reported.
    format_name = Image.registered_extensions().get(path.suffix.lower())
    if Image.MIME.get(format_name, "").startswith("image/"):
        return True
    try:
        Image.open(path).close()
    except Exception as error:  # noqa: BLE001, text can look like many formats
        return isinstance(error, Image.DecompressionBombError)
    return True


def below_common_folders(names):
    """Return relative paths without the folders at the top that hold all of them."""
    while len({name.parts[0] for name in names}) == 1 and len(names[0].parts) > 1:
        names = [PurePath(*name.parts[1:]) for name in names]
    return names


def label_images(names, source):
    """Return the label of each relative path; None for an image outside all classes.

    It is the name of the top folder; for Flowers-17's image_0001.jpg to image_1360.jpg
    its number decides. Raises InputError, naming `source`, where that isn't possible.
    """
    flat = [n for n in names if re.fullmatch(r"(jpg/)?image_\d{4}\.jpg", n.as_posix())]
    if flat and (flat != names or sorted(n.name for n in flat) != list(FLOWERS17)):
        raise InputError(
            f"{source}: {flat[0]} looks like Flowers-17's, but these are not exactly its"
            " 1,360 images; get them all, or put each class in a sub-folder"
        )
    if flat:
        return [FLOWERS17[name.name] for name in names]

    inside = defaultdict(set)  # what each class's folder holds
    for name in [name for name in names if len(name.parts) > 1]:
        inside[name.parts[0]].add(name.parts[1])
    classes = set(inside)
    parts = [PART.fullmatch(label.lower()) for label in classes]
    if all(parts) and {"train"} < {part[2] for part in parts}:
        raise InputError(
            f"{source}: {', '.join(sorted(classes))} are parts of a data set, not classes;"
            " pass one of these folders with --images"
        )
    for label in sorted(classes):
        if len(classes) > 2 and classes <= inside[label] | {label}:
            raise InputError(
                f"{source}: the folder {label!r} holds folders named like all the other"
                " classes, so it looks like a copy of them; remove or rename it"
            )
    for label in sorted(classes):
        line = label.encode(errors="ignore").decode().strip()
        if re.search(r"[,\ufeff]", label) or line.splitlines() != [label]:
            raise InputError(
                f"{source}: the class name {label!r} can't go in a CSV; rename that"
                " folder, without a comma, a line break or spaces at the ends"
            )
    if len(classes) < 2:
        raise InputError(
            f"{source}: {len(classes) or 'no'} folder of images that Pillow can open;"
            " there must be two or more, one per class"
        )
    return [name.parts[0] if len(name.parts) > 1 else None for name in names]


def write_csvs(pairs, load, folder, test_size=0.25, seed=42):
    """Shuffle, split and write images as the two CSVs in `folder`, a Path.

    `pairs` are (name, label), and load(name) returns the image, uint8; only one image
    at a time is in memory. `test_size` is the testing file's share, above 0 and below
    1; the same pairs and `seed` give the same two files. Returns the labels of each.
    Raises InputError, with both files as they were, for a class found only in testing,
    and for images that load can't read (an InputError), counting them.
    """
    try:
        train, test = train_test_split(pairs, test_size=test_size, random_state=seed)
    except ValueError as error:  # a share that leaves no image to train or test on
        raise InputError(str(error)) from None
    train_labels, test_labels = ([label for _, label in part] for part in (train, test))
    test_only = sorted(set(test_labels) - set(train_labels))
    if test_only:
        more = f" and {len(test_only) - 3:,} more" if test_only[3:] else ""
        raise InputError(
            f"the split leaves no images of {', '.join(test_only[:3])}{more} to train on;"
            " add images, or lower --test-size; if it is one class, another --seed may do"
        )
    progress = keras.utils.Progbar(len(pairs), unit_name="image")
    folder.mkdir(exist_ok=True)
    remedy = f"close or delete {TEST_CSV}, or pass another --output, and run again"
    with replacing_pair(folder / TRAIN_CSV, folder / TEST_CSV, remedy) as parts:
        failures = _write_rows(parts[0], train, load, progress)
        failures += _write_rows(parts[1], test, load, progress)
        if failures:
            raise InputError(
                f"can't read {len(failures):,} of {len(pairs):,} images; repair, shrink"
                f" or remove them: {'; '.join(sorted(failures)[:3])}"
            )
    return train_labels, test_labels


def _write_rows(path, pairs, load, progress):
    failures = []
    texts = [str(value) for value in range(256)]  # 12,288 calls of str() are slow
    with open(path, "w", encoding="utf-8", newline="\n") as csv_file:
        for name, label in pairs:
            try:
                values = [texts[value] for value in load(name).ravel().tolist()]
                csv_file.write(",".join([label, *values]) + "\n")
            except InputError as error:
                failures.append(str(error))
            progress.add(1)
    return failures


def print_summary(train_labels, test_labels, left_out):
    """Print the rows per class in each file, then what was left out and why."""
    training, testing = Counter(train_labels), Counter(test_labels)
    width = max(map(len, ["class", *training]))
    print(f"{'class':{width}} training  testing")
    for label in sorted(training):
        print(f"{label:{width}} {training[label]:8} {testing[label]:8}")
    print(f"{'all':{width}} {len(train_labels):8} {len(test_labels):8}")
    for reason, names in left_out.items():
        if names:
            first = ", ".join(repr(name.as_posix()) for name in names[:3])
            print(f"left out, {reason}: {len(names)} ({first})")


def output_folder(text):
    """Parse the path of a folder that can be written to, or created."""
    folder = Path(text).resolve()
    return options.writable(folder if folder.exists() else folder.parent, text)


def add_output_options(parser):
    """Add --output and --seed, for a program that writes the two CSVs."""
    where = "folder to write the CSVs to, replacing those there"
    parser.add_argument("--output", type=output_folder, default=".", help=where)
    seed, same = options.whole_number(0), "same images and seed, same CSVs"
    parser.add_argument("--seed", type=seed, default=42, help=same)


@options.one_line_errors
def main():
    parser = options.OneLineParser(description="Build the two CSVs from photographs.")
    add = parser.add_mutually_exclusive_group().add_argument
    add("--archive", metavar="FILE", help="use this tar or zip, not the download")
    add("--images", metavar="DIR", help="use this folder, with a sub-folder per class")
    add_output_options(parser)
    share = "share of the images to test on"
    parser.add_argument("--test-size", type=float, default=0.25, help=share)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as unpacked:
        source = folder = args.images
        if args.images is None:
            source = download() if args.archive is None else args.archive
            folder = unpacked
            unpack(source, folder)
        warnings.filterwarnings("ignore", module="PIL")  # large pictures, odd EXIF data
        names, left_out = find_images(folder)
        inner_names = below_common_folders(names) if args.images is None else names
        pairs = list(zip(names, label_images(inner_names, source)))
        outside = [name for name, label in pairs if not label]
        left_out["images outside the class folders"] = outside
        pairs = [(Path(folder, name), label) for name, label in pairs if label]
        try:
            both = write_csvs(pairs, load_image, args.output, args.test_size, args.seed)
        except InputError as error:
            text = str(error).replace(f"{Path(folder)}{os.sep}", "")
            raise InputError(f"{source}: {text}") from error
    print_summary(*both, left_out)


if __name__ == "__main__":
    main()
