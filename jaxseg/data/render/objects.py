"""Photographs of one kind of thing, such as a car, a cat, or chairs in a room.

They stand in for Object Discovery and for the chairs of COCO in the study of chair
segments, and for single classes of VOC in that of decoders. Surroundings hold other
things, which are background.
"""

import numpy as np

from jaxseg.data.render import (
    chairs,
    consumer,
    driving,
    figures,
    indoor,
    shapes,
    textures,
    things,
)

REST = "background"


def car(canvas, rng) -> None:
    """A car from behind on a street, or from the side on open land."""
    if rng.random() < 0.5:
        view = _street(canvas, rng)
        z = rng.uniform(2.8, 4.5)
        driving.car(canvas, rng, view, rng.uniform(-0.5, 0.5), z, "car")
    else:
        _land(canvas, rng)
        metre = rng.uniform(0.2, 0.3)
        place = rng.uniform(0.42, 0.58), rng.uniform(0.7, 0.9)
        consumer.wagon("car")(canvas, rng, *place, metre, 2.0)
    consumer.snapshot(canvas, rng)


def motorbike(canvas, rng) -> None:
    """A motorbike from the side, on a street or on open land."""
    if rng.random() < 0.6:
        view = _street(canvas, rng)
        if rng.random() < 0.5:  # parked behind it
            z = rng.uniform(7, 14)
            driving.car(canvas, rng, view, rng.uniform(-2.5, 2.5), z, REST)
    else:
        _land(canvas, rng)
    place = rng.uniform(0.42, 0.58), rng.uniform(0.75, 0.95)
    things.motorbike(canvas, rng, *place, rng.uniform(0.5, 0.85), rng.choice((-1, 1)))
    consumer.snapshot(canvas, rng)


def person(canvas, rng) -> None:
    """One to three people on a street, on open land or in a room."""
    kind = rng.random()
    if kind < 0.4:
        view = _street(canvas, rng)
        if rng.random() < 0.5:
            z = rng.uniform(6, 14)
            driving.car(canvas, rng, view, rng.uniform(-2.5, 2.5), z, REST)
    elif kind < 0.7:
        _land(canvas, rng)
    else:
        _room(canvas, rng)
    count = rng.choice((1, 1, 2, 3))
    for place in rng.permutation(np.linspace(-0.5, 0.5, count + 2)[1:-1]):
        x, foot = 0.5 + place + rng.uniform(-0.06, 0.06), rng.uniform(0.88, 1.08)
        figures.person(canvas, rng, x, foot, rng.uniform(0.5, 0.85), "person", 2.0)
    if kind < 0.7:
        consumer.snapshot(canvas, rng)
    else:
        _lamp(canvas, rng, rng.random() < 0.5)


def cat(canvas, rng) -> None:
    """A cat, sitting or on its feet, in a room or on open land."""
    inside = rng.random() < 0.6
    if inside:
        _room(canvas, rng)
    else:
        _land(canvas, rng)
    coat = textures.tint(rng, (0.05, 0.7), (0.15, 0.9), (0.03, 0.13))
    x, faces = rng.uniform(0.42, 0.58), rng.choice((-1, 1))
    if rng.random() < 0.5:
        things.sitting_cat(
            canvas, rng, x, rng.uniform(0.85, 0.97), rng.uniform(0.5, 0.8), coat
        )
    else:
        foot, length = rng.uniform(0.78, 0.92), rng.uniform(0.5, 0.68)
        things.walking_cat(canvas, rng, x, foot, length, coat, faces)
    if inside:
        _lamp(canvas, rng, rng.random() < 0.5)
    else:
        consumer.snapshot(canvas, rng)


def horse(canvas, rng) -> None:
    """A horse from the side, standing on open land."""
    _land(canvas, rng)
    coat = textures.tint(rng, (0.1, 0.7), (0.15, 0.9), (0.02, 0.11))
    place = rng.uniform(0.42, 0.58), rng.uniform(0.8, 0.95)
    length, tall = rng.uniform(0.5, 0.7), rng.uniform(0.78, 0.88)
    faces = rng.choice((-1, 1))
    figures.quadruped(canvas, rng, *place, length, "horse", 2.0, coat, faces, tall)
    consumer.snapshot(canvas, rng)


def airplane(canvas, rng) -> None:
    """An aircraft from the side, in the air or on the ground."""
    flying = rng.random() < 0.6
    if flying:
        sky = textures.tint(rng, (0.05, 0.6), (0.6, 0.95), (0.5, 0.68))
        cloud = textures.clouds(rng, canvas.size, rng.integers(2, 6)) * 0.8
        canvas.paint(canvas.y - 2, textures.mix(sky, (1, 1, 1), cloud), REST)
    else:
        _land(canvas, rng)
    y, angle = (rng.uniform(0.4, 0.6), rng.uniform(-0.5, 0.5)) if flying else (0.65, 0)
    _aircraft(canvas, rng, rng.uniform(0.42, 0.58), y, angle, wheels=not flying)
    consumer.snapshot(canvas, rng)


def _aircraft(canvas, rng, x, y, angle, *, wheels) -> None:
    """Fuselage, fin, wings seen aslant, engines; windows are part of it."""
    size, way = rng.uniform(0.38, 0.48), rng.choice((-1, 1))
    cos, sin = np.cos(angle), np.sin(angle)

    def at(along, up):
        return (
            x + size * (way * along * cos + up * sin),
            y + size * (way * along * sin - up * cos),
        )

    px, py = canvas.x, canvas.y
    skin, paint = textures.tint(rng, (0, 0.2), (0.6, 1.0)), textures.tint(rng)
    thick, lean = rng.uniform(0.09, 0.13), rng.uniform(0.25, 0.5)
    far = [at(0.15, 0), at(-0.1, 0), at(-0.35, lean), at(-0.25, lean)]
    near = [at(0.2, -0.03), at(-0.15, -0.03), at(-0.5, -lean), at(-0.35, -lean)]
    fin = [at(-0.7, 0.05), at(-0.95, 0.05), at(-1.0, 0.42), at(-0.85, 0.42)]
    tail = [at(-0.75, 0.03), at(-0.95, 0.03), at(-1.08, -0.12), at(-0.95, -0.12)]
    body = shapes.segment(px, py, at(-0.85, 0.02), at(0.85, 0), thick * size)
    engine = shapes.segment(px, py, at(-0.1, -0.24), at(0.1, -0.22), 0.06 * size)
    parts = [(shapes.convex(px, py, far), skin * 0.7)]
    if wheels:
        tyres = [shapes.disc(px, py, *at(a, -0.2), 0.05 * size) for a in (-0.2, 0.6)]
        parts += [(tyre, (0.08, 0.08, 0.08)) for tyre in tyres]
        engine = shapes.segment(px, py, at(-0.1, -0.14), at(0.1, -0.12), 0.06 * size)
        near = [at(0.2, -0.03), at(-0.15, -0.03), at(-0.5, -0.16), at(-0.4, -0.16)]
    parts += [
        (shapes.convex(px, py, fin), paint),
        (body, skin),
        (shapes.convex(px, py, tail), skin * 0.85),
        (engine, paint * 0.8),
        (shapes.convex(px, py, near), skin * 0.8),
    ]
    figures.limbs(canvas, canvas.thing("airplane"), "airplane", 2.0, parts)
    for along in np.arange(-0.6, 0.75, 0.12):
        pane = shapes.disc(px, py, *at(along, 0.04), 0.022 * size)
        canvas.paint(pane, (0.2, 0.25, 0.3))


def _street(canvas, rng) -> driving.View:
    """A street without traffic between houses and trees."""
    view = driving.random_view(rng)
    sky = textures.tint(rng, (0.1, 0.4), (0.7, 0.95), (0.5, 0.65))
    canvas.paint(canvas.y - 2, sky, REST)
    driving.ground(canvas, rng, view, REST, rest=REST)
    kinds = driving.facade(REST), driving.foliage(REST), driving.courses(REST)
    driving.walls(canvas, rng, view, kinds)
    return view


def _room(canvas, rng) -> indoor.Room:
    """A furnished room."""
    shape = indoor.room(canvas, rng, REST, REST)
    indoor.furnish(canvas, rng, shape, PIECES, rng.integers(2, 5))
    return shape


def _lamp(canvas, rng, home) -> None:
    """The warm light of a home, or the cold one of an office."""
    lamp = (rng.uniform(0.06, 0.13), rng.uniform(0.15, 0.35), 1.05)
    cold = (rng.uniform(0.3, 0.55), rng.uniform(0.05, 0.2), 1.1)
    indoor.lamp_light(canvas, rng, lamp if home else cold)


def _land(canvas, rng) -> None:
    """Open land with trees, towers and people in the distance."""
    horizon = consumer.meadow(canvas, rng, REST)
    makers = consumer.tree(REST), consumer.tower(REST), consumer.tree(REST)
    for foot in np.sort(
        rng.uniform(horizon + 0.03, horizon + 0.16, rng.integers(2, 5))
    ):
        make, metre = makers[rng.integers(len(makers))], (foot - horizon) / 1.5
        make(canvas, rng, rng.uniform(0, 1), foot, metre, 1.3 / (foot - horizon))


PIECES = [
    (draw, REST)
    for draw in (indoor.sofa, indoor.bookcase, indoor.dresser, indoor.table)
]


def rooms(canvas, rng) -> None:
    """One to three chairs in a furnished room, which other things may cover in part."""
    home = rng.random() < 0.5
    shape = _room(canvas, rng)
    count = rng.choice((1, 1, 2, 3))
    largest = rng.uniform(0.55, 0.85)
    for tall in np.sort(largest * np.append(rng.uniform(0.5, 0.8, count - 1), 1)):
        foot = np.clip(shape.horizon + tall * rng.uniform(0.75, 1.1), 0.6, 0.98)
        chair(canvas, rng, rng.uniform(0.3, 0.7), foot, tall)
    if rng.random() < 0.4:  # in front, at a side
        z = rng.uniform(1.8, 2.2)
        draw, label = PIECES[rng.integers(len(PIECES))]
        draw(canvas, rng, shape, rng.choice((-0.05, 1.05)), z, label)
    _lamp(canvas, rng, home)


def chair(canvas, rng, x, foot, tall) -> None:
    """A chair `tall` of the picture's height, on its shadow."""
    size, side = canvas.size, int(tall * canvas.size)
    cut = chairs.chair(rng, 2 * side).astype(np.float32) / 255
    cut[..., :3] *= cut[..., 3:]
    cut = cut.reshape(side, 2, side, 2, 4).mean((1, 3))
    top, left = int(foot * size), int(x * size - side / 2) + side  # padded by a side
    whole = np.zeros((size + 2 * side, size + 2 * side, 4), np.float32)
    whole[top : top + side, left : left + side] = cut
    *colour, cover = whole[side:-side, side:-side].transpose(2, 0, 1)
    shadow = shapes.ellipse(canvas.x, canvas.y, x, foot - 0.02, tall * 0.4, tall * 0.1)
    canvas.shade(shadow, 0.4)
    paint = np.stack(colour) / np.maximum(cover, 1e-6)
    distance = (0.5 - cover) / size  # `paint` covers this share of a pixel
    canvas.paint(distance, paint, "chair", depth=2.0, thing=canvas.thing("chair"))


SCENES = {
    "car": car,
    "horse": horse,
    "airplane": airplane,
    "chairs": rooms,
    "motorbike": motorbike,
    "person": person,
    "cat": cat,
}
