"""Streets by day with cars, buses and walkers, and patches cut from them.

They stand in for Cityscapes in the study of decoders.
"""

import numpy as np

from jaxseg.core import types
from jaxseg.data.readers import patches
from jaxseg.data.render import driving, figures, shapes, textures
from jaxseg.data.render.canvas import Canvas

CLASSES = ("background", "car", "bus", "person")
REST, CAR = CLASSES[:2]
PATCH_CLASSES = ("no car", "car")
WIDER = 2  # the side of a picture, in sides of its patch


def street(canvas, rng) -> None:
    """A street of `driving.day` with one to four cars, in half of all cases a bus."""
    view = driving.random_view(rng)
    kinds = driving.facade(REST), driving.foliage(REST), driving.courses(REST)
    sky = driving.backdrop(canvas, rng, view, REST, kinds, (0.2, 0.6), (0.6, 0.9))
    cars = driving.traffic(rng, rng.integers(1, 5), 3.4, 14, 2.3)
    buses = driving.traffic(rng, int(rng.random() < 0.55), 6, 16, 2.5)
    movers = [(*place, "car") for place in cars] + [(*place, "bus") for place in buses]
    draws = {"car": driving.car, "bus": bus}
    driving.by_day(canvas, rng, view, sky, movers, draws)


def bus(canvas, rng, view, aside, z, label) -> None:
    """A bus from behind: a high box with a wide window under its route, and lamps."""
    paint = textures.tint(rng, (0.3, 0.9), (0.45, 0.95))
    metre = view.focal / z
    x, base = view.col(z, aside), view.row(z)

    def at(dx, up):
        return (x + dx * metre, base - up * metre)

    canvas = canvas.window(*at(-1.6, 3.3), *at(1.6, -0.2))
    px, py, thing = canvas.x, canvas.y, canvas.thing(label)
    canvas.shade(shapes.box(px, py, x, base, 1.4 * metre, 0.2 * metre), 0.5)

    def box(place, half, tall, round=0.0):
        return shapes.box(
            px, py, *at(*place), half * metre, tall * metre, 0, round * metre
        )

    parts = [(box((dx, 0.3), 0.2, 0.3), (0.04,) * 3) for dx in (-0.85, 0.85)]
    parts.append((box((0, 1.7), 1.25, 1.4, 0.15), paint))
    figures.limbs(canvas, thing, label, z, parts)
    canvas.paint(box((0, 1.95), 1.05, 0.55, 0.1), (0.12, 0.16, 0.2))
    canvas.paint(box((0, 2.75), 0.7, 0.14), (0.95, 0.7, 0.15))
    canvas.paint(box((0, 1.15), 1.25, 0.08), np.minimum(paint + 0.3, 1))
    canvas.paint(box((0, 0.42), 1.25, 0.12), paint * 0.35)
    for dx in (-1.0, 1.0):
        canvas.paint(box((dx, 0.8), 0.14, 0.18), (0.8, 0.1, 0.1))


def patch(rng, side: int, *, with_car: bool) -> types.Example:
    """A patch of a street by the rule of `readers.patches`, with its label.

    with_car: pictures are drawn until the patch of one shows a car.
    """
    while True:
        canvas = Canvas(WIDER * side, CLASSES)
        street(canvas, rng)
        whole = canvas.example()
        cars = whole["segmentation"] == CLASSES.index(CAR)
        found = patches.find(cars, rng, side)
        if found and (found[1] or not with_car):
            break
    place, label = found
    return {
        "image": whole["image"][place],
        "segmentation": cars[place].astype(np.int32),
        "depth": whole["depth"][place],
        "boxes": np.zeros((0, 4), np.float32),
        "box_labels": np.zeros(0, np.int32),
        "keypoints": whole["keypoints"][:0],
        "label": np.array(label, np.int32),
    }


SCENES = {"": street}  # the world has one data set
