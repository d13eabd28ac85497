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
from tensorflow import keras

from pyimagesearch.csv_rows import read_rows
from pyimagesearch.recipes.__main__ import code_blocks


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder in which the page's program ran, its variables, and its output."""
    folder, output = tmp_path_factory.mktemp("training"), io.StringIO()
    write_flowers(folder)
    with pytest.MonkeyPatch.context() as context, contextlib.redirect_stdout(output):
        context.chdir(folder)
        yield folder, run_page(folder, "training", epochs=2), output.getvalue()


def test_layers_augment_in_a_call_but_not_in_predict(trained):
    augment = keras.Sequential(trained[1]["model"].layers[:5])
    images = np.random.default_rng(0).uniform(0, 255, (8, 64, 64, 3)).astype("float32")
    scaled = images / np.float32(255)
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
    _, found, output = trained
    (f1,) = re.findall("scikit-learn: (.*)", output)
    assert found["results"]["f1_score"] == pytest.approx(float(f1), abs=1e-6)
    assert found["best"].metrics_names == ["loss", "compile_metrics"]
    truth, outputs = [[1.0], [0.0], [0.0]], [[0.9], [0.2], [0.1]]
    scores = [keras.metrics.F1Score(threshold=t)(truth, outputs) for t in (0.5, None)]
    assert np.ravel(scores) == pytest.approx([1, 0.5])  # None: all count as predicted


def test_exports_give_the_probabilities_of_the_saved_model(trained):
    _, found, output = trained
    # Pixels are as in the file, and the model tells pictures apart.
    assert found["images"].max() > 200 and found["expected"].std(axis=0).max() > 1e-4
    printed = re.findall("(?:LiteRT|folder) differs by at most (.*)", output)
    assert len(printed) == 2 and max(map(float, printed)) < 1e-5


@pytest.mark.parametrize(("k", "package"), [(0, "tensorboard"), (1, "onnxruntime")])
def test_a_fragment_runs_or_names_the_missing_package(trained, k, package):
    missing = pytest.raises(Exception, match=f"(?i){package}")
    with contextlib.nullcontext() if importlib.util.find_spec(package) else missing:
        exec(code_blocks("training", "fragment")[k], dict(trained[1]))  # noqa: S102


# Two logical devices stand in for two GPUs.
TWO_DEVICES = """
from tensorflow import config
devices = [config.LogicalDeviceConfiguration()] * 2
config.set_logical_device_configuration(config.list_physical_devices("CPU")[0], devices)
"""
# fit's own validation and the saved model agree: the moving averages are in step. A
# new model skips some batches. At last, an odd batch fails.
CHECK_DEVICES = """
model.save("devices.keras")
saved = keras.models.load_model("devices.keras")
loss, _ = saved.evaluate(as_validation_data(make_test_gen), steps=2)
assert abs(loss / model.history.history["val_loss"][0] - 1) < 1e-3, loss

with strategy.scope():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
six_batches = lambda bs: ((np.zeros((bs, 1)),) * 2 for _ in range(6))
model.fit(six_batches(8), steps_per_epoch=6, shuffle=False)
assert 0 < model.optimizer.iterations < 6, model.optimizer.iterations
print(strategy.num_replicas_in_sync, "devices")
model.fit(six_batches(7), steps_per_epoch=6, shuffle=False)
"""


def test_what_the_page_says_of_several_gpus(trained):
    set_up, (code,) = code_blocks("training")[0], code_blocks("training", "devices")
    code = code.replace("Strategy()", 'Strategy(["CPU:0", "CPU:1"])')
    program = TWO_DEVICES + set_up + code + CHECK_DEVICES
    output, errors = start_python(trained[0], "-c", program).communicate()
    assert "2 devices\n" in output and "InvalidArgumentError" in errors, errors


def test_each_of_several_machines_trains_on_its_share_of_the_rows(trained):
    folder, (code,) = trained[0], code_blocks("training", "workers")
    for port in ("12345", "12346"):
        with socket.create_server(("127.0.0.1", 0)) as free:
            code = code.replace(port, str(free.getsockname()[1]))
    (folder / "worker.py").write_text(code)
    program = """if True:
        import numpy, runpy, sys
        images, _ = next(runpy.run_path("worker.py")["generator"])
        numpy.save(f"batch{sys.argv[1]}.npy", images)  # the fifth: four are trained on
    """
    processes = [start_python(folder, "-c", program, task) for task in (0, 1)]
    outputs = [process.communicate() for process in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    rows = [image for *_, image in read_rows(folder / TRAIN)] * 3  # three passes
    for task in (0, 1):
        assert (np.load(folder / f"batch{task}.npy") == rows[task::2][64:80]).all()
    one, other = (keras.models.load_model(folder / f"worker{k}.keras") for k in (0, 1))
    assert one.optimizer.iterations == other.optimizer.iterations == 4
    assert all(map(np.array_equal, one.get_weights(), other.get_weights()))
