"""Berkeley Deep Drive (Yu et al., CVPR 2020): 10k images with masks, 100k with boxes.

images/10k/{train,val}/NAME.jpg with labels/sem_seg/masks/{train,val}/NAME.png (the 19
classes of Cityscapes, 255 = none); images/100k/{train,val}/NAME.jpg with
labels/det_20/det_{train,val}.json, or with bdd100k_labels_images_{train,val}.json of
2018, whose names differ. In `20` pixels without a class are background, as in the
factors study.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data import refusals
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import cityscapes
from jaxseg.data.readers import file_cache, mask_files, objects, text_files
from jaxseg.data.readers.objects import Record

BOXES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
BOXES += ("traffic light", "traffic sign")
# Other names of the classes, and things that resemble a class but count neither as
# object nor as background: both as in the toolkit of the data set.
OLDER = {"person": "pedestrian", "motor": "motorcycle", "bike": "bicycle"}
OLDER |= {"caravan": "car", "van": "car"}
ASIDE = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}
SIZE = (720, 1280)
ENTRY = "are labels with a category and a box2d of x1, y1, x2, y2"
FOLDERS = {"train": "train", "validation": "val"}
COMMON = dict(
    domain="driving",
    version=1,
    size=(512, 912),
    mean=(93.642, 105.580, 107.377),  # from the code of the factors study
    std=(64.416, 68.732, 73.106),
    licence="BSD-like, non-commercial; registration",
    obtain="Get the images, sem_seg and det_20 archives of bdd100k.com; root is the "
    "folder that holds images/ and labels/.",
)
DATASETS = {
    "19": Dataset(
        fields=("image", "segmentation"),
        splits={"train": 7000, "validation": 1000},
        classes=cityscapes.CLASSES_19,
        palette=cityscapes.DATASETS["19"].palette,
        **COMMON,
    ),
    "20": Dataset(
        fields=("image", "segmentation"),
        splits={"train": 7000, "validation": 1000},
        classes=("background", *cityscapes.CLASSES_19),
        palette=((0, 0, 0), *cityscapes.DATASETS["19"].palette),
        ids={255: 0} | {raw: raw + 1 for raw in range(255)},
        background=0,
        **COMMON,
    ),
    "detection": Dataset(
        fields=("image", "boxes", "box_labels", "crowd"),
        splits={"train": 69863, "validation": 10000},
        classes=BOXES,
        **COMMON,
    ),
}


def records(
    variant: str, split: str, root: Path
) -> Sequence[tuple[str, str]] | Sequence[Record]:
    """(image, mask) paths below `root`, or images with their boxes; sorted."""
    folder = FOLDERS[split]
    if variant == "detection":
        return _read(file_cache.stamp(_find(root, folder)), f"images/100k/{folder}")
    masks = f"labels/sem_seg/masks/{folder}"
    _note_colormaps(root, f"labels/sem_seg/colormaps/{folder}", masks)
    return mask_files.pairs(
        root,
        f"images/10k/{folder}/*.jpg",
        lambda image: f"{masks}/{Path(image).stem}.png",
        masks=f"{masks}/*.png",
    )


def parse(record: Any, root: Path, variant: str) -> Example:
    if variant != "detection":
        return {
            "image": image_files.read(root / record[0]),
            "segmentation": image_files.read_ids(root / record[1]),
            "id": Path(record[0]).stem,
        }
    return {
        "image": objects.read_image(record, root, "the data set"),
        "boxes": record.boxes,
        "box_labels": record.labels,
        "crowd": record.flags,
        "id": record.id,
    }


def _note_colormaps(root: Path, colors: str, masks: str) -> None:
    """Notes how many colour maps, which are not read, have no mask of their name."""
    there, known = (
        {path.stem for path in (root / each).glob("*.png")} for each in (colors, masks)
    )
    alone = sorted(there - known)
    if alone:
        refusals.note(
            f"{root}: {len(alone)} colour maps have no mask or image of their name, "
            f"for example {colors}/{alone[0]}.png; they are left out"
        )


def _find(root: Path, folder: str) -> Path:
    names = (f"det_20/det_{folder}.json", f"bdd100k_labels_images_{folder}.json")
    paths = [root / "labels" / name for name in names]
    file = next((path for path in paths if path.is_file()), None)
    if file is None:
        raise errors.UserError(
            f"{paths[0]}: file not found, nor {paths[1].name}. Fix: {COMMON['obtain']}"
        )
    return file


@file_cache.of_file(maxsize=4)
def _read(file: tuple[str, int, int], folder: str) -> list[Record]:
    """A record per image, including images without an object."""
    entries = text_files.read_json(Path(file[0]))
    if not isinstance(entries, list) or not all(map(_named, entries)):
        raise errors.UserError(
            f"{file[0]}: found no list of images with `name` and `labels`. Fix: "
            f"{COMMON['obtain']}"
        )
    ordered = sorted(entries, key=lambda entry: entry["name"])
    result = []
    for entry in ordered:
        with errors.reading(f"{file[0]}: {entry['name']}", ENTRY):
            result.append(_record(entry, folder, file[0]))
    return result


def _named(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str)


def _record(entry: Mapping[str, Any], folder: str, where: str) -> Record:
    corners, labels, aside = [], [], []
    for one in entry.get("labels") or []:
        if "box2d" not in one:  # lanes and areas of 2018
            continue
        name = OLDER.get(one["category"], one["category"])
        aside.append(name in ASIDE)
        name = ASIDE.get(name, name)
        if name not in BOXES:
            raise errors.UserError(
                f"{where}: {entry['name']}: category {one['category']!r}; allowed are "
                f"{', '.join((*BOXES, *ASIDE))}. Fix: get the official file again."
            )
        corners.append([one["box2d"][side] for side in ("x1", "y1", "x2", "y2")])
        labels.append(BOXES.index(name))
    boxes, kept = objects.cut_boxes(np.array(corners, np.float64).reshape(-1, 4), SIZE)
    return Record(
        image=f"{folder}/{entry['name']}",
        id=entry["name"],
        size=SIZE,
        boxes=boxes[kept],
        labels=np.array(labels, np.int32)[kept],
        flags=np.array(aside, bool)[kept],
    )
