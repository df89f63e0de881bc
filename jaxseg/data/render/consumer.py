"""Photographs that people take: streets, rooms, parks, harbours, and single things.

The broad domain: it uses the streets of `driving` and the rooms of `indoor` and adds
its own scenes, all with a bright camera and a random white balance.
"""

import numpy as np

from jaxseg.data.render import camera, driving, figures, indoor, shapes, textures


def snapshot(canvas, rng) -> None:
    """An ordinary camera: exposure, white balance, a little blur, noise, vignette."""
    camera.light(canvas, textures.tint(rng, (0.0, 0.2), (0.8, 1.2)))
    canvas.image[:] = camera.blur(canvas.image, rng.uniform(0.003, 0.009))
    camera.vignette(canvas, rng.uniform(0.0, 0.5))
    camera.grain(canvas, rng, rng.uniform(0.005, 0.03))


def street(canvas, rng, rest, walls, mover, figure) -> None:
    """A street as in `driving`, seen by a pedestrian."""
    view = driving.random_view(rng)
    sky = textures.tint(rng, (0.05, 0.4), (0.7, 0.95), (0.5, 0.65))
    canvas.paint(canvas.y - 2, sky, rest)
    driving.ground(canvas, rng, view, rest, rest=rest, half=rng.uniform(1.5, 4))
    driving.walls(canvas, rng, view, walls, offset=rng.uniform(5, 7))
    for z, aside in driving.traffic(rng, rng.integers(1, 3), 5, 14, 2.5):
        mover(canvas, rng, view, aside, z)
    for z, aside in driving.traffic(rng, rng.integers(1, 3), 3.5, 8, 3.0):
        x, foot, tall = view.col(z, aside), view.row(z), 1.7 * view.focal / z
        figure(canvas, rng, x, foot, tall, z)


def indoors(canvas, rng, rest, pieces, figure) -> None:
    """A room as in `indoor`, with a person in it."""
    shape = indoor.room(canvas, rng, rest, rest)
    indoor.furnish(canvas, rng, shape, pieces, rng.integers(2, 5))
    if rng.random() < 0.5:
        z = rng.uniform(2.2, shape.back - 0.2)
        tall = 1.7 * shape.scale(z)
        figure(canvas, rng, rng.uniform(0.15, 0.85), shape.row(z), tall, z)


def meadow(canvas, rng, rest):
    """Paints mottled open land under a sky; returns the row of its horizon."""
    horizon = rng.uniform(0.35, 0.55)
    sky = textures.tint(rng, (0.05, 0.5), (0.7, 0.95), (0.5, 0.65))
    cloud = textures.clouds(rng, canvas.size, 4) * 0.6
    canvas.paint(canvas.y - 2, textures.mix(sky, (1, 1, 1), cloud), rest)
    grass = textures.tint(rng, (0.15, 0.6), (0.35, 0.7), (0.08, 0.4))
    light = 0.7 + 0.6 * textures.clouds(rng, canvas.size, 12, 2)
    z = np.minimum(1.3 / np.maximum(canvas.y - horizon, 0.013), 100)
    canvas.paint(horizon - canvas.y, textures.times(grass, light), rest, depth=z)
    return horizon


def scatter(canvas, rng, horizon, makers, count) -> None:
    """Places things on open land, the farthest first.

    makers: functions (canvas, rng, x, foot, metre, z); metre in picture heights.
    """
    for foot in np.sort(rng.uniform(horizon + 0.1, 0.95, count)):
        z = 1.3 / (foot - horizon)
        make = makers[rng.integers(len(makers))]
        make(canvas, rng, rng.uniform(0.08, 0.92), foot, (foot - horizon) / 1.5, z)


def tree(label):
    """A trunk under a ragged crown."""

    def make(canvas, rng, x, foot, metre, z):
        tall = rng.uniform(2.2, 3.6) * metre
        leaf = textures.tint(rng, (0.2, 0.7), (0.3, 0.75), (0.05, 0.42))
        clumps = textures.clouds(rng, canvas.size, 14, 2)
        thing = canvas.thing(label)
        trunk = shapes.segment(canvas.x, canvas.y, (x, foot), (x, foot - tall * 0.6),
                               0.1 * metre)  # fmt: skip
        crown = shapes.disc(canvas.x, canvas.y, x, foot - tall * 0.7, tall * 0.36)
        crown = crown + 0.2 * tall * (clumps - 0.5)
        bark = (0.3, 0.22, 0.15)
        colour = textures.times(leaf, 0.4 + 1.2 * clumps)
        figures.limbs(canvas, thing, label, z, [(trunk, bark), (crown, colour)])

    return make


def palm(label):
    """A bent trunk with hanging fronds."""

    def make(canvas, rng, x, foot, metre, z):
        tall, bend = rng.uniform(2.5, 4.0) * metre, rng.uniform(-0.8, 0.8) * metre
        top = x + bend, foot - tall
        leaf = textures.tint(rng, (0.3, 0.8), (0.35, 0.75), (0.15, 0.42))
        parts = [(shapes.segment(canvas.x, canvas.y, (x, foot), top, 0.12 * metre),
                  (0.45, 0.35, 0.22))]  # fmt: skip
        for angle in rng.uniform(-0.2, 0.2) + np.linspace(0.2, 2.94, 6):
            end = top[0] + metre * np.cos(angle) * 1.3, top[1] - metre * np.sin(angle)
            end = end[0], end[1] + metre * 0.5
            frond = shapes.segment(canvas.x, canvas.y, top, end, 0.16 * metre)
            parts.append((frond, leaf * rng.uniform(0.7, 1.1)))
        figures.limbs(canvas, canvas.thing(label), label, z, parts)

    return make


def wagon(label):
    """A car from the side: body, cabin with windows, two wheels."""

    def make(canvas, rng, x, foot, metre, z):
        paint = textures.tint(rng, (0.1, 0.85), (0.3, 0.95))
        metre = metre * rng.uniform(0.6, 0.9)
        px, py, thing = canvas.x, canvas.y, canvas.thing(label)

        def at(dx, up):
            return (x + dx * metre, foot - up * metre)

        body = shapes.box(
            px, py, *at(0, 0.6), 1.9 * metre, 0.36 * metre, 0, 0.15 * metre
        )
        cabin = [at(-1.3, 0.8), at(-0.9, 1.5), at(0.6, 1.5), at(1.1, 0.8)]
        parts = [(shapes.convex(px, py, cabin), paint * 0.85), (body, paint)]
        tyres = [shapes.disc(px, py, *at(dx, 0.3), 0.36 * metre) for dx in (-1.1, 1.1)]
        parts += [(tyre, (0.07, 0.07, 0.07)) for tyre in tyres]
        figures.limbs(canvas, thing, label, z, parts)
        for dx in (-0.45, 0.3):
            pane = shapes.box(px, py, *at(dx, 1.12), 0.3 * metre, 0.22 * metre)
            canvas.paint(pane, (0.15, 0.2, 0.25))

    return make


def boat(label):
    """A hull with a mast and a sail, or a funnel."""

    def make(canvas, rng, x, foot, metre, z):
        paint = textures.tint(rng, (0.1, 0.85), (0.4, 0.95))
        metre = metre * rng.uniform(0.8, 1.3)
        px, py = canvas.x, canvas.y

        def at(dx, up):
            return (x + dx * metre, foot - up * metre)

        hull = [at(-1.2, 0), at(1.0, 0), at(1.6, 0.7), at(-1.4, 0.7)]
        parts = [(shapes.convex(px, py, hull), paint)]
        if rng.random() < 0.6:
            sail = [at(0.1, 0.9), at(0.1, 3.2), at(-1.2, 0.9)]
            mast = shapes.segment(px, py, at(0.2, 0.5), at(0.2, 3.3), 0.06 * metre)
            parts += [(mast, (0.4, 0.3, 0.2))]
            parts += [
                (shapes.convex(px, py, sail), textures.tint(rng, (0, 0.5), (0.7, 1)))
            ]
        else:
            cabin = shapes.box(px, py, *at(-0.2, 1.0), 0.8 * metre, 0.35 * metre)
            funnel = shapes.box(px, py, *at(0, 1.6), 0.2 * metre, 0.4 * metre)
            parts += [(cabin, (0.9, 0.9, 0.88)), (funnel, paint * 0.6)]
        figures.limbs(canvas, canvas.thing(label), label, z, parts)

    return make


def tower(label):
    """A landmark: a tall block with a dome or a spire, arches in rows."""

    def make(canvas, rng, x, foot, metre, z):
        stone = textures.tint(rng, (0.1, 0.5), (0.5, 0.9), (0.02, 0.18))
        half, tall = rng.uniform(0.8, 1.4) * metre, rng.uniform(3, 5) * metre
        px, py = canvas.x, canvas.y
        arch = textures.panes(
            (px - x) / metre, (foot - py) / metre, 1.2, 0.8, 0.22, 0.3
        )
        body = shapes.box(px, py, x, foot - tall / 2, half, tall / 2)
        cap = textures.tint(rng, (0.3, 0.8), (0.4, 0.8))
        top = foot - tall
        peak = [(x - half, top), (x + half, top), (x, top - 1.8 * half)]
        roof = (shapes.disc(px, py, x, top, half * 0.9) if rng.random() < 0.5
                else shapes.convex(px, py, peak))  # fmt: skip
        parts = [(roof, cap), (body, textures.mix(stone, stone * 0.4, arch))]
        figures.limbs(canvas, canvas.thing(label), label, z, parts)

    return make


def human(label):
    def make(canvas, rng, x, foot, tall, z):
        figures.person(canvas, rng, x, foot, tall * rng.uniform(0.9, 1.1), label, z)

    return make


def dog(label):
    def make(canvas, rng, x, foot, tall, z):
        coat = textures.tint(rng, (0.1, 0.7), (0.2, 0.95), (0.02, 0.13))
        way = rng.choice((-1, 1))
        figures.quadruped(canvas, rng, x, foot, tall * 0.6, label, z, coat, way)

    return make


def portrait(canvas, rng, rest, makers) -> None:
    """One large thing in front of a plain or busy backdrop."""
    first, second = textures.tint(rng), textures.tint(rng)
    busy = textures.clouds(rng, canvas.size, rng.integers(2, 12), 3)
    canvas.paint(canvas.y - 2, textures.mix(first, second, busy), rest, depth=4.0)
    edge = rng.uniform(0.6, 0.8)
    canvas.paint(edge - canvas.y, textures.tint(rng), rest, depth=2.5)
    make = makers[rng.integers(len(makers))]
    make(canvas, rng, rng.uniform(0.4, 0.6), rng.uniform(0.8, 0.95), 0.2, 2.0)


def _piece(draw, label):
    """A piece of furniture for `portrait`."""

    def make(canvas, rng, x, foot, metre, z):
        z = rng.uniform(1.4, 2.0)
        space = indoor.Room(4.0, 2.0, foot - 0.85 * 1.4 / z)
        draw(canvas, rng, space, x, z, label)

    return make


def _upright(make, tall):
    """A person or animal as a maker, which takes the metre."""
    return lambda canvas, rng, x, foot, metre, z: make(
        canvas, rng, x, foot, tall * metre, z
    )


FURNITURE = (indoor.sofa, indoor.table, indoor.bookcase, indoor.dresser, indoor.locker)


def everyday(canvas, rng) -> None:
    """A street, a room, a park or a single thing."""
    rest, person = "surroundings", human("person")
    furniture = [(draw, "furniture") for draw in FURNITURE]
    kind = rng.random()
    if kind < 0.3:
        walls = driving.facade("building"), driving.foliage("plant")

        def mover(*place):
            return driving.car(*place, "vehicle")

        street(canvas, rng, rest, walls, mover, person)
    elif kind < 0.6:
        indoors(canvas, rng, rest, furniture, person)
    elif kind < 0.8:
        horizon = meadow(canvas, rng, rest)
        makers = tree("plant"), _upright(person, 1.7), wagon("vehicle"), tree("plant")
        scatter(canvas, rng, horizon, makers, rng.integers(2, 6))
    else:
        pieces = [_piece(draw, label) for draw, label in furniture]
        makers = (wagon("vehicle"), tree("plant"), _upright(person, 3.5), *pieces[:3])
        portrait(canvas, rng, rest, makers)
    snapshot(canvas, rng)


def travel(canvas, rng) -> None:
    """An old town, a hotel room, a harbour or a single thing."""
    rest, pet = "scenery", dog("dog")
    beds = (indoor.sofa, "bed"), (indoor.table, "bed"), (indoor.cabinet, "bed")
    kind = rng.random()
    if kind < 0.3:
        walls = driving.facade("landmark"), driving.foliage("palm")

        def mover(canvas, rng, view, aside, z):
            return palm("palm")(
                canvas, rng, view.col(z, aside * 2), view.row(z), view.focal / z, z
            )

        street(canvas, rng, rest, walls, mover, pet)
    elif kind < 0.6:
        indoors(canvas, rng, rest, beds, pet)
    elif kind < 0.8:
        horizon = meadow(canvas, rng, rest)
        makers = boat("boat"), tower("landmark"), palm("palm"), boat("boat")
        scatter(canvas, rng, horizon, makers, rng.integers(2, 6))
    else:
        makers = (boat("boat"), tower("landmark"), palm("palm"), _upright(pet, 4),
                  _piece(indoor.sofa, "bed"))  # fmt: skip
        portrait(canvas, rng, rest, makers)
    snapshot(canvas, rng)


def market(canvas, rng) -> None:
    """An arcade, a shop, a fair in a park or a single thing."""
    rest, visitor = "square", human("visitor")
    counters = [
        (draw, "counter") for draw in (indoor.table, indoor.screen, indoor.locker)
    ]
    kind = rng.random()
    if kind < 0.3:
        walls = (
            driving.courses("arcade"),
            driving.bars("arcade"),
            driving.foliage("shrub"),
        )

        def mover(canvas, rng, view, aside, z):
            return wagon("cart")(
                canvas, rng, view.col(z, aside), view.row(z), 0.7 * view.focal / z, z
            )

        street(canvas, rng, rest, walls, mover, visitor)
    elif kind < 0.6:
        indoors(canvas, rng, rest, counters, visitor)
    elif kind < 0.8:
        horizon = meadow(canvas, rng, rest)
        makers = tree("shrub"), _upright(visitor, 1.7), wagon("cart"), tower("arcade")
        scatter(canvas, rng, horizon, makers, rng.integers(2, 6))
    else:
        pieces = [_piece(draw, label) for draw, label in counters]
        makers = wagon("cart"), tree("shrub"), _upright(visitor, 3.5), *pieces[:2]
        portrait(canvas, rng, rest, makers)
    snapshot(canvas, rng)


SCENES = {"everyday": everyday, "travel": travel, "market": market}
