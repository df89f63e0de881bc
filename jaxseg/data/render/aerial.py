"""Aerial views straight down: any rotation, long shadows, thin haze.

Classes differ by the spacing of rows and lattices in any direction, by the ridge that
splits a roof into a light and a dark half, and by shadows.
"""

import numpy as np

from jaxseg.data.render import camera, figures, shapes, textures

ALTITUDE = 90.0  # metres above the ground; the picture is 80 m wide
METRE = 1 / 80


class Sun:
    """Direction of the light; the same for a whole picture."""

    def __init__(self, rng):
        self.angle = rng.uniform(0, 2 * np.pi)
        self.x, self.y = np.cos(self.angle), np.sin(self.angle)
        self.length = rng.uniform(0.6, 1.3)  # length of a shadow per height

    def shadow(self, canvas, distance, x, y, height) -> None:
        """Darkens the shadow of a shape: its field distance(x, y), moved by the sun."""
        reach = self.length * height * METRE
        for share in (0.4, 0.8):
            dx, dy = reach * share * self.x, reach * share * self.y
            canvas.shade(distance(x + dx, y + dy), 0.33, 0.02)


def patches(canvas, rng, count):
    """Cuts the ground into `count` convex parts: (its index, gap to the next)."""
    centres = rng.random((count, 2), dtype=np.float32)
    away = [(canvas.x - x) ** 2 + (canvas.y - y) ** 2 for x, y in centres]
    away = np.sqrt(np.stack(away))
    order = np.argsort(away, axis=0)[:2]
    first, second = np.take_along_axis(away, order, axis=0)
    return order[0], second - first


def blocks(canvas, rng):
    """Cuts the ground into rectangles along a turned grid, as streets do."""
    angle, pace = rng.uniform(0, np.pi), rng.uniform(1.9, 2.6)
    u, v = shapes.turn(canvas.x, canvas.y, rng.random(), rng.random(), angle)
    du, dv = textures.cell(u, v, pace, pace)
    row, col = np.floor(u * pace).astype(int) + 8, np.floor(v * pace).astype(int) + 8
    gap = (0.5 - np.maximum(np.abs(du), np.abs(dv))) / pace
    return row * 16 + col, gap, angle


def mottle(canvas, rng):
    """Light [S, S] of uneven ground: one field for a whole picture."""
    return 0.75 + 0.5 * textures.clouds(rng, canvas.size, 8, 3)


def earth(rng, light, saturation=(0.1, 0.4), value=(0.35, 0.6), hue=(0.05, 0.4)):
    """Ground [3, S, S] of one random colour."""
    return textures.times(textures.tint(rng, saturation, value, hue), light)


def rows(canvas, rng, pace, angle=None, contrast=None):
    """Parallel rows in any direction, `pace` of them across the picture."""
    angle = rng.uniform(0, np.pi) if angle is None else angle
    contrast = rng.uniform(0.2, 0.45) if contrast is None else contrast
    u, _ = shapes.turn(canvas.x, canvas.y, 0.5, 0.5, angle)
    return 1 - contrast * textures.waves(u, pace, rng.random(), 1.5)


def trees(canvas, rng, pace, angle=None, radius=0.36):
    """Crowns on a lattice, `pace` of them across: (crown, shadow) fields."""
    angle = rng.uniform(0, np.pi) if angle is None else angle
    u, v = shapes.turn(canvas.x, canvas.y, 0.5, 0.5, angle)
    crown = textures.dots(u, v, pace, radius)
    shadow = textures.dots(u + 0.35 / pace, v + 0.2 / pace, pace, radius)
    return crown, shadow


def house(canvas, rng, sun, x, y, angle, half, label) -> None:
    """A gable roof: one slope to the light, one away from it, and a shadow."""
    paint = textures.tint(rng, (0.1, 0.6), (0.35, 0.75))
    wide, deep = half
    reach = wide + 0.1
    canvas = canvas.window(x - reach, y - reach, x + reach, y + reach)

    def outline(px, py):
        return shapes.box(canvas.x, canvas.y, px, py, wide, deep, angle)

    height = rng.uniform(5, 9)
    sun.shadow(canvas, outline, x, y, height)
    _, across = shapes.turn(canvas.x, canvas.y, x, y, angle)
    faces = -np.sin(angle) * sun.x + np.cos(angle) * sun.y  # of the slope across > 0
    bright = 1 - 0.4 * np.sign(across) * faces
    thing = canvas.thing(label)
    colour = textures.times(paint, bright)
    depth = ALTITUDE - height
    canvas.paint(outline(x, y), colour, label, depth=depth, thing=thing)


def hall(canvas, rng, sun, x, y, angle, half, label) -> None:
    """A flat roof with fine ribs."""
    paint = textures.tint(rng, (0.05, 0.4), (0.5, 0.8))
    wide, deep = half
    reach = wide + 0.1
    canvas = canvas.window(x - reach, y - reach, x + reach, y + reach)

    def outline(px, py):
        return shapes.box(canvas.x, canvas.y, px, py, wide, deep, angle)

    height = rng.uniform(7, 12)
    sun.shadow(canvas, outline, x, y, height)
    u, _ = shapes.turn(canvas.x, canvas.y, x, y, angle)
    ribs = textures.waves(u, rng.uniform(15, 19))
    thing = canvas.thing(label)
    canvas.paint(outline(x, y), textures.mix(paint, paint * 0.7, ribs), label,
                 depth=ALTITUDE - height, thing=thing)  # fmt: skip


def plane(canvas, rng, sun, label) -> None:
    """An aircraft above the town, with a distant shadow."""
    x, y, heading = *rng.uniform(0.2, 0.8, 2), rng.uniform(0, 2 * np.pi)
    size = rng.uniform(0.26, 0.42)
    white = textures.tint(rng, (0.0, 0.15), (0.85, 1.0))
    shape = {"width": 0.08, "head": 0.06, "arms": 0.48, "legs": 0.18}
    shift = 0.12 * sun.x, 0.12 * sun.y
    wing = shapes.ellipse(canvas.x, canvas.y, x + shift[0], y + shift[1], 0.45 * size,
                          0.06 * size, heading)  # fmt: skip
    canvas.shade(wing, 0.4)
    figures.crawler(
        canvas, x, y, size, heading, label, 45.0, white, limb=0.05, sweep=0.14, **shape
    )


def _photograph(canvas, rng, air) -> None:
    camera.haze(canvas, air, rng.uniform(0.002, 0.006))
    canvas.image[:] = camera.blur(canvas.image, 0.004)
    camera.grain(canvas, rng, 0.03)


def city(canvas, rng) -> None:
    """Blocks between streets: houses, halls, parks, car parks, and planes above."""
    sun = Sun(rng)
    part, gap, angle = blocks(canvas, rng)
    asphalt = textures.tint(rng, (0.0, 0.1), (0.35, 0.5))
    canvas.paint(canvas.y - 2, asphalt, "ground", depth=ALTITUDE)
    light, roofs = mottle(canvas, rng), []
    for number in np.unique(part):
        inside = np.where(part == number, 0.035 - gap, 1)
        if np.count_nonzero(inside < 0) < 8:
            continue
        use = rng.choice(("house", "house", "hall", "park", "parking"))
        if use in ("house", "hall"):
            canvas.paint(inside, earth(rng, light, (0.05, 0.3)))
        if use == "park":
            _park(canvas, rng, inside, light)
        elif use == "parking":
            _parking(canvas, rng, inside, angle)
        else:
            middle = canvas.x[inside < 0].mean(), canvas.y[inside < 0].mean()
            roofs.append((use, middle))
    for use, (x, y) in roofs:
        half = rng.uniform(0.09, 0.15), rng.uniform(0.06, 0.11)
        draw = house if use == "house" else hall
        draw(canvas, rng, sun, x, y, angle, half, use)
    if rng.random() < 0.5:
        plane(canvas, rng, sun, "plane")
    _photograph(canvas, rng, textures.tint(rng, (0.1, 0.3), (0.7, 0.8), (0.5, 0.65)))


def _park(canvas, rng, inside, light) -> None:
    crown, shadow = trees(canvas, rng, rng.uniform(9, 11), None, 0.4)
    leaf = textures.tint(rng, (0.15, 0.5), (0.3, 0.65), (0.08, 0.42))
    ground = earth(rng, light, (0.1, 0.4), (0.4, 0.6), (0.1, 0.4))
    colour = textures.mix(textures.mix(ground, leaf * 0.6, shadow), leaf, crown)
    canvas.paint(inside, colour, "park")


def _parking(canvas, rng, inside, angle) -> None:
    grey = textures.tint(rng, (0.0, 0.3), (0.4, 0.65))
    stripes = rows(canvas, rng, rng.uniform(12, 15), angle)
    canvas.paint(inside, textures.times(grey, stripes + 0.25), "parking")


def farm(canvas, rng) -> None:
    """Fields of odd shapes: pasture, fine crop rows, ploughed land, orchards, barns."""
    sun = Sun(rng)
    part, gap = patches(canvas, rng, rng.integers(4, 7))
    light = mottle(canvas, rng)
    canvas.paint(canvas.y - 2, earth(rng, light), "pasture", depth=ALTITUDE)
    for number in np.unique(part):
        inside = np.where(part == number, 0.012 - gap, 1)
        use = rng.choice(("pasture", "crop", "plough", "orchard"))
        ground = earth(rng, light)
        if use == "crop":
            ground = ground * rows(canvas, rng, rng.uniform(12, 15))
        elif use == "plough":
            ground = ground * rows(canvas, rng, rng.uniform(7, 9.5))
        elif use == "orchard":
            crown, shadow = trees(canvas, rng, rng.uniform(9, 11))
            leaf = textures.tint(rng, (0.15, 0.5), (0.3, 0.65), (0.08, 0.42))
            ground = textures.mix(textures.mix(ground, leaf * 0.6, shadow), leaf, crown)
        canvas.paint(inside, ground, use)
    for _ in range(rng.integers(1, 4)):
        half = rng.uniform(0.1, 0.16), rng.uniform(0.06, 0.1)
        place = rng.uniform(0.1, 0.9, 2)
        house(canvas, rng, sun, *place, rng.uniform(0, np.pi), half, "barn")
    for _ in range(rng.integers(1, 6)):
        _cow(canvas, rng)
    _photograph(canvas, rng, textures.tint(rng, (0.1, 0.3), (0.7, 0.8), (0.08, 0.2)))


def _cow(canvas, rng) -> None:
    coat = textures.tint(rng, (0.0, 0.5), (0.1, 0.95), (0.03, 0.1))
    x, y = rng.uniform(0.08, 0.92, 2)
    heading, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.14, 0.2)
    canvas.shade(shapes.disc(canvas.x, canvas.y, x + 0.01, y + 0.02, size * 0.3), 0.4)
    figures.crawler(canvas, x, y, size, heading, "cow", ALTITUDE - 1.4, coat, width=0.2,
                    head=0.14, arms=0.26, legs=0.26, limb=0.06, sweep=0)  # fmt: skip


SCENES = {"city": city, "farm": farm}
