"""What the pages say of Keras itself: red here means that a page must change."""
# ruff: noqa: F401, since the code in messages.txt uses imports, too

import gc
import os
import re
import runpy
import threading
import time
import weakref
from pathlib import Path
from unittest.mock import Mock, patch

import keras
import keras.layers as L
import matplotlib
import numpy as np
import pytest
import sklearn
import tensorflow as tf
import tensorflow.keras.backend as K
from conftest import ROOT, Recorder, cached_csv, start_python
from keras.callbacks import Callback, EarlyStopping, ModelCheckpoint, TensorBoard
from PIL import Image
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from pyimagesearch.callbacks import WatchTraining, load_backup
from pyimagesearch.csv_rows import check_csvs, parse_image, read_labels
from pyimagesearch.images import load_image
from pyimagesearch.options import OneLineParser
from train import as_validation_data, csv_image_generator

KERAS = tuple(map(int, keras.__version__.split(".")[:2]))
X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
AUGMENTER = ImageDataGenerator(rotation_range=90, horizontal_flip=True)


def compiled(*layers, inputs=2, optimizer="sgd", loss="mse", **options):
    model = keras.Sequential([keras.Input(np.atleast_1d(inputs)), *layers])
    model.compile(optimizer, loss, **options)
    return model


def tiny(outputs=1, **options):
    return compiled(L.Dense(outputs), **options)


def batches(count=10**6, batch=(X, Y)):
    return (batch for _ in range(count))


def fit(data=None, model=None, steps=1, **options):
    data, model = batches() if data is None else data, model or tiny()
    options = {"verbose": 0, "shuffle": False, "steps_per_epoch": steps, **options}
    return model.fit(data, **options).history


def fit_batch(*batch, **options):
    fit(batches(batch=batch), tiny(**options))


class Batches(keras.utils.PyDataset):
    def __init__(self, *batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def flow(rows=10, **options):
    images = np.random.default_rng(0).uniform(0, 255, (rows, 8, 8, 1))
    return AUGMENTER.flow(images, np.ones((rows, 1)), batch_size=4, **options)


def one_generator_for_both():
    slow = ((X, time.sleep(k > 4) or Y) for k in range(99))  # where Keras reads ahead
    fit(slow, steps=5, validation_data=slow, validation_steps=1, epochs=2)


def new_python(code="import keras", *flags, project=".", **environment):
    with patch.dict(os.environ, environment):
        process = start_python(".", *flags, "-c", code, project=project)
    print(*process.communicate(timeout=120))


def use(callback, epochs=1):
    """Pass a callback to a fit in which accuracy is 1, val_accuracy 0, val_loss 64."""
    model = compiled(L.ReLU(), metrics=["accuracy"], run_eagerly=True)
    options = {"validation_data": (X, 9 * Y), "callbacks": [callback]}
    fit(batches(batch=(X, 0 * Y)), model, epochs=epochs, **options)
    return callback


def load_saved(model, path, **options):
    model.save(path)
    return keras.models.load_model(path, **options)


def own_loss(truth, predicted):
    return tf.reduce_mean(tf.square(truth - predicted))


def functional(*names, **outputs):
    inputs = [keras.Input((2,), name=name) for name in names]
    joined = L.Concatenate()(inputs)
    outputs = {name: L.Dense(n, name=name)(joined) for name, n in outputs.items()}
    return keras.Model(inputs, outputs)


def fit_two_outputs(targets, loss=None, metrics=None, validation_data=None):
    model = functional("image", kind=1, colour=1)
    model.compile("sgd", loss or {"kind": "mse", "colour": "mse"}, metrics=metrics)
    model.fit(X, targets, validation_data=validation_data, verbose=0)


def write(content):
    Path("a.csv").write_bytes(content)
    return Path("a.csv")


PAGE = (ROOT / "pyimagesearch/recipes/errors.md").read_text(encoding="utf-8")
FLAT = re.sub(r"\s+", " ", PAGE)
TEXT = (ROOT / "tests/messages.txt").read_text(encoding="utf-8")
MESSAGES = {message: code for code, message in re.findall(r"(\S.*)\n +(.+)", TEXT)}
OLD = "fit_generator predict_generator evaluate_generator predict_classes predict_proba"
ARGUMENTS = """workers use_multiprocessing max_queue_size samples_per_epoch nb_epoch
    nb_val_samples nb_worker pickle_safe generator"""
EVALUATE = ["max_q_size", "val_samples", "generator"]
CONV2D = ["border_mode", "subsample", "init", "dim_ordering"]
MODULES = re.findall(r"(?:No module named |\*\*`)'([\w.]+\.\w+)'", FLAT)
IMPORTED = re.findall(r"cannot import name '(\w+)' from '([\w.]+)'", FLAT)
IMPORTED = [f"{module}.{name}" for name, module in IMPORTED]
IMPORTED += ["keras.optimizers.sgd", "keras.layers.merge"]
USED = re.findall(r"module '([\w.]+)' has no attribute '(\w+)'", FLAT)
USED = [*map(".".join, USED), *(f"numpy.{name}" for name in ("int", "object"))]
SESSIONS = "Session get_default_graph global_variables_initializer placeholder log"
USED += [f"tensorflow.{name}" for name in SESSIONS.split()]
SIMILAR = {  # a message, the code, and the paths that stand for MODULE.NAME
    "'Sequential' object has no attribute 'NAME'": ("tiny().NAME", OLD.split()),
    "got an unexpected keyword argument 'NAME'": ("fit(X, NAME=1)", ARGUMENTS.split()),
    "Arguments not recognized: {'NAME'": ("tiny().evaluate(X, Y, NAME=1)", EVALUATE),
    "passed to Conv2D: {'NAME'": ("L.Conv2D(1, 3, NAME=1)", CONV2D),
    "No module named 'MODULE.NAME'": ("import MODULE.NAME", MODULES),
    "cannot import name 'NAME' from 'MODULE'": ("from MODULE import NAME", IMPORTED),
    "module 'MODULE' has no attribute 'NAME'": ("import MODULE; MODULE.NAME", USED),
}
for message, (code, paths) in SIMILAR.items():
    for path in paths:
        module, _, name = path.rpartition(".")
        both = f"{message}\n{code}".replace("MODULE", module).replace("NAME", name)
        MESSAGES |= [both.split("\n")]
# What the page has as well, and what it takes to see it.
NOT_HERE = {
    "All values in column x_col=id must be strings": "pandas",
    "Found 0 validated image filenames": "pandas",
    "DLL load failed while importing _pywrap_tensorflow_internal": "Windows",
    "The token '&&' is not a valid statement separator": "Windows PowerShell",
    "running scripts is disabled on this system": "Windows PowerShell",
    "No matching distribution found for tensorflow": "pip on another Python",
    "No matching distribution found for numpy": "pip on Python 3.10",
    "Getting requirements to build wheel did not run successfully": "a download",
    "ensurepip is not available": "Debian or Ubuntu without python3-venv",
    "failed call to cuInit": "no GPU, and a process that prints TensorFlow's log",
    "CUDA_ERROR_OUT_OF_MEMORY": "a GPU",
    "std::bad_alloc": "a process that it ends",
}


@pytest.mark.parametrize("message", MESSAGES)
def test_each_message_is_printed(message, tmp_path, monkeypatch, capfd, recwarn):
    if "shuffle" in message and KERAS < (3, 15):
        pytest.skip("this warning is new in Keras 3.15")
    if KERAS >= (3, 16) and re.search("Graph exec|import backend|metrics.mse", message):
        pytest.skip("Keras 3.16 says something else")
    monkeypatch.chdir(tmp_path)
    try:
        exec(MESSAGES[message], dict(globals()))  # noqa: S102
    except (Exception, SystemExit) as error:  # noqa: BLE001, any may be on the page
        print(f"{type(error).__name__}: {error}")
    print(*(warning.message for warning in recwarn))
    assert message in "".join(capfd.readouterr())


def test_the_page_lists_these_messages_and_no_other():
    bold = re.findall(r"\*\*(`+) ?(.+?) ?\1\*\*", FLAT)
    spans, messages = [span for _, span in bold], [*MESSAGES, *NOT_HERE]
    assert not [s for s in spans if not any(s in message for message in messages)]
    assert not [m for m in messages if not any(span in m for span in spans)]


def test_the_page_replaces_functions_of_keras_backend_by_equal_ones():
    x, y = tf.random.uniform((2, 2, 3), 0, 2)
    names = {"K": K, "keras": keras, "x": x, "y": y}
    rows = re.findall(r"\| `(K\..+)` \| `(.+)` \|", PAGE)
    assert len(rows) == 18
    for old, new in rows:
        before, now = np.asarray(eval(old, names)), np.asarray(eval(new, names))
        assert before.shape == now.shape and np.allclose(before, now), old
    same = PAGE.split("or another function:")[1].split("have the same")[0]
    assert all(hasattr(keras.ops, n) for n in re.findall(r"`(?:K\.)?(\w+)`", same))


def watch(data, epochs, y=None, **options):
    """Return the first value of each batch: of each epoch, of each validation."""
    recorder = Recorder()
    recorder.fit(data, y, epochs=epochs, **{"shuffle": False, **options})
    first = lambda passes: [[int(b.ravel()[0]) for b in batches] for batches in passes]
    return first(recorder.trained), first(recorder.tested)


def test_keras_takes_two_batches_first_and_reads_ahead_in_a_thread():
    threads = []
    watched = (threads.append(threading.current_thread()) or b for b in batches())
    fit(watched, steps=9)
    assert threads[:2] == [threading.main_thread()] * 2
    assert threading.main_thread() not in threads[2:]
    assert 9 < len(threads) <= 9 + 16


def test_a_validation_generator_replays_two_batches_then_goes_on(capfd):
    code = """if True:
        from test_keras_claims import *
        keras.utils.set_random_seed(1)
        tf.config.experimental.enable_op_determinism()
        rows = ((X * (k % 5), Y) for k in range(99))
        print(watch(X, 3, Y, validation_data=rows, validation_steps=5)[1])
    """
    new_python(code, project=ROOT / "tests")
    # Exercise 3 of README.md; with a seed, Keras doesn't read ahead.
    epochs = "[[0, 1, 2, 3, 4], [0, 1, 0, 1, 2], [0, 1, 3, 4, 0]]"
    assert epochs in capfd.readouterr().out


@pytest.mark.parametrize("data", [Batches(*batches(4)), flow(rows=14)])
@pytest.mark.parametrize(("steps", "per_epoch"), [(3, [3, 1, 3, 1]), (None, [4] * 4)])
def test_what_has_a_length_needs_no_steps_per_epoch(data, steps, per_epoch):
    trained, _ = watch(data, 4, steps_per_epoch=steps)
    assert [len(epoch) for epoch in trained] == per_epoch


@pytest.mark.parametrize(("steps", "two"), [(5, [5, 0]), (4, [4, 1]), (None, [5, 2])])
def test_a_generator_that_ends_replays_its_first_two_batches(steps, two):
    trained, _ = watch(((X * k, Y) for k in range(5)), 6, steps_per_epoch=steps)
    assert [len(epoch) for epoch in trained] == [*two, 2, 2, 2, 2]
    assert trained[2:] == [[0, 1]] * 4


def test_fit_shuffles_the_batches_of_a_pydataset():
    data = Batches(*((X * k, Y) for k in range(9)))
    (in_order,), _ = watch(data, 1)
    (shuffled,), _ = watch(data, 1, shuffle=True)
    assert in_order == sorted(shuffled) == [*range(9)] != shuffled


@pytest.mark.skipif(KERAS >= (3, 16), reason="Keras 3.16 changed this")
@pytest.mark.parametrize("wrapped", [False, True])
def test_predict_keeps_generators_open_but_not_those_of_as_validation_data(wrapped):
    made = weakref.WeakSet()
    make = lambda: made.add(generator := batches(batch=(X,))) or generator
    for _ in range(5):
        data = as_validation_data(make) if wrapped else make()
        tiny().predict(data, steps=2, verbose=0)
    gc.collect()
    assert len(made) == (0 if wrapped else 5)


def test_class_weight_works_for_all_but_a_generator():
    labels = np.eye(2)[[0, 0, 0, 1]]
    dataset = tf.data.Dataset.from_tensors((X, labels))
    for data, y in ((X, labels), (Batches((X, labels)), None), (dataset, None)):
        model = compiled(L.ReLU(), loss="categorical_crossentropy")
        seen = fit(data, model, None, y=y, class_weight={0: 2.0, 1: 0.0})
        assert seen["loss"] == pytest.approx([2 * np.log(2) * 3 / 4])


@pytest.mark.parametrize("anew", [True, False])
def test_a_new_flow_with_the_same_seed_repeats_its_transformation(anew):
    one = flow(rows=4, seed=1)
    first, second = (next(flow(rows=4, seed=1) if anew else one)[0] for _ in range(2))
    assert np.array_equal(first, second) == anew


@pytest.mark.parametrize(("limits", "brightest"), [((0, 255), 52), ((0, 1), 1)])
def test_random_brightness_adds_a_share_of_its_value_range(limits, brightest):
    layer = L.RandomBrightness(0.2, value_range=limits, seed=1)
    seen = np.asarray(layer(np.full((99, 4, 4, 3), 0.8), training=True))
    assert 0.9 * brightest < seen.max() <= brightest
    assert (np.median(seen) < 0.3 * brightest) == (brightest == 52)


def test_accuracy_of_several_labels_compares_the_largest_output_only():
    model = compiled(L.ReLU(), inputs=3, metrics=["accuracy", "binary_accuracy"])
    row, labels = np.array([[0.8, 0.1, 0.9]]), np.array([[1, 0, 1]])
    assert model.evaluate(row, labels, verbose=0)[1:] == [0, 1]


def test_one_output_is_compared_with_both_of_two_targets(tmp_path):
    options = {"custom_objects": {"own_loss": own_loss}}  # it is found by this name
    saved = load_saved(tiny(loss=own_loss), tmp_path / "a.keras", **options)
    assert saved.evaluate(0 * X, X * [0, 2], verbose=0) == 2  # (0 + 2²) / 2


def test_aug_flow_takes_its_workers_as_an_attribute():
    iterator, threads = flow(rows=40), set()
    iterator.workers = 2
    note = lambda image: threads.add(threading.current_thread().name) or image
    with patch.object(AUGMENTER, "preprocessing_function", note):
        Recorder().fit(iterator)
    assert any("(worker)" in name for name in threads), threads


@pytest.mark.parametrize("rows", [1, 2])
def test_one_row_trains_no_weight_before_a_batch_normalization(rows):
    keras.utils.set_random_seed(1)
    hidden = L.Dense(3)
    model = compiled(hidden, L.BatchNormalization(), L.Dense(1))
    before = hidden.kernel.numpy()
    model.train_on_batch(np.random.random((rows, 2)), np.arange(rows))
    assert np.array_equal(before, hidden.kernel) == (rows == 1)


@pytest.mark.parametrize(
    ("monitor", "freq", "saved"),
    [("val_acc", "epoch", 3), ("val_accuracy", "epoch", 1), ("val_accuracy", 1, 3)],
)
def test_a_checkpoint_on_a_missing_metric_always_saves(monitor, freq, saved, tmp_path):
    options = {"mode": "max", "save_best_only": True, "save_freq": freq}
    use(ModelCheckpoint(tmp_path / "{epoch}.keras", monitor, **options), epochs=3)
    assert len(list(tmp_path.iterdir())) == saved


def test_the_second_argument_of_predict_is_no_number_of_steps():
    assert len(tiny().predict(batches(5), 2, verbose=0)) == 5 * 4


def test_the_loss_at_the_end_of_a_batch_is_the_mean_so_far():
    model, seen = compiled(L.ReLU()), []
    see = lambda batch, logs: seen.append(logs["loss"])
    note = keras.callbacks.LambdaCallback(on_train_batch_end=see)
    fit(((0 * X, k * X) for k in (1, 2, 3)), model, steps=3, callbacks=[note])
    assert seen == pytest.approx([1, (1 + 4) / 2, 14 / 3])


@pytest.mark.parametrize(("shape", "value"), [((4, 1), 0), ((4,), 0.5)])
def test_a_metric_of_ones_own_compares_n_by_n_where_targets_are_flat(shape, value):
    outputs = np.array([[0.0], [1], [0], [1]], "float32")
    model = compiled(L.ReLU(), inputs=1, metrics=[own_loss])
    seen = fit(batches(batch=(outputs, outputs.reshape(shape))), model)
    assert seen["own_loss"] == [value]


@pytest.mark.parametrize("seed", [np.random.seed, keras.utils.set_random_seed])
def test_only_keras_own_seed_fixes_the_weights(seed):
    first, second = (seed(1) or tiny().layers[0].kernel.numpy() for _ in range(2))
    assert np.array_equal(first, second) == (seed != np.random.seed)


def test_a_tuple_of_targets_goes_to_named_outputs_in_alphabetical_order():
    model = functional("image", b=2, a=3)
    model.compile("sgd", {"a": "mse", "b": "mse"})
    a, b = np.ones((4, 3)), np.ones((4, 2))
    model.evaluate(X, (a, b), verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="ncompatible shapes"):
        model.evaluate(X, (b, a), verbose=0)


def test_sklearnclassifier_one_hot_encodes_two_classes_as_well():
    build = Mock(__name__="build", return_value=tiny(2))
    classifier = keras.wrappers.SKLearnClassifier(build, fit_kwargs={"verbose": 0})
    classifier.fit(X, ["a", "b", "a", "b"])
    assert build.call_args.kwargs["y"].shape == (4, 2)
