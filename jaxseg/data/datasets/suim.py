"""SUIM, underwater images of divers, fish, reefs and wrecks (Islam et al., IROS 2020).

{train_val,TEST}/images/NAME.jpg with the colour mask masks/NAME.bmp; TEST may be called
test, and a mask may be PNG. The masks of 37 training images are too big: as in the code
of the factors study, they are cut at the right and bottom border of the image.
"""

from collections.abc import Sequence
from pathlib import Path

from jaxseg.core import image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import listing, mask_files

CLASSES = {
    "background": (0, 0, 0),
    "human_diver": (0, 0, 255),
    "plant": (0, 255, 0),
    "wreck": (0, 255, 255),
    "robot": (255, 0, 0),
    "reef": (255, 0, 255),
    "fish": (255, 255, 0),
    "sea_floor": (255, 255, 255),
}
IDS = {color: i for i, color in enumerate(CLASSES.values())}
FOLDERS = {"train": ("train_val",), "test": ("TEST", "test")}
_TOO_BIG = """
    f_r_829_ f_r_1151_ w_r_25_ f_r_1866_ f_r_1070_ f_r_1154_ f_r_1515_ w_r_47_ f_r_1570_
    f_r_401_ f_r_934_ f_r_1259_ f_r_1289_ f_r_1069_ f_r_1058_ f_r_1133_ f_r_991_
    f_r_1812_ f_r_1068_ f_r_1424_ w_r_7_ f_r_1214_ f_r_1302_ f_r_1491_ f_r_1290_ w_r_24_
    f_r_1394_ f_r_1142_ w_r_1_ f_r_968_ f_r_1779_ f_r_1233_ f_r_1318_ f_r_1816_ w_r_27_
    f_r_1879_ f_r_921_
"""
TOO_BIG = frozenset(_TOO_BIG.split())

DATASETS = {
    "8": Dataset(
        fields=("image", "segmentation"),
        domain="underwater",
        splits={"train": 1525, "test": 110},
        version=1,
        size=(480, 640),
        classes=tuple(CLASSES),
        palette=tuple(CLASSES.values()),
        background=0,
        licence="MIT (code and sample); the set is for research",
        obtain="Get SUIM from irvlab.cs.umn.edu/resources/suim-dataset; root holds "
        "train_val/ and TEST/.",
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, mask) paths below `root`, sorted."""
    known = [name for name in FOLDERS[split] if (root / name / "images").is_dir()]
    home = (known or FOLDERS[split])[0]
    both = [f"{home}/{kind}" for kind in ("images", "masks")]
    return listing.matched(root, *(listing.below(root, each) for each in both))


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    image = image_files.read(root / record[0])
    ids = mask_files.read_colors(root / record[1], IDS)
    name = Path(record[0]).stem
    if name in TOO_BIG:
        ids = ids[: image.shape[0], : image.shape[1]]
    return {"image": image, "segmentation": ids, "id": name}
