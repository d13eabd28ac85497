"""own_generator.md: mistakes are told, and rows come as often as the page says."""

import gc
import re
from itertools import islice
from unittest.mock import Mock, patch

import numpy as np
import pytest
from conftest import ROOT, Recorder
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


@pytest.mark.parametrize(("code", "text"), MISTAKES)
def test_each_mistake_is_told_in_the_words_of_the_page(page, capsys, code, text):
    exec(code, names := dict(page))  # noqa: S102
    generators = re.findall(r"(?m)^def (\w+)", code)
    for name in generators:
        names["check_generator"](names[name], steps=8, rows=245)
    warnings = re.findall(r"(?m)^\[WARNING\] .*\n", capsys.readouterr().out)
    assert warnings == [text] * len(generators)


def test_a_right_generator_is_described_and_leftovers_are_quoted(page, capsys):
    assert len(MISTAKES) == 7 and code_blocks("training")[0] in TEXT
    page["check_generator"](page["make_training"], 8, 245)
    assert f"```text\n{capsys.readouterr().out}```" in TEXT
    quote = re.search(r"or they come twice\n\(`(.*)`\)", TEXT)[1]
    assert quote in (ROOT / "pyimagesearch/check_generator.py").read_text()


def test_minibatches_give_each_row_once_per_pass(page):
    make, images = page["minibatches"], np.arange(10.0).repeat(16).reshape(10, 4, 4, 1)
    x, y = map(np.concatenate, zip(*islice(make(images, np.arange(10), 4), 6)))
    assert sorted(y[:10]) == sorted(y[10:]) == [*range(10)] and [*y[:10]] != [*y[10:]]
    assert x[:, 0, 0, 0].tolist() == y.tolist()
    in_order = islice(make(images, images, 4, "eval", aug="unused"), 6)
    assert as_rows(x for x, _ in in_order) == as_rows([images, images])
    alive = lambda: sum("NumpyArrayIterator" in str(type(x)) for x in gc.get_objects())
    augmented, before = make(images, images, 4, aug=page["build_augmenter"]()), alive()
    assert [len(x) for x, _ in islice(augmented, 6)] == [4, 4, 2] * 2
    assert alive() <= before + 1
    with pytest.raises(ValueError, match="10 images, but 9 targets"):
        next(make(images, images[:9], 4))


def test_rows_from_memory_and_from_the_file_make_the_same_batches(page):
    reads, make, lb = [], page["csv_image_generator"], page["lb"]
    remembered = page["remembering"](lambda path: reads.append(path) or read_rows(path))
    readers = read_rows, remembered, page["read_npy"]
    all_three = [make(TRAIN, 32, lb, read_rows=reader) for reader in readers]
    for wanted, *found in islice(zip(*all_three), 7):  # over two passes
        assert all(map(np.array_equal, wanted * 2, [a for pair in found for a in pair]))
    assert reads == [TRAIN] and page["pixels"].dtype == "uint8"


def test_csv_dataset_gives_each_row_once_in_threads_and_in_processes(page, tmp_path):
    found = run_code(tmp_path, *code_blocks("own_generator", "alone"), epochs=1)
    lb, rows = page["lb"], as_rows([image] for *_, image in read_rows(TRAIN))
    for processes in (False, True):
        model, options = Recorder(), {"workers": 2, "use_multiprocessing": processes}
        model.fit(found["CsvDataset"](TRAIN, 16, lb, **options), epochs=2)
        first, second = map(as_rows, model.trained)
        assert sorted(first) == sorted(second) == sorted(rows) and first != second
    ordered = found["CsvDataset"](TRAIN, 16, lb, shuffle=False, workers=2)
    predicted = model.predict(ordered, verbose=0).argmax(axis=1)
    assert lb.classes_[predicted].tolist() == page["labels"]


@pytest.mark.parametrize("task", [0, 1])
def test_each_worker_of_a_dataloader_reads_its_share(page, task):
    stand_in = Mock(IterableDataset=object, DataLoader=lambda dataset, **_: dataset)
    stand_in.get_worker_info.return_value = Mock(id=task, num_workers=2)
    (code,) = [c for c in code_blocks("own_generator", "fragment") if "DataLoader" in c]
    with patch.dict("sys.modules", {"torch.utils.data": stand_in}):
        exec(code, names := dict(page))  # noqa: S102
    assert as_rows([names["images"]]) == as_rows([page["pixels"][task::2]] * 4)[96:128]


def test_mixup_and_weights_follow_pictures_and_labels(page):
    images = np.eye(32).reshape(32, 4, 4, 2)
    mixed, labels = next(page["Mixup"]().flow(images, np.eye(32), batch_size=32))
    assert (mixed.reshape(32, 32) == labels).all()
    assert np.allclose(labels.sum(axis=1), 1) and sum(labels.max(axis=1) < 0.999) > 9
    inputs, one_hot, weights = next(page["two_input_generator"](TRAIN, 20, page["lb"]))
    assert weights["kind"].tolist() == (one_hot["kind"][:, 0] + 1).tolist()
    assert (inputs["mean_colour"] == inputs["image"].mean(axis=(1, 2))).all()


def test_predictions_line_up_with_labels_and_probabilities(page):
    inputs, *_ = next(page["two_input_generator"](TEST, 36, page["lb"]))
    rows = page["two_inputs"].predict(inputs, verbose=0)["kind"]
    names = page["lb"].classes_[rows.argmax(axis=1)]
    wanted = zip(page["test_labels"], names, (f"{p:.2f}" for p in rows.max(axis=1)))
    assert lines_of("test_predictions.csv")[1:] == [",".join(line) for line in wanted]
