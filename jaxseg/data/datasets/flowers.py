"""Oxford Flowers, 17 and 102 kinds (Nilsback and Zisserman, CVPR 2006, ICVGIP 2008).

102: imagelabels.mat with the class of each image from 1, and setid.mat with the images
of trnid, valid and tstid; jpg/image_00001.jpg and so on. 17: jpg/image_0001.jpg and so
on, 80 of each kind in turn, and datasplits.mat with three divisions trn1, val1, tst1 to
trn3, val3, tst3. 17_masks: those of the 17 kinds that trimaps/imlist.mat lists, with
trimaps/image_0001.png, in which palette index 38 is the flower. They have one split:
the study of decoders divides them itself. A mask of another size than its image is
resized to it by nearest neighbour, since the authors made the data set so.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core import images as images_lib
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import file_cache, imagenet, labelled_images, mat_files
from jaxseg.data.readers.labelled_images import Images, Labelled

KINDS_17 = ("daffodil", "snowdrop", "lily valley", "bluebell", "crocus", "iris")
KINDS_17 += ("tigerlily", "tulip", "fritillary", "sunflower", "daisy", "colts' foot")
KINDS_17 += ("dandelion", "cowslip", "buttercup", "windflower", "pansy")
NAMES_102 = """
pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold,
tiger lily, moon orchid, bird of paradise, monkshood, globe thistle, snapdragon,
colt's foot, king protea, spear thistle, yellow iris, globe-flower, purple coneflower,
peruvian lily, balloon flower, giant white arum lily, fire lily, pincushion flower,
fritillary, red ginger, grape hyacinth, corn poppy, prince of wales feathers,
stemless gentian, artichoke, sweet william, carnation, garden phlox, love in the mist,
mexican aster, alpine sea holly, ruby-lipped cattleya, cape flower, great masterwort,
siam tulip, lenten rose, barbeton daisy, daffodil, sword lily, poinsettia,
bolero deep blue, wallflower, marigold, buttercup, oxeye daisy, common dandelion,
petunia, wild pansy, primula, sunflower, pelargonium, bishop of llandaff, gaura,
geranium, orange dahlia, pink-yellow dahlia, cautleya spicata, japanese anemone,
black-eyed susan, silverbush, californian poppy, osteospermum, spring crocus,
bearded iris, windflower, tree poppy, gazania, azalea, water lily, rose, thorn apple,
morning glory, passion flower, lotus, toad lily, anthurium, frangipani, clematis,
hibiscus, columbine, desert-rose, tree mallow, magnolia, cyclamen, watercress,
canna lily, hippeastrum, bee balm, ball moss, foxglove, bougainvillea, camellia, mallow,
mexican petunia, bromelia, blanket flower, trumpet creeper, blackberry lily
"""
KINDS_102 = tuple(name.strip() for name in NAMES_102.replace("\n", " ").split(","))
EACH_17 = 80  # images of a kind, one kind after the other
FLOWER = 38
EMPTY_MASKS = (1269, 1270)  # no pixel of them is a flower
SETS_102 = {"train": "trnid", "validation": "valid", "test": "tstid"}
SETS_17 = {"train": "trn", "validation": "val", "test": "tst"}


def _facts(field: str, kinds: str, **facts: Any) -> Dataset:
    return Dataset(
        fields=("image", field),
        domain="closeups",
        version=1,
        size=(224, 224),
        mean=imagenet.MEAN,
        std=imagenet.STD,
        licence="none stated; the authors ask for citation",
        obtain=f"Get the archives of robots.ox.ac.uk/~vgg/data/flowers/{kinds}; root "
        "is the folder that holds jpg/ and the .mat files.",
        **facts,
    )


DATASETS = {
    "17": _facts(
        "label",
        "17",
        classes=KINDS_17,
        splits={"train": 680, "validation": 340, "test": 340},
    ),
    "17_masks": _facts(
        "segmentation",
        "17",
        classes=("background", "flower"),
        splits={"train": 849},  # `describe` counts those listed
    ),
    "102": _facts(
        "label",
        "102",
        classes=KINDS_102,
        splits={"train": 1020, "validation": 1020, "test": 6149},
    ),
}


def records(
    variant: str, split: str, root: Path, *, division: int = 1
) -> Sequence[Labelled]:
    """The images of a split, in the order of its list.

    division: 1, 2 or 3, which of the three official divisions of the 17 kinds.
    """
    if division not in (1, 2, 3):
        raise errors.UserError(
            f"flowers/{variant}: division={division}; allowed are 1, 2 and 3. Fix: "
            "choose one of them."
        )
    if variant == "102":
        labels = _read(file_cache.stamp(root / "imagelabels.mat"), "labels")
        numbers = _read(file_cache.stamp(root / "setid.mat"), SETS_102[split])
        _check(numbers, len(labels), root / "setid.mat")
        _check(labels, len(KINDS_102), root / "imagelabels.mat")
        kinds = labels[numbers - 1] - 1
        return Images([f"jpg/image_{n:05d}.jpg" for n in numbers], kinds)
    if variant == "17_masks":
        numbers = _masked(root)
    else:
        key = f"{SETS_17[split]}{division}"
        numbers = _read(file_cache.stamp(root / "datasplits.mat"), key)
        _check(numbers, EACH_17 * len(KINDS_17), root / "datasplits.mat")
    kinds = (numbers - 1) // EACH_17
    return Images([f"jpg/image_{n:04d}.jpg" for n in numbers], kinds)


def parse(record: Labelled, root: Path, variant: str) -> Example:
    example = labelled_images.parse(record, root)
    if variant != "17_masks":
        return example
    mask = image_files.read_ids(root / _mask(record.image))
    mask = images_lib.resize_ids(mask, example["image"].shape[:2])
    flower = (mask == FLOWER).astype(np.int32)
    return {"image": example["image"], "segmentation": flower, "id": record.image}


def reads(
    record: Labelled, root: Path, variant: str
) -> tuple[Sequence[str], Sequence[str]]:
    """The image; its mask if the variant has masks."""
    masked = variant == "17_masks"
    return [record.image], [_mask(record.image)] * masked


def _mask(image: str) -> str:
    return f"trimaps/{Path(image).stem}.png"


def describe(variant: str, root: Path, *, division: int) -> Dataset:
    """The variant's facts with the number of masks listed."""
    facts = DATASETS[variant]
    if "segmentation" not in facts.fields:
        return facts
    return dataclasses.replace(facts, splits={"train": len(_masked(root))})


def _masked(root: Path) -> np.ndarray:
    path = root / "trimaps/imlist.mat"
    numbers = _read(file_cache.stamp(path), "imlist")
    _check(numbers, EACH_17 * len(KINDS_17), path)
    return numbers[~np.isin(numbers, EMPTY_MASKS)]


@file_cache.of_file(maxsize=16)
def _read(file: tuple[str, int, int], key: str) -> np.ndarray:
    """int [N] under `key` in the MATLAB file with this stamp."""
    path = Path(file[0])
    if file[1] < 0:
        raise errors.UserError(
            f"{path}: file not found. Fix: point root at the folder that holds jpg/ "
            "and the .mat files."
        )
    try:
        return mat_files.load(path)[key].ravel().astype(int)
    except Exception as error:  # a damaged file raises one of a dozen types
        raise errors.UserError(
            f"{path}: not a MATLAB 5 file with {key!r} ({type(error).__name__}: "
            f"{error}). Fix: get the file again."
        ) from None


def _check(numbers: np.ndarray, top: int, path: Path) -> None:
    bad = numbers[(numbers < 1) | (numbers > top)]
    if len(bad) or not len(numbers):
        raise errors.UserError(
            f"{path}: found {len(numbers)} numbers, {bad[:4].tolist()} among them; "
            f"allowed are 1 to {top}. Fix: get the file again."
        )
