"""Streets seen from a car: lines meet in one point and sizes shrink with distance.

Classes differ by upright, axis-parallel structure (lattices of windows, bars, ribs,
foliage) at a scale set by the distance, and by the outlines of upright things.
"""

import dataclasses

import numpy as np

from jaxseg.data.render import camera, figures, shapes, textures
from jaxseg.data.render.canvas import FAR


@dataclasses.dataclass(frozen=True)
class View:
    """A camera looking level along a street: row of the horizon, column of its end."""

    horizon: float
    centre: float
    focal: float = 0.9  # picture heights
    height: float = 1.5  # metres above the ground

    def row(self, z, up=0.0):
        return self.horizon + self.focal * (self.height - up) / z

    def col(self, z, aside):
        return self.centre + self.focal * aside / z

    def ground(self, y: np.ndarray) -> np.ndarray:
        """Distance [S, S] of the ground below the horizon, FAR above it."""
        below = np.maximum(y - self.horizon, 1e-3)
        return np.minimum(self.focal * self.height / below, FAR).astype(np.float32)


def random_view(rng) -> View:
    return View(rng.uniform(0.38, 0.5), rng.uniform(0.38, 0.62))


def ground(canvas, rng, view, label, *, rest, half=3.1, lane=0.75) -> None:
    """All below the horizon: the road `label`, with pavements of class `rest`."""
    z = view.ground(canvas.y)
    aside = (canvas.x - view.centre) * z / view.focal
    below = view.horizon - canvas.y
    walk = textures.tint(rng, (0.0, 0.15), (0.4, 0.65))
    slabs = textures.times(walk, 1 - 0.15 * textures.waves(z, 0.7))
    canvas.paint(below, slabs, rest, depth=z)
    grey = textures.tint(rng, (0.0, 0.12), (0.25, 0.45))
    speckle = textures.noise(rng, canvas.size, 24) * 0.08
    strip = np.maximum(below, (np.abs(aside) - half) * view.focal / z)
    canvas.paint(strip, textures.planes(grey) + speckle, label, depth=z)
    dashes = np.maximum(np.abs(aside) - 0.09, textures.waves(z, 0.25, 0, 4) - 0.5)
    canvas.paint(np.maximum(below, dashes * view.focal / z), (lane, lane, lane))


def walls(canvas, rng, view, kinds, *, offset=5.5) -> None:
    """Rows of houses, trees, fences ... along both sides of the street.

    kinds: functions (canvas, rng, run, up) -> (colour [3, S, S], top, label); each
    segment of a side is of one kind. run: metres along the wall, up: above ground.
    """
    for side in (-1, 1):
        start = rng.uniform(2, 6)
        while start < 45:
            stop = start * rng.uniform(1.7, 2.5)
            near, far = (view.col(z, side * offset) for z in (start, stop))
            part = canvas.window(min(near, far), 0, max(near, far), 1)
            apart = np.maximum(side * (part.x - np.float32(view.centre)), 1e-3)
            z = view.focal * offset / apart
            up = view.height - (part.y - view.horizon) * z / view.focal
            kind = kinds[rng.choice(len(kinds))]
            colour, top, label = kind(part, rng, z, up)
            within = (z >= start) & (z < stop) & (up >= 0)
            inside = np.where(within, (up - top) * view.focal / z, 1)
            part.paint(inside, colour, label, depth=np.minimum(z, FAR))
            start = stop


# Heights and colours are alike for all kinds: only the pattern differs.
HEIGHT = (3.5, 10.0)


def _two_tones(rng, lit):
    """Two similar colours of one wall; `lit`: the first one glows at night."""
    paint, strength = textures.tint(rng, (0.05, 0.5)), rng.uniform(0.35, 0.75)
    if lit and rng.random() < 0.35:
        return paint * 0.4, textures.tint(rng, (0.2, 0.6), (0.6, 1.0))
    return paint, paint * strength


def facade(label, *, lit=False, height=HEIGHT):
    """A house front with a lattice of windows, wider or narrower than high."""

    def kind(canvas, rng, run, up):
        storey, width = rng.uniform(0.3, 0.45), rng.uniform(0.8, 1.3)
        share = rng.uniform(0.22, 0.34), rng.uniform(0.24, 0.34)
        window = textures.panes(run, up, storey * width, storey, *share)
        colour = textures.mix(*_two_tones(rng, lit), window)
        return colour, rng.uniform(*height), label

    return kind


def foliage(label, *, height=HEIGHT):
    """Trees and hedges: clumps without direction, with a ragged top."""

    def kind(canvas, rng, run, up):
        leaf = textures.tint(rng, (0.05, 0.5), (0.3, 0.9), (0.02, 0.45))
        clumps = canvas.cut(textures.clouds(rng, canvas.size, 14, 2))
        colour = textures.times(leaf, 0.5 + 0.9 * clumps)
        return colour, rng.uniform(*height) * (0.7 + 0.6 * clumps), label

    return kind


def bars(label, *, lit=False, height=HEIGHT):
    """Fences, ribbed walls: upright bars."""

    def kind(canvas, rng, run, up):
        pattern = textures.waves(run, rng.uniform(0.35, 0.6), rng.random(), 2)
        colour = textures.mix(*_two_tones(rng, lit), pattern)
        return colour, rng.uniform(*height), label

    return kind


def courses(label, *, lit=False, height=HEIGHT):
    """Horizontal bands, as of brick, shutters and planks."""

    def kind(canvas, rng, run, up):
        pattern = textures.waves(up, rng.uniform(0.4, 0.7), rng.random(), 2)
        colour = textures.mix(*_two_tones(rng, lit), pattern)
        return colour, rng.uniform(*height), label

    return kind


def car(canvas, rng, view, aside, z, label, *, night=False) -> None:
    """A car from behind: cabin over body, dark glass, two lamps, two tyres."""
    paint = textures.tint(rng, (0.1, 0.85), (0.2, 0.9))
    metre = view.focal / z
    x, base = view.col(z, aside), view.row(z)

    def at(dx, up):
        return (x + dx * metre, base - up * metre)

    canvas = canvas.window(*at(-1.2, 1.7), *at(1.2, -0.2))
    px, py, thing = canvas.x, canvas.y, canvas.thing(label)
    canvas.shade(shapes.box(px, py, x, base, 1.0 * metre, 0.15 * metre), 0.5)
    for dx in (-0.65, 0.65):
        tyre = shapes.box(px, py, *at(dx, 0.25), 0.17 * metre, 0.25 * metre)
        canvas.paint(tyre, (0.05, 0.05, 0.06), label, depth=z, thing=thing)
    cabin = [at(-0.72, 0.8), at(-0.55, 1.45), at(0.55, 1.45), at(0.72, 0.8)]
    canvas.paint(shapes.convex(px, py, cabin), paint * 0.8, label, depth=z, thing=thing)
    body = shapes.box(px, py, *at(0, 0.62), 0.88 * metre, 0.34 * metre, 0, 0.1 * metre)
    canvas.paint(body, paint, label, depth=z, thing=thing)
    glass = [at(-0.58, 0.9), at(-0.46, 1.35), at(0.46, 1.35), at(0.58, 0.9)]
    canvas.paint(shapes.convex(px, py, glass), (0.12, 0.15, 0.2))
    lamp = (1.0, 0.25, 0.15) if night else (0.8, 0.1, 0.1)
    for dx in (-0.68, 0.68):
        canvas.paint(shapes.box(px, py, *at(dx, 0.7), 0.13 * metre, 0.09 * metre), lamp)


def truck(canvas, rng, view, aside, z, label) -> None:
    """A lorry or bus from behind: a high box with ribs, a bumper and marker lamps."""
    paint = textures.tint(rng, (0.1, 0.7), (0.35, 0.8))
    metre = view.focal / z
    x, base = view.col(z, aside), view.row(z)

    def at(dx, up):
        return (x + dx * metre, base - up * metre)

    canvas = canvas.window(*at(-1.5, 3.7), *at(1.5, -0.2))
    px, py, thing = canvas.x, canvas.y, canvas.thing(label)
    for dx in (-0.85, 0.85):
        tyre = shapes.box(px, py, *at(dx, 0.3), 0.22 * metre, 0.3 * metre)
        canvas.paint(tyre, (0.03, 0.03, 0.03), label, depth=z, thing=thing)
    ribs = textures.waves((px - x) / metre, 2.2, 0.25, 2)
    load = shapes.box(px, py, *at(0, 1.95), 1.2 * metre, 1.4 * metre)
    colour = textures.mix(paint * 0.6, paint, ribs)
    canvas.paint(load, colour, label, depth=z, thing=thing)
    bumper = shapes.box(px, py, *at(0, 0.5), 1.2 * metre, 0.12 * metre)
    canvas.paint(bumper, paint * 0.3)
    for dx in (-1.0, 1.0):
        canvas.paint(shapes.disc(px, py, *at(dx, 0.55), 0.13 * metre), (1, 0.2, 0.1))
        canvas.paint(shapes.disc(px, py, *at(dx, 3.2), 0.1 * metre), (1, 0.6, 0.2))


def cyclist(canvas, rng, view, aside, z, label) -> None:
    """A rider on two wheels, from the side."""
    metre = view.focal / z
    x, base = view.col(z, aside), view.row(z)

    def at(dx, up):
        return (x + dx * metre, base - up * metre)

    canvas = canvas.window(*at(-1.1, 2.0), *at(1.1, -0.2))
    px, py, thing = canvas.x, canvas.y, canvas.thing(label)
    way, coat = rng.choice((-1, 1)), textures.tint(rng, (0.3, 0.9), (0.5, 1.0))
    bent = rng.uniform(0.35, 0.6)
    thin = max(0.07 * metre, 0.008)
    wheels = [np.abs(shapes.disc(px, py, *at(dx, 0.34), 0.32 * metre)) - thin * 0.8
              for dx in (-0.55, 0.55)]  # fmt: skip
    hip, neck, head = at(-way * 0.2, 1.0), at(way * 0.2, 1.5), at(way * 0.32, 1.72)
    hands = [at(way * bent, 1.05), at(way * bent * 0.9, 1.0)]
    feet = [at(way * 0.05, 0.3), at(-way * 0.1, 0.5)]
    steel = textures.tint(rng, (0.2, 0.8), (0.5, 0.9))
    frame = shapes.segment(px, py, at(-0.5, 0.36), at(0.5, 0.36), thin)
    parts = [(wheel, (0.35, 0.35, 0.35)) for wheel in wheels] + [
        (frame, steel),
        (shapes.segment(px, py, hip, feet[1], thin * 1.4), coat * 0.4),
        (shapes.segment(px, py, hip, feet[0], thin * 1.4), coat * 0.5),
        (shapes.segment(px, py, neck, hands[0], thin), coat),
        (shapes.segment(px, py, hip, neck, 0.17 * metre), coat),
        (shapes.disc(px, py, *head, 0.15 * metre), (0.9, 0.9, 0.85)),
    ]
    figures.limbs(canvas, thing, label, z, parts)
    left, right = (1, 0) if way == 1 else (0, 1)
    order = [hands[left], hands[right], feet[left], feet[right]]
    canvas.joints(thing, [head, hip, *order])


def traffic(rng, count, near, far, reach):
    """Random places (distance, metres to the side), the farthest first."""
    places = sorted(rng.uniform(near, far, count))[::-1]
    return [(z, rng.uniform(-reach, reach)) for z in places]


def backdrop(canvas, rng, view, rest, kinds, saturation, value):
    """A road between walls under some clouds; returns the colour of the sky."""
    sky = textures.tint(rng, saturation, value, (0.5, 0.65))
    cloud = textures.clouds(rng, canvas.size, 3) * (1 - canvas.y)
    canvas.paint(canvas.y - 2, textures.mix(sky, (0.95, 0.95, 0.95), cloud), rest)
    ground(canvas, rng, view, rest, rest=rest)
    walls(canvas, rng, view, kinds)
    return sky


def by_day(canvas, rng, view, sky, movers, draws) -> None:
    """Vehicles and, on the pavements, one to three walkers in dry daylight.

    movers: (distance, metres to the side, label); draws: {label: how it is drawn}.
    """
    walkers = traffic(rng, rng.integers(1, 4), 4, 11, 1.2)
    movers += [(z, a + rng.choice((-3.8, 3.8)), "person") for z, a in walkers]
    for z, aside, label in sorted(movers)[::-1]:
        if label in draws:
            draws[label](canvas, rng, view, aside, z, label)
        else:
            tall = rng.uniform(1.5, 1.9) * view.focal / z
            figures.person(canvas, rng, view.col(z, aside), view.row(z), tall, label, z)
    camera.haze(canvas, sky * 0.95, 0.006)
    camera.light(canvas, textures.tint(rng, (0.0, 0.12), (0.8, 1.1)))
    camera.grain(canvas, rng, 0.03)


def day(canvas, rng) -> None:
    """Dry daylight: cars and walkers on a road between houses and trees."""
    view = random_view(rng)
    kinds = facade("house"), foliage("tree"), courses("wall")
    sky = backdrop(canvas, rng, view, "open", kinds, (0.1, 0.4), (0.75, 0.95))
    movers = [(*place, "car") for place in traffic(rng, rng.integers(1, 4), 5, 18, 2.5)]
    by_day(canvas, rng, view, sky, movers, {"car": car})


def night(canvas, rng) -> None:
    """Lit windows, headlamps and noise: trucks and cyclists between towers."""
    view = random_view(rng)
    dark = textures.tint(rng, (0.3, 0.7), (0.04, 0.12), (0.55, 0.75))
    canvas.paint(canvas.y - 2, textures.times(dark, 0.6 + canvas.y), "dark")
    ground(canvas, rng, view, "dark", rest="dark", lane=0.6)
    kinds = facade("tower", lit=True), bars("fence", lit=True), courses("shutter")
    walls(canvas, rng, view, kinds)
    movers = [(*place, 0) for place in traffic(rng, rng.integers(1, 3), 7, 20, 2.2)]
    movers += [(*place, 1) for place in traffic(rng, rng.integers(1, 3), 4.5, 10, 3.5)]
    for z, aside, rider in sorted(movers)[::-1]:
        (cyclist if rider else truck)(
            canvas, rng, view, aside, z, "cyclist" if rider else "truck"
        )
    glow = 0.5 + 0.45 * np.exp(
        -(((canvas.depth - 5) / 7) ** 2)
    )  # the headlamps of the camera's car
    lamp = textures.tint(rng, (0.05, 0.35), (0.9, 1.0), (0.08, 0.16))
    lit = canvas.image.max(axis=0) > 0.75  # lamps and windows emit light
    camera.light(canvas, np.where(lit, 0.95, glow))
    camera.light(canvas, lamp)
    canvas.image += camera.blur(np.maximum(canvas.image - 0.5, 0), 0.03) * 0.8
    camera.grain(canvas, rng, 0.035)


def rain(canvas, rng) -> None:
    """Grey light on a wet road: cars, lorries and walkers between blocks and hedges."""
    view = random_view(rng)
    grey = textures.tint(rng, (0.0, 0.1), (0.5, 0.7), (0.5, 0.65))
    canvas.paint(canvas.y - 2, grey, "wet")
    ground(canvas, rng, view, "wet", rest="wet", lane=0.65)
    walls(canvas, rng, view, (facade("block"), foliage("hedge"), bars("hoarding")))
    draws = car, truck
    movers = [(*place, draws[rng.integers(2)])
              for place in traffic(rng, rng.integers(1, 4), 5.5, 18, 2.4)]  # fmt: skip
    walkers = traffic(rng, rng.integers(1, 4), 4, 11, 1.2)
    movers += [(z, a + rng.choice((-3.8, 3.8)), None) for z, a in walkers]
    for z, aside, draw in sorted(movers, key=lambda mover: -mover[0]):
        if draw:
            draw(canvas, rng, view, aside, z, "vehicle")
        else:
            x, tall = view.col(z, aside), rng.uniform(1.5, 1.9) * view.focal / z
            figures.person(canvas, rng, x, view.row(z), tall, "walker", z)
    edge = int(np.ceil(view.horizon * canvas.size))  # the road mirrors what is above
    depth = min(edge, canvas.size - edge)
    mirror = canvas.image[:, edge - depth : edge][:, ::-1]
    road = canvas.image[:, edge : edge + depth]
    wet = canvas.segmentation[edge : edge + depth] == 0
    road[:] = np.where(wet, 0.7 * road + 0.3 * mirror, road)
    camera.haze(canvas, grey, 0.02)
    streaks = textures.noise(rng, canvas.size, 10, 40) > 0.8
    canvas.image += 0.08 * streaks
    camera.light(canvas, textures.tint(rng, (0.0, 0.1), (0.7, 0.95)))
    camera.grain(canvas, rng, 0.03)


SCENES = {"day": day, "night": night, "rain": rain}
