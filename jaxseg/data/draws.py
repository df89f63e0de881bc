"""Examples of a training, drawn one by one: an endless stream, by number.

Each epoch has an order of its own. What is random about an example depends only on the
seed and its number; with several views, on the number of the view as well.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Example
from jaxseg.data import transforms as transforms_lib
from jaxseg.data.dataset import OBJECT_FIELDS, PIXEL_FIELDS
from jaxseg.data.normalization import Normalize
from jaxseg.data.source import Source


@dataclasses.dataclass(frozen=True)
class Draw:
    """Example number n of the endless stream of one source; the image still 8 bits."""

    source: Source
    steps: tuple[transforms_lib.Transform, ...]
    normalize: Normalize
    seed: tuple[int, ...]  # and, of one of several sources, its place
    fields: tuple[str, ...]
    views: int = 1
    clean: bool = False

    @classmethod
    def of(
        cls,
        source: Source,
        transforms: Sequence[transforms_lib.Transform],
        seed: tuple[int, ...],
        fields: Sequence[str],
        views: int = 1,
        clean: bool = False,
        normalize: Normalize | None = None,
    ) -> "Draw":
        """The stream of a source with these transforms; views, clean: as in
        `train_batches`; normalize: if not by the mean and std of the source.
        """
        check_fields(fields, source)
        _check_views(views, fields, source)
        normalize = normalize or Normalize.of(source.dataset)
        facts = dataclasses.replace(source.dataset, mean=normalize.mean)
        filled = [step.for_dataset(facts) for step in transforms]
        steps = tuple(transforms_lib.fuse(filled))
        fields = (*fields, *(["clean"] * clean))
        return cls(source, steps, normalize, seed, fields, views, clean)

    def __call__(self, number: int) -> Example:
        epoch, index = divmod(number, len(self.source))
        order = epoch_order(self.seed[0], epoch, len(self.source))
        return self.of_record(int(order[index]), number)

    def of_record(self, index: int, number: int) -> Example:
        """Record `index` of the source as draw `number` shows it."""
        record = self.source[index]
        record = record | ({"clean": record["image"]} if self.clean else {})
        given = needed(record, self.fields)
        views = [self._view(given, number, view) for view in range(self.views)]
        if self.views == 1:
            return views[0]
        several = {
            name: [view[name] for view in views]
            for name in PIXEL_FIELDS
            if name in given
        }
        for name, arrays in several.items():
            check_alike(name, arrays)
        return views[0] | {name: np.stack(arrays) for name, arrays in several.items()}

    def _view(self, example: Example, number: int, view: int) -> Example:
        """The first view is the example that there is without others; the seed of the
        others is (seed, number of the draw, place of the source, view).
        """
        seed, *place = self.seed
        others = [*(place or [0]), view] if view else place
        rng = np.random.default_rng([seed, number, *others])
        for step in self.steps:
            example = step(example, rng)
        return example


@functools.lru_cache(maxsize=8)
def epoch_order(seed: int, epoch: int, length: int) -> np.ndarray:
    """int [length], the order of the examples in an epoch.

    grain's own shuffle is slow for small data sets: 2 ms per example for 20 examples.
    """
    return np.random.default_rng([seed, epoch, length]).permutation(length)


def needed(example: Example, fields: Sequence[str]) -> Example:
    """Only the needed fields: boxes that no task uses must not influence the crops."""
    return {name: example[name] for name in {"image", "id", *fields}}


def check_alike(name: str, arrays: Sequence[np.ndarray]) -> None:
    """UserError unless the arrays of a field have one shape."""
    shapes = sorted({np.shape(array) for array in arrays})
    if len(shapes) > 1:
        raise errors.UserError(
            f"{name}: examples of one batch have the shapes {shapes}. Fix: end the "
            "transforms with crop (or letterbox), which makes them alike."
        )


def _check_views(views: int, fields: Sequence[str], source: Source) -> None:
    """UserError for views of records whose objects each view would have others of."""
    objects = [name for name in fields if name in OBJECT_FIELDS]
    if views < 1 or (views > 1 and objects):
        raise errors.UserError(
            f"{source.name}: found {views} views with fields {', '.join(fields)}, "
            "allowed: 1 or more, and 1 with objects (boxes, keypoints)"
        )


def check_fields(fields: Sequence[str], source: Source) -> None:
    known = source.dataset.fields
    missing = [name for name in fields if name not in known]
    if missing:
        raise errors.UserError(
            f"{source.name} has no {', '.join(missing)}; it has {', '.join(known)}. "
            "Fix: choose a task that these suffice for, or another dataset."
        )
