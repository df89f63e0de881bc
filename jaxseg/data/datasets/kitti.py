"""KITTI, streets of Karlsruhe (Geiger et al., IJRR 2013): its 200 labelled images.

training/image_2/NAME.png with the class of each pixel, by the ids of Cityscapes, in
training/semantic/NAME.png. Every fourth image is for validation: 150 and 50, as many as
in the factors study, whose list is not published. Its Table 1 counts 30 classes; these
are the 33 of its code, of which some do not occur.
"""

from collections.abc import Sequence
from pathlib import Path

from jaxseg.core import images
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import _masks, cityscapes

FOURTH = 4

DATASETS = {
    "segmentation": Dataset(
        fields=("image", "segmentation"),
        domain="driving",
        splits={"train": 150, "validation": 50},
        version=1,
        size=(368, 1216),
        classes=cityscapes.CLASSES_33,
        palette=cityscapes.DATASETS["33"].palette,
        ids=cityscapes.IDS_33,
        background=0,
        mean=(96.125, 101.268, 97.899),  # from the code of the factors study
        std=(78.867, 81.340, 84.107),
        licence="CC BY-NC-SA 3.0",
        obtain="Get data_semantics.zip of cvlibs.net/datasets/kitti; root is the "
        "folder that holds training/.",
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, mask) paths below `root`, sorted."""
    both = _masks.pairs(
        root,
        "training/image_2/*.png",
        lambda image: image.replace("image_2", "semantic", 1),
    )
    kept = split == "validation"
    return [
        pair
        for place, pair in enumerate(both)
        if (place % FOURTH == FOURTH - 1) == kept
    ]


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    return {
        "image": images.read(root / record[0]),
        "segmentation": images.read_ids(root / record[1]),
        "id": Path(record[0]).stem,
    }
