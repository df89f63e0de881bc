"""What a model that was trained to fill painted-over blocks or masked patches makes of
images (decoder paper, section 2.2 and Fig. 3; SimMIM study, Fig. 1), compared with one
constant colour.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from jaxseg.analysis import pixels
from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, errors, rules
from jaxseg.data.normalization import Normalize
from jaxseg.data.spec import DataSpec
from jaxseg.tasks import conrec, reconstruction, simmim

FILLING = (reconstruction.Reconstruction, conrec.ConRec, simmim.SimMIM)
ROLES = ("model",)
VERSION = 2
WHOLE, MASK = "whole", "mask"  # targets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """The first `count` images of `data`, or all of fewer; pictures of the first
    `pictures` of them.

    Views and blocks are those of an evaluation of the loss in batches of
    `tools.BATCH`: equal weights have equal rows.
    """

    name: str
    data: DataSpec
    count: Annotated[int, rules.at_least(1)] = 64
    pictures: Annotated[int, rules.at_least(1)] = 4


class Moments(NamedTuple):
    """Of the pixels of one target of one image: the mean squared error of the output,
    and of each channel [C] of the target the mean and the mean square.
    """

    error: float
    mean: Float[np.ndarray, " c"]
    square: Float[np.ndarray, " c"]

    def filled(self, color: Float[np.ndarray, " c"]) -> float:
        """The mean squared error of one colour in place of the output."""
        return float(np.mean(self.square - 2 * color * self.mean + color**2))


class One(NamedTuple):
    """An image: its moments by target, those of `whole` where it is painted over, if
    it is, and where it is not, and its pictures [1 + 2 T, H, W, 3].
    """

    targets: dict[str, Moments]
    masked: Moments | None
    visible: Moments | None
    pictures: np.ndarray


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> tools_lib.Found:
    """A row {data, image, target, error, filled, error_masked, filled_masked,
    visible_masked} for each target of each image, in the order of the array `images`
    uint8 [N, 1 + 2 T, H, W, 3]: the painted-over image, T targets, T outputs, of
    several views the first.

    error: mean squared error, in normalized units, over all pixels and views; filled:
    that of one colour everywhere, the mean of this target over these very images, the
    best there is for them; visible: that of the mean colour of what is visible of the
    image itself. masked: of painted-over pixels alone, for the target `whole`; None for
    others and for an image without such pixels, or with no others.
    """
    (model,), source = models.values(), tools.sources["data"]
    mean_loss = tools.mean_loss(model, "data", tools_lib.BATCH)
    objective = model.objective
    if not isinstance(objective, FILLING):
        known = ", ".join(one.name for one in FILLING)
        raise errors.UserError(
            f"reconstructions: {model.folder} was trained for {objective.name}; "
            f"allowed are {known}. Fix: a parent trained for one of them"
        )
    count, found = min(spec.count, len(source)), []
    with contextlib.closing(mean_loss.judged(jax.device_put(model.variables))) as every:
        ones = _ones(objective, every, mean_loss.normalize)
        for number, one in enumerate(itertools.islice(ones, count)):
            tools.progress(number, count, spec.data.called)
            found.append(one)
    named = {"analysis": spec.name, "data": spec.data.called}
    pictures = np.stack([one.pictures for one in found[: spec.pictures]])
    return tools_lib.Found([named | row for row in _rows(found)], {"images": pictures})


def moments(
    made: Float[np.ndarray, "*p c"],
    target: Float[np.ndarray, "*p c"],
    where: Bool[np.ndarray, "*p"] | None = None,
) -> Moments | None:
    """In float64, of the pixels `where`, or of all; None of no pixel."""
    where = np.ones(target.shape[:-1], bool) if where is None else where
    made, target = (np.asarray(x[where], np.float64) for x in (made, target))
    if not len(target):
        return None
    error = float(np.mean((made - target) ** 2))
    return Moments(error, target.mean(axis=0), (target**2).mean(axis=0))


def _rows(found: Sequence[One]) -> Iterator[dict[str, Any]]:
    colors = {
        name: np.mean([one.targets[name].mean for one in found], axis=0)
        for name in found[0].targets
    }
    for number, one in enumerate(found):
        for name, color in colors.items():
            masked = one.masked if name == WHOLE else None
            yield {
                "image": number,
                "target": name,
                "error": one.targets[name].error,
                "filled": one.targets[name].filled(color),
                "error_masked": masked and masked.error,
                "filled_masked": masked and masked.filled(color),
                "visible_masked": masked
                and one.visible
                and masked.filled(one.visible.mean),
            }


def _ones(
    objective: Any, judged: Iterator[tuple[Any, Any]], normalize: Normalize
) -> Iterator[One]:
    """Each image of the batches that `LossEvaluator.judged` gives."""
    for batch, outputs in judged:
        pairs = {  # one by one: JAX sorts the names of a dict
            name: jax.device_get(pair)
            for name, pair in objective.pairs(outputs, batch).items()
        }
        for row in np.flatnonzero(batch["valid"]):
            own = {name: (made[row], of[row]) for name, (made, of) in pairs.items()}
            mask = batch["mask"][row]
            parts = (moments(*own[WHOLE], where) for where in (mask, ~mask))
            targets = {name: moments(*pair) for name, pair in own.items()}
            shown = _pictures(batch["image"][row], own, normalize)
            yield One(targets, *parts, shown)


def _pictures(
    image: np.ndarray,
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]],
    normalize: Normalize,
) -> np.ndarray:
    """uint8 [1 + 2 T, H, W, 3] of the first view: input, targets, outputs. A mask has
    the values 0 and 1, which are black and white; all else is an image.
    """
    seen = lambda x: x.reshape(-1, *x.shape[-3:])[0]  # views [V, H, W, C] or one image
    black_and_white = Normalize((0.0,), (255.0,))

    def shown(name: str, value: np.ndarray) -> np.ndarray:
        return pixels.shown(seen(value), black_and_white if name == MASK else normalize)

    targets = [shown(name, target) for name, (_, target) in pairs.items()]
    outputs = [shown(name, made) for name, (made, _) in pairs.items()]
    return np.stack([pixels.shown(seen(image), normalize), *targets, *outputs])
