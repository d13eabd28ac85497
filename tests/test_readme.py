"""Every Python block of README.md runs as it stands after the set-up, on small data.

A block's first line may say more than ```python: "devices", it runs on two logical CPU
devices in place of two GPUs; "workers", it is a script of its own for two processes.
"""

import os
import re
import runpy
import shutil
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from conftest import ROOT, csv_bytes, make_rows
from PIL import Image
from tensorflow import keras

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```(\w+) ?([^\n]*)\n(.*?)^```$", README)
SETUP, *PYTHON = [(kind, code) for lang, kind, code in BLOCKS if lang == "python"]
SHELL = [code for language, _, code in BLOCKS if language == "sh"]

TWO_DEVICES = """if True:
    import functools
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    tf.distribute.MirroredStrategy = functools.partial(
        tf.distribute.MirroredStrategy, devices=["CPU:0", "CPU:1"]
    )
"""
CHECK_DEVICES = """
assert strategy.num_replicas_in_sync == 2
"""

# Continues the block: trains and evaluates on numbered rows, and counts each one's uses.
NUMBERED_ROWS = """
import numpy as np
from tensorflow import keras
with strategy.scope():
    counts = tf.Variable(
        tf.zeros(100),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )
class Model(keras.Sequential):
    def train_step(self, batch):
        counts.assign_add(tf.reduce_sum(tf.one_hot(batch[1], 100), axis=0))
        return super().train_step(batch)
    def test_step(self, batch):
        counts.assign_add(tf.reduce_sum(tf.one_hot(batch[1], 100), axis=0))
        return super().test_step(batch)
def rows_used():
    used = counts.read_value().numpy().astype(int).tolist()
    counts.assign(tf.zeros(100))
    return used
def batches(bs, rows):
    while True:
        for first in range(0, rows, bs):
            numbers = np.arange(first, min(first + bs, rows), dtype="int32")
            yield np.zeros((len(numbers), 1), "float32"), numbers
with strategy.scope():
    model = Model([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

model.fit(batches(8, 100), steps_per_epoch=6, verbose=0, shuffle=False)
used = rows_used()
assert sum(used) == 6 * 8 and max(used) == 1, used  # nothing lost, nothing twice
assert used[:16] == [1] * 16 and used[16:48] != [1] * 32, used  # some are skipped

spec = tf.TensorSpec((None, 1), "float32"), tf.TensorSpec((None,), "int32")
data = tf.data.Dataset.from_generator(lambda: batches(8, 20), output_signature=spec)
model.evaluate(data, steps=3, verbose=0)
assert rows_used() == [1] * 20 + [0] * 80
model.evaluate(batches(8, 20), steps=3, verbose=0)
assert rows_used() != [1] * 20 + [0] * 80

try:
    model.fit(batches(7, 100), steps_per_epoch=2, verbose=0, shuffle=False)
except tf.errors.InvalidArgumentError:
    print("an odd batch fails")
"""

# Writes down which rows of its CSV a worker trains on.
RECORD_ROWS = """if True:
    import runpy, sys
    import numpy as np
    import tensorflow as tf
    import train
    rows, build_model = [], train.build_model
    def record(images):
        rows.extend(images[:, 0, 0, 0])
        return np.int32(0)
    def build_recording_model(*args, **options):
        model = build_model(*args, **options)
        step = model.train_step
        def train_step(batch):
            tf.numpy_function(record, [batch[0]], tf.int32)
            return step(batch)
        model.train_step = train_step
        return model
    train.build_model = build_recording_model
    runpy.run_path("worker.py", run_name="__main__")
    np.save(f"rows{sys.argv[1]}.npy", rows)
"""


def find_block(text):
    (code,) = [code for _, code in PYTHON if text in code]
    return code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reader's folder: the two CSVs, a picture, a folder of photographs, a list."""
    folder = tmp_path_factory.mktemp("readme")
    labels = ["iris", "rose", "lily", "daisy", "rose", "iris"] * 12
    (folder / "flowers17_training.csv").write_bytes(csv_bytes(make_rows(labels)))
    (folder / "flowers17_testing.csv").write_bytes(csv_bytes(make_rows(labels[:40], 1)))
    images = [Image.fromarray(image) for _, image in make_rows(["rose"] * 12, 2)]
    images[0].save(folder / "my_flower.jpg")
    for k, image in enumerate(images):
        path = folder / "flower_photos" / ("roses", "tulips")[k % 2] / f"{k}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    paths = [path.relative_to(folder) for path in folder.glob("*/*/*.jpg")]
    lines = [f"{path.parent.name},{path}\n" for path in paths]
    (folder / "files.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def in_folder(folder, monkeypatch):
    """The reader's folder, with train.py as it stands: some recipes replace a part."""
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "train", raising=False)
    return folder


def run(folder, *args, project=ROOT):
    """Start Python in the folder, with the project in reach; return the process."""
    return subprocess.Popen(
        [sys.executable, *map(str, args)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(project)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_block(folder, code, run_name="__main__"):
    """Run a block after the set-up; return its variables."""
    (folder / "block.py").write_text(SETUP[1] + code)
    return runpy.run_path(str(folder / "block.py"), run_name=run_name)


@pytest.mark.parametrize(
    ("kind", "code"), PYTHON, ids=[f"block{k}" for k in range(2, len(PYTHON) + 2)]
)
def test_a_python_block_runs(in_folder, kind, code):
    if kind == "":
        run_block(in_folder, code)
    else:
        assert kind in ("devices", "workers"), f"no block of the kind {kind!r} is known"


def test_file_names_with_blank_lines_and_a_byte_order_mark(in_folder):
    found = run_block(in_folder, find_block('"files.csv"'))
    assert found["file_lb"].classes_.tolist() == ["roses", "tulips"]
    assert found["one_hot"].shape == (4, 2)


def test_what_the_page_says_of_several_gpus(in_folder):
    (code,) = [code for kind, code in PYTHON if kind == "devices"]
    code = TWO_DEVICES + SETUP[1] + code + CHECK_DEVICES + NUMBERED_ROWS
    process = run(in_folder, "-c", code)
    output, _ = process.communicate()
    assert process.returncode == 0 and "an odd batch fails" in output, output


def test_each_of_several_machines_trains_on_all_its_rows(in_folder):
    run_block(in_folder, find_block("readlines()"))
    (code,) = [code for kind, code in PYTHON if kind == "workers"]
    (in_folder / "worker.py").write_text(code)
    processes = [run(in_folder, "-c", RECORD_ROWS, task) for task in (0, 1)]
    outputs = [process.communicate()[0] for process in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    models = [keras.models.load_model(in_folder / f"worker{k}.keras") for k in (0, 1)]
    for task, model in enumerate(models):
        with open(in_folder / f"part{task}.csv") as part:
            firsts = [int(line.split(",")[1]) for line in part]
        assert len(firsts) == 36
        # Two epochs of two batches of 16.
        assert np.load(in_folder / f"rows{task}.npy").tolist() == (firsts * 2)[:64]
        assert int(model.optimizer.iterations) == 4
    for one, other in zip(*(model.get_weights() for model in models)):
        np.testing.assert_array_equal(one, other)


# The commands of a shell block in one process: importing TensorFlow takes seconds.
RUN_COMMANDS = """if True:
    import re, runpy, subprocess, sys
    for command in sys.argv[1].splitlines():
        sys.argv = command.split()[1:]
        if not command.startswith("python "):
            subprocess.run(command, shell=True, check=True)
        elif sys.argv[0] == "-m":
            runpy.run_module(sys.argv.pop(0) and sys.argv[0], run_name="__main__")
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("text", ["my_flowers", "IMAGE_SHAPE"])
def test_your_own_images_in_the_usual_size_and_another(folder, tmp_path, text):
    (code,) = [code for code in SHELL if text in code]
    shutil.copytree(folder / "flower_photos", tmp_path / "flower_photos")
    shutil.copytree(ROOT / "pyimagesearch", tmp_path / "pyimagesearch")
    shutil.copy(ROOT / "train.py", tmp_path)
    process = run(tmp_path, "-c", RUN_COMMANDS, code, project=tmp_path)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "roses" in output and "weighted avg" in output
    values = 1 + (32 * 32 if text == "IMAGE_SHAPE" else 64 * 64 * 3)
    (csv_file,) = tmp_path.glob("*/flowers17_testing.csv")
    assert {line.count(",") + 1 for line in csv_file.open()} == {values}


def tiny_model(outputs=1):
    layers = [keras.Input((2,)), keras.layers.Dense(outputs)]
    model = keras.Sequential(layers)
    loss = "mse" if outputs == 1 else "categorical_crossentropy"
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=["accuracy"])
    return model


def batches(count=10**6, of=tuple):
    for _ in range(count):
        yield of((np.zeros((4, 2), "float32"), np.zeros((4, 1), "float32")))


def import_augmenter():
    from keras.preprocessing.image import ImageDataGenerator  # noqa: F401


# What provokes each message in the table of "Coming from old code".
MESSAGES = {
    "'Sequential' object has no attribute 'fit_generator'": lambda: (
        tiny_model().fit_generator
    ),
    "'predict_generator'": lambda: tiny_model().predict_generator,
    "'evaluate_generator'": lambda: tiny_model().evaluate_generator,
    "Argument(s) not recognized: {'lr': 0.01}": lambda: keras.optimizers.SGD(lr=0.01),
    "Argument `decay` is no longer supported and will be ignored.": lambda: (
        keras.optimizers.SGD(learning_rate=0.01, decay=0.01)
    ),
    "KeyError: 'acc'": lambda: (
        tiny_model().fit(batches(), steps_per_epoch=1, verbose=0).history["acc"]
    ),
    "fit() got an unexpected keyword argument 'workers'": lambda: tiny_model().fit(
        batches(), workers=2
    ),
    "'use_multiprocessing'": lambda: tiny_model().fit(
        batches(), use_multiprocessing=True
    ),
    "'max_queue_size'": lambda: tiny_model().fit(batches(), max_queue_size=2),
    "Argument `class_weight` is not supported for Python generator inputs.": lambda: (
        tiny_model().fit(batches(), steps_per_epoch=1, class_weight={0: 1.0})
    ),
    "Your input ran out of data; interrupting training.": lambda: tiny_model().fit(
        batches(3), steps_per_epoch=5, verbose=0
    ),
    "the generator must return a tuple": lambda: tiny_model().fit(
        batches(of=list), steps_per_epoch=1
    ),
    "Arguments `target` and `output` must have the same shape.": lambda: tiny_model(
        2
    ).fit(batches(), steps_per_epoch=1, verbose=0),
    "cannot import name 'ImageDataGenerator' from 'keras.preprocessing.image'": (
        import_augmenter
    ),
    "`shuffle=True` was passed, but will be ignored": lambda: tiny_model().fit(
        batches(), steps_per_epoch=1, verbose=0
    ),
}


def test_the_table_of_messages_is_complete():
    table = README.split("## Coming from old code")[1].split("What `SGD(")[0]
    column = [line.split(" | ")[0] for line in table.splitlines() if line[:2] == "| "]
    assert [message for message in MESSAGES if message not in "".join(column)] == []
    # One row may hold two spans in backticks.
    spans = re.findall(r"(`+)\s?(.+?)\s?\1(?=[ ,)|(]|$)", " ".join(column[1:]))
    assert {span for _, span in spans} == set(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_keras_prints_each_message_as_the_table_has_it(message):
    if "shuffle" in message and keras.__version__ < "3.15":
        pytest.skip("this warning is new in Keras 3.15")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            MESSAGES[message]()
            text = "".join(str(warning.message) for warning in caught)
        except Exception as error:  # noqa: BLE001, any kind may be in the table
            text = f"{type(error).__name__}: {error}"
    assert message in text


def test_keras_takes_two_batches_first_and_reads_ahead_in_a_thread():
    threads = []

    def watched():
        for batch in batches():
            threads.append(threading.current_thread())
            yield batch

    tiny_model().fit(watched(), steps_per_epoch=9, verbose=0, shuffle=False)
    assert threads[:2] == [threading.main_thread()] * 2
    assert threading.main_thread() not in threads[2:]
    assert 9 < len(threads) <= 9 + 16


def test_keras_does_not_read_ahead_of_a_seeded_run(tmp_path):
    code = """if True:
        import numpy as np
        from tensorflow import config, keras
        keras.utils.set_random_seed(1)
        config.experimental.enable_op_determinism()
        asked = []
        def batches():
            while True:
                asked.append(1)
                yield np.zeros((4, 2), "float32"), np.zeros((4, 1), "float32")
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(batches(), steps_per_epoch=9, epochs=2, shuffle=False)
        print("asked for", len(asked))
    """
    output, _ = run(tmp_path, "-c", code).communicate()
    assert "asked for 18" in output


def test_dimensions_may_vary_where_the_first_two_batches_differ():
    def lengths(*numbers):
        for length in numbers:
            yield np.zeros((2, length, 2), "float32"), np.zeros((2, 1), "float32")

    layers = [keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((None, 2)), *layers])
    model.compile("sgd", "mse")
    model.fit(lengths(3, 5, 7, 9), steps_per_epoch=4, verbose=0, shuffle=False)
    with pytest.raises(Exception, match="first two batches"):
        model.fit(lengths(3, 3, 5, 7), steps_per_epoch=4, verbose=0, shuffle=False)


def test_the_loop_averages_the_losses_of_all_batches(in_folder, capsys):
    code = find_block("train_on_batch(images, one_hot, return_dict=True)")
    code = code.replace("model = build_model(", "model = flat_model(")
    flat_model = """
def flat_model(classes, epochs):
    flatten, softmax = keras.layers.Flatten(), keras.layers.Dense(classes, "softmax")
    model = keras.Sequential([keras.Input((64, 64, 3)), flatten, softmax])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model

"""
    found = run_block(
        in_folder, flat_model + code.replace(", aug=build_augmenter()", "")
    )
    images = [batch for batch, _ in found["islice"](fresh(found), 2 * found["steps"])]
    labels = [batch for _, batch in found["islice"](fresh(found), 2 * found["steps"])]
    wanted = [
        np.mean((found["model"].predict(batch, verbose=0) - one_hot) ** 2)
        for batch, one_hot in zip(images, labels)
    ]
    wanted = np.reshape(wanted, (2, -1)).mean(axis=1)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    printed = [float(line[1]) for line in lines if line[:1] in (["1"], ["2"])]
    np.testing.assert_allclose(printed, wanted, rtol=1e-4)


def fresh(found):
    return found["csv_image_generator"]("flowers17_training.csv", 32, found["lb"])


def test_layers_augment_in_a_call_but_not_in_predict(in_folder):
    (code,) = [code for _, code in PYTHON if "RandomRotation" in code]
    model = run_block(in_folder, code.split("model.fit(")[0])["model"]
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    layers = keras.Sequential(model.layers[:-1])
    assert np.abs(np.array(layers(images)) - images).max() > 1
    np.testing.assert_array_equal(layers(images, training=False), images)
    np.testing.assert_array_equal(layers.predict(images, verbose=0), images)


class Watcher(keras.Model):
    """Learns nothing, and notes what it is given."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def train_step(self, data):
        self.rows += [row.tobytes() for row in data[0].numpy()]
        return {"loss": 0.0}

    def predict_step(self, data):
        self.rows += [row.tobytes() for row in data[0].numpy()]
        return data[1]


def watch(dataset, method, **options):
    model = Watcher()
    model.compile(loss="mse", run_eagerly=True)
    result = getattr(model, method)(dataset, verbose=0, **options)
    return model.rows, result


@pytest.mark.parametrize("processes", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_several_workers_give_each_row_once_per_epoch(in_folder, workers, processes):
    found = run_block(in_folder, find_block("class CsvDataset"), run_name="recipe")
    options = {"workers": workers, "use_multiprocessing": processes}
    path, lb, labels = "flowers17_training.csv", found["lb"], found["labels"]
    rows, _ = watch(found["CsvDataset"](path, 16, lb, **options), "fit", epochs=2)
    first, second = rows[: len(labels)], rows[len(labels) :]
    assert len(set(first)) == len(labels)
    assert sorted(first) == sorted(second) and first != second

    ordered = found["CsvDataset"](path, 16, lb, shuffle=False, **options)
    _, one_hot = watch(ordered, "predict")
    assert lb.classes_[np.argmax(one_hot, axis=1)].tolist() == labels


def test_the_test_command_is_the_one_that_ci_runs():
    (command,) = [code.strip() for code in SHELL if "pytest" in code]
    assert command in (ROOT / ".ci/run").read_text().splitlines()


def test_every_link_within_the_page_and_the_project_leads_somewhere():
    headings = re.findall(r"(?m)^#+ (.*)$", README)
    anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_the_set_up_is_on_the_page_once_and_the_page_is_not_too_long():
    assert README.count("LabelBinarizer().fit(labels)") == 1
    assert len(README) <= 32_000
