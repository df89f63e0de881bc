"""Mapillary Vistas 1.2, streets of all continents (Neuhold et al., ICCV 2017).

{training,validation}/images/NAME.jpg with the class of each pixel in
{training,validation}/v1.2/labels/NAME.png, or in labels/NAME.png as in older archives.
Background is "Unlabeled", the last id of the files.
"""

from collections.abc import Sequence
from pathlib import Path

from jaxseg.core import image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import mask_files

# In the order of the ids of the files.
NAMES = ("Bird", "Ground Animal", "Curb", "Fence", "Guard Rail", "Barrier", "Wall")
NAMES += ("Bike Lane", "Crosswalk - Plain", "Curb Cut", "Parking", "Pedestrian Area")
NAMES += ("Rail Track", "Road", "Service Lane", "Sidewalk", "Bridge", "Building")
NAMES += ("Tunnel", "Person", "Bicyclist", "Motorcyclist", "Other Rider")
NAMES += ("Lane Marking - Crosswalk", "Lane Marking - General", "Mountain", "Sand")
NAMES += ("Sky", "Snow", "Terrain", "Vegetation", "Water", "Banner", "Bench")
NAMES += ("Bike Rack", "Billboard", "Catch Basin", "CCTV Camera", "Fire Hydrant")
NAMES += ("Junction Box", "Mailbox", "Manhole", "Phone Booth", "Pothole")
NAMES += ("Street Light", "Pole", "Traffic Sign Frame", "Utility Pole")
NAMES += ("Traffic Light", "Traffic Sign (Back)", "Traffic Sign (Front)", "Trash Can")
NAMES += ("Bicycle", "Boat", "Bus", "Car", "Caravan", "Motorcycle", "On Rails")
NAMES += ("Other Vehicle", "Trailer", "Truck", "Wheeled Slow", "Car Mount")
NAMES += ("Ego Vehicle", "Unlabeled")
FOLDERS = {"train": "training", "validation": "validation"}

DATASETS = {
    "66": Dataset(
        fields=("image", "segmentation"),
        domain="driving",
        splits={"train": 18000, "validation": 2000},
        version=1,
        size=(512, 688),
        classes=("background", *NAMES[:-1]),
        ids={raw: (raw + 1) % len(NAMES) for raw in range(len(NAMES))},
        background=0,
        mean=(105.687, 117.009, 118.551),  # from the code of the factors study
        std=(67.402, 70.195, 77.301),
        licence="CC BY-NC-SA 4.0",
        obtain="Get Mapillary Vistas of mapillary.com/dataset/vistas; root is the "
        "folder that holds training/ and validation/.",
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, mask) paths below `root`, sorted."""
    home = FOLDERS[split]
    newer = (root / home / "v1.2" / "labels").is_dir()
    labels = f"{home}/v1.2/labels" if newer else f"{home}/labels"
    return mask_files.pairs(
        root,
        f"{home}/images/*.jpg",
        lambda image: f"{labels}/{Path(image).stem}.png",
        masks=f"{labels}/*.png",
    )


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    return {
        "image": image_files.read(root / record[0]),
        "segmentation": image_files.read_ids(root / record[1]),
        "id": Path(record[0]).stem,
    }
