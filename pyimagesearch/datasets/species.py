"""The 17 kinds of flowers that draw_flowers draws; to draw another, add an entry.

Colours are hexadecimal RGB, and a palette is a pair of them: a petal's base and tip.
"""

from typing import NamedTuple

OTHER = "other"  # as a whorl's colours: a second, random palette of the species


class Mark(NamedTuple):
    """A pattern on a petal."""

    pattern: str  # chequer, veins, base, tip or spots
    colour: str


class Whorl(NamedTuple):
    """Petals of one form around one point; lengths are in radii of the flower."""

    petals: int | list  # their number, evenly spaced; or their angles, 90 being up
    length: float
    width: float  # half the width
    outline: str  # a key of draw_flowers.OUTLINES
    colours: object = None  # a palette or OTHER; by default the flower's own palette
    mark: Mark | None = None
    bend: float = 0.0  # how far the tips curl sideways, in half widths


class Centre(NamedTuple):
    """The middle of a flower."""

    form: str  # disc, stamens or trumpet
    radius: float  # in radii of the flower
    dark: str
    bright: str


class Species(NamedTuple):
    """One kind of flower."""

    name: str  # the label
    palettes: list  # of the petals; repeat a palette to make it more common
    whorls: list  # from back to front
    centre: Centre | None = None
    habit: str = "single"  # how the stem carries it: see draw_flowers.plant
    most: int = 3  # plants per picture
    size: tuple = (0.22, 0.52)  # range of the flower's radius; the picture's side is 1
    tilt: tuple = (0, 60)  # range, in degrees, of its tilt away from the camera
    leaves: str | None = "blade"  # their outline
    grounds: tuple = ("grass", "leaves", "soil", "shade", "blur")


SPECIES = [
    Species(
        name="daffodil",
        palettes=[
            ("f2cf12", "ffee55"),
            ("f7e24a", "fff59a"),
            ("e9d98a", "fffbe6"),
            ("f4c800", "fbe030"),
        ],
        whorls=[Whorl(6, 1.0, 0.36, "pointed"), Whorl(3, 0.95, 0.38, "pointed")],
        centre=Centre("trumpet", 0.4, "e89a08", "f9b81c"),
        size=(0.24, 0.5),
        tilt=(15, 75),
    ),
    Species(
        name="snowdrop",
        palettes=[("cfd6c0", "ffffff"), ("d9ddd2", "f6f8ff")],
        whorls=[
            Whorl([232, 308], 1.0, 0.27, "drop"),
            Whorl(
                [270],
                0.66,
                0.25,
                "oval",
                colours=("dfe8d0", "ffffff"),
                mark=Mark("tip", "4e8a2c"),
            ),
            Whorl([252, 288], 1.0, 0.25, "drop"),
        ],
        habit="hanging",
        most=4,
        size=(0.24, 0.5),
        tilt=(0, 30),
        grounds=("soil", "leaves", "shade", "grass", "blur", "shade"),
    ),
    Species(
        name="lilyvalley",
        palettes=[("dfe6cf", "ffffff"), ("e6ead9", "fbfff4")],
        whorls=[Whorl([235, 305], 1.1, 0.24, "tube"), Whorl([270], 1.0, 0.62, "bell")],
        habit="spike",
        size=(0.085, 0.15),
        tilt=(0, 30),
        leaves="oval",
        grounds=("leaves", "shade", "leaves", "grass"),
    ),
    Species(
        name="bluebell",
        palettes=[
            ("5a55b8", "8f8fe6"),
            ("4a49a8", "7a80dd"),
            ("6d5cc0", "a59be8"),
            ("a87fb8", "d8b5e5"),
        ],
        whorls=[
            Whorl([240, 300], 1.05, 0.2, "tube", bend=0.7),
            Whorl([270], 1.0, 0.34, "tube"),
        ],
        habit="spike",
        size=(0.13, 0.22),
        tilt=(0, 40),
        grounds=("grass", "leaves", "shade", "blur"),
    ),
    Species(
        name="crocus",
        palettes=[
            ("7a44b0", "b48ae0"),
            ("5a2c98", "8a5ccc"),
            ("8458c0", "c9b0f0"),
            ("e9a90f", "f8cf3c"),
            ("d8cfe0", "ffffff"),
        ],
        whorls=[
            Whorl([55, 125], 0.98, 0.27, "goblet"),
            Whorl([72, 108], 1.0, 0.27, "goblet"),
            Whorl([80, 92, 101], 0.97, 0.07, "strap", colours=("e07808", "fca024")),
            Whorl([66, 114], 0.9, 0.27, "goblet", mark=Mark("veins", "4a2080")),
            Whorl([90], 0.76, 0.3, "goblet", mark=Mark("veins", "4a2080")),
        ],
        habit="cup",
        most=5,
        size=(0.32, 0.7),
        tilt=(0, 50),
        grounds=("soil", "grass", "leaves", "shade", "soil"),
    ),
    Species(
        name="iris",
        palettes=[
            ("4a3a9c", "8272d2"),
            ("6a52b8", "b6a2ec"),
            ("7a2a78", "b866b0"),
            ("e6c950", "fff0a0"),
            ("8a4a20", "c8843c"),
            ("cfcbe8", "f6f4ff"),
        ],
        whorls=[
            Whorl([55, 125], 0.85, 0.4, "fan", colours=OTHER, bend=0.5),
            Whorl([78, 102], 0.95, 0.36, "fan", colours=OTHER),
            Whorl([200, 340], 0.9, 0.26, "fan", mark=Mark("base", "e8b820"), bend=0.6),
            Whorl([238, 302], 0.95, 0.3, "fan", mark=Mark("veins", "301850")),
            Whorl([270], 1.05, 0.42, "fan", mark=Mark("base", "f0c020")),
        ],
        most=2,
        size=(0.32, 0.52),
        tilt=(0, 35),
        grounds=("grass", "leaves", "shade", "blur"),
    ),
    Species(
        name="tigerlily",
        palettes=[
            ("d8480c", "f47a1e"),
            ("e05a14", "ff8c30"),
            ("c63a10", "ee6a38"),
            ("e26a50", "f69a80"),
        ],
        whorls=[
            Whorl(3, 1.0, 0.2, "pointed", mark=Mark("spots", "4a1208"), bend=0.7),
            Whorl(
                [30, 150, 270],
                1.0,
                0.24,
                "pointed",
                mark=Mark("spots", "4a1208"),
                bend=-0.5,
            ),
        ],
        centre=Centre("stamens", 0.8, "d8782c", "6a2408"),
        most=4,
        size=(0.26, 0.52),
        tilt=(10, 60),
        grounds=("grass", "leaves", "shade", "blur"),
    ),
    Species(
        name="tulip",
        palettes=[
            ("e2a80c", "f8dc30"),
            ("e2a80c", "f8dc30"),
            ("c81e28", "ee4a3c"),
            ("e87aa0", "f8b6cc"),
            ("e8dcc0", "ffffff"),
            ("d8541c", "f6b030"),
        ],
        whorls=[
            Whorl([58, 122], 0.95, 0.36, "goblet"),
            Whorl([77, 103], 1.0, 0.38, "goblet"),
            Whorl([90], 0.9, 0.42, "goblet"),
        ],
        habit="cup",
        most=6,
        size=(0.28, 0.7),
    ),
    Species(
        name="fritillary",
        palettes=[
            ("7a2a5a", "a85a88"),
            ("8a3a64", "b87898"),
            ("6a2450", "94527c"),
            ("d8dcc0", "f4f6e4"),
        ],
        whorls=[
            Whorl([248, 292], 0.98, 0.32, "bell", mark=Mark("chequer", "3c1030")),
            Whorl([270], 1.0, 0.44, "bell", mark=Mark("chequer", "3c1030")),
        ],
        habit="hanging",
        size=(0.3, 0.6),
        tilt=(0, 35),
        grounds=("grass", "leaves", "shade", "blur"),
    ),
    Species(
        name="sunflower",
        palettes=[("e8960c", "fcc81c"), ("f0a808", "ffdc3a"), ("d87c10", "f4ac20")],
        whorls=[Whorl(19, 1.0, 0.13, "pointed"), Whorl(19, 0.9, 0.12, "pointed")],
        centre=Centre("disc", 0.48, "2c1808", "6a3a10"),
        most=2,
        size=(0.28, 0.6),
        tilt=(0, 50),
        leaves="oval",
        grounds=("sky", "leaves", "sky", "blur", "shade"),
    ),
    Species(
        name="daisy",
        palettes=[("d8d8dc", "ffffff"), ("e0d8dc", "fdf4f8"), ("c0ccd8", "eef4fc")],
        whorls=[Whorl(13, 1.0, 0.13, "strap"), Whorl(12, 0.95, 0.13, "strap")],
        centre=Centre("disc", 0.3, "d89408", "f4c81c"),
        grounds=("shade", "grass", "leaves", "blur"),
    ),
    Species(
        name="coltsfoot",
        palettes=[("e2b408", "fbe02c"), ("ecc40c", "fff04a"), ("d89c08", "f2c420")],
        whorls=[
            Whorl(34, 1.0, 0.045, "strap"),
            Whorl(34, 0.92, 0.045, "strap"),
            Whorl(30, 0.8, 0.045, "strap"),
        ],
        centre=Centre("disc", 0.3, "b87808", "f0c020"),
        most=4,
        leaves=None,
        grounds=("soil", "soil", "leaves", "blur", "grass"),
    ),
    Species(
        name="dandelion",
        palettes=[("e0a408", "fad820"), ("e8b40c", "ffe62c"), ("dc9808", "f6c41c")],
        whorls=[
            Whorl(26, 1.0, 0.07, "strap"),
            Whorl(24, 0.88, 0.07, "strap"),
            Whorl(22, 0.74, 0.07, "strap"),
            Whorl(18, 0.58, 0.07, "strap"),
            Whorl(14, 0.42, 0.07, "strap"),
            Whorl(9, 0.27, 0.06, "strap"),
        ],
        most=4,
        tilt=(0, 55),
        grounds=("grass", "grass", "leaves", "shade", "blur"),
    ),
    Species(
        name="cowslip",
        palettes=[("9ab060", "f4d828"), ("a8b86a", "f8e040"), ("8ea854", "eebc14")],
        whorls=[
            Whorl([245, 295], 1.0, 0.22, "tube"),
            Whorl([270], 1.0, 0.26, "tube"),
            Whorl([270], 0.68, 0.24, "oval", colours=("7a9a48", "c8d080")),
        ],
        habit="umbel",
        size=(0.13, 0.24),
        tilt=(0, 40),
        grounds=("grass", "leaves", "grass", "soil", "shade"),
    ),
    Species(
        name="buttercup",
        palettes=[("e0ac08", "fde428"), ("eab80c", "fff03c"), ("d89c08", "f8cc1c")],
        whorls=[Whorl(5, 1.0, 0.62, "fan")],
        centre=Centre("stamens", 0.42, "8c9818", "eedc40"),
        most=4,
    ),
    Species(
        name="windflower",
        palettes=[
            ("d4d8dc", "ffffff"),
            ("d8dce8", "f6f6ff"),
            ("d8c4dc", "f8ecf8"),
            ("bcd0c8", "eefaf2"),
        ],
        whorls=[Whorl(6, 1.0, 0.34, "oval"), Whorl([20, 140, 260], 0.95, 0.34, "oval")],
        centre=Centre("stamens", 0.36, "98a040", "f0d838"),
        size=(0.24, 0.52),
        grounds=("leaves", "shade", "soil", "leaves", "grass"),
    ),
    Species(
        name="pansy",
        palettes=[
            ("5a2a98", "8a5ad0"),
            ("e8b80c", "fce040"),
            ("d8d0e4", "ffffff"),
            ("8a1c50", "c04880"),
            ("4a48a8", "8c90e0"),
        ],
        whorls=[
            Whorl([60, 120], 0.95, 0.52, "round", colours=OTHER),
            Whorl([12, 168], 0.88, 0.46, "round", mark=Mark("base", "2a0c38")),
            Whorl([270], 0.95, 0.66, "round", mark=Mark("base", "2a0c38")),
        ],
        centre=Centre("disc", 0.13, "d8a010", "f8e050"),
        most=2,
        size=(0.28, 0.52),
        tilt=(0, 40),
        grounds=("leaves", "soil", "shade", "grass", "blur"),
    ),
]
