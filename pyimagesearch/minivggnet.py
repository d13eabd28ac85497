"""MiniVGGNet, a small VGG-style network."""

from tensorflow.keras import Input, Sequential, layers


class MiniVGGNet:
    @staticmethod
    def build(width, height, depth, classes):
        """Return the network, not yet compiled.

        It maps float32 images of shape (n, height, width, depth) to float32
        probabilities of shape (n, classes), each row of which sums to 1. Stacking 3x3
        convolutions before each pooling is the idea of VGG (Simonyan and Zisserman,
        2014, arXiv:1409.1556).
        """
        return Sequential(
            [
                Input((height, width, depth)),
                # "same" padding keeps height x width; only the pooling halves it.
                layers.Conv2D(32, (3, 3), padding="same"),
                layers.Activation("relu"),
                layers.BatchNormalization(),
                layers.Conv2D(32, (3, 3), padding="same"),
                layers.Activation("relu"),
                layers.BatchNormalization(),
                layers.MaxPooling2D((2, 2)),
                layers.Dropout(0.25),
                # Half the height and width, so twice the filters.
                layers.Conv2D(64, (3, 3), padding="same"),
                layers.Activation("relu"),
                layers.BatchNormalization(),
                layers.Conv2D(64, (3, 3), padding="same"),
                layers.Activation("relu"),
                layers.BatchNormalization(),
                layers.MaxPooling2D((2, 2)),
                layers.Dropout(0.25),
                # For 64x64 images 16 * 16 * 64 = 16,384 numbers reach the dense
                # layer, which holds 99% of the network's weights.
                layers.Flatten(),
                layers.Dense(512),
                layers.Activation("relu"),
                layers.BatchNormalization(),
                layers.Dropout(0.5),
                layers.Dense(classes),
                layers.Activation("softmax"),
            ]
        )
