"""ILSVRC 2012, a thousand classes of images from the web (Russakovsky 2015).

train/nXXXXXXXX/*.JPEG; val/ has such folders too, or its 50,000 files lie flat, and
their classes are in LOC_val_solution.csv beside val/, or in the development kit's
ILSVRC2012_validation_ground_truth.txt and meta.mat. Classes are WordNet numbers,
sorted. The kit numbers them differently: its list needs meta.mat.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

from jaxseg.core import errors
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import imagenet, labelled_images, mat_files, text_files

DATASETS = {
    "2012": Dataset(
        fields=("image", "label"),
        domain="websearch",
        splits={"train": 1281167, "validation": 50000},
        version=1,
        size=(224, 224),
        classes=imagenet.WNIDS,
        mean=imagenet.MEAN,
        std=imagenet.STD,
        licence="non-commercial research and education",
        obtain="Get ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and the "
        "development kit from image-net.org; root is the folder that holds train/.",
    )
}
FOLDERS = {"train": "train", "validation": "val"}
KITS = (".", "data", "ILSVRC2012_devkit_t12/data")
TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def records(variant: str, split: str, root: Path) -> Sequence[labelled_images.Labelled]:
    """The images of a split, by class and name; flat ones by name."""
    folder = root / FOLDERS[split]
    changed = folder.stat().st_mtime_ns if folder.is_dir() else 0
    return _listed(root, FOLDERS[split], changed)


def parse(record: labelled_images.Labelled, root: Path, variant: str) -> Example:
    return labelled_images.parse(record, root)


@functools.lru_cache(maxsize=8)  # a million names take a second to list
def _listed(root: Path, folder: str, _changed: int) -> labelled_images.Images:
    places = {wnid: place for place, wnid in enumerate(imagenet.WNIDS)}
    if folder == "train" or labelled_images.folders(root / folder):
        return labelled_images.listed(root, folder, places)
    names = labelled_images.files(root / folder)
    truth = _solution(root) or _kit(root)
    lost = [name for name in names if Path(name).stem not in truth]
    if lost:
        raise errors.UserError(
            f"{root / folder / lost[0]}: its class is not listed; allowed are the "
            f"{len(truth)} images of the list. Fix: remove it or complete the list."
        )
    labels = [places[truth[Path(name).stem]] for name in names]
    return labelled_images.Images([f"{folder}/{name}" for name in names], labels)


def _solution(root: Path) -> dict[str, str]:
    """{image: WordNet number} of LOC_val_solution.csv; {} without that file."""
    path = root / "LOC_val_solution.csv"
    if not path.is_file():
        return {}
    lines = text_files.read_text(path).splitlines()[1:]
    table = dict(line.split(",", 1) for line in lines if "," in line)
    truth = {name: (boxes.split() or [""])[0] for name, boxes in table.items()}
    bad = [name for name, wnid in truth.items() if wnid not in imagenet.WNIDS]
    if bad:
        raise errors.UserError(
            f"{path}: the class of {bad[0]} is {truth[bad[0]]!r}; allowed are the 1000 "
            "WordNet numbers. Fix: get the file again."
        )
    return truth


def _kit(root: Path) -> dict[str, str]:
    """{image: WordNet number} of the development kit."""
    kit = next((root / k for k in KITS if (root / k / TRUTH).is_file()), None)
    if kit is None or not (kit / "meta.mat").is_file():
        raise errors.UserError(
            f"{root / 'val'}: found images and no classes; allowed are folders "
            f"nXXXXXXXX, LOC_val_solution.csv in {root}, or {TRUTH} and meta.mat in "
            f"{', '.join(KITS)} below it. Fix: add one of them."
        )
    try:
        synsets = mat_files.load(kit / "meta.mat", squeeze_me=True)["synsets"]
        table = dict(zip(synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist()))
        numbers = [int(word) for word in text_files.read_lines(kit / TRUTH)]
        wnids = [table[number] for number in numbers]
    except Exception as error:  # a damaged file raises one of a dozen types
        raise errors.UserError(
            f"{kit}: meta.mat or {TRUTH} is not of the development kit "
            f"({type(error).__name__}: {error}). Fix: get the kit again."
        ) from None
    return {f"ILSVRC2012_val_{i:08d}": wnid for i, wnid in enumerate(wnids, 1)}
