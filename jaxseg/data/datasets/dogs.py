"""StanfordExtra, 20 points on the dogs of Stanford Dogs (Biggs 2020, arXiv:2007.11110).

StanfordExtra_v12.json lists a dog for each of 12,538 images, and {train,val,test}_
stanford_StanfordExtra_v12.npy beside it hold the indices of each split in that list.
Images are Images/BREED/NAME.jpg of Stanford Dogs. Of 24 joints the last four were never
labelled. A joint at 0, 0 is unknown; one with flag 0 elsewhere is labelled but hidden.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import arrays, errors
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import file_cache, imagenet, objects, text_files
from jaxseg.data.readers.objects import Record

LEGS = ("left_front", "left_rear", "right_front", "right_rear")
JOINTS = tuple(f"{leg}_{part}" for leg in LEGS for part in ("paw", "middle", "top"))
JOINTS += ("tail_start", "tail_end", "left_ear_base", "right_ear_base", "nose")
JOINTS += ("chin", "left_ear_tip", "right_ear_tip")
LISTED = 24
ENTRY = "are img_path, img_bbox with four numbers, img_width, img_height and "
ENTRY += f"{LISTED} joints"

DATASETS = {
    "keypoints": Dataset(
        fields=("image", "boxes", "box_labels", "keypoints"),
        domain="closeups",
        splits={"train": 6773, "validation": 4062, "test": 1703},
        version=1,
        size=(256, 256),
        classes=("dog",),
        keypoints=JOINTS,
        flip_pairs=objects.flip_pairs(JOINTS),
        skeleton=objects.skeleton(JOINTS),
        mean=imagenet.MEAN,
        std=imagenet.STD,
        licence="non-commercial research",
        obtain="Get images.tar of vision.stanford.edu/aditya86/ImageNetDogs and "
        "StanfordExtra_V12 by the form of github.com/benjiebob/StanfordExtra; root is "
        "the folder that holds Images/ and StanfordExtra_V12/.",
    )
}
FOLDERS = ("StanfordExtra_V12", "annotations", ".")
NAMES = {"train": "train", "validation": "val", "test": "test"}


def records(variant: str, split: str, root: Path) -> Sequence[Record]:
    """The dogs of a split, in the order of its list."""
    path = _find(root)
    dogs = _read(file_cache.stamp(path))
    name = path.parent / f"{NAMES[split]}_stanford_{path.stem}.npy"
    return [dogs[place] for place in _places(name, len(dogs))]


def parse(record: Record, root: Path, variant: str) -> Example:
    return {
        "image": objects.read_image(record, root, "its entry in the JSON"),
        "boxes": record.boxes,
        "box_labels": record.labels,
        "keypoints": record.keypoints,
        "id": record.id,
    }


def _find(root: Path) -> Path:
    paths = [root / folder / "StanfordExtra_v12.json" for folder in FOLDERS]
    file = next((path for path in paths if path.is_file()), None)
    if file is None:
        raise errors.UserError(
            f"{paths[0]}: file not found, nor in {root / 'annotations'} or {root}. "
            f"Fix: {DATASETS['keypoints'].obtain}"
        )
    return file


def _places(path: Path, count: int) -> list[int]:
    """Indices of a split in the list of `count` dogs."""
    try:
        places = np.array(arrays.mapped(path))
    except errors.UserError as error:
        raise errors.UserError(
            f"{path}: not a readable list of numbers ({error}). Fix: get it again from "
            "where the JSON file is from."
        ) from None
    whole = places.ndim == 1 and np.issubdtype(places.dtype, np.integer)
    if not whole or not ((places >= 0) & (places < count)).all():
        raise errors.UserError(
            f"{path}: found {places.dtype} {list(places.shape)}; allowed are places of "
            f"0 to {count - 1} in the JSON file. Fix: get both of the same version."
        )
    return places.tolist()


@file_cache.of_file(maxsize=2)
def _read(file: tuple[str, int, int]) -> list[Record]:
    path = Path(file[0])
    entries = text_files.read_json(path)
    if not isinstance(entries, list) or not entries:
        raise errors.UserError(
            f"{path}: found no list of dogs; allowed is StanfordExtra's format. Fix: "
            "get the file again."
        )
    return [_record(entry, f"{path}[{place}]") for place, entry in enumerate(entries)]


def _record(entry: dict[str, Any], where: str) -> Record:
    with errors.reading(where, ENTRY):
        joints = np.array(entry["joints"], np.float64).reshape(LISTED, 3)
        x, y, width, height = map(float, entry["img_bbox"])
        size = (int(entry["img_height"]), int(entry["img_width"]))
        name = str(entry["img_path"])
    boxes, kept = objects.cut_boxes(np.array([[x, y, x + width, y + height]]), size)
    joints = joints[: len(JOINTS)]
    joints[:, 2] = (joints[:, :2] != 0).any(axis=1) * (1 + (joints[:, 2] > 0))
    return Record(
        image=f"Images/{name}",
        id=name,
        size=size,
        boxes=boxes[kept],
        labels=np.zeros(int(kept.sum()), np.int32),
        flags=np.zeros(int(kept.sum()), bool),
        keypoints=objects.known_points(joints[None], size)[kept],
    )
