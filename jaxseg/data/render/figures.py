"""Bodies with a skeleton: people, animals from the side, and crawlers from above.

All use `canvas.KEYPOINTS`; hands are the fore limbs of an animal, wings of a plane.
"""

import numpy as np

from jaxseg.data.render import shapes, textures

SKIN = ((0.95, 0.76, 0.62), (0.78, 0.55, 0.40), (0.50, 0.33, 0.24), (0.34, 0.22, 0.16))


def limbs(canvas, thing, label, depth, parts) -> None:
    """Paints parts (distance, colour) of one thing, all with its label."""
    for distance, colour in parts:
        canvas.paint(distance, colour, label, depth=depth, thing=thing)


def person(canvas, rng, x, foot, height, label, depth, colours=None):
    """A standing or walking person; `colours`: skin, coat, trousers, or random."""
    skin = SKIN[rng.integers(len(SKIN))]
    coat = textures.tint(rng, (0.1, 0.8), (0.15, 0.9))
    trousers = textures.tint(rng, (0.1, 0.5), (0.1, 0.5))
    skin, coat, trousers = colours or (skin, coat, trousers)
    stride, swing = rng.uniform(-0.1, 0.1), rng.uniform(0.02, 0.2)

    def at(dx, up):
        return (x + dx * height, foot - up * height)

    head, hip, neck = at(0, 0.91), at(0, 0.5), at(0, 0.76)
    # The left hand of a person who faces the camera is on the right.
    hands = [at(0.13 + swing, 0.45), at(-(0.13 + swing), 0.45)]
    feet = [at(0.06 + stride, 0.03), at(-(0.06 + stride), 0.03)]
    reach = 0.45 * height
    canvas = canvas.window(x - reach, foot - 1.05 * height, x + reach, foot + 0.02)
    px, py = canvas.x, canvas.y

    def thick(share):
        return max(share * height, 0.006)

    parts = [
        (shapes.segment(px, py, at(0.05, 0.48), feet[0], thick(0.05)), trousers),
        (
            shapes.segment(px, py, at(-0.05, 0.48), feet[1], thick(0.05)),
            trousers,
        ),
        (shapes.segment(px, py, at(0.1, 0.75), hands[0], thick(0.038)), coat),
        (shapes.segment(px, py, at(-0.1, 0.75), hands[1], thick(0.038)), coat),
        (shapes.segment(px, py, at(0, 0.55), neck, thick(0.11)), coat),
        (shapes.disc(px, py, *head, thick(0.085)), skin),
    ]
    thing = canvas.thing(label)
    limbs(canvas, thing, label, depth, parts)
    canvas.joints(thing, [head, hip, *hands, *feet])
    return thing


def quadruped(canvas, rng, x, foot, length, label, depth, coat, faces=1, tall=0.75):
    """An animal from the side, facing right (1) or left (-1); coat one colour."""
    reach = 0.75 * length
    canvas = canvas.window(x - reach, foot - 1.1 * length, x + reach, foot + 0.02)

    def at(along, up):
        return (x + faces * along * length, foot - up * length)

    shoulder, hip, head = at(0.3, tall * 0.62), at(-0.3, tall * 0.62), at(0.52, tall)
    step = rng.uniform(-0.06, 0.06)
    fore = [at(0.30 + step, 0.02), at(0.24 - step, 0.02)]  # near, far
    hind = [at(-0.28 - step, 0.02), at(-0.34 + step, 0.02)]
    px, py, thick = canvas.x, canvas.y, lambda share: max(share * length, 0.006)
    ear = at(0.45, tall + 0.06), at(0.43, tall + 0.16)
    far = textures.planes(coat) * np.float32(0.7)
    thing = canvas.thing(label)
    parts = [
        (shapes.segment(px, py, at(0.25, 0.4), fore[1], thick(0.055)), far),
        (shapes.segment(px, py, at(-0.33, 0.4), hind[1], thick(0.055)), far),
        (shapes.segment(px, py, hip, at(-0.58, tall * 0.9), thick(0.035)), coat),
        (shapes.segment(px, py, at(0.3, 0.4), fore[0], thick(0.06)), coat),
        (shapes.segment(px, py, at(-0.28, 0.4), hind[0], thick(0.06)), coat),
        (shapes.segment(px, py, shoulder, hip, thick(0.17)), coat),
        (shapes.segment(px, py, shoulder, head, thick(0.10)), coat),
        (shapes.ellipse(px, py, *head, length * 0.17, length * 0.12), coat),
        (shapes.segment(px, py, *ear, thick(0.04)), far),
    ]  # fmt: skip
    limbs(canvas, thing, label, depth, parts)
    left, right = (1, 0) if faces == 1 else (0, 1)  # facing right shows its right side
    ends = [fore[left], fore[right], hind[left], hind[right]]
    canvas.joints(thing, [head, hip, *ends])
    return thing


def crawler(
    canvas,
    x,
    y,
    length,
    angle,
    label,
    depth,
    colour,
    *,
    width=0.28,
    head=0.12,
    arms=0.45,
    legs=0.3,
    limb=0.06,
    sweep=0.1,
    limb_colour=None,
):
    """A body seen from above, heading along `angle`; all sizes in shares of `length`.

    arms, legs: how far the limbs reach to the sides; sweep: how far back they bend.
    Returns the thing and its body's coordinates along and across, for a pattern.
    """  # fmt: skip
    cos, sin = np.cos(angle), np.sin(angle)

    def at(along, left):
        return (
            x + length * (along * cos + left * sin),
            y + length * (along * sin - left * cos),
        )

    nose, tail = at(0.5, 0), at(-0.42, 0)
    ends = [at(0.18 - sweep, arms), at(0.18 - sweep, -arms)]
    ends += [at(-0.3 - sweep, legs), at(-0.3 - sweep, -legs)]
    roots = [at(0.18, 0), at(0.18, 0), at(-0.3, 0), at(-0.3, 0)]
    if np.ndim(colour) == 1:  # a colour map has the size of its canvas
        reach = 0.62 * length
        canvas = canvas.window(x - reach, y - reach, x + reach, y + reach)
    px, py, thing = canvas.x, canvas.y, canvas.thing(label)
    limb_colour = colour if limb_colour is None else limb_colour
    thick = max(limb * length, 0.007)
    parts = [
        (shapes.segment(px, py, a, b, thick), limb_colour) for a, b in zip(roots, ends)
    ]
    parts += [
        (shapes.disc(px, py, *at(0.46, 0), head * length), limb_colour),
        (shapes.ellipse(px, py, x, y, 0.45 * length, width * length, angle), colour),
    ]
    limbs(canvas, thing, label, depth, parts)
    canvas.joints(thing, [nose, tail, *ends])
    return thing, shapes.turn(px, py, x, y, angle)
