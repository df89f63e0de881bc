"""How an image is evaluated: whole or in windows, at which scales, normalized how."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from jaxseg.core import binding, errors, lookup

MODES = ("whole", "sliding")
NORMALIZATIONS = ("training", "target")  # whose mean and std
OVERLAP = 0.5
CANVAS_STEP = 32  # scaled canvases are multiples: no backbone has to pad them

Size = tuple[int, int]  # height, width


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The default is one forward pass of the whole image in its letterbox."""

    mode: str = "whole"
    overlap: float = OVERLAP  # of neighbouring windows, as a share of their size
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False  # averaged with the mirrored image
    normalization: str = "training"  # or that of the set evaluated, the "target"

    @property
    def averages(self) -> bool:
        """Whether scores of several views of an image are averaged."""
        return dataclasses.replace(self, normalization="training") != WHOLE

    def text(self, size: Size) -> str:
        """The protocol in words, for a canvas or window (height, width)."""
        sides, plain = f"{size[0]}x{size[1]}", self.scales == (1.0,)
        scales = " ".join(f"{scale:g}" for scale in self.scales)
        if self.mode == "sliding":
            words = [f"sliding windows {sides}", f"overlap {self.overlap:g}"]
            words.append("one scale" if plain else f"scales {scales}")
        elif plain:
            words = ["whole image", f"one scale {sides}"]
        else:
            words = ["whole image", f"canvas {sides}", f"scales {scales}"]
        words += ["flip"] if self.flip else []
        if self.normalization == "target":
            words.append("normalized by the target's own mean and std")
        return ", ".join(words)


WHOLE = Protocol()


def build(
    mode: str = "whole",
    overlap: float = OVERLAP,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    normalization: str = "training",
) -> Protocol:
    """mode: "whole" images in a letterbox, or "sliding" windows of its size.

    overlap: of sliding windows, from 0 up to but not 1. scales: factors of the canvas
    (whole) or of the image (sliding); scores are averaged. flip: mirrored as well.
    normalization: by the mean and std the model was trained with, or by those of the
    "target", the set evaluated; of a training on mixed sets, by those of the first.
    UserErrors begin with the name of the field.
    """
    if mode not in MODES:
        raise lookup.unknown(mode, MODES, kind="mode", where="mode")
    if normalization not in NORMALIZATIONS:
        kind = "normalization"
        raise lookup.unknown(normalization, NORMALIZATIONS, kind=kind, where=kind)
    if not 0 <= overlap < 1:
        raise errors.UserError(f"overlap: found {overlap}, allowed: [0, 1)")
    if mode == "whole" and overlap != OVERLAP:
        raise errors.UserError(
            f"overlap: found {overlap} with mode 'whole', which has no windows. Fix: "
            "set mode to 'sliding', or leave overlap out"
        )
    if not scales or not all(0 < scale < math.inf for scale in scales):
        raise errors.UserError(
            f"scales: found {list(scales)}, allowed: one or more numbers above 0"
        )
    views = tuple(float(scale) for scale in scales)
    return Protocol(mode, overlap, views, flip, normalization)


def bind(section: Any, where: str) -> dict[str, Any] | None:
    """The section with its defaults written in; None where it equals the default."""
    if section is None:
        return None
    bound = binding.bind(build, section=section, where=where)
    try:
        built = build(**bound)
    except errors.UserError as error:
        raise errors.UserError(f"{where}/{error}") from None
    if built == WHOLE:
        return None
    return dataclasses.asdict(built) | {"scales": list(built.scales)}


def check(how: Protocol, task: Any, where: str) -> None:
    """UserError where the scores of a task without maps would be averaged."""
    if how.averages and not getattr(task, "dense", False):
        raise errors.UserError(
            f"{where}: found mode {how.mode!r}, scales {list(how.scales)}, flip "
            f"{how.flip} for task {task.name!r}; only tasks that predict maps "
            "(segmentation, depth) average. Fix: leave the protocol out"
        )


def canvas(size: Size, scale: float) -> Size:
    """(height, width) of a canvas at a scale; the canvas itself at scale 1."""
    if scale == 1:
        return tuple(size)
    steps = (round(length * scale / CANVAS_STEP) for length in size)
    return tuple(max(1, n) * CANVAS_STEP for n in steps)


def starts(length: int, window: int, overlap: float) -> list[int]:
    """Where windows begin along a side: a stride apart, the last one ends with it."""
    # Rounded, or 10 * (1 - 0.7) = 3.0000000000000004 would step by 4.
    stride = max(1, math.ceil(round(window * (1 - overlap), 6)))
    last = max(0, length - window)
    return [*range(0, last, stride), last]
