"""Contact sheets of the pictures that analyses return as arrays."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np

from jaxseg.core import image_files
from jaxseg.report import pictures

HEAT = "inferno"
STRENGTH = 0.8  # opacity where a map is 1

Picture = np.ndarray  # uint8 [H, W, 3] or [H, W]


def sheet(
    lines: Sequence[Sequence[Picture | None]],
    heads: Sequence[str],
    key: str = "",
    values: Sequence[str] = (),
    legend: Sequence[tuple[str, tuple[int, int, int]]] = (),
) -> dict[str, Any]:
    """A sheet as `pictures.sheet` returns it: a row for each of the lines, a column for
    each head; None leaves a hole. None of it is scaled up.

    key: of the artifact that the pictures are of. values: texts below the heads.
    legend: (name, colour). ValueError where a line has not a picture for each head.
    """
    for line in [*lines, *([values] if values else [])]:
        if len(line) != len(heads):
            raise ValueError(f"{len(line)} in a line, {len(heads)} heads: {heads}")
    return {
        "heads": list(heads),
        "values": list(values) or [""] * len(heads),
        "keys": [key] * len(heads),
        "lines": [
            [None if one is None else _uri(one) for one in line] for line in lines
        ],
        "legend": list(legend),
    }


def overlaid(
    picture: np.ndarray, heat: np.ndarray, strength: float = STRENGTH
) -> np.ndarray:
    """uint8 [H, W, 3]: a map [H, W] from 0 to 1 over a picture uint8 [H, W, 3].

    The higher a value, the brighter its colour and the less of the picture is seen: 0
    leaves it as it is, 1 has the opacity `strength`.
    """
    heat = np.clip(heat, 0, 1)
    share = strength * heat[..., None]
    shades = 255 * matplotlib.colormaps[HEAT](heat)[..., :3]
    return np.rint(share * shades + (1 - share) * picture).astype(np.uint8)


def _uri(picture: Picture) -> str:
    return pictures.data_uri(image_files.encode_png(pictures.narrowed(picture)))
