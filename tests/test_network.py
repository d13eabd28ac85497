"""The network is the tutorial's, layer by layer."""

import numpy as np

from pyimagesearch.minivggnet import MiniVGGNet

BLOCK = ["Conv2D", "Activation", "BatchNormalization"] * 2 + ["MaxPooling2D", "Dropout"]
HEAD = ["Flatten", "Dense", "Activation", "BatchNormalization", "Dropout"]


def test_its_layers():
    model = MiniVGGNet.build(64, 64, 3, 17)
    layers = [type(layer).__name__ for layer in model.layers]
    assert layers == BLOCK * 2 + HEAD + ["Dense", "Activation"]
    activations = [
        a.activation.__name__ for a in model.layers if hasattr(a, "activation")
    ]
    assert activations.count("relu") == 5 and activations[-1] == "softmax"
    assert [a.filters for a in model.layers if hasattr(a, "filters")] == [
        32,
        32,
        64,
        64,
    ]
    assert [a.rate for a in model.layers if hasattr(a, "rate")] == [0.25, 0.25, 0.5]
    assert [a.units for a in model.layers if hasattr(a, "units")] == [512, 17]


def test_its_number_of_parameters():
    assert MiniVGGNet.build(64, 64, 3, 17).count_params() == 8_466_225


def test_width_and_height_and_depth_are_not_mixed_up():
    model = MiniVGGNet.build(width=32, height=16, depth=1, classes=2)
    probabilities = model(np.zeros((3, 16, 32, 1), "float32"))
    np.testing.assert_allclose(np.sum(probabilities, axis=1), 1, rtol=1e-5)
