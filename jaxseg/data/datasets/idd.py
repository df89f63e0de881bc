"""India Driving Dataset (Varma et al., WACV 2019), segmentation.

leftImg8bit/{train,val}/DRIVE/NAME_leftImg8bit.png with
gtFine/{train,val}/DRIVE/NAME_gtFine_labelids.png, which the public code of the set
makes from polygons (createLabels.py --id-type id). 34 classes and the background of the
factors study: pixels without a class, and trains, which do not occur.
"""

from collections.abc import Sequence
from pathlib import Path

from jaxseg.core import image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import mask_files

# In the order of the ids of the files.
NAMES = ("road", "parking", "drivable fallback", "sidewalk", "rail track")
NAMES += ("non-drivable fallback", "person", "animal", "rider", "motorcycle")
NAMES += ("bicycle", "autorickshaw", "car", "truck", "bus", "caravan", "trailer")
NAMES += ("train", "vehicle fallback", "curb", "wall", "fence", "guard rail")
NAMES += ("billboard", "traffic sign", "traffic light", "pole", "polegroup")
NAMES += ("obs-str-bar-fallback", "building", "bridge", "tunnel", "vegetation", "sky")
NAMES += ("fallback background", "unlabeled", "ego vehicle", "rectification border")
NAMES += ("out of roi", "license plate")
WITHOUT = ("train", *NAMES[35:])
CLASSES = ("background", *(name for name in NAMES if name not in WITHOUT))
FOLDERS = {"train": "train", "validation": "val"}

DATASETS = {
    "35": Dataset(
        fields=("image", "segmentation"),
        domain="driving",
        splits={"train": 6993, "validation": 981},
        version=1,
        size=(512, 912),
        classes=CLASSES,
        ids={
            raw: 0 if name in WITHOUT else CLASSES.index(name)
            for raw, name in enumerate(NAMES)
        }
        | {255: 0},
        background=0,
        mean=(90.478, 93.499, 91.588),  # from the code of the factors study
        std=(70.225, 72.560, 76.578),
        licence="research; registration",
        obtain="Get IDD Segmentation of idd.insaan.iiit.ac.in and run its public code; "
        "root is the folder that holds leftImg8bit/ and gtFine/.",
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, mask) paths below `root`, sorted."""

    def mask_of(image: str) -> str:
        name = image.replace("leftImg8bit/", "gtFine/", 1)
        return name.rsplit("_leftImg8bit", 1)[0] + "_gtFine_labelids.png"

    pattern = f"leftImg8bit/{FOLDERS[split]}/*/*_leftImg8bit.*"
    masks = f"gtFine/{FOLDERS[split]}/*/*_gtFine_labelids.png"
    return mask_files.pairs(root, pattern, mask_of, masks)


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    return {
        "image": image_files.read(root / record[0]),
        "segmentation": image_files.read_ids(root / record[1]),
        "id": "/".join(Path(record[0]).parts[-2:]),  # numbers repeat between drives
    }
