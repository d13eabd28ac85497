"""MiniVGGNet, a small network in the manner of VGG.

`python -m pyimagesearch.minivggnet` prints its layers for the 17 flowers.
"""

from tensorflow.keras.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPooling2D,
)
from tensorflow.keras.models import Sequential


class MiniVGGNet:
    @staticmethod
    def build(width, height, depth, classes):
        """Return the network, not yet compiled.

        It takes float32 images of shape (n, height, width, depth), and gives
        float32 probabilities of shape (n, classes) that sum to 1 in each row.
        Stacked 3x3 convolutions before each pooling are the idea of VGG
        (Simonyan and Zisserman, 2014, arXiv:1409.1556).
        """
        return Sequential(
            [
                Input((height, width, depth)),
                # "same" padding keeps height x width; only the pooling halves it.
                Conv2D(32, (3, 3), padding="same"),
                Activation("relu"),
                BatchNormalization(),
                Conv2D(32, (3, 3), padding="same"),
                Activation("relu"),
                BatchNormalization(),
                MaxPooling2D((2, 2)),
                Dropout(0.25),
                # Half the height and width, so twice the filters.
                Conv2D(64, (3, 3), padding="same"),
                Activation("relu"),
                BatchNormalization(),
                Conv2D(64, (3, 3), padding="same"),
                Activation("relu"),
                BatchNormalization(),
                MaxPooling2D((2, 2)),
                Dropout(0.25),
                # For 64x64 images 16 * 16 * 64 = 16,384 numbers reach the dense
                # layer, and with them 99 in 100 of the network's weights.
                Flatten(),
                Dense(512),
                Activation("relu"),
                BatchNormalization(),
                Dropout(0.5),
                Dense(classes),
                Activation("softmax"),
            ]
        )


if __name__ == "__main__":
    MiniVGGNet.build(64, 64, 3, 17).summary()
