"""own_generator.md: mistakes are told, and rows come as often as the page says."""

import gc
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from conftest import Recorder
from pages import TEST, TRAIN, lines_of, run_code, run_page, write_flowers

from pyimagesearch.csv_rows import read_rows
from pyimagesearch.recipes.__main__ import code_blocks, read_page

TEXT = read_page("own_generator")
MISTAKES = re.findall(r"(?ms)^```python f\w+\n([^`]*)```\n\n```text\n(.*?)^```", TEXT)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The variables of the page's program, which ran beside two small CSVs."""
    folder = tmp_path_factory.mktemp("own_generator")
    write_flowers(folder)
    with pytest.MonkeyPatch.context() as context:
        context.chdir(folder)
        yield run_page(folder, "own_generator", epochs=1)


def as_rows(batches):
    return [bytes(image) for batch in batches for image in np.float32(batch)]


def check(page, code, capsys):
    """Run a fragment and check each of its generators; return the warnings."""
    names = dict(page)
    exec(code, names)  # noqa: S102
    if "check_generator(" not in code:
        for name in re.findall(r"(?m)^def (\w+)", code):
            names["check_generator"](names[name], steps=8, rows=245)
    return re.findall(r"(?m)^\[WARNING\] .*\n", capsys.readouterr().out)


@pytest.mark.parametrize(("code", "text"), MISTAKES)
def test_each_mistake_is_told_in_the_words_of_the_page(page, capsys, code, text):
    assert check(page, code, capsys) == [text] * len(re.findall("(?m)^def", code))


def test_a_right_generator_is_described_and_leftover_rows_are_told(page, capsys):
    assert len(MISTAKES) == 7 and MISTAKES[0][0].startswith("def same_batch():")
    assert page["check_generator"](page["make_training"], 8, 245) == []
    assert f"```text\n{capsys.readouterr().out}```" in TEXT
    assert code_blocks("own_generator")[0] == code_blocks("training")[0]
    inside, above = "        batch = []  # belongs above the loop\n", "    batch = []\n"
    right = MISTAKES[2][0].replace(inside, "").replace("    while", above + "    while")
    assert check(page, right, capsys) == [] != check(page, MISTAKES[2][0], capsys)
    twice = right + "        yield tuple(map(np.array, zip(*batch)))\n"
    (line,) = check(page, twice, capsys)
    assert re.search(r"come twice\n\(`(.*)`\)", TEXT)[1] in line


def test_minibatches_give_each_row_once_per_pass(page):
    make, targets = page["minibatches"], np.arange(10)
    images = np.arange(160.0).reshape(10, 4, 4, 1)
    generator = make(images, targets, 4)
    passes = [np.hstack([y for _, y in islice(generator, 3)]).tolist() for _ in "123"]
    assert [sorted(order) for order in passes] == [list(range(10))] * 3
    in_order, model = make(images, targets, 4, "eval", aug="unused"), Recorder()
    model.fit(in_order, steps_per_epoch=2, epochs=3, shuffle=False)
    seen = [row for epoch in model.trained for row in as_rows(epoch)]
    assert seen == as_rows([images, images]) and passes[0] != passes[1]
    alive = lambda: sum("NumpyArrayIterator" in str(type(x)) for x in gc.get_objects())
    augmented, before = make(images, targets, 4, aug=page["build_augmenter"]()), alive()
    assert [len(x) for x, _ in islice(augmented, 6)] == [4, 4, 2] * 2
    assert alive() <= before + 1
    with pytest.raises(ValueError, match="10 images, but 9 targets"):
        next(make(images, targets[:9], 4))


def test_rows_from_memory_and_from_the_file_make_the_same_batches(page):
    reads, make, lb = [], page["csv_image_generator"], page["lb"]
    remembered = page["remembering"](lambda path: reads.append(path) or read_rows(path))
    readers = read_rows, remembered, page["read_npy"]
    all_three = [make(TRAIN, 32, lb, read_rows=reader) for reader in readers]
    for wanted, *found in islice(zip(*all_three), 7):  # over two passes
        assert all(map(np.array_equal, wanted * 2, [a for pair in found for a in pair]))
    assert reads == [TRAIN] and page["pixels"].dtype == "uint8"


def test_csv_dataset_gives_each_row_once_in_threads_and_in_processes(page):
    found = run_code(Path(), *code_blocks("own_generator", "alone"), epochs=1)
    lb, rows = page["lb"], as_rows([image] for *_, image in read_rows(TRAIN))
    for processes in (False, True):
        model, options = Recorder(), {"workers": 2, "use_multiprocessing": processes}
        model.fit(found["CsvDataset"](TRAIN, 16, lb, **options), epochs=2)
        first, second = map(as_rows, model.trained)
        assert sorted(first) == sorted(second) == sorted(rows) and first != second
    ordered = found["CsvDataset"](TRAIN, 16, lb, shuffle=False, workers=2)
    predicted = model.predict(ordered, verbose=0).argmax(axis=1)
    assert lb.classes_[predicted].tolist() == page["labels"]
    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(ordered, steps_per_epoch=2, epochs=3)
    assert [len(batches) for batches in model.trained[2:]] == [2, 2, 1]


def test_two_workers_of_a_dataloader_share_the_rows(page):
    torch_data = pytest.importorskip("torch.utils.data")
    (code,) = [c for c in code_blocks("own_generator", "fragment") if "DataLoader" in c]
    # 18 batches of 32 are 8 passes over 72 rows; without shares, 4 are 64 rows twice.
    for reader, n, times in (("read_share", 18, 8), ("read_rows", 4, 2)):
        names = dict(page)
        exec(code.replace("=read_share", f"={reader}"), names)  # noqa: S102
        loader = torch_data.DataLoader(names["Batches"](), None, num_workers=2)
        counts = Counter(as_rows(images for images, _ in islice(loader, n)))
        assert set(counts.values()) == {times} and len(counts) == n * 32 // times


def test_mixup_and_weights_follow_pictures_and_labels(page):
    images = np.arange(32.0).repeat(12).reshape(32, 2, 2, 3)
    mixed, labels = next(page["Mixup"]().flow(images, np.eye(32), batch_size=32))
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(mixed[:, 1, 0, 2], labels @ np.arange(32), rtol=1e-5)
    assert np.sum(labels.max(axis=1) < 0.999) > 9
    inputs, one_hot, weights = next(page["two_input_generator"](TRAIN, 20, page["lb"]))
    assert weights["kind"].tolist() == (one_hot["kind"][:, 0] + 1).tolist()
    assert (inputs["mean_colour"] == inputs["image"].mean(axis=(1, 2))).all()


def test_predictions_line_up_and_those_of_a_kept_generator_do_not(page):
    inputs, *_ = next(page["two_input_generator"](TEST, 36, page["lb"]))
    rows, lb = page["two_inputs"].predict(inputs, verbose=0)["kind"], page["lb"]
    names = lb.classes_[rows.argmax(axis=1)]
    wanted = zip(page["test_labels"], names, rows.max(axis=1))
    lines = [f"{label},{name},{p:.2f}" for label, name, p in wanted]
    assert lines_of("test_predictions.csv")[1:] == lines and len(lines) == 36
    model, kept = Recorder(), page["make_test_gen"]()
    first, second = [model.predict(kept, steps=2, verbose=0) for _ in "12"]
    assert lb.classes_[first.argmax(axis=1)].tolist() == page["test_labels"]
    assert first.shape != second.shape or (first != second).any()
