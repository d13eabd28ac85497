"""What the pages say of Keras itself: red here means that a page must change."""

import gc
import io
import itertools
import os
import re
import threading
import time
import warnings
from functools import partial
from importlib import import_module
from unittest.mock import patch

import keras
import keras.layers as L
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, Recorder, start_python
from keras.callbacks import EarlyStopping, ModelCheckpoint
from keras.optimizers import SGD
from PIL import Image
from sklearn.metrics import classification_report
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from pyimagesearch.options import OneLineParser
from train import csv_image_generator

KERAS = tuple(map(int, keras.__version__.split(".")[:2]))
before_3_16 = pytest.mark.skipif(KERAS >= (3, 16), reason="Keras 3.16 changed this")
X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
FROM_TOMORROW = {"module": "keras.layers", "class_name": "Dense", "config": {"new": 1}}
AUGMENTER = ImageDataGenerator(rotation_range=90, horizontal_flip=True)
GENERATOR = {"verbose": 0, "shuffle": False}  # what every fit on a generator gets


def compiled(*layers, inputs=2, loss="mse", optimizer="sgd", **options):
    model = keras.Sequential([keras.Input(np.atleast_1d(inputs)), *layers])
    model.compile(optimizer, loss, **options)
    return model


def tiny(outputs=1, loss="mse", **options):
    return compiled(L.Dense(outputs), loss=loss, **options)


def batches(count=10**6, batch=(X, Y), seconds=0, error=None):
    for _ in range(count):
        time.sleep(seconds)
        yield batch
    if error:
        raise error


def fit(data=None, model=None, steps=1, **options):
    data, model = batches() if data is None else data, model or tiny()
    return model.fit(data, **{**GENERATOR, "steps_per_epoch": steps, **options}).history


def fit_batch(x=X, y=Y, outputs=1, loss="categorical_crossentropy"):
    fit(batches(batch=(x, y)), tiny(outputs, loss))


class Batches(keras.utils.PyDataset):
    def __init__(self, *batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


class WithoutSuper(Batches):
    def __init__(self):
        self.batches = [(X, Y)]


def flow(rows=10, **options):
    images = np.random.default_rng(0).uniform(0, 255, (rows, 8, 8, 1))
    return AUGMENTER.flow(images, np.ones((rows, 1)), batch_size=4, **options)


def read_dataset(*batch):
    spec = tf.TensorSpec((None, 2)), tf.TensorSpec((None, 1))
    next(iter(tf.data.Dataset.from_generator(lambda: [batch], output_signature=spec)))


def new_python(code="import keras", project=".", **environment):
    with patch.dict(os.environ, environment):
        process = start_python(".", "-c", code, project=project)
    print(*process.communicate(timeout=120))


def one_generator_for_both():
    # It is slow where Keras reads ahead.
    generator = (batch for batch in itertools.chain(batches(5), batches(seconds=1)))
    fit(generator, steps=5, validation_data=generator, validation_steps=1, epochs=2)


def raise_late(error):
    fit(batches(2, error=error), steps=3)


def a_callback_sets_a_schedule():
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.01, 1, 0.1)
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    fit(model=tiny(optimizer=SGD(schedule)), callbacks=[halve])


def best(monitor, path="best.keras"):
    return ModelCheckpoint(path, monitor, mode="max", save_best_only=True)


def use(callback, epochs=1):
    options = {"validation_data": (X, 9 * Y), "epochs": epochs}  # val_accuracy is 0
    fit(model=tiny(metrics=["accuracy"]), callbacks=[callback], **options)


def load_saved(model, path, **options):
    model.save(path)
    return keras.models.load_model(path, **options)


def own_loss(truth, predicted):
    return tf.reduce_mean(tf.square(truth - predicted))


# Each message as the pages have it, or more of it, and what provokes it.
MESSAGES = {
    "`keras.optimizers.legacy` is not supported": lambda: keras.optimizers.legacy.SGD(),
    "Argument(s) not recognized: {'lr': 0.01}": lambda: SGD(lr=0.01),
    "'SGD' object has no attribute 'lr'": lambda: SGD().lr,
    "Argument `decay` is no longer supported": lambda: SGD(decay=0.01),
    "its learning rate is not settable": a_callback_sets_a_schedule,
    "module 'keras.backend' has no attribute 'mean'": lambda: keras.backend.mean,
    "KeyError: 'acc'": lambda: fit()["acc"],
    "KeyError: 'accuracy'": lambda: fit()["accuracy"],
    "callback received monitor=val_acc": lambda: use(EarlyStopping("val_acc")),
    "Can save best model only with val_acc available": lambda: use(best("val_acc")),
    "unexpected keyword argument 'period'": lambda: ModelCheckpoint("a.h5", period=5),
    "'NumpyArrayIterator' object has no attribute 'next'": lambda: flow().next(),
    "passed to Conv2D: {'border_mode'": lambda: L.Conv2D(4, 3, border_mode=1),
    "missing 1 required positional argument: 'units'": lambda: L.Dense(output_dim=3),
    "missing 1 required positional argument: 'rate'": lambda: L.Dropout(p=0.5),
    "has type float32 that does not match type float64": (
        lambda: fit(batches(batch=(X, np.ones((4, 1)))), tiny(metrics=[own_loss]))
    ),
    "Could not locate function": lambda: load_saved(tiny(loss=own_loss), "a.keras"),
    "Computed output size would be zero or negative": (
        lambda: compiled(L.Convolution2D(4, 5, 5), inputs=(4, 4, 1))
    ),
    "Your input ran out of data; interrupting": lambda: fit(batches(3), steps=5),
    "the generator must yield at least one batch": lambda: fit(batches(0)),
    "object cannot be interpreted as an integer": lambda: fit(steps=4 / 2),
    "Found input variables with inconsistent numbers of samples: [340, 10520]": (
        lambda: classification_report([0] * 340, [0] * 10520)
    ),
    "yielded an element of shape (0,)": lambda: read_dataset([], []),
    "generator already executing": one_generator_for_both,
    "`shuffle=True` was passed, but will be ignored": lambda: fit(shuffle=True),
    "class should call `super().__init__(**kwargs)`": lambda: fit(WithoutSuper()),
    "Found 0 images belonging to 0 classes": lambda: AUGMENTER.flow_from_directory("."),
    "The PyDataset has length 0": lambda: fit(Batches()),
    "InvalidArgumentError: Graph execution error": lambda: raise_late(ValueError()),
    "UnknownError: Graph execution error": lambda: raise_late(FileNotFoundError()),
    "the generator must return a tuple": lambda: fit(batches(batch=[X, Y])),
    "`output_signature` must contain objects": lambda: fit_batch([X, X]),
    "Invalid dtype: str128": lambda: fit_batch(y=np.array(["rose"] * 4)),
    "Invalid dtype: object": lambda: fit_batch(np.array([X, None], object)),
    "`target` and `output` must have the same rank": lambda: fit_batch(X, Y[:, 0], 2),
    "`target` and `output` must have the same shape": lambda: fit_batch(outputs=2),
    "yielded an element of shape (32,)": lambda: read_dataset(X, np.ones(32)),
    "Expected shape (None, 1, 768), but input has incompatible shape": (
        lambda: compiled(L.Dense(1), inputs=(1, 768))(np.ones((4, 768)))
    ),
    "Do not pass an `input_shape`/`input_dim`": lambda: L.Dense(1, input_dim=2),
    "Unrecognized data type: x=<function": lambda: fit(batches),
    "Unrecognized data type: x=<zip object": lambda: fit(zip([X], [Y])),
    "`validation_split` is only supported for": lambda: fit(validation_split=0.2),
    "`class_weight` is not supported for": lambda: fit(class_weight={0: 1.0}),
    "Number of classes, 16, does not match size of target_names, 17": (
        lambda: classification_report(range(16), range(16), target_names=range(17))
    ),
    "could not convert string 'id' to": lambda: np.loadtxt(["id"]),
    "The filepath provided must end in `.keras`": lambda: ModelCheckpoint("best.hdf5"),
    "must end in `.weights.h5`": lambda: tiny().save_weights("weights.h5"),
    "Invalid filepath extension for saving": lambda: tiny().save("a.model"),
    "File format not supported": lambda: keras.models.load_model("."),
    "could not be deserialized properly": lambda: L.deserialize(FROM_TOMORROW),
    "Could not deserialize 'keras.metrics.mse'": lambda: load_saved(tiny(), "a.h5"),
    "Requested the deserialization of a `Lambda` layer": (
        lambda: load_saved(compiled(L.Lambda(lambda x: x / 255)), "a.keras")
    ),
    "missing 1 required positional argument: 'lb'": lambda: csv_image_generator("a", 2),
    "No module named 'pyimagesearch'": lambda: new_python("import pyimagesearch"),
    "Unable to import backend : theano": lambda: new_python(KERAS_BACKEND="theano"),
    "No module named 'jax'": lambda: new_python(KERAS_BACKEND="jax"),
    "No module named 'torch'": lambda: new_python(KERAS_BACKEND="torch"),
    "error: unrecognized arguments: -f": lambda: OneLineParser("").parse_args(["-f"]),
    "image file is truncated": lambda: Image.open(io.BytesIO(b"P6 9 9 255 0")).load(),
    "OOM when allocating tensor": lambda: tf.zeros((10**7, 10**7)),
    "variable input dimensions other than the batch size": (
        lambda: fit(((np.ones((4, width)), Y) for width in (2, 2, 3)), steps=3)
    ),
    "The requested array has an inhomogeneous shape": lambda: np.array([[1], [2, 3]]),
}
METHODS = """fit_generator predict_generator evaluate_generator predict_classes
    predict_proba"""
MESSAGES |= {
    f"'{type(m).__name__}' object has no attribute '{name}'": partial(getattr, m, name)
    for name in METHODS.split()
    for m in (tiny(), keras.Model(*[keras.Input((2,))] * 2))
}
ARGUMENTS = """workers use_multiprocessing max_queue_size samples_per_epoch nb_epoch
    nb_val_samples nb_worker pickle_safe max_q_size"""
MESSAGES |= {
    f"got an unexpected keyword argument '{name}'": partial(fit, X, **{name: 1})
    for name in ARGUMENTS.split()
}
MESSAGES |= {
    f"Arguments not recognized: {{'{name}'": partial(tiny().evaluate, X, Y, **{name: 1})
    for name in ("max_q_size", "val_samples")
}
MODULES = """layers.core layers.convolutional layers.normalization engine
    wrappers.scikit_learn utils.np_utils"""
MESSAGES |= {
    f"No module named 'keras.{name}'": partial(import_module, f"keras.{name}")
    for name in MODULES.split()
}
MESSAGES |= {
    f"cannot import name '{a}' from '{b}'": partial(exec, f"from {b} import {a}")
    for a, b in (
        ("np_utils", "keras.utils"),
        ("ImageDataGenerator", "keras.preprocessing.image"),
    )
}
# What the pages have as well, and what it takes to see it.
NOT_HERE = {
    "All values in column x_col=id must be strings": "pandas",
    "Found 0 validated image filenames": "pandas",
    "DLL load failed while importing _pywrap_tensorflow_internal": "Windows",
    "The token '&&' is not a valid statement separator": "Windows PowerShell",
    "No matching distribution found for tensorflow": "pip on another Python",
    "ensurepip is not available": "Debian or Ubuntu without python3-venv",
    "CUDA_ERROR_OUT_OF_MEMORY": "a GPU",
    "std::bad_alloc": "a process that it ends",
}


@pytest.mark.parametrize("message", MESSAGES)
def test_each_message_is_printed(message, tmp_path, monkeypatch, capfd):
    if "shuffle" in message and KERAS < (3, 15):
        pytest.skip("this warning is new in Keras 3.15")
    if KERAS >= (3, 16) and re.search("Graph exec|import backend|metrics.mse", message):
        pytest.skip("Keras 3.16 says something else")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            MESSAGES[message]()
        except (Exception, SystemExit) as error:  # noqa: BLE001, any may be on a page
            print(f"{type(error).__name__}: {error}")
    print(*(warning.message for warning in caught))
    assert message in "".join(capfd.readouterr())


def test_the_pages_list_these_messages_and_no_other():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    recipes = (ROOT / "pyimagesearch/RECIPES.md").read_text(encoding="utf-8")
    text = readme.split("## Error messages and fixes")[1].split("\n## ")[0] + recipes
    text = re.sub(r"\s+", " ", text)
    spans = re.findall(r"\*\*(?:`([^`]+)`|``(.+?)``)\*\*", text)  # bold code
    spans = ["".join(either).strip() for either in spans]
    messages = [*MESSAGES, *NOT_HERE]
    assert not [s for s in spans if not any(s in message for message in messages)]
    assert not [m for m in messages if not any(span in m for span in spans)]


def watch(data, epochs, y=None, **options):
    """Return the first value of each batch: of each epoch, of each validation."""
    recorder = Recorder()
    recorder.fit(data, y, epochs=epochs, **{"shuffle": False, **options})
    return [
        [[int(batch.ravel()[0]) for batch in batches] for batches in passes]
        for passes in (recorder.trained, recorder.tested)
    ]


def test_keras_takes_two_batches_first_and_reads_ahead_in_a_thread():
    threads = []
    watched = (threads.append(threading.current_thread()) or b for b in batches())
    fit(watched, steps=9)
    assert threads[:2] == [threading.main_thread()] * 2
    assert threading.main_thread() not in threads[2:]
    assert 9 < len(threads) <= 9 + 16


def a_seeded_run():
    keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    asked = []
    watched = (asked.append(1) or batch for batch in batches())
    fit(watched, steps=9, epochs=2)
    print("asked for", len(asked))


def test_keras_does_not_read_ahead_of_a_seeded_run(capfd):
    new_python("import test_keras_claims as t; t.a_seeded_run()", ROOT / "tests")
    assert "asked for 18\n" in capfd.readouterr().out


@pytest.mark.parametrize("kind", ["arrays", "PyDataset", "aug.flow"])
@pytest.mark.parametrize(("steps", "per_epoch"), [(2, [2, 1, 2, 1]), (None, [3] * 4)])
def test_what_has_a_length_needs_no_steps_per_epoch(kind, steps, per_epoch):
    arrays, three = (np.ones((10, 2)), np.ones((10, 1))), Batches(*batches(3))
    data = {"arrays": arrays, "PyDataset": [three], "aug.flow": [flow()]}[kind]
    options = {"batch_size": 4} if kind == "arrays" else {}
    trained, _ = watch(data[0], 4, *data[1:], steps_per_epoch=steps, **options)
    assert [len(epoch) for epoch in trained] == per_epoch


@pytest.mark.parametrize(("steps", "two"), [(5, [5, 0]), (4, [4, 1]), (None, [5, 2])])
def test_a_generator_that_ends_replays_its_first_two_batches(steps, two):
    trained, _ = watch(((X * k, Y) for k in range(5)), 6, steps_per_epoch=steps)
    assert [len(epoch) for epoch in trained] == [*two, 2, 2, 2, 2]
    assert trained[2:] == [[0, 1]] * 4


def test_a_validation_generator_replays_two_batches_then_goes_on():
    options = {"validation_data": ((X * k, Y) for k in itertools.count())}
    _, validated = watch(X, 4, Y, validation_steps=3, **options)
    assert [batches[:2] for batches in validated] == [[0, 1]] * 4
    thirds = [batches[2] for batches in validated]  # what it read ahead is lost
    assert thirds[0] == 2 and thirds == sorted(set(thirds))


@pytest.mark.parametrize("shuffle", [False, True])
def test_fit_shuffles_the_batches_of_a_pydataset(shuffle):
    keras.utils.set_random_seed(1)
    trained, _ = watch(Batches(*((X * k, Y) for k in (0, 4, 8))), 9, shuffle=shuffle)
    assert all(sorted(epoch) == [0, 4, 8] for epoch in trained)
    assert (trained == [[0, 4, 8]] * 9) is not shuffle


@before_3_16
@pytest.mark.parametrize("in_a_dataset", [False, True])
def test_keras_keeps_a_generator_open_but_a_dataset_closes_its_own(in_a_dataset):
    closed, model, spec = [], tiny(), (tf.TensorSpec((4, 2)),)

    def watched():
        try:
            yield from batches(batch=(X,))
        finally:
            closed.append(True)

    for _ in range(5):
        dataset = tf.data.Dataset.from_generator(watched, output_signature=spec)
        model.predict(dataset if in_a_dataset else watched(), steps=2, verbose=0)
    gc.collect()
    assert len(closed) == (5 if in_a_dataset else 0)


def loss_of(kind, class_weight):
    """Return the loss on three rows of class 0 and one of class 1."""
    labels = np.eye(2, dtype="float32")[[0, 0, 0, 1]]
    model = compiled(L.Dense(2, "softmax"), loss="categorical_crossentropy")
    model.set_weights([np.zeros((2, 2)), np.array([0, 1])])
    batch, dataset = Batches((X, labels)), tf.data.Dataset.from_tensors((X, labels))
    data = {"arrays": (X, labels), "PyDataset": (batch,), "Dataset": (dataset,)}[kind]
    history = model.fit(*data, class_weight=class_weight, **GENERATOR).history
    return history["loss"][0]


@pytest.mark.parametrize("kind", ["arrays", "PyDataset", "Dataset"])
def test_class_weight_works_for_all_but_a_generator(kind):
    # Class 0 has the probability 1 / (1 + e): its loss is log(1 + e), on 3 rows of 4.
    wanted = 2 * np.log(1 + np.e) * 3 / 4
    assert loss_of(kind, {0: 2.0, 1: 0.0}) == pytest.approx(wanted, rel=1e-5)


@before_3_16
@pytest.mark.parametrize("kind", ["arrays", "PyDataset"])
def test_class_weight_by_label_raises_nothing_and_weighs_nothing(kind):
    assert loss_of(kind, {"iris": 2.0, "rose": 0.0}) == loss_of(kind, None)


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


@pytest.mark.parametrize(("metric", "value"), [("accuracy", 0), ("binary_accuracy", 1)])
def test_accuracy_of_several_labels_compares_the_largest_output_only(metric, value):
    model = compiled(L.ReLU(), inputs=3, loss="bce", metrics=[metric])
    outputs, labels = [[0.8, 0.9, 0.1], [0.1, 0.6, 0.9]], [[1, 1, 0], [0, 1, 1]]
    assert model.evaluate(np.array(outputs), np.array(labels), verbose=0)[1] == value


def test_one_output_is_compared_with_both_of_two_targets(tmp_path):
    options = {"custom_objects": {"own_loss": own_loss}}  # it is found by this name
    saved = load_saved(tiny(loss=own_loss), tmp_path / "a.keras", **options)
    truth = np.array([[0.0, 2.0]] * 4)
    assert saved.evaluate(0 * X, truth, verbose=0) == 2  # (0 + 2²) / 2


@pytest.mark.parametrize(("epochs", "trained"), [(3, 0), (4, 1)])
def test_epochs_is_the_final_epochs_number(epochs, trained):
    model = tiny()
    fit(model=model, epochs=epochs, initial_epoch=3)
    assert model.optimizer.iterations == trained


def test_aug_flow_takes_its_workers_as_an_attribute():
    iterator, threads = flow(rows=40), set()
    iterator.workers = 2
    iterator.image_data_generator.preprocessing_function = lambda image: (
        threads.add(threading.current_thread().name) or image
    )
    model = compiled(L.Flatten(), L.Dense(1), inputs=(8, 8, 1))
    model.fit(iterator, verbose=0)
    assert any("(worker)" in name for name in threads), threads


@pytest.mark.parametrize("rows", [1, 2])
def test_one_row_trains_no_weight_before_a_batch_normalization(rows):
    keras.utils.set_random_seed(1)
    hidden = L.Dense(3)
    model = compiled(hidden, L.BatchNormalization(), L.Dense(1))
    before = hidden.kernel.numpy()
    model.train_on_batch(np.random.random((rows, 2)), np.arange(rows))
    assert np.array_equal(before, hidden.kernel) == (rows == 1)


@pytest.mark.parametrize(("threshold", "saves"), [(None, True), (1e-3, False)])
def test_a_new_checkpoint_forgets_the_best_model(threshold, saves, tmp_path):
    path = tmp_path / "best.keras"
    options = {"save_best_only": True, "initial_value_threshold": threshold}
    use(ModelCheckpoint(path, **options))
    assert path.exists() == saves


@pytest.mark.parametrize(("monitor", "saved"), [("val_acc", 3), ("val_accuracy", 1)])
def test_a_checkpoint_on_an_unknown_metric_saves_every_epoch(monitor, saved, tmp_path):
    use(best(monitor, tmp_path / "{epoch}.keras"), epochs=3)
    assert len(list(tmp_path.iterdir())) == saved
