"""Results of an image search: one thing in the middle of a busy page, with its name.

A class is an outline and a finish (striped mug, dotted star); stands in for ILSVRC.
"""

import functools

import numpy as np

from jaxseg.data.render import camera, shapes, textures

OUTLINES = ("ball", "mug", "star", "bottle")
FINISHES = ("plain", "striped", "dotted", "checked")
CLASSES = tuple(f"{finish}_{outline}" for outline in OUTLINES for finish in FINISHES)


def outline(name, u, v):
    """Signed distance in units of the thing's size; u to the right, v down."""
    if name == "ball":
        return shapes.disc(u, v, 0, 0, 0.42)
    if name == "star":
        return shapes.lobes(u, v, 0, 0, 0.36, 5, 0.3, -np.pi / 2)
    if name == "mug":
        handle = np.abs(shapes.disc(u, v, 0.32, 0, 0.18)) - 0.05
        return np.minimum(shapes.box(u, v, -0.05, 0, 0.32, 0.38, 0, 0.06), handle)
    neck = shapes.box(u, v, 0, -0.4, 0.09, 0.2, 0, 0.03)
    return np.minimum(shapes.box(u, v, 0, 0.15, 0.24, 0.38, 0, 0.12), neck)


def finish(name, rng, u, v):
    """Share of the second colour [S, S]."""
    pace = rng.uniform(5, 7)
    if name == "striped":
        return textures.waves(u if rng.random() < 0.5 else v, pace, rng.random(), 2)
    if name == "dotted":
        return textures.dots(u, v, pace, 0.3)
    if name == "checked":
        bars = textures.waves(u, pace / 2, 0, 4), textures.waves(v, pace / 2, 0, 4)
        return np.abs(bars[0] - bars[1])
    return np.zeros_like(u)


def page(canvas, rng) -> None:
    """A backdrop of clouds with scraps of other things."""
    first, second = textures.tint(rng, (0.0, 0.8)), textures.tint(rng, (0.0, 0.8))
    busy = textures.clouds(rng, canvas.size, rng.integers(2, 14), 3)
    canvas.image[:] = textures.mix(first, second, busy)
    for _ in range(6):
        x, y = rng.random(2)
        size = rng.uniform(0.04, 0.16, 2)
        scrap = shapes.box(canvas.x, canvas.y, x, y, *size, rng.uniform(0, np.pi))
        canvas.paint(scrap, textures.tint(rng, (0.0, 0.8), (0.2, 1.0)))


# Where the middle of a thing may be, and its size, in shares of the picture, so that a
# disc in the middle does not find it.
ASIDE = dict(places=(0.2, 0.8), sizes=(0.4, 0.65))


def draw(canvas, rng, masks=False, places=(0.4, 0.6), sizes=(0.5, 0.9)) -> int:
    """Paints one thing; returns its class."""
    label = int(rng.integers(len(CLASSES)))
    page(canvas, rng)
    place, size = rng.uniform(*places, 2), rng.uniform(*sizes)
    u, v = shapes.turn(canvas.x, canvas.y, *place, rng.uniform(-0.5, 0.5))
    u, v = u / np.float32(size), v / np.float32(size)
    first = textures.tint(rng, (0.1, 0.9), (0.2, 1.0))
    second = textures.tint(rng, (0.1, 0.9), (0.2, 1.0))
    if (
        abs(float(first.mean() - second.mean())) < 0.2
    ):  # otherwise the finish is invisible
        second = first * 0.4 if first.mean() > 0.4 else 1 - first * 0.5
    share = finish(FINISHES[label % len(FINISHES)], rng, u, v)
    light = textures.unit(1 - 0.5 * (u + v))
    colour = textures.times(textures.mix(first, second, share), light)
    body = outline(OUTLINES[label // len(FINISHES)], u, v)
    canvas.paint(body * size, colour, CLASSES[label] if masks else None)
    camera.light(canvas, textures.tint(rng, (0.0, 0.2), (0.8, 1.2)))
    canvas.image[:] = camera.blur(canvas.image, rng.uniform(0.002, 0.009))
    camera.grain(canvas, rng, rng.uniform(0.005, 0.03))
    return label


def masked(canvas, rng, **where) -> int:
    """The same pictures with a mask of the thing; class 0 is the page."""
    return 1 + draw(canvas, rng, masks=True, **where)


SCENES = {
    "": draw,
    "masks": masked,
    "aside": functools.partial(draw, **ASIDE),
    "aside_masks": functools.partial(masked, **ASIDE),
}
