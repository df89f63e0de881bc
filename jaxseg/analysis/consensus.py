"""Whether classifiers find the object of an image, one by one and together (PSSL,
section 3 and Fig. 2), compared with a disc in the middle.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool, Int

from jaxseg.analysis import saliency
from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, errors, images, rules
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.spec import DataSpec

ROLES = None
MEAN = "consensus"
METHOD = saliency.Method()
NEEDED = ("label", "segmentation")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """The first `count` images of `data`, or all of fewer, which have a class and a
    mask; pictures of the first `pictures` of them.
    """

    name: str
    data: DataSpec
    method: saliency.Method = METHOD
    count: Annotated[int, rules.at_least(1)] = 64
    pictures: Annotated[int, rules.at_least(1)] = 4
    seed: rules.Seed = 0


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> tools_lib.Found:
    """A row {data, image, map, iou, disc} for each image and each map: those of the
    models, by role, and MEAN of them all.

    iou: of the pixels of the highest decile with the object; disc: of as many pixels
    in the middle. Only pixels with a label count. None where no pixel
    has the highest decile (a constant map, or ties), or the mask shows no object.

    The arrays `images` uint8 [N, H, W, 3] and `maps` float32 [N, M + 3, H, W] from 0 to
    1: the models', the mean, its deciles / 9 and the highest one; of images of equal
    size, that of the first.
    """
    source = tools.sources["data"]
    _check(source.dataset, spec, models)
    explain = {
        role: saliency.Explainer(model, spec.method, source.dataset.classes, spec.seed)
        for role, model in models.items()
    }
    rows, pictures, shown = [], [], []
    count = min(spec.count, len(source))
    for begin in range(0, count, tools_lib.BATCH):
        numbers = range(begin, min(begin + tools_lib.BATCH, count))
        tools.progress(begin, count, spec.data.called)
        examples = [source[number] for number in numbers]
        maps = saliency.explained(explain, examples, numbers, tools_lib.BATCH)
        for number, example, own in zip(numbers, examples, maps):
            named = {"analysis": spec.name, "data": spec.data.called, "image": number}
            rows += [named | row for row in _rows(own, example, source.dataset)]
            if len(pictures) < spec.pictures:
                pictures.append(_fitted(example["image"], pictures))
                shown += [[_fitted(layer, pictures) for layer in _layers(own)]]
    arrays = {"images": np.stack(pictures), "maps": np.stack(shown)}
    return tools_lib.Found(rows, arrays)


def disc(size: tuple[int, int], pixels: int) -> Bool[np.ndarray, "h w"]:
    """So many pixels around the middle of an image: those nearest to it, of equally
    near ones the first.

    >>> disc((3, 4), 2).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in size)
    far = (rows[:, None] ** 2 + columns**2).ravel()
    found = np.zeros(far.size, bool)
    found[np.argsort(far, kind="stable")[:pixels]] = True
    return found.reshape(size)


def overlap(
    found: Bool[np.ndarray, "h w"], mask: Int[np.ndarray, "h w"], background: int
) -> float | None:
    """IoU with the object, of the pixels that have a label; None without an object."""
    known = mask != IGNORE
    there = known & (mask != background)
    union = ((found | there) & known).sum()
    return int((found & there).sum()) / int(union) if there.any() else None


def _rows(
    maps: Mapping[str, np.ndarray], example: Mapping[str, Any], facts: Dataset
) -> Iterator[dict[str, Any]]:
    mask, background = example["segmentation"], facts.background or 0
    for name, heat in (maps | {MEAN: saliency.mean(maps)}).items():
        top = saliency.deciles(heat) == saliency.TOP
        row = {"map": name, "iou": None, "disc": None}
        if top.any():
            middle = disc(top.shape, int(top.sum()))
            row["iou"] = overlap(top, mask, background)
            row["disc"] = overlap(middle, mask, background)
        yield row


def _layers(maps: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Of the picture: each model's map, their mean, its deciles, the highest one."""
    together = saliency.mean(maps)
    ranks = saliency.deciles(together)
    layers = [*maps.values(), together, ranks / saliency.TOP, ranks == saliency.TOP]
    return [np.asarray(layer, np.float32) for layer in layers]


def _fitted(picture: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """The picture in the size of the first one, where there is one."""
    return images.resize(picture, others[0].shape[:2]) if others else picture


def _check(facts: Dataset, spec: Spec, models: Mapping[str, Any]) -> None:
    """UserError unless the data have classes and masks, and no model is called MEAN."""
    if MEAN in models:
        raise errors.UserError(
            f"consensus/parents: found the role {MEAN!r}, which names the mean of all "
            "maps. Fix: another role"
        )
    missing = [name for name in NEEDED if name not in facts.fields]
    if missing:
        raise errors.UserError(
            f"consensus/data: {spec.data.called} has {', '.join(facts.fields)}; needed "
            f"are {' and '.join(NEEDED)}. Fix: a set with both, such as "
            "worlds/websearch_masks"
        )
