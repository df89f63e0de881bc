"""Rendered solids without texture or noise, in any saturated colour.

Classes differ by the shading of a solid (even facets, a ramp across, a glow to one
side) and by sharp outlines; the lamp is at the upper left, colours are random.
"""

import numpy as np

from jaxseg.data.render import canvas as canvases
from jaxseg.data.render import figures, shapes, textures


def vivid(rng):
    return textures.tint(rng, (0.35, 0.95), (0.55, 0.95))


def stage(canvas, rng, upper, lower):
    """Paints an even backdrop and floor; returns the row where they meet."""
    edge = rng.uniform(0.4, 0.55)
    canvas.paint(canvas.y - 2, vivid(rng), upper, depth=canvases.FAR)
    z = np.minimum(1.2 / np.maximum(canvas.y - edge, 0.012), canvases.FAR)
    canvas.paint(edge - canvas.y, vivid(rng), lower, depth=z)
    return edge


def ball(canvas, paint, x, y, radius):
    """A sphere: (distance, colour) with a glow at the upper left."""
    away = shapes.disc(canvas.x, canvas.y, x - 0.35 * radius, y - 0.35 * radius, 0)
    light = textures.unit(1.1 - 0.75 * away / (radius * 1.4))
    return shapes.disc(canvas.x, canvas.y, x, y, radius), textures.times(paint, light)


def pipe(canvas, paint, x, foot, half, tall):
    """An upright cylinder: bright on the left, dark on the right."""
    across = (canvas.x - x) / half
    light = textures.unit(0.75 - 0.45 * across)
    body = shapes.box(canvas.x, canvas.y, x, foot - tall / 2, half, tall / 2)
    return body, textures.times(paint, light)


def cone(canvas, paint, x, foot, half, tall):
    """A cone: a triangle whose light changes around the axis."""
    width = np.maximum((canvas.y - foot + tall) / tall, 0.05) * half
    light = textures.unit(0.75 - 0.45 * (canvas.x - x) / width)
    corners = [(x - half, foot), (x + half, foot), (x, foot - tall)]
    return shapes.convex(canvas.x, canvas.y, corners), textures.times(paint, light)


def crate(canvas, paint, x, foot, half, tall, slant=0.4):
    """A block: a front, a darker right side, a lighter top: [(distance, colour)]."""
    px, py, d = canvas.x, canvas.y, half * slant
    left, right, top = x - half, x + half - d, foot - tall
    side = [(right, foot), (right + d, foot - d), (right + d, top - d), (right, top)]
    lid = [(left, top), (left + d, top - d), (right + d, top - d), (right, top)]
    front = [(left, foot), (right, foot), (right, top), (left, top)]
    return [
        (shapes.convex(px, py, front), paint * 0.8),
        (shapes.convex(px, py, side), paint * 0.45),
        (shapes.convex(px, py, lid), paint * 1.0),
    ]


def put(canvas, label, depth, parts) -> None:
    figures.limbs(canvas, canvas.thing(label), label, depth, parts)


def house(canvas, rng, x, foot, size, depth) -> None:
    """A crate with a roof."""
    paint, roof = vivid(rng), vivid(rng)
    half, tall = size * rng.uniform(0.4, 0.55), size * rng.uniform(0.5, 0.8)
    parts = crate(canvas, paint, x, foot, half, tall)
    d, top = half * 0.4, foot - tall
    left, right = x - half, x + half - d
    gable = [(left, top), (right, top), ((left + right) / 2, top - half * 0.8)]
    ridge = ((left + right) / 2, top - half * 0.8)
    slope = [ridge, (ridge[0] + d, ridge[1] - d), (right + d, top - d), (right, top)]
    parts += [(shapes.convex(canvas.x, canvas.y, slope), roof * 0.5),
              (shapes.convex(canvas.x, canvas.y, gable), roof * 0.85)]  # fmt: skip
    put(canvas, "house", depth, parts)


def tree(canvas, rng, x, foot, size, depth) -> None:
    """A ball or a cone on a pipe."""
    trunk = pipe(canvas, vivid(rng) * 0.7, x, foot, size * 0.07, size * 0.5)
    paint = vivid(rng)
    if rng.random() < 0.5:
        crown = ball(canvas, paint, x, foot - size * 0.7, size * 0.34)
    else:
        crown = cone(canvas, paint, x, foot - size * 0.3, size * 0.3, size * 0.75)
    put(canvas, "tree", depth, [trunk, crown])


def car(canvas, rng, x, foot, size, depth) -> None:
    """A toy car from the side: two boxes on two balls."""
    paint, half = vivid(rng), size * 0.42
    px, py = canvas.x, canvas.y
    body = shapes.box(px, py, x, foot - size * 0.2, half, size * 0.12, 0, size * 0.05)
    roof = foot - size * 0.4
    cabin = shapes.box(px, py, x, roof, half * 0.55, size * 0.12, 0, size * 0.05)
    parts = [(cabin, paint * 0.6), (body, paint * 0.9)]
    for dx in (-0.55, 0.55):
        wheel = ball(canvas, vivid(rng) * 0.5, x + dx * half, foot - size * 0.08,
                     size * 0.1)  # fmt: skip
        parts.append(wheel)
    put(canvas, "car", depth, parts)


def dummy(label):
    """A jointed wooden doll, in one colour."""

    def draw(canvas, rng, x, foot, size, depth):
        paint = vivid(rng)
        colours = paint, paint * 0.85, paint * 0.6
        figures.person(canvas, rng, x, foot, size * 1.1, label, depth, colours)

    return draw


def solid(label, kind):
    """One solid on a low plinth."""

    def draw(canvas, rng, x, foot, size, depth):
        plinth = shapes.box(canvas.x, canvas.y, x, foot, size * 0.4, size * 0.05)
        canvas.paint(plinth, vivid(rng) * 0.6)
        foot, paint, half = (
            foot - size * 0.04,
            vivid(rng),
            size * rng.uniform(0.28, 0.4),
        )
        if kind == "ball":
            parts = [ball(canvas, paint, x, foot - half, half)]
        elif kind == "cone":
            parts = [cone(canvas, paint, x, foot, half, size * rng.uniform(0.7, 1.0))]
        else:
            parts = crate(canvas, paint, x, foot, half, size * rng.uniform(0.4, 0.8))
        put(canvas, label, depth, parts)

    return draw


def arrange(canvas, rng, edge, kinds, count) -> None:
    """Places things on the floor, the farthest first, smaller and higher up."""
    for foot in np.sort(rng.uniform(edge + 0.06, 0.98, count)):
        size = (0.2 + 0.6 * (foot - edge)) * rng.uniform(0.85, 1.25)
        x = rng.uniform(0.08, 0.92)
        spot = canvas.window(x - 1.2 * size, foot - 1.6 * size, x + 1.2 * size,
                             foot + 0.1 * size)  # fmt: skip
        shadow = shapes.ellipse(spot.x, spot.y, x + 0.2 * size, foot, size * 0.5,
                                size * 0.08)  # fmt: skip
        spot.shade(shadow, 0.35, 1 / canvas.size)
        draw = kinds[rng.integers(len(kinds))]
        draw(spot, rng, x, foot, size, 1.2 / (foot - edge))


def street(canvas, rng) -> None:
    """A toy town: houses, trees, cars and dolls."""
    edge = stage(canvas, rng, "backdrop", "backdrop")
    kinds = house, tree, car, dummy("doll"), _lantern
    arrange(canvas, rng, edge, kinds, rng.integers(4, 8))


def _lantern(canvas, rng, x, foot, size, depth) -> None:
    pole = pipe(canvas, vivid(rng), x, foot, size * 0.09, size * 1.0)
    lamp = crate(canvas, vivid(rng), x, foot - size, size * 0.2, size * 0.2)
    put(canvas, "lantern", depth, [pole, *lamp])


def gallery(canvas, rng) -> None:
    """A showroom: balls, cones, cubes, columns and a mannequin."""
    edge = stage(canvas, rng, "room", "room")
    kinds = (solid("ball", "ball"), solid("cone", "cone"), solid("cube", "cube"),
             dummy("mannequin"), _column)  # fmt: skip
    arrange(canvas, rng, edge, kinds, rng.integers(4, 8))


def _column(canvas, rng, x, foot, size, depth) -> None:
    half, tall, paint = size * 0.2, size * rng.uniform(0.9, 1.2), vivid(rng)
    parts = [pipe(canvas, paint, x, foot, half, tall)]
    parts += [
        pipe(canvas, paint, x, y, half * 1.3, size * 0.08) for y in (foot, foot - tall)
    ]
    put(canvas, "column", depth, parts)


SCENES = {"street": street, "gallery": gallery}
