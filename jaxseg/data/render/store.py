"""The cache of rendered examples: one file of equal slots, a checksum in each.

A slot is written in one call and read back only if its checksum holds, so no kill,
full disk or second process leaves a damaged example in use. Empty slots take no space
on disk; an example is rendered on first access.
"""

import logging
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxseg.core import types
from jaxseg.data.render import canvas

MAX_THINGS = 48  # boxes in one picture
MOMENT = 0.1  # seconds: a slot is written in less
_log = logging.getLogger(__name__)


def layout(size: int) -> np.dtype:
    """The dtype of one slot; `check`, the last field, covers all others."""
    joints = (MAX_THINGS, len(canvas.KEYPOINTS), 3)
    return np.dtype(
        [
            ("written", "u4"),
            ("label", "i4"),
            ("things", "i4"),
            ("image", "u1", (size, size, 3)),
            ("segmentation", "u1", (size, size)),
            ("depth", "f2", (size, size)),
            ("boxes", "f4", (MAX_THINGS, 4)),
            ("box_labels", "i4", MAX_THINGS),
            ("keypoints", "f4", joints),
            ("check", "u4"),
        ]
    )


def picture(size: int, channels: int) -> np.dtype:
    """The dtype of one slot of an image without labels."""
    image = ("image", "u1", (size, size, channels))
    return np.dtype([("written", "u4"), image, ("check", "u4")])


class Store:
    """Examples by index, rendered once by `render` and then read from `path`."""

    def __init__(
        self, path: Path, slot: np.dtype, render: Callable[[int], types.Example]
    ):
        self.path, self.slot, self.render = path, slot, render
        self.writable = True

    def __getitem__(self, index: int) -> types.Example:
        slot = self._read(index)
        if slot is None:
            slot = _pack(self.render(index), self.slot)
            self._write(index, slot)
        return _unpack(slot)

    def _read(self, index: int) -> np.void | None:
        """The slot of an example; None if it is missing or damaged."""
        for wait in (0, MOMENT):  # another process may be in the middle of writing it
            time.sleep(wait)
            try:
                data = self._bytes(index)
            except FileNotFoundError:
                return None
            except OSError as error:
                self._give_up(error)
                return None
            if not any(data[:4]):
                return None  # beyond the end, or never written
            if len(data) == self.slot.itemsize:
                slot = np.frombuffer(data, self.slot)[0]
                if slot["check"] == zlib.crc32(data[:-4]):
                    return slot
        _log.warning("%s: example %d is damaged: rendered again", self.path, index)
        return None

    def _bytes(self, index: int) -> bytes:
        with open(self.path, "rb") as file:
            return os.pread(file.fileno(), self.slot.itemsize, self._start(index))

    def _write(self, index: int, slot: np.void) -> None:
        if not self.writable:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(file, slot.tobytes(), self._start(index))
            finally:
                os.close(file)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if self.writable:
            _log.warning("%s: no cache (%s): rendering each time", self.path, error)
        self.writable = False

    def _start(self, index: int) -> int:
        return index * self.slot.itemsize


def _pack(example: types.Example, slot: np.dtype) -> np.void:
    """An example as one slot, its checksum filled in."""
    packed = np.zeros((), slot)
    packed["written"], packed["image"] = 1, example["image"]
    if "things" in slot.names:
        _pack_labels(example, packed)
    packed["check"] = zlib.crc32(packed.tobytes()[:-4])
    return packed[()]


def _pack_labels(example: types.Example, packed: np.ndarray) -> None:
    count = len(example["box_labels"])
    if count > MAX_THINGS:
        raise ValueError(f"{count} things in one picture, room for {MAX_THINGS}")
    packed["things"], packed["label"] = count, example.get("label", -1)
    for name in ("segmentation", "depth"):
        packed[name] = example[name]
    for name in ("boxes", "box_labels", "keypoints"):
        packed[name][:count] = example[name]


def _unpack(slot: np.void) -> types.Example:
    """The example in a slot, in the vocabulary of `data/dataset.py`, writable."""
    image = slot["image"].copy()
    if "things" not in slot.dtype.names:
        return {"image": image}
    count = int(slot["things"])
    return {
        "image": image,
        "segmentation": slot["segmentation"].astype(np.int32),
        "depth": slot["depth"].astype(np.float32),
        "boxes": slot["boxes"][:count].copy(),
        "box_labels": slot["box_labels"][:count].copy(),
        "keypoints": slot["keypoints"][:count].copy(),
        "label": np.array(slot["label"], np.int32),
    }
