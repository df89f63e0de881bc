"""What the readers of objects and depth share: files, boxes, splits.

A box counts if it is finite and has an area left once it is cut at the border of its
image; all others (no width, no height, NaN, wholly outside) are dropped. One turned
round or far outside is a mistake: readers of users' own data refuse it.
"""

import collections
import contextlib
import contextvars
import json
import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jaxseg.core import errors, paths
from jaxseg.core import images as images_lib

T = TypeVar("T")
# Parts that a line joins: on one side or in the middle, and across the body.
BONES = (("ankle", "knee"), ("knee", "hip"), ("hip", "shoulder"), ("elbow", "wrist"))
BONES += (("shoulder", "elbow"), ("eye", "ear"), ("neck", "head_top"))
BONES += (("thorax", "upper_neck"), ("pelvis", "thorax"), ("paw", "middle"))
BONES += (("middle", "top"), ("tail_start", "tail_end"), ("ear_base", "ear_tip"))
BONES += (("nose", "chin"),)
ACROSS = ("hip", "shoulder", "eye")
NAMED = 8  # files in one message
FAR = 1.0  # sides of its image that a box may reach out of it; YOLO's rule for pixels
_log = logging.getLogger(__name__)
told: dict[str, None] = {}  # what was left out so far, in order, as `check` reports it
_aside: contextvars.ContextVar[dict[str, errors.UserError] | None]
_aside = contextvars.ContextVar("aside", default=None)


class Unpaired(errors.UserError):
    """Images without labels or labels without an image; `files` are all of them.

    Where a format asks for both, this is refused when the data are opened, and
    `python -m jaxseg.data check` lists every file. What a format lets be left out (a
    box without an area, an image that no list names) is left out, counted, and told.
    """

    def __init__(
        self, where: Path | str, parts: Mapping[str, Sequence[str]], more: str = ""
    ):
        """parts: {what is wrong: files}, such as {"images without mask": [...]}.

        more: of the fix.
        """
        found = [f"{what}: {len(f)}, for example {f[0]}" for what, f in parts.items()]
        self.fix = "restore what is missing under the same name, or remove the other"
        self.fix += more
        super().__init__(
            f"{where}: found {'; '.join(found)}. Allowed is each with the other. Fix: "
            f"{self.fix}."
        )
        self.files = {file: what for what, all_ in parts.items() for file in all_}

    def __reduce__(self) -> tuple[Any, ...]:  # from a worker process
        return errors.UserError, (str(self),)


@contextlib.contextmanager
def setting_aside() -> Iterator[dict[str, errors.UserError]]:
    """Within, what `refuse` is told is noted here, by its text, and not raised.

    So `check` names all that is wrong in one run, where training stops at once.
    """
    found: dict[str, errors.UserError] = {}
    before = _aside.set(found)
    try:
        yield found
    finally:
        _aside.reset(before)


def sets_aside() -> bool:
    """Whether what is read now may lack files: it must not be kept for others."""
    return _aside.get() is not None


def refuse(*found: errors.UserError) -> None:
    """Raises these errors as one; within `setting_aside` notes them, and returns: the
    caller goes on without the files that they name.
    """
    noted = _aside.get()
    if noted is not None:
        noted.update({str(error): error for error in found})
    elif len(found) == 1:
        raise found[0]
    elif found:
        raise joined(found)


def opens(root: Path, name: str) -> bool:
    """Whether a name below the root leads to a file or folder; refuses it otherwise."""
    try:
        if paths.look(root, name) is None:
            images_lib.num_bytes(root / name)  # says why not
    except errors.UserError as error:
        refuse(error)
        return False
    return True


def is_file(folder: Path, name: str) -> bool:
    """Whether there is one below; what leads outside is refused, and there."""
    try:
        return (folder / name).is_file()
    except errors.UserError as error:
        refuse(error)
        return True


def joined(found: Sequence[errors.UserError]) -> errors.UserError:
    """One error with a line for each of the first."""
    more = f"\nand {len(found) - NAMED} more" if len(found) > NAMED else ""
    return errors.UserError("\n".join(map(str, found[:NAMED])) + more)


class Record(NamedTuple):
    """An image below the root and its objects, dropped ones left out."""

    image: str
    id: str
    size: tuple[int, int] | None  # height, width as the labels say
    boxes: np.ndarray  # float32 [N, 4] row0, col0, row1, col1 in [0, 1]
    labels: np.ndarray  # int32 [N]
    flags: np.ndarray  # bool [N], crowd or difficult
    keypoints: np.ndarray | None = None  # float32 [N, K, 3]
    areas: np.ndarray | None = None  # float32 [N] square pixels, 0 = unknown


def cut_boxes(
    corners: np.ndarray, sizes: np.ndarray | tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """float32 [N, 4] row0, col0, row1, col1 in [0, 1], and bool [N], which count.

    corners: [N, 4] x0, y0, x1, y1 in pixels; sizes: height, width, of all or of each.
    """
    corners = np.asarray(corners, np.float64).reshape(-1, 4)
    finite = np.isfinite(corners).all(axis=1)
    height, width = np.broadcast_to(sizes, (len(corners), 2)).T
    sides = np.stack([height, width, height, width], axis=1)
    safe = np.where(finite[:, None], corners, 0)
    boxes = np.clip(safe[:, [1, 0, 3, 2]] / sides, 0, 1).astype(np.float32)
    return boxes, finite & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)


def odd_boxes(corners: np.ndarray, sizes: np.ndarray | tuple[int, int]) -> np.ndarray:
    """bool [N], which are turned round, or reach out of their image by more than its
    own side.

    No annotator draws such a box, so nobody can tell where its object ends.
    """
    corners = np.asarray(corners, np.float64).reshape(-1, 4)
    height, width = np.broadcast_to(sizes, (len(corners), 2)).T
    shares = corners / np.stack([width, height, width, height], axis=1)
    far = ((shares < -FAR) | (shares > 1 + FAR)).any(axis=1)
    return far | turned(corners)


def turned(corners: np.ndarray) -> np.ndarray:
    """bool [N], whose second corner lies left of or above the first."""
    return (corners[:, 2:] < corners[:, :2]).any(axis=1)


def odd_box(where: str, corners: Sequence[float], size: Sequence[int]) -> Exception:
    """UserError for a box of x0, y0, x1, y1 that is one of `odd_boxes`."""
    numbers = ", ".join(f"{number:g}" for number in corners)
    return errors.UserError(
        f"{where}: found a box from x, y to x, y of {numbers}, its image is {size[0]} "
        f"x {size[1]} (height x width); allowed are boxes from top left to bottom "
        "right, up to one of its sides outside of it. Fix: correct or remove the box."
    )


def known_points(points: np.ndarray, size: np.ndarray | tuple[int, int]) -> np.ndarray:
    """float32 [..., K, 3] row, col in [0, 1], visibility, from x, y in pixels.

    Points that are not labelled, not finite or outside the image are 0, 0, 0.
    """
    height, width = np.moveaxis(np.asarray(size, np.float64), -1, 0)
    rows, cols = points[..., 1] / height, points[..., 0] / width
    with np.errstate(invalid="ignore"):
        inside = (rows >= 0) & (rows <= 1) & (cols >= 0) & (cols <= 1)
    known = inside & (points[..., 2] > 0)
    placed = np.stack([rows, cols, points[..., 2]], axis=-1)
    return np.where(known[..., None], placed, 0).astype(np.float32)


def report_dropped(dropped: int, total: int, path: Path, example: str) -> None:
    """Says how many boxes do not count, and where one of them is."""
    if dropped:
        tell(
            f"{path}: {dropped} of {total} boxes have no area within their image and "
            f"are left out, for example one of {example}"
        )


def tell(text: str) -> None:
    """Logs a warning, each text once: a folder is opened many times in a run.

    `check`, which sets files aside, prints it as a note.
    """
    if text not in told:
        told[text] = None
        _log.log(logging.INFO if sets_aside() else logging.WARNING, text)


def read_image(record: Record, root: Path, labels: str) -> np.ndarray:
    """uint8 [H, W, 3]; UserError where it is not of the size that `labels` say."""
    size = images_lib.size(root / record.image)  # before gigabytes are decoded
    if record.size is not None and size != tuple(record.size):
        raise errors.UserError(
            f"{root / record.image}: image is {size[0]} x {size[1]} (height x width, "
            f"upright), {labels} says {record.size[0]} x {record.size[1]}. Fix: "
            "restore the image that was labelled, or correct the size there."
        )
    return images_lib.read(root / record.image)


def matched(
    where: Path | str,
    images: Mapping[T, str],
    labels: Mapping[T, str],
    kind: str = "mask",
) -> list[tuple[str, str]]:
    """(image, label file) of each key that both have, in the order of `images`.

    Refuses a key that only one of them has; `kind` says what the labels are.
    """
    parts = {
        f"images without {kind}": [f for k, f in images.items() if k not in labels],
        f"{kind} files without image": [
            f for k, f in labels.items() if k not in images
        ],
    }
    parts = {what: sorted(files) for what, files in parts.items() if files}
    if parts:
        refuse(Unpaired(where, parts))
    return [(file, labels[key]) for key, file in images.items() if key in labels]


def header_size(path: Path) -> tuple[int, int] | None:
    """(height, width), or None for a file that `read_image` will refuse later."""
    try:
        return images_lib.size(path)
    except errors.UserError:
        return None


def image_names(folder: Path) -> dict[str, str]:
    """{name without suffix: file name} of the images that lie in a folder."""
    if not folder.is_dir():
        raise errors.UserError(
            f"{folder}: folder not found; allowed is one with images. Fix: correct "
            "root=DIR or the option images."
        )
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return {
        path.stem: path.name
        for path in files
        if path.suffix.lower() in images_lib.SUFFIXES
    }


def below(root: Path, folder: str) -> dict[str, str]:
    """{name without suffix: path below root} of the images in a folder."""
    names = image_names(root / folder)
    return {name: f"{folder}/{file}" for name, file in names.items()}


def drawn_splits(items: Sequence[T], where: Path) -> dict[str, list[T]]:
    """A fifth for validation, drawn with seed 0, the rest for training; both sorted."""
    rows = drawn_rows(len(items), where)
    return {split: [items[i] for i in chosen] for split, chosen in rows.items()}


def drawn_rows(count: int, where: Path) -> dict[str, np.ndarray]:
    """`drawn_splits` of so many items: int [N], the places of each split's."""
    if count < 2:
        raise errors.UserError(
            f"{where}: found {'one image' if count else 'no images'}; allowed are two "
            "or more, to train on some and validate on others. Fix: add images, or say "
            "which are for what where the format has lists or folders of splits."
        )
    order = np.random.default_rng(0).permutation(count)
    border = max(1, count // 5)
    return {"train": np.sort(order[border:]), "validation": np.sort(order[:border])}


def read_lines(path: Path) -> list[str]:
    """The first word of each line that has one."""
    lines = read_text(path).splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def read_text(path: Path) -> str:
    """A whole UTF-8 file; UserError with the path for one that is missing or is not."""
    return read_bytes(path).decode().replace("\r\n", "\n").replace("\r", "\n")


def read_bytes(path: Path) -> bytes:
    """`read_text` as it is stored."""
    try:
        paths.check_kind(path)
        data = path.read_bytes()
        data.decode()  # or UnicodeDecodeError
        return data
    except FileNotFoundError:
        raise errors.UserError(
            f"{path}: file not found. Fix: restore it, or correct root=DIR or the "
            "options that name it."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UserError(
            f"{path}: cannot be read as UTF-8 text ({error}). Fix: replace the file."
        ) from None


def read_json(path: Path) -> Any:
    """The content of a JSON file; UserError with the place where it breaks off."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # or a number of 4300 digits
        raise errors.UserError(
            f"{path}: not whole JSON ({error}). Fix: get or write the file again."
        ) from None


def stamp(path: Path | str) -> tuple[str, int, int]:
    """What changes when a file does, path, size and ctime: for caches of what was read
    from it. Unlike mtime, which `cp -p` and archives set back, ctime is the system's.
    """
    try:
        facts = os.stat(path)
    except OSError:  # whoever reads it says why
        return str(path), -1, -1
    known = stat.S_ISREG(facts.st_mode)
    both = (facts.st_size, facts.st_ctime_ns) if known else (-1, -1)
    return str(path), *both


def raw_ids(given: Mapping[Any, Any] | None) -> dict[int, int] | None:
    """{raw id: class} of an option: JSON has text for keys."""
    return None if given is None else {int(raw): int(to) for raw, to in given.items()}


def check_names(names: Mapping[Any, Any], where: str) -> tuple[str, ...]:
    """The class names in the order of the mapping; UserError for one that is twice."""
    classes = tuple(map(str, names.values()))
    counts = collections.Counter(classes)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice or not classes:
        raise errors.UserError(
            f"{where}: found {len(classes)} classes, {twice or 'none'} more than once; "
            "allowed are one or more, each once. Fix: correct the names."
        )
    return classes


def flip_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(left, right) indices of keypoints whose names differ by left, right or L, R."""
    places = {name.lower(): index for index, name in enumerate(names)}
    pairs = []
    for name, index in places.items():
        other = re.sub(r"left|(?<![a-z])l(?![a-z])", _to_right, name)
        if other != name and other in places:
            pairs.append((index, places[other]))
    return tuple(pairs)


def skeleton(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Indices of keypoints that a line joins, by the names of parts of a body."""
    places = {name.lower(): index for index, name in enumerate(names)}
    pairs = [("left_" + part, "right_" + part) for part in ACROSS]
    for name in places:
        pairs += [
            (name, name.removesuffix(one) + other)
            for one, other in BONES
            if name.endswith(one)
        ]
    return tuple(
        (places[a], places[b]) for a, b in pairs if a in places and b in places
    )


def _to_right(match: re.Match) -> str:
    return "right" if match[0] == "left" else "r"
