"""The network is the tutorial's, layer by layer."""

from pyimagesearch.minivggnet import MiniVGGNet

BLOCK = ["Conv2D", "Activation", "BatchNormalization"] * 2 + ["MaxPooling2D", "Dropout"]
HEAD = ["Flatten", "Dense", "Activation", "BatchNormalization", "Dropout"]


def test_its_layers():
    model = MiniVGGNet.build(64, 64, 3, 17)

    def values(name):
        return [getattr(layer, name) for layer in model.layers if hasattr(layer, name)]

    layers = [type(layer).__name__ for layer in model.layers]
    assert layers == BLOCK * 2 + HEAD + ["Dense", "Activation"]
    activations = [function.__name__ for function in values("activation")]
    assert activations.count("relu") == 5 and activations[-1] == "softmax"
    assert values("filters") == [32, 32, 64, 64]
    assert values("rate") == [0.25, 0.25, 0.5]
    assert values("units") == [512, 17]
    assert model.count_params() == 8_466_225
