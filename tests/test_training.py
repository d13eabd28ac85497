"""training.md: its program, its fragments, two devices, and two machines."""

import contextlib
import importlib.util
import io
import re
import socket
from collections import Counter

import numpy as np
import pytest
from conftest import Recorder, start_python
from pages import TRAIN, lines_of, run_page, write_flowers
from sklearn.metrics import f1_score
from tensorflow import keras

from pyimagesearch.csv_rows import read_rows
from pyimagesearch.recipes.__main__ import code_blocks


def replaced(code, old, new):
    assert old in code  # or the test would run something else
    return code.replace(old, new)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder in which the page's program ran, its variables, and its output."""
    folder, output = tmp_path_factory.mktemp("training"), io.StringIO()
    write_flowers(folder)
    with pytest.MonkeyPatch.context() as context, contextlib.redirect_stdout(output):
        context.chdir(folder)
        yield folder, run_page(folder, "training", epochs=2), output.getvalue()


@pytest.mark.filterwarnings("ignore:.*any trainable weights")
def test_layers_augment_in_fit_and_in_a_call_but_not_in_predict(trained):
    layers = trained[1]["model"].layers[:5]
    augment = keras.Sequential([keras.Input((64, 64, 3)), *layers])
    augment.compile("sgd", "mae")
    images = np.random.default_rng(0).uniform(0, 255, (8, 64, 64, 3)).astype("float32")
    scaled = images / np.float32(255)
    assert augment.fit(images, scaled, verbose=0).history["loss"][0] > 0.1
    assert np.abs(augment(images) - scaled).mean() > 0.1
    np.testing.assert_allclose(augment.predict(images, verbose=0), scaled, atol=1e-6)


def test_the_same_seed_prints_the_same_losses(trained):
    first, second = re.findall("seed 1 losses (.*)", trained[2])
    assert first == second and len(set(first.split(","))) == 2


def test_the_saved_model_is_that_of_the_best_epoch_of_both_runs(trained):
    folder, found, _ = trained
    losses = found["history"].history["val_loss"] + found["resumed"].history["val_loss"]
    model = keras.models.load_model(folder / "flowers.keras")
    loss, *_ = model.evaluate(found["test_data"], steps=found["test_steps"], verbose=0)
    assert loss == pytest.approx(min(losses), rel=1e-4)
    assert min(losses) < losses[-1]  # or this test would notice nothing
    assert lines_of(folder / "flowers.classes.txt") == sorted(found["lb"].classes_)


def test_a_resumed_run_continues_updates_and_learning_rate(trained):
    first, resumed = (trained[1][name] for name in ("history", "resumed"))
    best = np.argmin(first.history["val_loss"]) + 1
    optimizer, updates = resumed.model.optimizer, 2 * (best + 2)  # two steps per epoch
    assert resumed.epoch == [best, best + 1] and optimizer.iterations == updates
    rate = 0.01 / (1 + updates * 0.01 / 5)
    assert float(optimizer.learning_rate) == pytest.approx(rate)


def test_predictions_after_an_epoch_are_in_the_order_of_the_file(trained):
    _, found, output = trained
    for _ in "12":  # Recorder predicts the labels that come with the images
        assert [*found["predict_names"](Recorder())] == found["test_labels"]
    pairs = zip(found["test_labels"], found["predict_names"](found["model"]))
    common = Counter(pair for pair in pairs if len({*pair}) == 2).most_common(3)
    printed = re.findall(r"(\d+) of (\w+) called (\w+)", output)[-len(common) :]
    assert printed == [(str(count), *pair) for pair, count in common] != []


def test_f1_is_that_of_scikit_learn_and_one_output_needs_a_threshold(trained):
    found = trained[1]
    predicted = found["predict_names"](found["best"])
    f1 = f1_score(found["test_labels"], predicted, average="macro")
    assert found["results"]["f1_score"] == pytest.approx(f1, abs=1e-6)
    for threshold, wanted in ((0.5, 1), (None, 0.5)):  # None: all count as predicted
        metric = keras.metrics.F1Score(threshold=threshold)
        metric.update_state([[1.0], [0.0], [0.0]], [[0.9], [0.2], [0.1]])
        assert np.squeeze(metric.result()) == pytest.approx(wanted)


def test_exports_give_the_probabilities_of_the_saved_model(trained):
    folder, found, output = trained
    model = keras.models.load_model(folder / "flowers.keras")
    probabilities = model.predict(found["images"], verbose=0)
    # Pixels are as in the file, and the model tells pictures apart.
    assert found["images"].max() > 200 and probabilities.std(axis=0).max() > 1e-4
    for name in ("from_litert", "from_folder"):
        np.testing.assert_allclose(found[name], probabilities, atol=1e-5)
    printed = re.findall("differs by at most (.*)", output)
    assert len(printed) == 2 and max(map(float, printed)) < 1e-5


@pytest.mark.parametrize(("k", "package"), enumerate(["tensorboard", "onnxruntime"]))
def test_a_fragment_runs_or_names_the_missing_package(trained, monkeypatch, k, package):
    monkeypatch.chdir(trained[0])
    missing = pytest.raises(Exception, match=f"(?i){package}")
    with contextlib.nullcontext() if importlib.util.find_spec(package) else missing:
        exec(code_blocks("training", "fragment")[k], dict(trained[1]))  # noqa: S102


# Two logical devices stand in for two GPUs.
TWO_DEVICES = """
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, devices)
"""
# fit's own validation and the saved model agree: the moving averages are in step. Then
# it trains on numbered rows, and writes down which ones are used.
CHECK_DEVICES = """
assert strategy.num_replicas_in_sync == 2
model.save("devices.keras")
saved, rows = keras.models.load_model("devices.keras"), len(test_labels)
loss, _ = saved.evaluate(as_validation_data(make_test_gen), steps=ceil(rows / bs))
assert abs(loss / model.history.history["val_loss"][0] - 1) < 1e-3, loss

used = []
class Model(keras.Sequential):
    def train_step(self, batch):
        tf.numpy_function(used.extend, [batch[1]], [])
        return super().train_step(batch)
def batches(bs):
    for first in range(0, 100, bs):
        yield np.zeros((bs, 1), "float32"), np.arange(first, first + bs)
with strategy.scope():
    model = Model([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
model.fit(batches(8), steps_per_epoch=6, verbose=0, shuffle=False)
assert len(set(used)) == len(used) == 6 * 8, used  # nothing lost, nothing twice
assert set(range(16)) < set(used) != set(range(48)), used  # some are skipped
try:
    model.fit(batches(7), steps_per_epoch=2, verbose=0, shuffle=False)
except tf.errors.InvalidArgumentError:
    print("an odd batch fails")
"""


def test_what_the_page_says_of_several_gpus(trained):
    set_up, (code,) = code_blocks("training")[0], code_blocks("training", "devices")
    code = replaced(code, "Strategy()", 'Strategy(["CPU:0", "CPU:1"])')
    program = TWO_DEVICES + set_up + code + CHECK_DEVICES
    output, errors = start_python(trained[0], "-c", program).communicate()
    assert "an odd batch fails" in output, errors


# Writes down which rows of its CSV a worker trains on.
RECORD_ROWS = """
import numpy, runpy, sys, train
rows, generator = [], train.csv_image_generator
def recording_generator(*args, **options):
    for images, labels in generator(*args, **options):
        rows.extend(images[:, 0, 0, 0])
        yield images, labels
train.csv_image_generator = recording_generator
runpy.run_path("worker.py")
numpy.save(f"rows{sys.argv[1]}.npy", rows)
"""


def test_each_of_several_machines_trains_on_its_share_of_the_rows(trained):
    folder, (code,) = trained[0], code_blocks("training", "workers")
    for port in ("12345", "12346"):
        with socket.create_server(("127.0.0.1", 0)) as free:
            code = replaced(code, port, str(free.getsockname()[1]))
    (folder / "worker.py").write_text(code)
    processes = [start_python(folder, "-c", RECORD_ROWS, task) for task in (0, 1)]
    outputs = [process.communicate() for process in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    models = [keras.models.load_model(folder / f"worker{k}.keras") for k in (0, 1)]
    firsts = [int(image[0, 0, 0]) for *_, image in read_rows(folder / TRAIN)]
    for task, model in enumerate(models):
        share = (firsts[task::2] * 2)[:64]  # two epochs of two batches of 16
        assert np.load(folder / f"rows{task}.npy").tolist() == share
        assert int(model.optimizer.iterations) == 4
    for one, other in zip(*(model.get_weights() for model in models)):
        np.testing.assert_array_equal(one, other)
