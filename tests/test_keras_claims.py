"""What the pages say of Keras itself: red here means that a page must change."""
# ruff: noqa: F401, since the code in messages.txt uses imports, too

import gc
import io
import itertools
import os
import re
import runpy
import threading
import time
import warnings
from pathlib import Path
from unittest.mock import Mock, patch

import keras
import keras.layers as L
import matplotlib
import numpy as np
import pytest
import tensorflow as tf
import tensorflow.keras.backend as K
from conftest import ROOT, Recorder, csv_bytes, make_rows, save_image, start_python
from keras.applications import VGG16
from keras.callbacks import Callback, EarlyStopping, ModelCheckpoint, TensorBoard
from keras.models import load_model
from keras.optimizers import SGD
from keras.wrappers import SKLearnClassifier
from PIL import Image
from sklearn.metrics import classification_report as report
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from pyimagesearch.callbacks import WatchTraining, load_backup
from pyimagesearch.csv_rows import check_csvs, parse_image, read_labels
from pyimagesearch.images import load_image
from pyimagesearch.options import OneLineParser
from train import csv_image_generator

KERAS = tuple(map(int, keras.__version__.split(".")[:2]))
before_3_16 = pytest.mark.skipif(KERAS >= (3, 16), reason="Keras 3.16 changed this")
X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
ONE_HOT, SPARSE = "categorical_crossentropy", "sparse_categorical_crossentropy"
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


def fit_batch(*batch, loss="mse", outputs=1, **options):
    fit(batches(batch=batch), tiny(outputs, loss, **options))


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


def new_python(code="import keras", *flags, project=".", **environment):
    with patch.dict(os.environ, environment):
        process = start_python(".", *flags, "-c", code, project=project)
    print(*process.communicate(timeout=120))


def one_generator_for_both():
    # It is slow where Keras reads ahead.
    generator = (batch for batch in itertools.chain(batches(5), batches(seconds=1)))
    fit(generator, steps=5, validation_data=generator, validation_steps=1, epochs=2)


def a_callback_sets_a_schedule():
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.01, 1, 0.1)
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    fit(model=tiny(optimizer=SGD(schedule)), callbacks=[halve])


def best(monitor, path="best.keras", **options):
    return ModelCheckpoint(path, monitor, mode="max", save_best_only=True, **options)


def use(callback, **options):
    options |= {"validation_data": (X, 9 * Y)}  # val_accuracy is 0
    model = tiny(metrics=["accuracy"], run_eagerly=True)  # it takes a third of the time
    fit(model=model, callbacks=[callback], **options)
    return callback


def end_training(**logs):
    callback = WatchTraining()
    callback.set_model(tiny())
    callback.on_epoch_end(0, logs)
    callback.on_train_end(logs)


def without_a_loop():
    while True:
        yield next(iter(()))


def build():
    """Build a model, as KerasClassifier asked for it."""


class threadsafe_iter:
    def __next__(self):
        return X, Y


def load_saved(model, path, **options):
    model.save(path)
    return load_model(path, **options)


def own_loss(truth, predicted):
    return tf.reduce_mean(tf.square(truth - predicted))


def two_inputs():
    inputs = [keras.Input((2,), name=name) for name in ("left", "right")]
    return keras.Model(inputs, L.Concatenate()(inputs))


def named_outputs(**units):
    image = keras.Input((2,))
    outputs = {name: L.Dense(n, name=name)(image) for name, n in units.items()}
    return keras.Model(image, outputs)


def fit_two_outputs(targets, loss=None, metrics=None, validation_data=None):
    model = named_outputs(kind=1, colour=1)
    model.compile("sgd", loss or {"kind": "mse", "colour": "mse"}, metrics=metrics)
    model.fit(X, targets, validation_data=validation_data, verbose=0)


def write(content):
    if isinstance(content, list):
        content = csv_bytes(make_rows(content))  # a row per label
    Path("a.csv").write_bytes(content)
    return Path("a.csv")


def old_numpy():
    with patch("numpy.__version__", "2.2.6"):
        runpy.run_path(str(ROOT / "pyimagesearch/csv_rows.py"))


FROM_TOMORROW = {"module": "keras.layers", "class_name": "Dense", "config": {"new": 1}}
BOTH = {"kind": Y, "colour": Y}

MESSAGES, code = {}, ""  # each message, or more of it, and the code that provokes it
for line in (ROOT / "tests/messages.txt").read_text(encoding="utf-8").splitlines():
    if line.startswith(" "):
        MESSAGES[line.strip()] = code
    else:
        code = line
METHODS = """fit_generator predict_generator evaluate_generator predict_classes
    predict_proba"""
ARGUMENTS = """workers use_multiprocessing max_queue_size samples_per_epoch nb_epoch
    nb_val_samples nb_worker pickle_safe max_q_size generator"""
EVALUATE = "max_q_size val_samples generator"
CONV2D = "border_mode subsample init dim_ordering"
MODULES = """keras.layers.core keras.layers.convolutional keras.layers.pooling
    keras.layers.normalization keras.layers.embeddings keras.layers.recurrent
    keras.layers.advanced_activations keras.layers.experimental keras.layers.merge
    keras.engine keras.wrappers.scikit_learn keras.utils.np_utils keras.utils.vis_utils
    keras.utils.data_utils keras.utils.generic_utils keras.utils.training_utils
    keras.objectives keras.initializations keras.callbacks.callbacks
    keras.preprocessing.text keras.backend.tensorflow_backend tensorflow.contrib
    sklearn.cross_validation"""
IMPORTED = """keras.layers.Merge keras.layers.merge keras.layers.CuDNNLSTM
    keras.models.Input keras.utils.np_utils keras.utils.multi_gpu_model
    keras.optimizers.adam keras.optimizers.sgd keras.wrappers.KerasClassifier
    keras.preprocessing.image.ImageDataGenerator keras.backend.set_session
    sklearn.externals.joblib scipy.misc.imread train.build_validation_data"""
USED = """keras.backend.mean keras.preprocessing.image.ImageDataGenerator
    keras.losses.mse tensorflow.keras.backend.get_session tensorflow.contrib
    tensorflow.ConfigProto tensorflow.Session tensorflow.get_default_graph
    tensorflow.global_variables_initializer tensorflow.set_random_seed
    tensorflow.placeholder tensorflow.log scipy.misc.imresize numpy.float numpy.int
    numpy.object"""
SIMILAR = {  # a message, the code, and the paths that stand for MODULE.NAME
    "'Sequential' object has no attribute 'NAME'": ("tiny().NAME", METHODS),
    "'Functional' object has no attribute 'NAME'": ("two_inputs().NAME", METHODS),
    "got an unexpected keyword argument 'NAME'": ("fit(X, NAME=1)", ARGUMENTS),
    "Arguments not recognized: {'NAME'": ("tiny().evaluate(X, Y, NAME=1)", EVALUATE),
    "passed to Conv2D: {'NAME'": ("L.Conv2D(1, 3, NAME=1)", CONV2D),
    "No module named 'MODULE.NAME'": ("import MODULE.NAME", MODULES),
    "cannot import name 'NAME' from 'MODULE'": ("from MODULE import NAME", IMPORTED),
    "module 'MODULE' has no attribute 'NAME'": ("import MODULE; MODULE.NAME", USED),
}
for message, (code, paths) in SIMILAR.items():
    for path in paths.split():
        module, _, name = path.rpartition(".")
        texts = [text.replace("MODULE", module) for text in (message, code)]
        key, value = (text.replace("NAME", name) for text in texts)
        MESSAGES[key] = value
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
def test_each_message_is_printed(message, tmp_path, monkeypatch, capfd):
    if "shuffle" in message and KERAS < (3, 15):
        pytest.skip("this warning is new in Keras 3.15")
    if KERAS >= (3, 16) and re.search("Graph exec|import backend|metrics.mse", message):
        pytest.skip("Keras 3.16 says something else")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(MESSAGES[message], dict(globals()))  # noqa: S102
        except (Exception, SystemExit) as error:  # noqa: BLE001, any may be on the page
            print(f"{type(error).__name__}: {error}")
    print(*(warning.message for warning in caught))
    assert message in "".join(capfd.readouterr())


PAGE = (ROOT / "pyimagesearch/recipes/errors.md").read_text(encoding="utf-8")


def test_the_page_lists_these_messages_and_no_other():
    text = re.sub(r"\s+", " ", PAGE)
    spans = re.findall(r"\*\*(?:`([^`]+)`|``(.+?)``)\*\*", text)  # bold code
    spans = ["".join(either).strip() for either in spans]
    messages = [*MESSAGES, *NOT_HERE]
    assert not [s for s in spans if not any(s in message for message in messages)]
    assert not [m for m in messages if not any(span in m for span in spans)]


def test_the_page_replaces_functions_of_keras_backend_by_equal_ones():
    names = {"K": K, "keras": keras}
    names |= {name: tf.random.uniform((2, 3), 0, 2) for name in ("x", "y")}
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


def test_keras_does_not_read_ahead_of_a_seeded_run(capfd):
    code = """if True:
        from test_keras_claims import *
        keras.utils.set_random_seed(1)
        tf.config.experimental.enable_op_determinism()
        fit((print("asked") or batch for batch in batches()), steps=9, epochs=2)
    """
    new_python(code, project=ROOT / "tests")
    assert capfd.readouterr().out.count("asked") == 18


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize(("steps", "per_epoch"), [(3, [3, 1, 3, 1]), (None, [4] * 4)])
def test_what_has_a_length_needs_no_steps_per_epoch(kind, steps, per_epoch, tmp_path):
    for k in range(14):
        save_image(tmp_path / "rose" / f"{k}.png")
    folder = AUGMENTER.flow_from_directory(tmp_path, (8, 8), batch_size=4)
    data = (np.ones((14, 2)), Batches(*batches(4)), flow(rows=14), folder)[kind]
    arrays = {"y": np.ones((14, 1)), "batch_size": 4} if kind == 0 else {}
    trained, _ = watch(data, 4, steps_per_epoch=steps, **arrays)
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


# Class 0 has the probability 1 / (1 + e): its loss is log(1 + e), on 3 rows of 4.
@pytest.mark.parametrize("kind", ["arrays", "PyDataset", "Dataset"])
def test_class_weight_works_for_all_but_a_generator_and_by_label_for_none(kind):
    wanted = 2 * np.log(1 + np.e) * 3 / 4
    assert loss_of(kind, {0: 2.0, 1: 0.0}) == pytest.approx(wanted, rel=1e-5)
    if kind != "Dataset" and KERAS < (3, 16):  # no error, and no weight
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


@pytest.mark.parametrize(("threshold", "saved"), [(None, 1), (1e-3, 0)])
def test_a_new_checkpoint_forgets_the_best_model(threshold, saved, tmp_path):
    options = {"save_best_only": True, "initial_value_threshold": threshold}
    use(ModelCheckpoint(tmp_path / "best.keras", **options))
    assert len(list(tmp_path.iterdir())) == saved


CHECKPOINTS = [("val_acc", "epoch", 3), ("val_accuracy", "epoch", 1)]
CHECKPOINTS += [("val_accuracy", 1, 3)]  # after each batch, before there is a val_...


@pytest.mark.parametrize(("monitor", "freq", "saved"), CHECKPOINTS)
def test_a_checkpoint_on_a_missing_metric_always_saves(monitor, freq, saved, tmp_path):
    use(best(monitor, tmp_path / "{epoch}.keras", save_freq=freq), epochs=3)
    assert len(list(tmp_path.iterdir())) == saved


def test_the_second_argument_of_predict_is_no_number_of_steps():
    assert len(tiny().predict(batches(5), 2, verbose=0)) == 5 * 4


def test_the_loss_at_the_end_of_a_batch_is_the_mean_so_far():
    model, seen = compiled(L.ReLU()), []
    see = lambda batch, logs: seen.append(logs["loss"])
    note = keras.callbacks.LambdaCallback(on_train_batch_end=see)
    fit(((0 * X, k * X) for k in (1, 2, 3)), model, steps=3, callbacks=[note])
    assert seen == pytest.approx([1, (1 + 4) / 2, 14 / 3])


@pytest.mark.parametrize(("shape", "value"), [((4, 1), 1), ((4,), 0.5)])
def test_a_metric_of_ones_own_compares_n_by_n_where_targets_are_flat(shape, value):
    def own_accuracy(truth, predicted):
        return keras.ops.mean(keras.ops.equal(truth, predicted))

    outputs = np.array([[0.0], [1], [0], [1]], "float32")
    batch, model = (outputs, outputs.reshape(shape)), compiled(L.ReLU(), inputs=1)
    model.compile("sgd", "mse", metrics=[own_accuracy])
    assert fit(batches(batch=batch), model)["own_accuracy"] == [value]


@pytest.mark.parametrize("seed", [np.random.seed, keras.utils.set_random_seed])
def test_only_keras_own_seed_fixes_the_weights(seed):
    first, second = (seed(1) or tiny().layers[0].kernel.numpy() for _ in range(2))
    assert np.array_equal(first, second) == (seed != np.random.seed)


def test_metrics_names_dont_name_the_metrics():
    model = tiny(metrics=["accuracy"])
    assert {*model.evaluate(X, Y, verbose=0, return_dict=True)} == {"accuracy", "loss"}
    assert model.metrics_names == ["loss", "compile_metrics"]


def test_a_tuple_of_targets_goes_to_named_outputs_in_alphabetical_order():
    model = named_outputs(b=2, c=3, a=1)
    model.compile("sgd", dict.fromkeys("abc", "mse"), run_eagerly=True)
    one, two, three = (np.ones((4, units)) for units in (1, 2, 3))
    model.evaluate(X, (one, two, three), verbose=0)  # other shapes raise an error
    with pytest.raises(tf.errors.InvalidArgumentError, match="Incompatible shapes"):
        model.evaluate(X, (two, three, one), verbose=0)


def test_sklearnclassifier_one_hot_encodes_two_classes_as_well():
    build = Mock(return_value=tiny(2))
    build.__name__ = "build"
    SKLearnClassifier(build, fit_kwargs={"verbose": 0}).fit(X, ["a", "b", "a", "b"])
    assert build.call_args.kwargs["y"].shape == (4, 2)
