"""What a published architecture is: a model section and how others name its leaves.

Rules map *our* paths to *their* names, so that a comparison of two dicts shows what is
missing, extra or of another shape in a file. A rule is (regex on the module's path,
name), the first that matches in full wins; our last part becomes theirs by LEAVES.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Rules = Sequence[tuple[str, str]]
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COUNTERS = r".*num_batches_tracked"  # torch's own, not used


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network as others publish it."""

    model: Mapping[str, Any]  # section {"backbone", "head"}
    namings: Mapping[str, Rules]  # {whose names: rules}
    mark: str  # a tensor that only its family has
    stem: str  # our path of the kernel that sees the image's channels
    task: str = "classification"  # of its head
    overrides: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    left: Mapping[str, str] = dataclasses.field(default_factory=dict)  # {naming: regex}
    reshape: Mapping[str, Callable] = dataclasses.field(default_factory=dict)
    size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = IMAGENET_MEAN  # of pixels between 0 and 1
    std: tuple[float, ...] = IMAGENET_STD

    def name(self, path: str, naming: str) -> str | None:
        """Their name of our leaf "params/backbone/...", None where no rule has one."""
        inner = path.split("/", 1)[1]
        module, _, leaf = inner.rpartition("/")
        for pattern, target in self.namings[naming]:
            match = re.fullmatch(pattern, module)
            if match and leaf in LEAVES:
                base = match.expand(target)
                return base + ("" if base[-1] == "_" else ".") + LEAVES[leaf]
            if re.fullmatch(pattern, inner):  # a parameter of the model's own
                return target
        return None

    def value(self, path: str, tensor: np.ndarray) -> np.ndarray:
        """Their tensor as our leaf: NHWC's kernels, products from the left."""
        if path in self.reshape:
            return self.reshape[path](tensor)
        if not path.endswith("/kernel"):
            return tensor
        if tensor.ndim == 4:  # OIHW
            return tensor.transpose(2, 3, 1, 0)
        return tensor.transpose()
