"""Intel Image Classification, six kinds of scenes at 150 x 150 (Bansal 2018).

seg_train/CLASS/*.jpg and seg_test/CLASS/*.jpg; the archive repeats the first folder,
seg_train/seg_train/CLASS. seg_pred/ has no labels and is not read.
"""

from collections.abc import Sequence
from pathlib import Path

from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import imagenet, labelled_images

CLASSES = ("buildings", "forest", "glacier", "mountain", "sea", "street")
FOLDERS = {"train": "seg_train", "test": "seg_test"}

DATASETS = {
    "6": Dataset(
        fields=("image", "label"),
        domain="consumer",
        splits={"train": 14034, "test": 3000},
        version=1,
        size=(128, 128),
        classes=CLASSES,
        mean=imagenet.MEAN,
        std=imagenet.STD,
        licence="none stated",
        obtain="Get puneet6060/intel-image-classification of kaggle.com; root is the "
        "folder that holds seg_train/ and seg_test/.",
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[labelled_images.Labelled]:
    """The images of a split, by class and name."""
    folder = FOLDERS[split]
    if (root / folder / folder).is_dir():
        folder = f"{folder}/{folder}"
    places = {name: place for place, name in enumerate(CLASSES)}
    return labelled_images.listed(root, folder, places)


def parse(record: labelled_images.Labelled, root: Path, variant: str) -> Example:
    return labelled_images.parse(record, root)
