"""Close-ups of one animal, labelled like Oxford-IIIT Pets: animal, rest, border.

The border is a narrow band on both sides of the outline, where the class of a pixel is
doubtful. The breed is the label of the picture; it decides the marking.
"""

import numpy as np

from jaxseg.data.render import camera, closeups, textures

RADIUS = 0.012  # of the blur that defines the border, as a share of the picture's side
DOUBT = 0.1  # share of the other class in that blur from which a pixel is border


def _border(canvas) -> None:
    """Relabels the band around the outline of the animal, class 0, as class 2."""
    share = camera.blur((canvas.segmentation == 0).astype(np.float32), RADIUS)
    canvas.segmentation[(share > DOUBT) & (share < 1 - DOUBT)] = 2


def _snapshot(canvas, rng) -> None:
    camera.light(canvas, textures.tint(rng, (0.0, 0.15), (0.85, 1.1)))
    camera.grain(canvas, rng, 0.012)


def dogs(canvas, rng) -> int:
    """The head of one dog; returns its breed."""
    closeups.bokeh(canvas, rng, "background", 6.0)
    breed = int(rng.integers(len(closeups.DOGS)))
    spot, size = rng.uniform(0.35, 0.65, 2), rng.uniform(0.5, 0.85)
    closeups.dog(canvas, rng, *spot, size, "pet", list(closeups.DOGS.values())[breed])
    _border(canvas)
    _snapshot(canvas, rng)
    return breed


def insects(canvas, rng) -> int:
    """One insect on a leaf, which is background; returns its kind."""
    closeups.bokeh(canvas, rng, "background", 1.0)
    closeups.leaf(canvas, rng, "background")
    kind = int(rng.integers(len(closeups.INSECTS)))
    spot, size = rng.uniform(0.35, 0.65, 2), rng.uniform(0.55, 0.9)
    marking = list(closeups.INSECTS.values())[kind]
    closeups.insect(canvas, rng, *spot, size, "insect", marking)
    _border(canvas)
    _snapshot(canvas, rng)
    return kind


SCENES = {"dogs": dogs, "insects": insects}
