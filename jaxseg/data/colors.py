"""Transforms of the colors of an image, which leave its labels as they are."""

import dataclasses
from collections.abc import Callable

import numpy as np

from jaxseg.core import errors, images
from jaxseg.core.types import Example
from jaxseg.data.dataset import PIXEL_FIELDS, Dataset
from jaxseg.data.geometry import Rng
from jaxseg.data.transform import Transform


@dataclasses.dataclass(frozen=True)
class Blur(Transform):
    """Blurs the image by a Gaussian of a width drawn evenly up to `sigma` pixels."""

    probability: float = 0.5
    sigma: float = 1.0

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        if rng is None or rng.random() >= self.probability:
            return example
        width = rng.uniform(0, self.sigma)
        return recolored(example, lambda image: images.blur(image, width))


@dataclasses.dataclass(frozen=True)
class Jitter(Transform):
    """Brightness, contrast and saturation by factors drawn from 1 - x to 1 + x, hue by
    a rotation drawn from -x to x, where 1 is all the way.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.0
    probability: float = 1.0

    def for_dataset(self, facts: Dataset) -> Transform:
        """The same. UserError for hues of images that have none."""
        if self.hue and len(facts.mean) != 3:
            raise errors.UserError(
                f"jitter/hue: found {self.hue} for images with {len(facts.mean)} "
                "channels, allowed: 0, but for those with 3. Fix: hue=0"
            )
        return self

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        # At 1 nothing is drawn: what comes after is as it was before there were shares.
        if rng is None or (self.probability < 1 and rng.random() >= self.probability):
            return example
        spreads = (self.brightness, self.contrast, self.saturation)
        factors = [float(rng.uniform(1 - x, 1 + x)) for x in spreads]
        hue = float(rng.uniform(-self.hue, self.hue)) if self.hue else 0.0
        return recolored(example, lambda image: images.jitter(image, *factors, hue))


@dataclasses.dataclass(frozen=True)
class Grey(Transform):
    """The mean of the channels in each."""

    probability: float = 0.2

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        if rng is None or rng.random() >= self.probability:
            return example
        return recolored(example, images.grey)


def recolored(example: Example, change: Callable[[np.ndarray], np.ndarray]) -> Example:
    """The example with `change` made to the fields that have its colors."""
    colors = [n for n, kind in PIXEL_FIELDS.items() if kind.colors and n in example]
    return example | {name: change(example[name]) for name in colors}
