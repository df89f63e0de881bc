"""ADE20K, scenes with 150 classes (Zhou et al., CVPR 2017), as in MIT Scene Parsing.

images/{training,validation}/NAME.jpg with annotations/{training,validation}/NAME.png:
0 is everything else and is ignored, 1 to 150 are the classes of objectInfo150.csv.
"""

from collections.abc import Sequence
from pathlib import Path

from jaxseg.core import image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import listing

# The first name of each class in objectInfo150.csv, blanks as _.
_CLASSES = """
    wall building sky floor tree ceiling road bed windowpane grass cabinet sidewalk
    person earth door table mountain plant curtain chair car water painting sofa
    shelf house sea mirror rug field armchair seat fence desk rock wardrobe lamp
    bathtub railing cushion base box column signboard chest_of_drawers counter sand
    sink skyscraper fireplace refrigerator grandstand path stairs runway case
    pool_table pillow screen_door stairway river bridge bookcase blind coffee_table
    toilet flower book hill bench countertop stove palm kitchen_island computer
    swivel_chair boat bar arcade_machine hovel bus towel light truck tower
    chandelier awning streetlight booth television_receiver airplane dirt_track
    apparel pole land bannister escalator ottoman bottle buffet poster stage van
    ship fountain conveyer_belt canopy washer plaything swimming_pool stool barrel
    basket waterfall tent bag minibike cradle oven ball food step tank trade_name
    microwave pot animal bicycle lake dishwasher screen blanket sculpture hood
    sconce vase traffic_light tray ashcan fan pier crt_screen plate monitor
    bulletin_board shower radiator glass clock flag
"""
CLASSES = tuple(_CLASSES.split())
FOLDERS = {"train": "training", "validation": "validation"}

DATASETS = {
    "150": Dataset(
        fields=("image", "segmentation"),
        domain="consumer",
        splits={"train": 20210, "validation": 2000},
        version=1,
        size=(512, 512),
        classes=CLASSES,
        ids={0: IGNORE} | {n: n - 1 for n in range(1, 151)},
        licence="BSD-3-Clause; images for non-commercial research and education",
        obtain="Get ADEChallengeData2016.zip of sceneparsing.csail.mit.edu; root is "
        "the folder that holds images/ and annotations/.",
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, annotation) paths below `root`, sorted."""
    folder = FOLDERS[split]
    both = [f"{kind}/{folder}" for kind in ("images", "annotations")]
    return listing.matched(root, *(listing.below(root, each) for each in both))


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    return {
        "image": image_files.read(root / record[0]),
        "segmentation": image_files.read_ids(root / record[1]),
        "id": Path(record[0]).stem,
    }
