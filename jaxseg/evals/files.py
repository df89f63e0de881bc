"""Predictions as files that other programs read, one image after the other.

predictions/NAME.png   class ids, or depth in millimetres (uint16, 0: unknown)
overlays/NAME.png      the prediction drawn on the image
coco.json              boxes or skeletons of all images, in COCO's result format
predictions.csv        a line for each image: its class, and the probability of each
predictions.json       what made them, classes with colours, images with their files
images.jsonl           a line for each image that is done: what a next run skips

Of these a task has those that suit what it predicts.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxseg.core import durable, errors, jsonl
from jaxseg.tasks import task as tasks

LOG, SETTINGS, INDEX = "images.jsonl", "settings.json", "predictions.json"
INTERNAL = ("file", "name", "seen", "objects")  # of a line, not of the index
OBJECTS, TABLE = "coco.json", "predictions.csv"


class One(NamedTuple):
    """What is written of an image."""

    file: str  # the path that the user gave or that was found below it
    name: str  # of its files, without a suffix; may have folders
    size: tuple[int, int]
    seen: str  # what tells this file from another one of its name
    written: tasks.Written
    overlay: np.ndarray | None = None
    values: Mapping[str, Any] = {}  # more columns of the table


class Files:
    """The folder that predictions are written to; the same call goes on there."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        """UserError where the folder has predictions that were made otherwise, or
        something else.
        """
        self.folder, self.settings = folder, dict(settings)
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / SETTINGS
        if known.exists():
            _check_same(known, self.settings)
        elif any(folder.iterdir()):
            raise errors.UserError(
                f"--output={folder}: holds files that are no predictions of jaxseg. "
                "Fix: name a new or empty folder"
            )
        else:
            jsonl.write_json(known, self.settings)
        self.rows = {row["file"]: row for row in jsonl.read(folder / LOG)}
        # A line that a kill cut off would spoil the one that is added after it.
        jsonl.write(folder / LOG, self.rows.values())

    def has(self, file: str, name: str, seen: str) -> bool:
        """Whether an image is done and all its files are there."""
        row = self.rows.get(file)
        if row is None or (row["name"], row["seen"]) != (name, seen):
            return False
        return all((self.folder / path).exists() for path in row["files"].values())

    def add(self, one: One) -> None:
        """Writes the files of an image, then its line."""
        files = {}
        pictures = {"predictions": one.written.picture, "overlays": one.overlay}
        for kind, pixels in pictures.items():
            if pixels is not None:
                path = self.folder / kind / f"{one.name}.png"
                _write_png(path, pixels)
                files[kind] = path.relative_to(self.folder).as_posix()
        height, width = one.size
        row = {"file": one.file, "name": one.name, "height": height, "width": width}
        row |= {"seen": one.seen, "files": files, **one.values}
        if one.written.objects:
            row["objects"] = list(one.written.objects)
        self.rows[one.file] = row
        jsonl.append(self.folder / LOG, row)

    def finish(self, chosen: Sequence[str]) -> list[Path]:
        """Writes what is of all these images, by their files; returns the paths."""
        rows = [self.rows[file] for file in chosen if file in self.rows]
        images = [
            {"id": number, "file_name": row["file"]}
            | {key: row[key] for key in row if key not in INTERNAL}
            for number, row in enumerate(rows, 1)
        ]
        index = self.settings | {"images": images}
        jsonl.write_json(self.folder / INDEX, index)
        written = [self.folder / INDEX]
        if self.settings["objects"]:
            objects = [
                {"image_id": number} | found
                for number, row in enumerate(rows, 1)
                for found in row.get("objects", ())
            ]
            jsonl.write_json(self.folder / OBJECTS, objects)
            written.append(self.folder / OBJECTS)
        if self.settings["columns"]:
            text = _table(rows, ["file", *self.settings["columns"]])
            jsonl.write_text(self.folder / TABLE, text)
            written.append(self.folder / TABLE)
        return written


def _check_same(known: Path, settings: Mapping[str, Any]) -> None:
    """UserError unless the predictions of a folder were made with these settings."""
    before = jsonl.read_json(known)
    other = [key for key in settings if before.get(key) != settings[key]]
    if other:
        shown = "; ".join(
            f"{key}: {str(before.get(key))[:60]}, now {str(settings[key])[:60]}"
            for key in other
        )
        raise errors.UserError(
            f"--output={known.parent}: holds predictions made otherwise ({shown}). "
            "Fix: name another folder, or remove this one"
        )


def _write_png(path: Path, pixels: np.ndarray) -> None:
    """Whole or not there, also after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.tmp")
    Image.fromarray(np.ascontiguousarray(pixels)).save(scratch, "PNG")
    durable.sync(scratch)
    scratch.replace(path)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
