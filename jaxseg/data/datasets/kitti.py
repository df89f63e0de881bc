"""KITTI, streets of Karlsruhe (Geiger et al., IJRR 2013): its 200 labelled images.

training/image_2/NAME.png with the class of each pixel, by the ids of Cityscapes, in
training/semantic/NAME.png. The 50 images for validation are those of the MSeg lists,
which the code of the factors study uses. Its Table 1 counts 30 classes; these are the
33 of that code, of which some do not occur.
"""

from collections.abc import Sequence
from pathlib import Path

from jaxseg.core import image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import cityscapes
from jaxseg.data.readers import mask_files

VALIDATION = """
    001 003 007 008 020 022 024 025 026 030 037 043 049 050 052 057 060 061 063 068 071
    072 076 079 086 096 101 115 121 128 129 131 133 134 137 139 140 141 142 144 146 149
    156 157 169 175 178 190 192 196
"""
NAMES = {f"000{number}_10" for number in VALIDATION.split()}

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
        mean=(96.117, 101.268, 97.874),  # from the code of the factors study
        std=(78.867, 81.340, 84.104),
        licence="CC BY-NC-SA 3.0",
        obtain="Get data_semantics.zip of cvlibs.net/datasets/kitti; root is the "
        "folder that holds training/.",
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, mask) paths below `root`, sorted."""
    both = mask_files.pairs(
        root,
        "training/image_2/*.png",
        lambda image: image.replace("image_2", "semantic", 1),
        masks="training/semantic/*.png",
    )
    kept = split == "validation"
    return [pair for pair in both if (Path(pair[0]).stem in NAMES) == kept]


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    return {
        "image": image_files.read(root / record[0]),
        "segmentation": image_files.read_ids(root / record[1]),
        "id": Path(record[0]).stem,
    }
