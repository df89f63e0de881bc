"""Single things at a size at which their parts are seen: a motorbike and cats."""

import itertools

import numpy as np

from jaxseg.data.render import figures, shapes, textures


def motorbike(canvas, rng, x, foot, length, way) -> None:
    """Two fat tyres, a fork with its lamp, tank, seat, engine and exhaust."""

    def at(along, up):
        return x + way * along * length, foot - up * length

    px, py = canvas.x, canvas.y
    paint, steel = textures.tint(rng, (0.3, 0.95), (0.3, 0.95)), (0.6, 0.6, 0.63)
    tall, dark = rng.uniform(0.5, 0.62), (0.08, 0.08, 0.09)
    low = rng.uniform(0.34, 0.4)  # of the seat

    def bar(start, end, thick):
        return shapes.segment(px, py, at(*start), at(*end), thick * length)

    canvas.shade(shapes.ellipse(px, py, x, foot, 0.5 * length, 0.05 * length), 0.5)
    hubs = (-0.33, 0.17), (0.35, 0.17)
    body = [at(-0.3, low), at(-0.2, 0.22), at(0.14, 0.22), at(0.22, 0.42)]
    parts = [(shapes.disc(px, py, *at(*hub), 0.17 * length), dark) for hub in hubs]
    parts += [
        (bar(hubs[0], (0.0, 0.2), 0.025), steel),
        (bar(hubs[1], (0.2, tall), 0.028), steel),
        (shapes.convex(px, py, body), paint * 0.55),
        (shapes.box(px, py, *at(0.0, 0.22), 0.15 * length, 0.1 * length), (0.3,) * 3),
        (bar((-0.36, 0.14), (0.02, 0.13), 0.028), (0.72, 0.72, 0.75)),
        (bar((-0.4, low + 0.05), (-0.02, low + 0.01), 0.045), dark),
        (shapes.ellipse(px, py, *at(0.09, low + 0.06), 0.15 * length, 0.075 * length),
         paint),
        (bar((-0.46, 0.33), (-0.28, 0.38), 0.025), paint),
        (bar((0.2, tall), (0.1, tall + 0.04), 0.02), dark),
        (shapes.disc(px, py, *at(0.24, tall - 0.07), 0.05 * length), (0.95, 0.93, 0.8)),
    ]  # fmt: skip
    figures.limbs(canvas, canvas.thing("motorbike"), "motorbike", 2.0, parts)
    for hub in hubs:
        rim = np.abs(shapes.disc(px, py, *at(*hub), 0.09 * length)) - 0.02 * length
        canvas.paint(rim, (0.55, 0.55, 0.58))


def sitting_cat(canvas, rng, x, foot, tall, coat) -> None:
    """A cat that faces the camera: pear-shaped, its tail around the feet."""

    def at(along, up):
        return x + along * tall, foot - up * tall

    px, py, way = canvas.x, canvas.y, rng.choice((-1, 1))
    other = coat * rng.uniform(0.45, 0.75)
    canvas.shade(shapes.ellipse(px, py, x, foot, 0.35 * tall, 0.06 * tall), 0.4)
    parts = [
        (shapes.segment(px, py, at(0.1 * way, 0.05), at(0.4 * way, 0.07), 0.05 * tall),
         other),
        (shapes.segment(px, py, at(0.4 * way, 0.07), at(0.45 * way, 0.24), 0.05 * tall),
         other),
        (shapes.ellipse(px, py, *at(0, 0.22), 0.28 * tall, 0.23 * tall), coat * 0.85),
        (shapes.ellipse(px, py, *at(0, 0.4), 0.18 * tall, 0.26 * tall), coat),
        *_ears(px, py, at, 0.0, 0.72, other),
        (shapes.ellipse(px, py, *at(0, 0.72), 0.2 * tall, 0.16 * tall), coat),
    ]  # fmt: skip
    for side in (-0.08, 0.08):
        leg = shapes.segment(px, py, at(side, 0.3), at(side, 0.04), 0.055 * tall)
        parts.append((leg, coat * 0.95))
    figures.limbs(canvas, canvas.thing("cat"), "cat", 2.0, parts)
    chest = shapes.ellipse(px, py, *at(0, 0.45), 0.09 * tall, 0.13 * tall)
    canvas.paint(chest, np.minimum(coat + 0.25, 1))
    _face(canvas, rng, at, 0.0, 0.72, tall)


def walking_cat(canvas, rng, x, foot, length, coat, faces) -> None:
    """A cat from the side, its tail up and its head turned to the camera."""

    def at(along, up):
        return x + faces * along * length, foot - up * length

    px, py = canvas.x, canvas.y
    other = coat * rng.uniform(0.45, 0.75)
    thing = figures.quadruped(
        canvas, rng, x, foot, length, "cat", 2.0, coat, faces, 0.58
    )
    head, curl = (0.5, 0.6), rng.uniform(-0.1, 0.1)
    tail = (-0.42, 0.42), (-0.56, 0.7), (-0.56 + curl, 0.92)
    parts = [
        (shapes.segment(px, py, at(*start), at(*end), 0.045 * length), other)
        for start, end in itertools.pairwise(tail)
    ]
    parts += _ears(px, py, at, *head, other)
    parts.append((shapes.disc(px, py, *at(*head), 0.17 * length), coat))
    figures.limbs(canvas, thing, "cat", 2.0, parts)
    _face(canvas, rng, at, *head, length)


def _ears(px, py, at, along, up, colour) -> list:
    """Two pointed ears as parts, on a head with its centre at (along, up)."""
    ears = []
    for side in (-1, 1):
        foot, tip = along + 0.17 * side, (along + 0.17 * side, up + 0.27)
        corners = [at(foot, up + 0.02), at(along + 0.02 * side, up + 0.12), at(*tip)]
        ears.append((shapes.convex(px, py, corners), colour))
    return ears


def _face(canvas, rng, at, along, up, size) -> None:
    """Green or yellow eyes and a nose, on the cat."""
    iris = textures.tint(rng, (0.5, 0.9), (0.6, 0.95), (0.12, 0.35))
    for side in (-0.08, 0.08):
        eye = shapes.disc(canvas.x, canvas.y, *at(along + side, up + 0.02), 0.04 * size)
        canvas.paint(eye, iris)
        canvas.paint(eye + 0.02 * size, (0.05, 0.05, 0.05))
    nose = shapes.disc(canvas.x, canvas.y, *at(along, up - 0.06), 0.028 * size)
    canvas.paint(nose, (0.75, 0.4, 0.4))
