"""7-Scenes, Kinect video of rooms (Shotton et al., CVPR 2013): colour and depth.

frame-N.color.png (or .jpg) and frame-N.depth.png lie side by side. The files hold
millimetres; 0 and 65535 are unknown. Splits are train.txt, val.txt and test.txt with
the name of a frame per line; or the official TrainSplit.txt and TestSplit.txt of each
scene, with `sequence1` for the folder seq-01; or else the last fifth of the frames of
each folder for validation: frames of a video are too similar to be drawn at random.
Colour and depth come from two cameras and do not match to the pixel.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import depth_maps, text_files

DATASETS = {
    "depth": Dataset(
        fields=("image", "depth"),
        domain="indoor",
        splits={
            "train": 0,
            "validation": 0,
            "test": 0,
        },  # `describe` counts the frames of the folder
        version=1,
        size=(192, 256),
        licence="Microsoft Research 7-Scenes, non-commercial use",
        obtain="Get one or more scenes of 7-Scenes from Microsoft Research; root is a "
        "scene, or the folder that holds the scenes.",
    )
}
LISTS = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}
OFFICIAL = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
COLOUR, DEPTH = ".color", ".depth.png"
INVALID, METRES = 65535, 0.001


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(colour, depth) files below root, in the order of the list or by time."""
    return find_splits(root)[split]


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    colour, depth = record
    return {
        "image": image_files.read(root / colour),
        "depth": depth_maps.read(root / depth, METRES, invalid=INVALID),
        "id": depth.removesuffix(DEPTH),
    }


def describe(variant: str, root: Path) -> Dataset:
    """The variant's facts with the number of frames in the folder."""
    splits = {split: len(pairs) for split, pairs in find_splits(root).items()}
    return dataclasses.replace(DATASETS[variant], splits=splits)


def find_splits(root: Path) -> dict[str, list[tuple[str, str]]]:
    """{split: [(colour, depth)]}."""
    frames = _frames(root)
    listed = {split: root / name for split, name in LISTS.items()}
    listed = {split: path for split, path in listed.items() if path.is_file()}
    if listed:
        return {split: _named(path, frames) for split, path in listed.items()}
    official = {
        split: sorted([*root.glob(name), *root.glob(f"*/{name}")])
        for split, name in OFFICIAL.items()
    }
    if any(official.values()):
        return {
            split: [pair for path in paths for pair in _sequences(path, root, frames)]
            for split, paths in official.items()
            if paths
        }
    return _last_fifth(frames, root)


def _frames(root: Path) -> dict[str, tuple[str, str]]:
    """{frame: (colour, depth)}, sorted; UserError for a depth map without a picture."""
    files = {path.relative_to(root).as_posix() for path in root.rglob("*frame-*.*")}
    frames, lost = {}, []
    for depth in sorted(name for name in files if name.endswith(DEPTH)):
        frame = depth.removesuffix(DEPTH)
        colours = [f"{frame}{COLOUR}{suffix}" for suffix in image_files.SUFFIXES]
        pictures = [name for name in colours if name in files]
        lost += [] if pictures else [depth]
        frames |= {frame: (pictures[0], depth)} if pictures else {}
    if lost:
        raise errors.UserError(
            f"{root}: {len(lost)} depth maps have no picture, for example {lost[0]}. "
            "Fix: add frame-N.color.png beside it or remove it."
        )
    if not frames:
        raise errors.UserError(
            f"{root}: found no frame-N.depth.png. Fix: point root at a scene of "
            "7-Scenes whose sequences are unpacked, or at the folder of the scenes."
        )
    return frames


def _named(path: Path, frames: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """The frames named by the lines of a list."""
    names = text_files.read_lines(path)
    lost = [name for name in names if name not in frames]
    if lost:
        raise errors.UserError(
            f"{path}: {len(lost)} of {len(names)} names have no depth map, for example "
            f"{lost[0]!r}; allowed are names such as {next(iter(frames))!r}. Fix: add "
            "the frame or remove the line."
        )
    return [frames[name] for name in names]


def _sequences(
    path: Path, root: Path, frames: dict[str, tuple[str, str]]
) -> list[tuple[str, str]]:
    """The frames of the sequences in an official list."""
    pairs = []
    for line in text_files.read_lines(path):
        number = re.fullmatch(r"sequence(\d+)", line)
        folder = path.parent / f"seq-{int(number[1]):02d}" if number else path
        prefix = f"{folder.relative_to(root).as_posix()}/"
        mine = [pair for frame, pair in frames.items() if frame.startswith(prefix)]
        if not mine:
            raise errors.UserError(
                f"{path}: {line!r} has no frames in {folder}; allowed are `sequence1` "
                "and so on, unpacked as seq-01. Fix: unpack it or remove the line."
            )
        pairs += mine
    return pairs


def _last_fifth(
    frames: dict[str, tuple[str, str]], root: Path
) -> dict[str, list[tuple[str, str]]]:
    folders: dict[str, list[tuple[str, str]]] = {}
    for frame, pair in frames.items():
        folders.setdefault(frame.rpartition("/")[0], []).append(pair)
    splits: dict[str, list[tuple[str, str]]] = {"train": [], "validation": []}
    for pairs in folders.values():
        border = len(pairs) - len(pairs) // 5
        splits["train"] += pairs[:border]
        splits["validation"] += pairs[border:]
    if not splits["validation"]:
        raise errors.UserError(
            f"{root}: found {len(frames)} frames in {len(folders)} folders; allowed "
            "are five or more in one of them, for the last fifth is for validation. "
            "Fix: add frames, or lists train.txt and val.txt."
        )
    return splits
