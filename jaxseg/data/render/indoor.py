"""Rooms: a back wall, a floor and side walls, with furniture on the floor.

Classes differ by the fronts of furniture (cloth, spines of books, drawers, doors,
wickerwork) under lamplight that fades to the corners; sizes and hues are alike.
"""

import dataclasses

import numpy as np

from jaxseg.data.render import camera, figures, shapes, textures


@dataclasses.dataclass(frozen=True)
class Room:
    """A cuboid seen from its open side; metres, focal length in picture heights."""

    back: float  # distance of the back wall
    half: float  # half the width
    horizon: float
    focal: float = 0.85
    eye: float = 1.4
    ceiling: float = 2.6

    def row(self, z, up=0.0):
        return self.horizon + self.focal * (self.eye - up) / z

    def scale(self, z):
        return self.focal / z


def room(canvas, rng, wall, floor) -> Room:
    """Paints the empty room: papered walls, planks or carpet, a window or pictures."""
    shape = Room(rng.uniform(3.2, 4.6), rng.uniform(1.8, 2.6), rng.uniform(0.36, 0.46))
    dx, dy = canvas.x - 0.5, canvas.y - np.float32(shape.horizon)
    far = 1e-3
    to_floor = shape.focal * shape.eye / np.maximum(dy, far)
    to_top = shape.focal * (shape.ceiling - shape.eye) / np.maximum(-dy, far)
    to_side = shape.focal * shape.half / np.maximum(np.abs(dx), far)
    z = np.minimum(np.minimum(to_floor, to_top), np.minimum(to_side, shape.back))
    aside = dx * z / shape.focal
    paper = textures.tint(rng, (0.05, 0.5), (0.5, 0.9))
    along = np.where(to_side <= z, z, aside)
    stripes = textures.waves(along, rng.uniform(1.5, 3), rng.random())
    light = np.where(to_side <= z, 0.8, 1.0) - rng.uniform(0, 0.12) * stripes
    colour = textures.times(paper, light)
    colour = np.where(to_top <= z, np.float32(0.9), colour)
    canvas.paint(canvas.y - 2, colour, wall, depth=z)
    wood = textures.tint(rng, (0.15, 0.6), (0.35, 0.75))
    planks = textures.waves(aside, rng.uniform(1.5, 3), 0.2, 2)
    colour = textures.times(wood, 0.8 + 0.25 * planks)
    canvas.paint((to_floor - z) * 1e3 - 1e-3, colour, floor, depth=z)
    _openings(canvas, rng, shape)
    return shape


def _openings(canvas, rng, room) -> None:
    """A window and a picture on the back wall: part of the wall."""
    metre = room.scale(room.back)
    for glass in (True, False):
        x, y = 0.5 + rng.uniform(-1.4, 1.4) * metre, room.row(room.back, 1.7)
        half = rng.uniform(0.3, 0.55) * metre
        canvas.paint(
            shapes.box(canvas.x, canvas.y, x, y, half * 1.15, half), (0.95,) * 3
        )
        inner = textures.tint(rng, (0.1, 0.4) if glass else (0.3, 0.9), (0.6, 1.0))
        pane = shapes.box(canvas.x, canvas.y, x, y, half * 0.95, half * 0.82)
        canvas.paint(pane, inner)
        if glass:
            cross = np.minimum(np.abs(canvas.x - x), np.abs(canvas.y - y)) - half * 0.06
            canvas.paint(np.maximum(cross, pane), (0.95,) * 3)


class Place:
    """The place of a piece: a window of the canvas in metres from its foot."""

    def __init__(self, canvas, room, x, z, half, tall):
        self.metre, self.z = room.scale(z), z
        self.x, self.base = x, room.row(z)
        reach = half * self.metre
        top = self.base - tall * self.metre
        spot = canvas.window(x - reach, top, x + reach, self.base + 0.15 * self.metre)
        shadow = shapes.ellipse(spot.x, spot.y, x, self.base, reach, 0.12 * self.metre)
        spot.shade(shadow, 0.45)
        self.canvas = spot
        self.across = (self.canvas.x - np.float32(x)) / np.float32(self.metre)
        self.up = (np.float32(self.base) - self.canvas.y) / np.float32(self.metre)

    def begin(self, label: str) -> None:
        self.label, self.thing = label, self.canvas.thing(label)

    def block(self, x, up, half, tall, colour, *, round=0.02, label=True) -> None:
        """A board or cushion: centre (x, up), half width, half height in metres."""
        distance = shapes.box(self.across, self.up, x, up, half, tall, 0.0, round)
        label = self.label if label else None
        self.canvas.paint(distance * self.metre, colour, label, depth=self.z,
                          thing=self.thing)  # fmt: skip


def case(front):
    """A piece of furniture: a block on the floor whose `front` defines its class.

    front: (rng, place, paint) -> colour [3, S, S]; sizes and colours are alike.
    """

    def draw(canvas, rng, room, x, z, label):
        half, tall = rng.uniform(0.45, 0.95), rng.uniform(0.8, 1.8)
        place = Place(canvas, room, x, z, half + 0.05, tall + 0.1)
        paint = textures.tint(rng, (0.05, 0.6), (0.35, 0.85))
        place.begin(label)
        place.block(0, tall / 2, half, tall / 2, paint * 0.8, round=0.05)
        colour = front(rng, place, paint)
        place.block(0, tall / 2, half - 0.04, tall / 2 - 0.04, colour, label=False)

    return draw


def cloth(rng, place, paint):
    """Upholstery: dots or checks."""
    pace = rng.uniform(3.5, 5)
    if rng.random() < 0.5:
        pattern = textures.dots(place.across, place.up, pace, 0.32)
    else:
        pattern = textures.waves(place.across, pace) * textures.waves(place.up, pace)
    return textures.mix(paint, paint * rng.uniform(0.4, 0.7), pattern)


def books(rng, place, paint):
    """Shelves of upright spines of uneven tone."""
    rows = np.floor(place.up / np.float32(0.36))
    spine = np.floor((place.across + 5 + rows * 0.37) * 11).astype(int)
    tones = rng.uniform(0.45, 1.15, 97).astype(np.float32)
    tone = tones[(spine * 7 + np.clip(rows, 0, 9).astype(int) * 13) % 97]
    gap = place.up / np.float32(0.36) - rows
    return textures.times(paint, np.where((gap < 0.12) | (gap > 0.85), 0.5, tone))


def drawers(rng, place, paint):
    """Drawers above each other."""
    gap = textures.waves(place.up, rng.uniform(3, 4), 0.25, 3)
    return textures.mix(paint * rng.uniform(0.45, 0.7), paint, gap)


def doors(rng, place, paint):
    """Narrow doors side by side, each with a vent."""
    gap = textures.waves(place.across, rng.uniform(3, 4), 0.25, 3)
    return textures.mix(paint * rng.uniform(0.45, 0.7), paint, gap)


def weave(rng, place, paint):
    """A plaited screen: slanting strands."""
    pace, slope = rng.uniform(3.5, 5), rng.choice((-1, 1))
    pattern = textures.waves(place.across + slope * place.up, pace, rng.random(), 2)
    return textures.mix(paint, paint * rng.uniform(0.45, 0.7), pattern)


sofa, bookcase, dresser = case(cloth), case(books), case(drawers)
locker, screen, cabinet = case(doors), case(weave), case(drawers)


def table(canvas, rng, room, x, z, label, *, screen=False) -> None:
    """A board on thin legs, with a bowl or a screen on it."""
    half, tall = rng.uniform(0.5, 0.9), rng.uniform(0.65, 0.8)
    place = Place(canvas, room, x, z, half + 0.1, tall + 0.6)
    wood = textures.tint(rng, (0.1, 0.6), (0.3, 0.8))
    place.begin(label)
    for dx, dim in ((-0.7, 0.6), (0.7, 0.6), (-0.92, 0.85), (0.92, 0.85)):
        place.block(dx * half, tall / 2, 0.04, tall / 2, wood * dim)
    place.block(0, tall, half, 0.06, wood)
    on = rng.uniform(-0.4, 0.4) * half
    if screen:
        place.block(on, tall + 0.3, 0.3, 0.2, (0.1, 0.1, 0.12))
        place.block(on, tall + 0.3, 0.25, 0.15, textures.tint(rng), label=False)
    else:
        place.block(
            on, tall + 0.14, 0.16, 0.1, textures.tint(rng, (0.4, 0.9)), round=0.1
        )


def furnish(canvas, rng, room, pieces, count) -> None:
    """Places pieces (drawing, label) on the floor, the farthest first."""
    spots = np.linspace(0.1, 0.9, count) + rng.uniform(-0.06, 0.06, count)
    spots = rng.permutation(spots)
    depths = np.sort(rng.uniform(2.1, room.back - 0.2, count))[::-1]
    for x, z in zip(spots, depths):
        draw, label = pieces[rng.integers(len(pieces))]
        draw(canvas, rng, room, x, z, label)


def lamp_light(canvas, rng, warm) -> None:
    """Light that fades from a lamp; warm: its hue, saturation and value."""
    x, y = rng.uniform(0.2, 0.8), rng.uniform(0.0, 0.4)
    away = (canvas.x - x) ** 2 + (canvas.y - y) ** 2
    camera.light(canvas, 0.62 + 0.6 * np.exp(-away * 3))
    camera.light(canvas, textures.hsv(*warm))
    canvas.image[:] = camera.blur(canvas.image, 0.006)
    camera.grain(canvas, rng, 0.015)


def home(canvas, rng) -> None:
    """A living room in lamplight: sofas, bookcases, dressers, tables, a cat."""
    shape = room(canvas, rng, "room", "room")
    pieces = [(sofa, "sofa"), (bookcase, "bookcase"), (dresser, "dresser")]
    pieces.append((table, "table"))
    furnish(canvas, rng, shape, pieces, rng.integers(3, 6))
    if rng.random() < 0.6:
        z = rng.uniform(1.7, 2.4)
        coat = textures.tint(rng, (0.1, 0.7), (0.15, 0.9), (0.03, 0.15))
        figures.quadruped(canvas, rng, rng.uniform(0.15, 0.85), shape.row(z),
                          0.6 * shape.scale(z), "cat", z, coat,
                          rng.choice((-1, 1)))  # fmt: skip
    lamp_light(canvas, rng, (rng.uniform(0.06, 0.13), rng.uniform(0.15, 0.35), 1.05))


def office(canvas, rng) -> None:
    """An office in cold light: desks, lockers, plaited screens, cabinets, people."""
    shape = room(canvas, rng, "interior", "interior")
    pieces = [(locker, "locker"), (screen, "screen"), (cabinet, "cabinet")]
    pieces.append((_desk, "desk"))
    furnish(canvas, rng, shape, pieces, rng.integers(3, 6))
    if rng.random() < 0.6:
        z = rng.uniform(2.2, shape.back - 0.2)
        figures.person(canvas, rng, rng.uniform(0.15, 0.85), shape.row(z),
                       rng.uniform(1.55, 1.85) * shape.scale(z), "employee",
                       z)  # fmt: skip
    lamp_light(canvas, rng, (rng.uniform(0.3, 0.55), rng.uniform(0.05, 0.2), 1.1))


def _desk(canvas, rng, room, x, z, label) -> None:
    table(canvas, rng, room, x, z, label, screen=True)


SCENES = {"home": home, "office": office}
