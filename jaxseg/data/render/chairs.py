"""Chairs with transparent surroundings: thin, hollow and self-occluding solids.

A chair is a list of convex prisms (legs, slats, cushions), seen in perspective from any
side, with a depth buffer; the background is visible between the slats.
"""

from typing import NamedTuple

import numpy as np

from jaxseg.data.render import textures

UP = np.array([0.0, 1.0, 0.0])
MARGIN = 0.01  # of the picture around a chair, close as in catalogues


class Solid(NamedTuple):
    """A convex body: faces [corners, 3] in metres, y up, the front at +z."""

    faces: list[np.ndarray]
    colour: np.ndarray


def prism(bottom, top, colour) -> Solid:
    """The body between two rings [N, 3] of corners."""
    after = [*range(1, len(bottom)), 0]
    sides = [
        np.array([bottom[i], bottom[j], top[j], top[i]]) for i, j in enumerate(after)
    ]
    return Solid([np.array(bottom), np.array(top), *sides], colour)


def block(low, high, colour, lean=0.0) -> Solid:
    """A box from corner to corner; `lean` moves its top back, in metres."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    bottom = [(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)]
    top = [(x, y1, z - lean) for x, _, z in bottom]
    return prism(bottom, top, colour)


def bar(start, end, radius, colour, end_radius=None, corners=6) -> Solid:
    """A round bar between two points; its end may be thinner."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = (end - start) / np.linalg.norm(end - start)
    across = np.cross(along, UP if abs(along[1]) < 0.9 else (1.0, 0.0, 0.0))
    across /= np.linalg.norm(across)
    angles = np.arange(corners) * 2 * np.pi / corners
    ring = np.cos(angles)[:, None] * across
    ring = ring + np.sin(angles)[:, None] * np.cross(along, across)
    end_radius = radius if end_radius is None else end_radius
    return prism(start + radius * ring, end + end_radius * ring, colour)


class Frame:
    """Measures and colours that the parts of one chair share."""

    def __init__(self, rng):
        self.half = rng.uniform(0.2, 0.27)  # of the width
        self.deep = rng.uniform(0.19, 0.25)  # half of the depth
        self.seat = rng.uniform(0.4, 0.5)  # height
        self.top = self.seat + rng.uniform(0.35, 0.65)
        self.thick = rng.uniform(0.015, 0.03)
        self.lean = rng.uniform(0.02, 0.14)
        wood = textures.tint(rng, (0.3, 0.75), (0.3, 0.8), (0.04, 0.11))
        paint = textures.tint(rng, (0.0, 0.8), (0.25, 0.95))
        self.wood = wood if rng.random() < 0.6 else paint
        self.cloth = textures.tint(rng, (0.0, 0.8), (0.25, 0.95))

    def back(self, height) -> float:
        """z of the back's middle at a height."""
        return -self.deep - self.lean * (height - self.seat) / (self.top - self.seat)


def legs(frame, rng) -> list[Solid]:
    """Four legs, straight or spread, with or without rungs between them."""
    spread, parts = rng.choice((0.0, rng.uniform(0.02, 0.08))), []
    feet = {}
    for side in (-1, 1):
        for end in (-1, 1):
            hip = np.array([side * frame.half * 0.9, frame.seat, end * frame.deep])
            foot = hip + (side * spread, -frame.seat, end * spread)
            feet[side, end] = hip, foot
            parts.append(
                bar(
                    hip,
                    foot,
                    frame.thick,
                    frame.wood,
                    frame.thick * rng.uniform(0.5, 1),
                )
            )
    if rng.random() < 0.6:
        share = rng.uniform(0.4, 0.75)
        at = {key: hip + share * (foot - hip) for key, (hip, foot) in feet.items()}
        rungs = [((-1, -1), (-1, 1)), ((1, -1), (1, 1)), ((-1, 1), (1, 1))]
        parts += [bar(at[a], at[b], frame.thick * 0.6, frame.wood) for a, b in rungs]
    return parts


def seat(frame, rng) -> list[Solid]:
    """A board, with or without a cushion on it."""
    x, z = frame.half + 0.01, frame.deep + 0.02
    low, high = frame.seat, frame.seat + rng.uniform(0.02, 0.035)
    parts = [block((-x, low, -z), (x, high, z), frame.wood * 0.9)]
    if rng.random() < 0.5:
        thick = rng.uniform(0.02, 0.06)
        x, z = x * 0.95, z * 0.95
        parts.append(block((-x, high, -z), (x, high + thick, z), frame.cloth))
    return parts


def back(frame, rng) -> list[Solid]:
    """Two posts, and rungs, spindles, a panel, a cross or nothing between them."""
    thick, wide, low = frame.thick, frame.half * 0.95, frame.seat
    kind = rng.choice(("ladder", "spindles", "panel", "cross", "hollow"))

    def at(x, height):
        return x, height, frame.back(height)

    def beam(height, radius=0.8):
        return bar(at(-wide, height), at(wide, height), thick * radius, frame.wood)

    parts = [
        bar(at(x, low), at(x, frame.top), thick, frame.wood) for x in (-wide, wide)
    ]
    parts.append(beam(frame.top - thick, 1.2))
    tall = frame.top - low
    if kind == "ladder":
        heights = np.linspace(low + 0.3 * tall, frame.top, rng.integers(3, 6))[:-1]
        parts += [beam(height, 1.0) for height in heights]
    elif kind == "spindles":
        places = np.linspace(-wide, wide, rng.integers(5, 9))[1:-1]
        parts += [bar(at(x, low), at(x, frame.top), thick * 0.45, frame.wood)
                  for x in places]  # fmt: skip
    elif kind == "cross":
        low = low + 0.2 * tall
        parts += [beam(low)]
        parts += [bar(at(-x, low), at(x, frame.top), thick * 0.7, frame.wood)
                  for x in (-wide, wide)]  # fmt: skip
    elif kind == "panel":
        low = low + rng.uniform(0.15, 0.4) * tall
        ring = [
            at(-wide, low),
            at(wide, low),
            at(wide, frame.top),
            at(-wide, frame.top),
        ]
        ring = np.array(ring)
        parts.append(prism(ring - (0, 0, 0.015), ring + (0, 0, 0.015), frame.cloth))
    return parts


def arms(frame, rng) -> list[Solid]:
    """Two arm rests on posts, open below."""
    height, parts = frame.seat + rng.uniform(0.17, 0.25), []
    for x in (-frame.half, frame.half):
        front = x, height, frame.deep * rng.uniform(0.5, 0.9)
        parts.append(bar((x, height, frame.back(height)), front, 0.022, frame.wood))
        parts.append(bar(front, (x, frame.seat, front[2]), 0.017, frame.wood))
    return parts


def wooden(rng) -> list[Solid]:
    """A dining chair."""
    frame = Frame(rng)
    parts = legs(frame, rng) + seat(frame, rng) + back(frame, rng)
    return parts + arms(frame, rng) if rng.random() < 0.35 else parts


def armchair(rng) -> list[Solid]:
    """Cushions between two broad arms, on short legs."""
    frame = Frame(rng)
    x, z = frame.half * rng.uniform(1.1, 1.4), frame.deep * rng.uniform(1.2, 1.5)
    foot, low, wide = rng.uniform(0.06, 0.16), rng.uniform(0.32, 0.4), 0.11
    cloth, dark = frame.cloth, frame.cloth * 0.85
    top = low + rng.uniform(0.4, 0.6)
    parts = [
        block((-x, foot, -z), (x, low - 0.1, z), dark),
        block((-x + 0.01, low - 0.1, -z), (x - 0.01, low, z + 0.02), cloth),
        block((-x - wide, foot, -z - 0.14), (x + wide, top, -z), dark, frame.lean),
    ]
    rest = low + rng.uniform(0.12, 0.22)
    for side in (-1, 1):
        inner, outer = sorted((side * x, side * (x + wide)))
        parts.append(block((inner, foot, -z), (outer, rest, z), dark))
        for end in (-z, z * 0.9):
            leg = side * x, foot, end
            parts.append(bar(leg, (side * x * 1.05, 0, end), 0.025, frame.wood, 0.015))
    return parts


def swivel(rng) -> list[Solid]:
    """An office chair: a star of five feet, a column, a seat and a back on a strut."""
    frame, hub = Frame(rng), 0.1
    metal = textures.tint(rng, (0.0, 0.15), (0.15, 0.75))
    parts = [bar((0, hub, 0), (0, frame.seat, 0), 0.028, metal)]
    turn = rng.uniform(0, 2 * np.pi)
    for angle in turn + np.arange(5) * 2 * np.pi / 5:
        foot = 0.29 * np.sin(angle), 0.06, 0.29 * np.cos(angle)
        parts.append(bar((0, hub, 0), foot, 0.025, metal, 0.016))
        wheel = foot[0], 0.0, foot[2]
        parts.append(bar(foot, wheel, 0.028, np.full(3, 0.1), corners=8))
    x, z, high = frame.half, frame.deep, frame.seat + rng.uniform(0.05, 0.1)
    parts.append(block((-x, frame.seat, -z), (x, high, z), frame.cloth))
    low = frame.seat + rng.uniform(0.12, 0.22)
    spine = (0, frame.seat, -z * 0.6), (0, frame.seat, -z - 0.05)
    parts.append(bar(*spine, 0.022, metal))
    parts.append(bar(spine[1], (0, frame.top, frame.back(frame.top)), 0.022, metal))
    wide = x * rng.uniform(0.75, 1.0)
    panel = (-wide, low, -z - 0.03), (wide, frame.top + 0.05, -z + 0.03)
    parts.append(block(*panel, frame.cloth, frame.lean))
    if rng.random() < 0.6:
        parts += arms(frame, rng)
    return parts


KINDS = (wooden, wooden, wooden, armchair, swivel)


def chair(rng, size: int) -> np.ndarray:
    """uint8 [S, S, 4]: one chair, cut out, as large as possible."""
    parts = KINDS[rng.integers(len(KINDS))](rng)
    yaw = rng.normal(0, 0.9) if rng.random() < 0.8 else rng.uniform(0, 2 * np.pi)
    pitch, distance = rng.uniform(0.08, 0.5), rng.uniform(2.0, 4.0)
    lamp = np.array([rng.uniform(-1, 1), rng.uniform(0.6, 1.4), rng.uniform(0.3, 1.0)])
    solids = _seen(parts, yaw, pitch, distance)
    colour, cover = _rasterise(solids, lamp / np.linalg.norm(lamp), size)
    cloud = 0.9 + 0.2 * textures.clouds(rng, size, 6, 3)
    grain = 1 + 0.03 * rng.standard_normal((size, size), np.float32)
    colour = textures.unit(colour * (cloud * grain)[..., None])
    return np.dstack([colour * 255 + 0.5, cover * 255.0]).astype(np.uint8)


def _seen(parts, yaw, pitch, distance) -> list[tuple[Solid, np.ndarray]]:
    """Each solid in camera coordinates, and its centre there."""
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0],
                     [-np.sin(yaw), 0, np.cos(yaw)]])  # fmt: skip
    tilt = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)],
                     [0, np.sin(pitch), np.cos(pitch)]])  # fmt: skip
    rotation, solids = tilt @ turn, []
    for part in parts:
        faces = [(face - 0.45 * UP) @ rotation.T - (0, 0, distance)
                 for face in part.faces]  # fmt: skip
        solids.append((Solid(faces, part.colour), np.concatenate(faces).mean(axis=0)))
    return solids


def _rasterise(solids, lamp, size) -> tuple[np.ndarray, np.ndarray]:
    """Colour [S, S, 3] in 0..1 and cover, bool [S, S], by a depth buffer."""
    points = np.concatenate([face for solid, _ in solids for face in solid.faces])
    flat = points[:, :2] / -points[:, 2:]
    low, high = flat.min(axis=0), flat.max(axis=0)
    scale = size * (1 - 2 * MARGIN) / (high - low).max()
    middle = (low + high) / 2
    colour = np.zeros((size, size, 3), np.float32)
    nearness = np.zeros((size, size))
    for solid, centre in solids:
        for face in solid.faces:
            normal = _cross(face[1] - face[0], face[2] - face[0])
            normal /= np.linalg.norm(normal) + 1e-12
            if normal @ (face.mean(axis=0) - centre) < 0:
                normal = -normal
            if normal @ face[0] >= 0:
                continue  # turned away from the camera at the origin
            place = (face[:, :2] / -face[:, 2:] - middle) * scale
            place = place * (1, -1) + size / 2
            light = 0.45 + 0.6 * max(0.0, normal @ lamp)
            _fill(colour, nearness, place, 1 / -face[:, 2], solid.colour * light)
    return colour, nearness > 0


def _cross(a, b) -> np.ndarray:
    """np.cross of two vectors [3], many times faster."""
    (a0, a1, a2), (b0, b1, b2) = a.tolist(), b.tolist()
    return np.array([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0])


def _fill(colour, nearness, place, near, paint) -> None:
    """Paints a convex face [N, 2] where it is nearer than the buffer.

    near [N] is one over the distance, which is linear in the picture.
    """
    size = len(nearness)
    x0, y0 = np.clip(np.floor(place.min(axis=0)), 0, size).astype(int)
    x1, y1 = np.clip(np.ceil(place.max(axis=0)), 0, size).astype(int)
    sides = np.concatenate([place[1:], place[:1]]) - place
    area = np.sum(place[:, 0] * sides[:, 1] - place[:, 1] * sides[:, 0])
    if abs(area) < 1e-6:
        return  # seen edge-on
    x, y = np.arange(x0, x1) + 0.5, (np.arange(y0, y1) + 0.5)[:, None]
    inside = np.ones((y1 - y0, x1 - x0), bool)
    for (px, py), (dx, dy) in zip(place, sides * np.sign(area)):
        inside &= (y - py) * dx - (x - px) * dy >= 0
    plane = np.column_stack([place, np.ones(len(place))])
    a, b, c = np.linalg.lstsq(plane, near, rcond=None)[0]
    depth = a * x + b * y + c
    window = nearness[y0:y1, x0:x1]
    inside &= depth > window
    window[inside] = depth[inside]
    colour[y0:y1, x0:x1][inside] = paint
