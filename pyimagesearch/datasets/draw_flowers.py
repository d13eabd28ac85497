"""Draw the two CSVs in the repository: 17 kinds of flowers, 80 pictures of each.

`python -m pyimagesearch.datasets.draw_flowers` draws them with numpy, from a seed;
`--sheet FILE` saves a picture of eight of each kind side by side. Every petal, stem,
leaf and blade of grass is one call of `shape`; species.py defines the kinds. The order
in which random numbers are drawn is part of the pictures: change it, and the same seed
gives other pictures.
"""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from pyimagesearch import options
from pyimagesearch.datasets.build_csv import add_output_options, write_csvs
from pyimagesearch.datasets.species import OTHER, SPECIES
from pyimagesearch.safe_files import replacing

SIDE = 128  # pixels; halved at the end, which smooths the edges
PICTURES_PER_SPECIES = 80
SHEET_ROWS = 8

# Half the width of a shape, at even steps from its base to its tip.
OUTLINES = {
    "strap": [0.6, 0.9, 1.0, 1.0, 0.95, 0.8, 0.15],
    "oval": [0.25, 0.6, 0.85, 1.0, 0.95, 0.7, 0.0],
    "round": [0.2, 0.6, 0.9, 1.0, 1.0, 0.9, 0.6, 0.0],
    "pointed": [0.3, 0.75, 1.0, 0.9, 0.65, 0.35, 0.0],
    "drop": [0.12, 0.35, 0.6, 0.85, 1.0, 0.9, 0.5, 0.0],
    "fan": [0.15, 0.45, 0.75, 0.95, 1.0, 0.95, 0.75, 0.3],
    "bell": [0.35, 0.8, 0.95, 1.0, 0.95, 0.85, 0.95, 0.75],
    "tube": [0.4, 0.5, 0.5, 0.5, 0.55, 0.9, 1.0, 0.6],
    "goblet": [0.35, 0.85, 1.0, 1.0, 0.9, 0.7, 0.4, 0.0],
    "disc": [0.0, 0.66, 0.87, 0.97, 1.0, 0.97, 0.87, 0.66, 0.0],
    "blade": [1.0, 1.0, 0.9, 0.75, 0.5, 0.0],
    "stem": [1.0, 0.9],
}


class Ground(NamedTuple):
    """What a flower stands on, or in front of."""

    tones: list  # from dark to light
    pieces: tuple  # range of the number of scattered pieces, end excluded


GROUNDS = {
    "grass": Ground(["2c4a14", "4a7424", "6c9434", "8aa850"], (25, 70)),
    "leaves": Ground(["16300e", "2e5a1c", "4a7c2e", "7aa04c"], (8, 26)),
    "soil": Ground(["2c2018", "5a4430", "8a7258", "a89880"], (6, 40)),
    "shade": Ground(["060a06", "10180e", "1c2a16", "2c3a20"], (3, 20)),
    "sky": Ground(["5a8cc8", "86aede", "b8d0ec", "e8eef4"], (0, 3)),
    "blur": Ground(["24401c", "5c7c4c", "94a084", "b0a890"], (0, 12)),
}


def rgb(colour):
    """Return a colour such as "f8e050" as an array of red, green, blue from 0 to 1."""
    return np.array([int(colour[k : k + 2], 16) for k in (0, 2, 4)]) / 255


def direction(degrees):
    """Return the unit vector at an angle: 0 is right, 90 up; y points down."""
    angle = np.radians(degrees)
    return np.array([np.cos(angle), -np.sin(angle)])


def shape(
    picture, origin, along, across, outline, base, tip, shade=0.25, bend=0.0, mark=None
):
    """Paint one shape into `picture`, an array of shape (SIDE, SIDE, 3), 0 to 1.

    It runs from `origin` along the vector `along` to its tip, and reaches `across` to
    either side where its outline is 1, all in pixels. Its colour goes from `base` to
    `tip`, and darkens by `shade` towards the sides. `mark` takes positions in the
    shape, t from base to tip and s from side to side, and returns how strongly to
    mark them, and in which colour.
    """
    reach = np.abs(across) * (1 + abs(bend)) + 1
    ends = np.array([origin, origin + along])
    left, top = np.maximum(np.floor(ends.min(0) - reach), 0).astype(int)
    right, bottom = np.minimum(np.ceil(ends.max(0) + reach), SIDE).astype(int)
    area = along[0] * across[1] - along[1] * across[0]
    if left >= right or top >= bottom or abs(area) < 1e-6:
        return
    x = np.arange(left, right) + 0.5 - origin[0]
    y = np.arange(top, bottom)[:, None] + 0.5 - origin[1]
    t = (x * across[1] - y * across[0]) / area
    s = (y * along[0] - x * along[1]) / area - bend * t * t
    half = np.interp(t, np.linspace(0, 1, len(outline)), outline, left=-1, right=-1)
    # The distance to the outline in pixels makes the edge one pixel soft.
    cover = np.clip((half - np.abs(s)) * abs(area) / np.hypot(*along) + 0.5, 0, 1)
    colour = base + (tip - base) * np.clip(t, 0, 1)[..., None]
    if mark:
        amount, ink = mark(t, s)
        colour = colour + (ink - colour) * amount[..., None]
    sideways = np.clip(np.abs(s) / np.maximum(half, 0.05), 0, 1)
    colour = colour * (1 - shade * sideways**2)[..., None]
    window = picture[top:bottom, left:right]
    window += (colour - window) * cover[..., None]


def stroke(picture, start, end, width, colour, bend=0.0, outline="stem"):
    """Paint a stem, a leaf or a blade of grass from one point to another."""
    along = np.subtract(end, start)
    across = along[::-1] * [1, -1] / np.hypot(*along) * width
    colours = colour * 0.85, colour * 1.1
    shape(picture, start, along, across, OUTLINES[outline], *colours, bend=bend)


def disc(picture, middle, plane, radius, base, tip):
    """Paint a round spot that lies in the plane of a flower."""
    across, along = plane @ [radius, 0], plane @ [0, radius]
    shape(picture, middle - along, 2 * along, across, OUTLINES["disc"], base, tip)


def marking(mark, rng):
    """Return the `mark` function that `shape` takes for a whorl's Mark, if any."""
    if mark is None:
        return None
    spots = rng.uniform([0.1, -0.8], [0.75, 0.8], (14, 2))
    amount = {
        "chequer": lambda t, s: 0.65 * (np.sin(22 * t) * np.sin(8 * s + 0.8) > 0),
        "veins": lambda t, s: 0.45 * np.cos(7 * s) ** 6 * (t < 0.8),
        "base": lambda t, s: np.clip(2.2 - 5 * t - 2 * np.abs(s), 0, 1),
        "tip": lambda t, s: 0.9 * np.exp(-(((t - 0.8) / 0.12) ** 2) - (s / 0.5) ** 2),
        "spots": lambda t, s: np.clip(
            sum(
                np.exp(-(((t - a) / 0.035) ** 2) - ((s - b) / 0.16) ** 2)
                for a, b in spots
            ),
            0,
            0.9,
        ),
    }[mark.pattern]
    return lambda t, s: (amount(t, s), rgb(mark.colour))


def noise(rng, cells):
    """Return smooth noise from 0 to 1, shape (SIDE, SIDE), with `cells` bumps per side."""
    grid = rng.random((cells + 2, cells + 2))
    place = np.arange(SIDE) * cells / SIDE
    cell, part = place.astype(int), place % 1
    part = part * part * (3 - 2 * part)
    rows = grid[cell] + (grid[cell + 1] - grid[cell]) * part[:, None]
    return rows[:, cell] + (rows[:, cell + 1] - rows[:, cell]) * part


def blur(picture, passes):
    """Blur the picture: each pass averages every pixel with its neighbours."""
    for _ in range(passes):
        padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
        rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        picture = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
    return picture


def background(rng, name):
    """Return a picture of one of GROUNDS, more or less out of focus."""
    ground = GROUNDS[name]
    tones = np.array([rgb(tone) for tone in ground.tones]) * rng.uniform(0.85, 1.15, 3)
    waves = rng.integers([2, 5, 14], [5, 12, 40])
    level = sum(noise(rng, cells) / k for k, cells in enumerate(waves, 1))
    level = (level - level.min()) / np.ptp(level)
    steps = np.linspace(0, 1, len(tones))
    picture = np.stack([np.interp(level, steps, tone) for tone in tones.T], axis=-1)
    for _ in range(rng.integers(*ground.pieces)):
        place = rng.uniform(-0.1, 1.1, 2) * SIDE
        tone = rng.choice(tones) * rng.uniform(0.7, 1.25)
        if name == "grass" or rng.random() < 0.25:
            step = direction(rng.normal(90, 28)) * rng.uniform(25, 90)
            width, outline = rng.uniform(0.6, 3), "blade"
        else:
            step = direction(rng.uniform(0, 360)) * rng.uniform(10, 60)
            width, outline = rng.uniform(3, 13), "pointed"
        stroke(picture, place, place + step, width, tone, rng.normal(0, 2), outline)
    # Flowers of any kind in the background are mere spots of colour.
    for _ in range(rng.integers(1, 4) if rng.random() < 0.25 else 0):
        palettes = SPECIES[rng.integers(len(SPECIES))].palettes
        base, tip = (rgb(colour) for colour in rng.choice(palettes))
        plane = np.eye(2) * rng.uniform(3, 12) * [1, rng.uniform(0.4, 1)]
        disc(picture, rng.uniform(0, SIDE, 2), plane, 1, base * 0.9, tip * 0.9)
    return blur(picture, rng.integers(0, 14))


def flower(picture, rng, species, middle, radius, turn=0.0):
    """Paint one flower, whorl by whorl, tilted and spun at random.

    `turn` is its lean in degrees; evenly spaced petals ignore it and spin at random.
    """
    tilt, lean = np.radians(rng.uniform(*species.tilt)), rng.uniform(0, 360)
    away, level = direction(lean), direction(lean + 90)
    # From the flower's own plane to pixels: tilting shortens it one way.
    plane = radius * (np.outer(away, away) * np.cos(tilt) + np.outer(level, level))
    light = rng.uniform(0.85, 1.1) * rng.uniform(0.94, 1.06, 3)
    own, other = rng.choice(species.palettes, 2)
    for whorl in species.whorls:
        if isinstance(whorl.petals, int):
            angles, spin = (
                np.arange(whorl.petals) * 360 / whorl.petals,
                rng.uniform(0, 360),
            )
        else:
            angles, spin = whorl.petals, turn
        palette = other if whorl.colours == OTHER else whorl.colours or own
        base, tip = (rgb(colour) * light for colour in palette)
        mark = marking(whorl.mark, rng)
        for angle in rng.permutation(angles):
            angle = angle + spin + rng.normal(0, 4)
            along = plane @ direction(angle) * whorl.length * rng.uniform(0.85, 1.08)
            across = (
                plane @ direction(angle + 90) * whorl.width * rng.uniform(0.85, 1.1)
            )
            glow = 1 + 0.14 * np.cos(np.radians(angle - 60)) + rng.normal(0, 0.06)
            shape(
                picture,
                middle,
                along,
                across,
                OUTLINES[whorl.outline],
                base * glow,
                tip * glow,
                shade=0.35,
                bend=whorl.bend * rng.uniform(0.3, 1.2),
                mark=mark,
            )
    if species.centre:
        towards = away * np.sin(tilt) * radius
        paint_centre(picture, rng, species.centre, middle, plane, towards, light)


def paint_centre(picture, rng, centre, middle, plane, towards, light):
    """Paint a flower's Centre; `towards` is the offset that its tilt gives."""
    size = centre.radius * rng.uniform(0.85, 1.15)
    dark, bright = rgb(centre.dark) * light, rgb(centre.bright) * light
    if centre.form == "disc":
        disc(picture, middle, plane, size, dark, bright)
        # Florets sit in the spiral of the golden angle (Vogel, 1979).
        for k in range(40):
            place = middle + plane @ direction(k * 137.5) * size * np.sqrt(k / 40)
            tone = (dark, bright)[k % 2]
            disc(picture, place, plane, size * 0.09, tone, tone)
    elif centre.form == "stamens":
        for angle in rng.uniform(0, 360, 14):
            step = plane @ direction(angle) * size * rng.uniform(0.4, 1) + towards * 0.2
            stroke(picture, middle, middle + step, 0.8, dark)
            disc(picture, middle + step, plane, 0.07, bright, bright)
    elif centre.form == "trumpet":
        # Rings, one in front of another, with the dark throat in the last.
        for step in np.linspace(0, 0.8, 7):
            tone = dark + (bright - dark) * step
            width = size * (0.8 + 0.4 * step**2)
            disc(picture, middle + towards * step, plane, width, tone, tone * 0.9)
        mouth = middle + towards * 0.8
        disc(picture, mouth, plane, size * 0.78, dark * 0.6, dark * 0.95)


def plant(picture, rng, species, place, radius):
    """Paint leaves, a stem from below the picture to `place`, and the flower on it.

    A cup stands on the stem, hanging flowers nod, an umbel is several flowers from one
    point, a spike is a row along the stem.
    """
    green = (
        np.array([0.24, 0.42, 0.14]) * rng.uniform(0.6, 1.5) * rng.uniform(0.9, 1.1, 3)
    )
    foot = np.array([place[0] + rng.normal(0, 18), SIDE + 10])
    thick = np.clip(radius * 0.09, 0.9, 3)
    for _ in range(rng.integers(0, 4) if species.leaves else 0):
        step = direction(rng.normal(90, 35)) * rng.uniform(40, 120)
        width = rng.uniform(1.5, 4) if species.leaves == "blade" else rng.uniform(8, 18)
        tone = green * rng.uniform(0.8, 1.2)
        stroke(picture, foot, foot + step, width, tone, rng.normal(), species.leaves)
    turn, bend = rng.normal(0, 15), rng.normal(0, 4)
    if species.habit == "single":
        stroke(picture, foot, place, thick, green, bend)
        flower(picture, rng, species, place, radius, turn)
    elif species.habit == "cup":
        bottom = place + [0, 0.5 * radius]
        stroke(picture, foot, bottom, thick, green, bend)
        flower(picture, rng, species, bottom, radius, turn)
    elif species.habit == "hanging":
        top = place - [0, 0.5 * radius]
        knee = top - [rng.normal(0, 0.3) * radius, 0.35 * radius]
        stroke(picture, foot, knee, thick, green, bend)
        stroke(picture, knee, top, thick * 0.7, green)
        flower(picture, rng, species, top, radius, turn)
    elif species.habit == "umbel":
        stroke(picture, foot, place, thick, green, bend)
        for lean in rng.normal(0, 55, rng.integers(4, 11)):
            top = place + direction(270 + lean) * radius * rng.uniform(0.2, 0.7)
            stroke(picture, place, top, 0.8, green * 1.2)
            flower(picture, rng, species, top, radius, lean)
    elif species.habit == "spike":
        flowers = rng.integers(5, 10)
        step = direction(90 + turn * 1.4) * radius * 1.15
        side = rng.choice([-1, 1])
        stroke(picture, foot, place + step * flowers / 2, thick, green)
        for k in range(flowers):
            lean = side * rng.uniform(10, 60) * (1 if rng.random() < 0.7 else -1)
            knot = place + step * (k - flowers / 2)
            top = knot + direction(270 + lean) * radius * 0.5
            stroke(picture, knot, top, 0.7, green * 1.2)
            # The flowers at the tip are the last to open.
            size = radius * rng.uniform(0.8, 1.1) * (1 - 0.4 * k / flowers)
            flower(picture, rng, species, top, size, lean * 0.5)


def photograph(picture, rng):
    """Return the picture as a camera would: light, contrast, focus, grain.

    The result is uint8, shape (64, 64, 3).
    """
    across, down = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE))
    x, y = direction(rng.uniform(0, 360)) * rng.uniform(0, 0.4)
    picture = picture * (1 + x * across + y * down)[..., None]
    picture = np.clip(picture * rng.uniform(0.92, 1.08, 3), 0, None)
    picture = picture ** rng.uniform(0.75, 1.3) * rng.uniform(0.75, 1.2)
    picture = blur(picture, rng.integers(0, 6))
    picture = picture.reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean(axis=(1, 3))
    picture = picture + rng.normal(0, rng.uniform(0, 0.025), picture.shape)
    return np.round(np.clip(picture, 0, 1) * 255).astype("uint8")


def draw(species, rng):
    """Return one picture of a species, uint8, shape (64, 64, 3), 0 to 255."""
    picture = background(rng, rng.choice(species.grounds))
    plants = 1 + int(species.most * rng.random() ** 2)
    radius = rng.uniform(*species.size) * SIDE / plants**0.4
    places = rng.uniform(0.15, 0.85, (plants, 2)) * SIDE
    if plants == 1:
        places = rng.normal(0.5, 0.1, (1, 2)) * SIDE
    # Flowers lower in the picture are nearer, so paint them last.
    for place in sorted(places, key=lambda place: place[1]):
        plant(picture, rng, species, place, radius * rng.uniform(0.8, 1.2))
    # Now and then some grass is in the way.
    for _ in range(rng.integers(1, 7) if rng.random() < 0.35 else 0):
        foot = np.array([rng.uniform(0, SIDE), SIDE])
        step = direction(rng.normal(90, 25)) * rng.uniform(30, 120)
        tone = np.array([0.3, 0.45, 0.15]) * rng.uniform(0.6, 1.5)
        width, bend = rng.uniform(0.6, 3), rng.normal(0, 3)
        stroke(picture, foot, foot + step, width, tone, bend, "blade")
    return photograph(picture, rng)


def draw_one(seed, species, number):
    """Return picture `number` of a species, the same unless SPECIES changes."""
    rng = np.random.default_rng([seed, SPECIES.index(species), number])
    return draw(species, rng)


def save_sheet(seed, path):
    """Save a contact sheet: a column per species, its first pictures below its name.

    The columns stand in two rows, so that the names can be read on a small screen.
    """
    pictures = [
        [draw_one(seed, kind, k) for k in range(SHEET_ROWS)] for kind in SPECIES
    ]
    edges = ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0))
    pictures = np.pad(pictures, edges, constant_values=255)
    figure = Figure(figsize=(9, 17), layout="constrained")
    half = (len(SPECIES) + 1) // 2
    for axes, first in zip(figure.subplots(2), (0, half)):
        # From (species, row, y, x, channel) to one large image, a column per species.
        columns = np.concatenate(pictures[first : first + half], axis=2)
        axes.imshow(np.concatenate(columns, axis=0))
        names = [species.name for species in SPECIES[first : first + half]]
        axes.set_xticks(66 * np.arange(len(names)) + 33, names, fontsize=12)
        axes.set(xlim=(0, 66 * half), yticks=[])
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    with replacing(path) as part:
        figure.savefig(part)


@options.one_line_errors
def main():
    parser = options.OneLineParser(description="Draw the two CSVs in the repository.")
    add_output_options(parser)
    parser.add_argument(
        "--sheet", metavar="FILE", type=options.picture_file, help="a contact sheet"
    )
    args = parser.parse_args()
    if args.sheet:
        save_sheet(args.seed, args.sheet)
    numbers = range(PICTURES_PER_SPECIES)
    pairs = [((args.seed, kind, k), kind.name) for kind in SPECIES for k in numbers]
    write_csvs(pairs, lambda key: draw_one(*key), args.output, seed=args.seed)


if __name__ == "__main__":
    main()
