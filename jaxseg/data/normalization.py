"""Normalization: images minus the mean, divided by the standard deviation, per channel.

It is the last step before a batch in training, in evaluation and in a loaded model.
Mean and std are those of a data set: its fact sheet has them, or they are measured.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from jaxseg.core import errors, images
from jaxseg.data.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Normalize:
    """float32 images, (image - mean) / std; the defaults change no value.

    mean, std: in grey levels, one for each channel or one for all.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @classmethod
    def of(cls, facts: Dataset) -> "Normalize":
        """Normalization with the mean and std of a data set."""
        return cls(facts.mean or cls.mean, facts.std or cls.std)

    def __call__(
        self, image: np.ndarray, out: np.ndarray | None = None, *, name: str = "image"
    ) -> np.ndarray:
        """float32 [H, W, C] of uint8 or uint16 [H, W, C], written into `out` if given.

        name: of the image, for the UserError if it has another number of channels.
        """
        if len(self.mean) not in (1, image.shape[2]):
            raise errors.UserError(
                f"normalize: {name} has {image.shape[2]} channels, mean and std have "
                f"{len(self.mean)}. Fix: give as many as the images have."
            )
        return images.normalize(image, self.mean, self.std, out)


def measure(pictures: Iterable[np.ndarray]) -> dict[str, tuple[float, ...]]:
    """{"mean", "std"}: of each channel in grey levels, each image with one weight."""
    moments = [images.moments(picture) for picture in pictures]
    mean = np.mean([first for first, _ in moments], axis=0)
    variance = np.mean([second for _, second in moments], axis=0) - mean**2
    std = np.sqrt(np.maximum(variance, 1.0))  # a constant channel must not divide by 0
    return {
        "mean": tuple(float(round(value, 3)) for value in mean),
        "std": tuple(float(round(value, 3)) for value in std),
    }
