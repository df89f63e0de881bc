"""What a segmenter makes of images of another data set, in its own classes (PSSL,
section 6.2 and Fig. 3).
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, draw, errors, images, lookup, rules
from jaxseg.data.dataset import Dataset
from jaxseg.data.spec import DataSpec
from jaxseg.tasks import segmentation

ROLES = ("model",)
CLASSES = 3  # that a row names
TINY = {"also": None}  # at the smoke size no image may show it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """The first `count` images of `data`, and after them the first one that shows a
    pixel of the class `also`, if that is given.
    """

    name: str
    data: DataSpec
    count: Annotated[int, rules.at_least(1)] = 3
    also: str | None = None


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> tools_lib.Found:
    """A row {data, image, classes, shares} for each image: the CLASSES of the model
    that most of its pixels have, and their shares of it.

    The array `pictures` uint8 [N, 3, H, W, 3]: image, truth and what the model says, in
    the size of the first image.
    """
    (model,), source = models.values(), tools.sources["data"]
    _check(model, source.dataset)
    names = model.manifest["classes"]
    own = draw.full_palette(model.manifest["palette"], len(names))
    given = draw.full_palette(source.dataset.palette, source.dataset.num_classes)
    rows, pictures = [], []
    for number in _chosen(source, spec):
        example = source[number]
        said = model(example["image"])
        ids, counts = np.unique(said, return_counts=True)
        most = np.argsort(-counts, kind="stable")[:CLASSES]
        row = {"analysis": spec.name, "data": spec.data.called, "image": number}
        row["classes"] = [names[ids[place]] for place in most]
        row["shares"] = [int(counts[place]) / said.size for place in most]
        rows.append(row)
        shown = [
            draw.displayable(example["image"]),
            draw.color_ids(example["segmentation"], given),
            draw.color_ids(said, own),
        ]
        size = pictures[0].shape[1:3] if pictures else shown[0].shape[:2]
        pictures.append(np.stack([images.resize(one, size) for one in shown]))
    return tools_lib.Found(rows, {"pictures": np.stack(pictures)})


def _chosen(source: Any, spec: Spec) -> list[int]:
    """Places of the images; UserError where no image shows the class `also`."""
    found = list(range(min(spec.count, len(source))))
    if spec.also is None:
        return found
    classes = source.dataset.classes
    if spec.also not in classes:
        raise lookup.unknown(spec.also, classes, kind="class", where="predictions/also")
    wanted = classes.index(spec.also)
    first = (n for n, one in enumerate(source) if (one["segmentation"] == wanted).any())
    also = list(itertools.islice(first, 1))
    if not also:
        raise errors.UserError(
            f"predictions/also: no image of {spec.data.called} shows {spec.also!r}. "
            "Fix: another class, or more images"
        )
    return [*found, *(number for number in also if number not in found)]


def _check(model: Any, facts: Dataset) -> None:
    """UserError unless the model segments and the images have masks."""
    tools_lib.check_trained(model)
    if not isinstance(model.objective, segmentation.Segmentation):
        raise errors.UserError(
            f"predictions: {model.folder} was trained for {model.objective.name}; "
            "allowed is segmentation. Fix: a parent that is such a segmenter"
        )
    if "segmentation" not in facts.fields:
        raise errors.UserError(
            f"predictions/data: found {', '.join(facts.fields)}; needed is "
            "segmentation. Fix: a set with masks"
        )
