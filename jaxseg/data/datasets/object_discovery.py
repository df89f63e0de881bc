"""Object Discovery, cars, horses and airplanes of the web (Rubinstein, CVPR 2013).

Data/{Car,Horse,Airplane}100/*.jpg, a hundred each, with the mask of NAME.jpg in
GroundTruth/NAME.png beside them: 0 and one other value, or only 0 if an image does
not show the object. There are no official splits: a fifth is for validation and a
fifth for testing, drawn with seed 0 from the sorted names.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import folder
from jaxseg.data.readers import imagenet, listing

KINDS = ("car", "horse", "airplane")
DATASETS = {
    kind: Dataset(
        fields=("image", "segmentation"),
        domain="websearch",
        splits={"train": 60, "validation": 20, "test": 20},
        version=1,
        size=(64, 64),
        classes=("background", kind),
        mean=imagenet.MEAN,
        std=imagenet.STD,
        licence="none stated; the authors ask for citation",
        obtain="Get ObjectDiscovery-data.zip of "
        "people.csail.mit.edu/mrub/ObjectDiscovery; root is the folder that holds "
        "Data/.",
    )
    for kind in KINDS
}
MASKS = "GroundTruth"


def records(variant: str, split: str, root: Path) -> Sequence[str]:
    """Images of a split below root, sorted."""
    home = f"Data/{variant.capitalize()}100"
    if not (root / home / MASKS).is_dir():
        raise errors.UserError(
            f"{root / home / MASKS}: folder not found; allowed is the layout of "
            "ObjectDiscovery-data.zip. Fix: point root at the folder that holds Data/."
        )
    both = [listing.below(root, each) for each in (home, f"{home}/{MASKS}")]
    return _drawn([image for image, _ in listing.matched(root, *both)], split)


def parse(record: str, root: Path, variant: str) -> Example:
    path, mask = root / record, root / _mask(record)
    return {
        "image": image_files.read(path),
        "segmentation": folder.to_binary(image_files.read_ids(mask), mask),
        "id": path.stem,
    }


def reads(record: str, root: Path, variant: str) -> tuple[Sequence[str], Sequence[str]]:
    """The image; its mask."""
    return [record], [_mask(record)]


def _mask(image: str) -> str:
    path = PurePosixPath(image)
    return (path.parent / MASKS / f"{path.stem}.png").as_posix()


def _drawn(names: list[str], split: str) -> list[str]:
    order = np.random.default_rng(0).permutation(len(names))
    fifth = len(names) // 5
    rows = {
        "validation": order[:fifth],
        "test": order[fifth : 2 * fifth],
        "train": order[2 * fifth :],
    }
    return [names[i] for i in sorted(rows[split])]
