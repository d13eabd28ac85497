"""What the page says of Keras itself: red here means that the page must change."""

import gc
import itertools
import re
import threading
import time
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, Recorder, start_python
from tensorflow.keras.preprocessing.image import ImageDataGenerator

KERAS = tuple(map(int, keras.__version__.split(".")[:2]))
before_3_16 = pytest.mark.skipif(KERAS >= (3, 16), reason="Keras 3.16 changed this")
LAYERS, SGD = keras.layers, keras.optimizers.SGD
X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
GENERATOR = {"verbose": 0, "shuffle": False}  # what every fit on a generator gets


def compiled(*layers, inputs=2, loss="mse", optimizer="sgd", **options):
    model = keras.Sequential([keras.Input(np.atleast_1d(inputs)), *layers])
    model.compile(optimizer, loss, **options)
    return model


def tiny(outputs=1, loss="mse", **options):
    return compiled(LAYERS.Dense(outputs), loss=loss, **options)


def batches(count=10**6, batch=(X, Y), seconds=0, error=None):
    for _ in range(count):
        time.sleep(seconds)
        yield batch
    if error:
        raise error


def numbered_batches(first_rows):
    for first in first_rows:
        yield X * first, Y


def fit(generator, model=None, steps_per_epoch=1, **options):
    model = model or tiny()
    options = {**GENERATOR, "steps_per_epoch": steps_per_epoch, **options}
    return model.fit(generator, **options).history


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
    augmenter = ImageDataGenerator(rotation_range=90, horizontal_flip=True)
    return augmenter.flow(images, np.ones((rows, 1)), batch_size=4, **options)


def one_generator_for_both():
    # It is slow where Keras reads ahead.
    generator = (batch for batch in itertools.chain(batches(5), batches(seconds=1)))
    options = {"validation_data": generator, "validation_steps": 1, "epochs": 2}
    fit(generator, steps_per_epoch=5, **options)


def a_callback_sets_a_schedule():
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.01, 1, 0.1)
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    fit(batches(), tiny(optimizer=SGD(schedule)), callbacks=[halve])


def a_model_from_a_newer_keras():
    config = keras.saving.serialize_keras_object(LAYERS.Dense(1))
    config["config"]["an_argument_of_tomorrow"] = None
    keras.saving.deserialize_keras_object(config)


# Each message as it stands on the page, behind or below the code that provokes it.
MESSAGES = """
tiny().fit_generator  # 'Sequential' object has no attribute 'fit_generator'
tiny().predict_generator  # 'Sequential' object has no attribute 'predict_generator'
tiny().evaluate_generator  # 'Sequential' object has no attribute 'evaluate_generator'
fit(batches(), workers=2)  # fit() got an unexpected keyword argument 'workers'
fit(batches(), use_multiprocessing=True)
    # fit() got an unexpected keyword argument 'use_multiprocessing'
fit(batches(), max_queue_size=2)
    # fit() got an unexpected keyword argument 'max_queue_size'
import keras.layers.core  # No module named 'keras.layers.core'
import keras.layers.convolutional  # No module named 'keras.layers.convolutional'
import keras.layers.advanced_activations
    # No module named 'keras.layers.advanced_activations'
from keras.preprocessing.image import ImageDataGenerator
    # cannot import name 'ImageDataGenerator' from 'keras.preprocessing.image'
from keras.utils import np_utils  # cannot import name 'np_utils' from 'keras.utils'
SGD(lr=0.01)  # Argument(s) not recognized: {'lr': 0.01}
SGD(learning_rate=0.01, decay=0.01)
    # Argument `decay` is no longer supported and will be ignored.
fit(batches())["acc"]  # KeyError: 'acc'
flow().next()  # 'NumpyArrayIterator' object has no attribute 'next'
compiled(*[LAYERS.Convolution2D(4, 5, 5) for _ in range(2)], inputs=(16, 16, 1))
    # Computed output size would be zero or negative.
a_callback_sets_a_schedule()  # its learning rate is not settable
a_model_from_a_newer_keras()  # could not be deserialized properly
fit(batches(3), steps_per_epoch=5)  # Your input ran out of data; interrupting training.
fit(batches(), shuffle=True)  # `shuffle=True` was passed, but will be ignored
fit(batches(batch=[X, Y]))  # the generator must return a tuple
fit(batches(batch=([X, X], Y)))  # `output_signature` must contain objects
fit(batches(batch=([X, X], Y)))  # but found <class 'list'>
fit(batches(batch=(X, np.array(["rose"] * 4))))  # Invalid dtype: str128
fit(batches(batch=(np.array([X, None], object), Y)))  # Invalid dtype: object
fit(batches(), tiny(2, "categorical_crossentropy"))
    # Arguments `target` and `output` must have the same shape.
fit(batches(batch=(X, np.arange(4))), tiny(4, "categorical_crossentropy"))
    # Arguments `target` and `output` must have the same rank (ndim).
fit(batches)  # Unrecognized data type: x=<function
fit(batches(), validation_split=0.2)
    # Argument `validation_split` is only supported for tensors or NumPy arrays.
fit(batches(), class_weight={0: 1.0})
    # Argument `class_weight` is not supported for Python generator inputs.
fit(batches(2, error=ValueError()), steps_per_epoch=3)
    # InvalidArgumentError: Graph execution error
fit(batches(2, error=FileNotFoundError()), steps_per_epoch=3)
    # UnknownError: Graph execution error
one_generator_for_both()  # generator already executing
fit(WithoutSuper())  # Your `PyDataset` class should call `super().__init__(**kwargs)`
"""
MESSAGES = {message: code for code, message in re.findall(r"(.+?)\s+# (.+)", MESSAGES)}


@pytest.mark.parametrize("message", MESSAGES)
def test_keras_prints_each_message_as_the_page_has_it(message):
    if "shuffle" in message and KERAS < (3, 15):
        pytest.skip("this warning is new in Keras 3.15")
    if "Graph execution" in message and KERAS >= (3, 16):
        pytest.skip("Keras 3.16 leaves these words out")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(MESSAGES[message], globals())  # noqa: S102
            text = ""
        except Exception as error:  # noqa: BLE001, any kind may be on the page
            text = f"{type(error).__name__}: {error}"
    text += "".join(str(warning.message) for warning in caught)
    assert message in text


def test_the_page_lists_these_messages_and_no_other():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    section = page.split("## Error messages and fixes")[1].split("\n## ")[0]
    spans = re.findall(r"(\*\*)?(`+) ?(.+?) ?\2(\*\*)?", section.replace("\n  ", " "))
    for bold, _, span, end in spans:  # what Keras prints is bold
        if bold and end:
            assert any(span in message for message in MESSAGES), span
    for message in MESSAGES:
        assert any(span in message for *_, span, _ in spans), message


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
    fit(watched, steps_per_epoch=9)
    assert threads[:2] == [threading.main_thread()] * 2
    assert threading.main_thread() not in threads[2:]
    assert 9 < len(threads) <= 9 + 16


def test_keras_does_not_read_ahead_of_a_seeded_run():
    code = """if True:
        from tensorflow import config
        from test_keras_claims import batches, fit, keras
        keras.utils.set_random_seed(1)
        config.experimental.enable_op_determinism()
        asked = []
        watched = (asked.append(1) or batch for batch in batches())
        fit(watched, steps_per_epoch=9, epochs=2)
        print("asked for", len(asked))
    """
    process = start_python(ROOT, "-c", code, project=ROOT / "tests")
    output, errors = process.communicate()
    assert "asked for 18\n" in output, errors


@pytest.mark.parametrize("kind", ["arrays", "PyDataset", "aug.flow"])
@pytest.mark.parametrize(("steps", "per_epoch"), [(2, [2, 1, 2, 1]), (None, [3] * 4)])
def test_what_has_a_length_needs_no_steps_per_epoch(kind, steps, per_epoch):
    arrays, three = (np.ones((10, 2)), np.ones((10, 1))), Batches(*batches(3))
    data = {"arrays": arrays, "PyDataset": [three], "aug.flow": [flow()]}[kind]
    options = {"batch_size": 4} if kind == "arrays" else {}
    trained, _ = watch(data[0], 4, *data[1:], steps_per_epoch=steps, **options)
    assert [len(epoch) for epoch in trained] == per_epoch


@pytest.mark.parametrize(
    ("steps", "per_epoch"),
    [(5, [5, 0, 2, 2, 2, 2]), (4, [4, 1, 2, 2, 2, 2]), (None, [5, 2, 2, 2, 2, 2])],
)
def test_a_generator_that_ends_replays_its_first_two_batches(steps, per_epoch):
    trained, _ = watch(numbered_batches(range(5)), 6, steps_per_epoch=steps)
    assert [len(epoch) for epoch in trained] == per_epoch
    assert trained[2:] == [[0, 1]] * 4


def test_a_validation_generator_replays_two_batches_then_goes_on():
    options = {"validation_data": numbered_batches(itertools.count())}
    _, validated = watch(X, 4, Y, validation_steps=3, **options)
    assert [batches[:2] for batches in validated] == [[0, 1]] * 4
    thirds = [batches[2] for batches in validated]  # what it read ahead is lost
    assert thirds[0] == 2 and thirds == sorted(set(thirds))


@pytest.mark.parametrize("shuffle", [False, True])
def test_fit_shuffles_the_batches_of_a_pydataset(shuffle):
    keras.utils.set_random_seed(1)
    trained, _ = watch(Batches(*numbered_batches([0, 4, 8])), 9, shuffle=shuffle)
    assert all(sorted(epoch) == [0, 4, 8] for epoch in trained)
    assert (trained == [[0, 4, 8]] * 9) is not shuffle


def test_predict_on_a_finite_generator_needs_no_steps():
    assert len(tiny().predict(batches(3, batch=(X,)), verbose=0)) == 12


def test_predict_wants_a_tuple_of_one_not_the_images_alone():
    assert tiny().predict(batches(batch=(X,)), steps=2, verbose=0).shape == (8, 1)
    with pytest.raises(ValueError, match="must return a tuple, either .input,."):
        tiny().predict(batches(batch=X), steps=2)


@before_3_16
@pytest.mark.parametrize("in_a_dataset", [False, True])
def test_keras_keeps_a_generator_open_but_a_dataset_closes_its_own(in_a_dataset):
    closed = []

    def watched():
        try:
            yield from batches(batch=(X,))
        finally:
            closed.append(True)

    model, spec = tiny(), (tf.TensorSpec((4, 2)),)
    for _ in range(5):
        data = watched()
        if in_a_dataset:
            data = tf.data.Dataset.from_generator(watched, output_signature=spec)
        model.predict(data, steps=2, verbose=0)
    del data
    gc.collect()
    assert len(closed) == (5 if in_a_dataset else 0)


def loss_of(kind, class_weight):
    """Return the loss on three rows of class 0 and one of class 1."""
    labels = np.eye(2, dtype="float32")[[0, 0, 0, 1]]
    lean = keras.initializers.Constant([0.0, 1.0])
    options = {"kernel_initializer": "zeros", "bias_initializer": lean}
    layer = LAYERS.Dense(2, "softmax", **options)
    model = compiled(layer, loss="categorical_crossentropy")
    batch, dataset = Batches((X, labels)), tf.data.Dataset.from_tensors((X, labels))
    data = {"arrays": (X, labels), "PyDataset": (batch,), "Dataset": (dataset,)}[kind]
    history = model.fit(*data, class_weight=class_weight, **GENERATOR).history
    return history["loss"][0]


@pytest.mark.parametrize("kind", ["arrays", "PyDataset", "Dataset"])
def test_class_weight_works_for_all_but_a_generator(kind):
    weights = {0: 2.0, 1: 0.0}
    # Class 0 has the probability 1 / (1 + e): its loss is log(1 + e), on 3 rows of 4.
    wanted = 2 * np.log(1 + np.e) * 3 / 4
    assert loss_of(kind, weights) == pytest.approx(wanted, rel=1e-5)


@before_3_16
@pytest.mark.parametrize("kind", ["arrays", "PyDataset"])
def test_class_weight_by_label_raises_nothing_and_weighs_nothing(kind):
    assert loss_of(kind, {"iris": 2.0, "rose": 0.0}) == loss_of(kind, None)


def test_the_name_given_in_metrics_is_the_key_in_history():
    for name in ("acc", "accuracy"):
        history = fit(batches(), tiny(metrics=[name]), validation_data=(X, Y))
        assert set(history) == {"loss", name, "val_loss", f"val_{name}"}


@pytest.mark.parametrize("seeds", [(1, 1), (1, 2)])
def test_the_same_seed_transforms_images_and_masks_alike(seeds):
    images, masks = (flow(seed=seed) for seed in seeds)
    pairs = [(next(images)[0], next(masks)[0]) for _ in range(6)]
    alike = [np.array_equal(image, mask) for image, mask in pairs]
    assert alike == [seeds == (1, 1)] * 6


def test_aug_flow_takes_its_workers_as_an_attribute():
    iterator, threads = flow(rows=40), set()
    iterator.workers = 2
    iterator.image_data_generator.preprocessing_function = lambda image: (
        threads.add(threading.current_thread().name) or image
    )
    model = compiled(LAYERS.Flatten(), LAYERS.Dense(1), inputs=(8, 8, 1))
    model.fit(iterator, verbose=0)
    assert any("(worker)" in name for name in threads), threads


@pytest.mark.parametrize("rows", [1, 2])
def test_one_row_trains_no_weight_before_a_batch_normalization(rows):
    keras.utils.set_random_seed(1)
    hidden = LAYERS.Dense(3)
    model = compiled(hidden, LAYERS.BatchNormalization(), LAYERS.Dense(1))
    before = hidden.kernel.numpy()
    model.train_on_batch(np.random.random((rows, 2)), np.arange(rows))
    assert np.array_equal(before, hidden.kernel) == (rows == 1)


@pytest.mark.parametrize(("threshold", "saves"), [(None, True), (1e-3, False)])
def test_a_new_checkpoint_overwrites_a_better_model_without_a_threshold(
    threshold, saves, tmp_path
):
    path = tmp_path / "best.keras"
    options = {"save_best_only": True, "initial_value_threshold": threshold}
    checkpoint = keras.callbacks.ModelCheckpoint(path, **options)
    fit(batches(), validation_data=(X, 9 * Y), callbacks=[checkpoint])
    assert path.exists() == saves
