"""Close-ups: one animal fills the picture, sharp, the background out of focus.

Classes differ by the grain and scale of irregular markings of coat and shell (spots,
bands, strands, curls) in any direction; outlines and hues are alike.
"""

import numpy as np

from jaxseg.data.render import camera, figures, shapes, textures


def bokeh(canvas, rng, label, distance) -> None:
    """Unfocused discs of light, in colours that animals also have."""
    first, second = textures.tint(rng), textures.tint(rng)
    ramp = textures.clouds(rng, canvas.size, 3, 2)
    canvas.paint(canvas.y - 2, textures.mix(first, second, ramp), label, depth=distance)
    for _ in range(7):
        x, y, radius = rng.random(), rng.random(), rng.uniform(0.05, 0.16)
        spot = shapes.disc(canvas.x, canvas.y, x, y, radius)
        canvas.paint(spot, textures.tint(rng, (0.1, 0.7), (0.3, 1.0)))
    canvas.image[:] = camera.blur(canvas.image, 0.035)


def coat(canvas, rng, kind):
    """Share [S, S] of the second colour: the irregular marking of one kind.

    Its direction is random, so that kinds differ only by grain and scale.
    """
    angle = rng.uniform(0, np.pi)
    _, across = shapes.turn(canvas.x, canvas.y, 0.5, 0.5, angle)
    cells = {"spots": 12, "bands": 6, "strands": 12, "curls": 24, "smooth": 3}[kind]
    field = canvas.cut(textures.noise(rng, canvas.size, cells))
    if kind == "spots":
        return textures.unit((field - 0.52) * 9)
    if kind == "bands":
        return textures.waves(across + 0.12 * field, rng.uniform(6.5, 8), 0, 2)
    if kind == "strands":
        fine = textures.waves(across + 0.05 * field, rng.uniform(14, 17))
        return textures.unit(fine * (0.3 + field))
    if kind == "curls":
        return textures.unit((field - 0.5) * 4 + 0.5)
    return 0.3 * field  # smooth


def lit(canvas, colour, distance, x, y, size):
    """Shades a body as round: light from the upper left, darker rim."""
    lamp = ((canvas.x - x) + (canvas.y - y)) / size
    return textures.times(colour, textures.unit(1.05 - 0.35 * lamp)) * textures.unit(
        0.6 - 5 * distance / size
    )


def dog(canvas, rng, x, y, size, label, kind) -> None:
    """The head of a dog with hanging ears, eyes, nose and muzzle; turned a little."""
    depth, lean = rng.uniform(0.5, 1.2), rng.uniform(-0.35, 0.35)
    canvas = canvas.window(x - size, y - size, x + size, y + size)
    main = textures.tint(rng, (0.05, 0.6), (0.3, 0.95), (0.0, 0.15))
    other = main * rng.uniform(0.35, 0.6)
    u, v = shapes.turn(canvas.x, canvas.y, x, y, lean)
    u, v = u / np.float32(size), v / np.float32(size)  # right and down
    pattern = coat(canvas, rng, kind)
    fur = textures.mix(main, other, pattern)
    hang, spread = rng.uniform(0.1, 0.45), rng.uniform(0.36, 0.5)
    neck = shapes.box(u, v, 0, 0.7, 0.32, 0.4, 0, 0.2)
    head = shapes.ellipse(u, v, 0, 0, 0.4, 0.45)
    muzzle = shapes.ellipse(u, v, 0, 0.22, 0.22, 0.24)
    thing = canvas.thing(label)

    def put(shape, colour, name):
        return canvas.paint(shape * size, colour, name, depth=depth, thing=thing)

    put(neck, textures.planes(fur) * 0.8, label)
    put(head, lit(canvas, fur, head * size, x, y, size), label)
    for side in (-1, 1):
        ear = shapes.segment(
            u, v, (side * spread * 0.8, -0.3), (side * spread, hang), 0.12
        )
        put(ear, fur * np.float32(0.65), label)
        canvas.paint(shapes.disc(u, v, side * 0.16, -0.08, 0.055) * size, (0.05,) * 3)
    canvas.paint(muzzle * size, textures.planes(fur) * 0.5 + main[:, None, None] * 0.6)
    canvas.paint(shapes.ellipse(u, v, 0, 0.14, 0.09, 0.06) * size, (0.05, 0.04, 0.05))

    def at(a, b):
        return (
            x + size * (a * np.cos(lean) - b * np.sin(lean)),
            y + size * (a * np.sin(lean) + b * np.cos(lean)),
        )

    ears = at(spread, hang), at(-spread, hang)
    paws = [(np.nan, np.nan)] * 2
    canvas.joints(thing, [at(0, 0.14), at(0, 0.7), *ears, *paws])


def insect(canvas, rng, x, y, size, label, kind) -> None:
    """A six-legged body from above, glossy, with its pattern on the back."""
    heading, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.15)
    canvas = canvas.window(x - size, y - size, x + size, y + size)
    main = textures.tint(rng, (0.3, 0.95), (0.4, 0.95))
    other = main * rng.uniform(0.25, 0.55)
    pattern = coat(canvas, rng, kind)
    shell = textures.mix(main, other, pattern)
    back = shapes.ellipse(canvas.x, canvas.y, x, y, 0.45 * size, 0.3 * size, heading)
    shell = lit(canvas, shell, back, x, y, size)
    canvas.shade(
        shapes.disc(canvas.x, canvas.y, x + 0.02, y + 0.03, size * 0.4), 0.4, 0.1
    )
    figures.crawler(canvas, x, y, size, heading, label, depth, shell, width=0.3,
                    head=0.13, arms=0.48, legs=0.46, limb=0.028, sweep=-0.02,
                    limb_colour=(0.06, 0.05, 0.05))  # fmt: skip
    shine = shapes.ellipse(canvas.x, canvas.y, x - 0.1 * size, y - 0.1 * size,
                           0.1 * size, 0.05 * size, 2.4)  # fmt: skip
    canvas.paint(shine, np.minimum(main + 0.35, 1))


def leaf(canvas, rng, label) -> None:
    """The leaf that insects sit on: large, with a midrib and side veins."""
    angle = rng.uniform(0, np.pi)
    paint = textures.tint(rng, (0.3, 0.7), (0.3, 0.7), (0.15, 0.42))
    x, y = rng.uniform(0.35, 0.65, 2)
    u, v = shapes.turn(canvas.x, canvas.y, x, y, angle)
    veins = textures.waves(u - np.abs(v) * 0.8, rng.uniform(6, 8), 0, 2)
    colour = textures.mix(paint, paint * 0.72, veins)
    body = shapes.ellipse(
        canvas.x, canvas.y, x, y, 0.62, rng.uniform(0.24, 0.34), angle
    )
    canvas.paint(body, colour, label, depth=0.2)
    canvas.paint(np.maximum(np.abs(v) - 0.012, body), paint * 1.3)


DOGS = {"dalmatian": "spots", "boxer": "bands", "collie": "strands", "poodle": "curls",
        "labrador": "smooth"}  # fmt: skip
INSECTS = {
    "ladybird": "spots",
    "wasp": "bands",
    "chafer": "strands",
    "beetle": "smooth",
}


def dogs(canvas, rng) -> None:
    """One or two dogs that face the camera."""
    bokeh(canvas, rng, "garden", 6.0)
    count = rng.choice((1, 2, 2))
    for place in range(count):
        name = list(DOGS)[rng.integers(len(DOGS))]
        size = rng.uniform(0.6, 0.85) / count**0.5
        x = rng.uniform(0.3, 0.7) if count == 1 else 0.25 + 0.5 * place
        spot = x + rng.uniform(-0.05, 0.05), rng.uniform(0.4, 0.6)
        dog(canvas, rng, *spot, size, name, DOGS[name])
    camera.light(canvas, textures.tint(rng, (0.0, 0.15), (0.85, 1.1)))
    camera.grain(canvas, rng, 0.012)


def insects(canvas, rng) -> None:
    """Beetles and similar insects on a leaf, seen by a macro lens."""
    bokeh(canvas, rng, "blur", 1.0)
    leaf(canvas, rng, "leaf")
    for _ in range(rng.integers(1, 4)):
        name = list(INSECTS)[rng.integers(len(INSECTS))]
        spot = rng.uniform(0.2, 0.8, 2)
        insect(canvas, rng, *spot, rng.uniform(0.45, 0.7), name, INSECTS[name])
    camera.light(canvas, textures.tint(rng, (0.0, 0.15), (0.85, 1.1)))
    camera.grain(canvas, rng, 0.012)


SCENES = {"dogs": dogs, "insects": insects}
