"""Under water: distant things turn blue-green, red fades first, light is from above.

Classes differ by the hue that remains under attenuation and by growth forms (brain
corals, pores, fronds); contrast is low and particles float in the picture.
"""

import numpy as np

from jaxseg.data.render import camera, figures, shapes, textures

ABSORB = np.array([1.0, 0.32, 0.2], np.float32)  # of red, green, blue, relative


def sea(canvas, rng, label):
    """The open water [3] of this picture; painted brighter towards the surface."""
    water = textures.hsv(rng.uniform(0.44, 0.58), rng.uniform(0.5, 0.8), 0.6)
    fall = 1.25 - 0.8 * canvas.y
    canvas.paint(canvas.y - 2, textures.times(water, fall), label, depth=14.0)
    return water


def seabed(canvas, rng, label, *, ripples):
    """The ground from `horizon` down, nearer below: its distance map [S, S]."""
    horizon = rng.uniform(0.45, 0.65)
    swell = 0.06 * textures.noise(rng, canvas.size, 1, 3)
    below = np.maximum(canvas.y - horizon, 0.01)
    z = np.minimum(0.9 / below, 12)
    sand = textures.tint(rng, (0.05, 0.25), (0.5, 0.75), (0.05, 0.2))
    light = 0.7 + 0.4 * textures.clouds(rng, canvas.size, 10, 2)
    if ripples:
        bend = 0.5 * textures.noise(rng, canvas.size, 4)
        light = light - 0.25 * textures.waves(np.log(z) * 3 + bend, rng.uniform(1, 1.6))
    canvas.paint(
        horizon - canvas.y + swell, textures.times(sand, light), label, depth=z
    )
    return lambda y: float(min(0.9 / max(y - horizon, 0.01), 9.0))


def _mound(canvas, rng, x, y, wide, tall):
    """A lump on the ground at (x, y): its distance field and its light."""
    lumps = canvas.cut(textures.noise(rng, canvas.size, 9))
    body = shapes.ellipse(canvas.x, canvas.y, x, y, wide, tall) + 0.05 * (lumps - 0.5)
    light = 0.75 + 0.8 * (y - canvas.y) / (tall + 0.05) * 0.4
    return np.maximum(body, canvas.y - y - 0.03), light


def growth(label, hue, pattern, saturation=(0.45, 0.85)):
    """Function (canvas, rng, x, y, size, depth) that paints a kind of growth."""

    def draw(canvas, rng, x, y, size, depth):
        wide = size * rng.uniform(0.8, 1.2)
        reach = wide + 0.06
        canvas = canvas.window(x - reach, y - size - 0.06, x + reach, y + 0.05)
        body, light = _mound(canvas, rng, x, y, wide, size)
        paint = textures.tint(rng, saturation, (0.45, 0.9), hue)
        relief = pattern(canvas, rng, size)
        colour = textures.times(paint, light * (0.55 + 0.6 * relief))
        thing = canvas.thing(label)
        canvas.paint(body, colour, label, depth=depth, thing=thing)

    return draw


def maze(canvas, rng, size):
    """Winding ridges: brain coral."""
    bend = canvas.cut(textures.noise(rng, canvas.size, 7)) * 2.2
    return textures.waves(canvas.x * 6 + bend + canvas.y * 4, 1.0, rng.random(), 2)


def pores(canvas, rng, size):
    """Dark holes: sponge."""
    angle = rng.uniform(0, np.pi)
    u, v = shapes.turn(canvas.x, canvas.y, 0, 0, angle)
    return 1 - textures.dots(u, v, rng.uniform(11, 14), 0.27)


def rough(canvas, rng, size):
    """Bare rock: grain without order."""
    return canvas.cut(textures.clouds(rng, canvas.size, 16, 2))


def plates(canvas, rng, size):
    """Riveted plates: a hull."""
    seam = textures.waves(canvas.y + canvas.x * rng.uniform(-0.3, 0.3), 9, 0, 3)
    return 0.35 + 0.65 * seam


def fish(canvas, rng, label, hue, *, stripes=True) -> None:
    """A fish from the side with stripes across its body; fins are its limbs."""
    x, y, size = (
        rng.uniform(0.08, 0.92),
        rng.uniform(0.08, 0.7),
        rng.uniform(0.13, 0.26),
    )
    depth, way = rng.uniform(1.0, 4.0), rng.choice((-1, 1))
    paint = textures.tint(rng, (0.3, 0.8), (0.6, 1.0), hue)
    canvas = canvas.window(x - size, y - size, x + size, y + size)
    px, py, thing = canvas.x, canvas.y, canvas.thing(label)

    def at(along, up):
        return (x + way * along * size, y - up * size)

    bands = textures.waves((px - x) / size, 3.5 if stripes else 1.0, 0.1, 2)
    colour = textures.mix(paint, paint * 0.35, bands)
    tail = shapes.convex(px, py, [at(-0.35, 0), at(-0.6, 0.24), at(-0.6, -0.24)])
    fin = shapes.convex(px, py, [at(0.15, 0.15), at(-0.25, 0.15), at(-0.15, 0.34)])
    body = shapes.ellipse(px, py, x, y, 0.45 * size, 0.22 * size)
    parts = [(tail, paint * 0.8), (fin, paint * 0.7), (body, colour)]
    figures.limbs(canvas, thing, label, depth, parts)
    canvas.paint(shapes.disc(px, py, *at(0.32, 0.05), 0.04 * size), (0.05, 0.05, 0.05))


def turtle(canvas, rng, label) -> None:
    """A turtle from above, four flippers and a shell of plates."""
    x, y, heading = *rng.uniform(0.2, 0.8, 2), rng.uniform(0, 2 * np.pi)
    size, depth = rng.uniform(0.24, 0.4), rng.uniform(1.0, 3.0)
    reach = 0.62 * size
    canvas = canvas.window(x - reach, y - reach, x + reach, y + reach)
    shell = textures.tint(rng, (0.3, 0.6), (0.4, 0.7), (0.08, 0.3))
    u, v = shapes.turn(canvas.x, canvas.y, x, y, heading)
    plate = textures.panes(u, v, 6 / size / 2, 6 / size / 2, 0.36, 0.36)
    colour = textures.mix(shell * 0.4, shell, plate)
    figures.crawler(canvas, x, y, size, heading, label, depth, colour, width=0.34,
                    head=0.11, arms=0.5, legs=0.32, limb=0.07, sweep=0.12,
                    limb_colour=shell * 0.8)  # fmt: skip


def weed(canvas, rng, x, y, size, depth, label="kelp") -> None:
    """Wavy fronds that grow from the ground."""
    paint = textures.tint(rng, (0.5, 0.9), (0.45, 0.8), (0.14, 0.3))
    thing, reach = canvas.thing(label), 0.7 * size + 0.05
    canvas = canvas.window(x - reach, y - 2.9 * size, x + reach, y)
    for dx in rng.uniform(-0.5, 0.5, 4) * size:
        tall = size * rng.uniform(1.6, 2.8)
        sway = 0.03 * np.sin(canvas.y * rng.uniform(14, 22) + rng.uniform(0, 6))
        stem = np.abs(canvas.x - x - dx - sway) - size * rng.uniform(0.09, 0.14)
        stem = np.maximum(stem, np.maximum(canvas.y - y, y - tall - canvas.y))
        canvas.paint(
            stem, paint * rng.uniform(0.7, 1.1), label, depth=depth, thing=thing
        )


def diver(canvas, rng, label) -> None:
    """A diver: a person in a dark suit with a bright tank."""
    tall, depth = rng.uniform(0.35, 0.6), rng.uniform(1.5, 3.5)
    x, foot = rng.uniform(0.15, 0.85), rng.uniform(0.5, 0.85)
    suit = textures.tint(rng, (0.1, 0.5), (0.05, 0.25))
    figures.person(
        canvas, rng, x, foot, tall, label, depth, ((0.1, 0.1, 0.12), suit, suit)
    )
    tank = textures.tint(rng, (0.6, 0.9), (0.8, 1.0), (0.1, 0.17))
    part = shapes.box(
        canvas.x, canvas.y, x, foot - 0.65 * tall, 0.05 * tall, 0.12 * tall
    )
    canvas.paint(part, tank)


def ship(canvas, rng, bed, label) -> None:
    """A sunken ship: a rusty side of plates with portholes, leaning, and a mast."""
    x, foot, half = (
        rng.uniform(0.25, 0.75),
        rng.uniform(0.68, 0.8),
        rng.uniform(0.3, 0.45),
    )
    tall, lean, depth = half * rng.uniform(0.5, 0.7), rng.uniform(-0.3, 0.3), bed(foot)
    rust = textures.tint(rng, (0.45, 0.8), (0.4, 0.75), (0.01, 0.09))
    u, v = shapes.turn(canvas.x, canvas.y, x, foot - tall * 0.5, lean)
    bow = [(-half, -tall * 0.6), (half * 1.25, -tall * 0.6), (half * 0.8, tall * 0.6),
           (-half * 0.85, tall * 0.6)]  # fmt: skip
    side = shapes.convex(u, v, bow)
    mast = shapes.segment(u, v, (0, -tall * 0.5), (0, -tall * 1.8), 0.015)
    seams = textures.waves(v, rng.uniform(8, 10), 0, 3)
    holes = textures.panes(u, v + tall * 0.3, 9, 1 / tall, 0.22, 0.1)
    colour = textures.mix(rust, rust * 0.45, 1 - seams)
    colour = textures.mix(colour, (0.05, 0.05, 0.05), holes)
    figures.limbs(canvas, canvas.thing(label), label, depth,
                  [(mast, rust * 0.5), (side, colour)])  # fmt: skip


def _plant(canvas, rng, kinds, bed, count) -> None:
    """Grows `count` things on the ground, the farthest first."""
    for y in np.sort(rng.uniform(0.62, 1.02, count)):
        size = (0.08 + 0.22 * (y - 0.5)) * rng.uniform(0.7, 1.3)
        draw = kinds[rng.integers(len(kinds))]
        draw(canvas, rng, rng.uniform(0.05, 0.95), y, size, bed(y))


def _immerse(canvas, rng, water, density) -> None:
    """Attenuates by distance and colour; adds light shafts, particles and blur."""
    camera.haze(canvas, textures.times(water, 1.2 - 0.7 * canvas.y), density * ABSORB)
    shaft = textures.waves(canvas.x + 0.3 * canvas.y, rng.uniform(2, 4), rng.random())
    camera.light(canvas, 0.9 + 0.2 * shaft * (1 - canvas.y))
    canvas.image[:] = camera.blur(canvas.image, 0.007)
    snow = rng.random(canvas.x.shape, dtype=np.float32) > 0.995
    canvas.image += 0.25 * camera.blur(snow.astype(np.float32), 0.008) * 3
    camera.grain(canvas, rng, 0.015)


def reef(canvas, rng) -> None:
    """A reef in clear water: coral, sponges and bare rock, fish, a turtle."""
    water = sea(canvas, rng, "water")
    bed = seabed(canvas, rng, "water", ripples=True)
    kinds = (growth("coral", (-0.1, 0.12), maze), growth("sponge", (0.04, 0.2), pores),
             growth("rock", (0.0, 1.0), rough, (0.0, 0.5)))  # fmt: skip
    _plant(canvas, rng, kinds, bed, rng.integers(4, 8))
    for _ in range(rng.integers(0, 4)):
        fish(canvas, rng, "fish", (0.0, 1.0))
    if rng.random() < 0.5:
        turtle(canvas, rng, "turtle")
    _immerse(canvas, rng, water, rng.uniform(0.2, 0.4))


def wreck(canvas, rng) -> None:
    """A wreck in murky water: rusty hull, kelp and anemones, rays, a diver."""
    water = sea(canvas, rng, "deep")
    bed = seabed(canvas, rng, "deep", ripples=False)
    if rng.random() < 0.6:
        ship(canvas, rng, bed, "hull")
    kinds = (growth("hull", (0.02, 0.1), plates, (0.4, 0.75)), weed,
             growth("anemone", (0.7, 1.0), pores))  # fmt: skip
    _plant(canvas, rng, kinds, bed, rng.integers(4, 8))
    for _ in range(rng.integers(0, 4)):
        fish(canvas, rng, "wrasse", (0.0, 1.0), stripes=False)
    if rng.random() < 0.5:
        diver(canvas, rng, "diver")
    camera.light(canvas, rng.uniform(0.6, 0.85))
    _immerse(canvas, rng, water * 0.7, rng.uniform(0.25, 0.45))


SCENES = {"reef": reef, "wreck": wreck}
