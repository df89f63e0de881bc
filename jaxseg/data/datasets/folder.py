"""A folder of images and masks: anyone's own data, found by convention.

Images lie in a folder called like images/ or Training_Images/, masks in one called
like masks/, labels/, annotations/ or Ground_Truth/, under the same names. Splits are
train.txt, val.txt, test.txt with a name or an `image mask` pair a line; or else
folders train/, val/, test/ anywhere in the path; or else a fixed fifth for validation.
"""

import contextlib
import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, lookup
from jaxseg.core import images as images_lib
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.datasets import _labels, _present

DATASETS = {
    "segmentation": Dataset(
        fields=("image", "segmentation"),
        domain="own",
        splits={},
        version=1,
        obtain="Your own folder of images and masks; root is that folder.",
    )
}
IMAGE_FOLDER = r"(.*[_-])?(images?|imgs?|photos?|pictures|rgb)([_-]?dir)?|jpegimages"
MASK_FOLDER = (
    r"(.*[_-])?(masks?|labels?|annotations?|annots?|anns?|targets?)([_-]?dir)?|"
    r"ground[_-]?truths?|gts?|segmentation(class)?|label(ids|maps?)"
)
IMAGE_ENDING = r"[_-](img|image|rgb)$"
MASK_ENDINGS = ("mask", "masks", "label", "labels", "gt", "seg", "segmentation")
SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
NAME_MASKS = "; or name the masks' folder or glob with masks=..."
MASK_SIZES = ("refuse", "resize")
SIZE_IMAGES = 200  # enough for a median


class Pair(NamedTuple):
    """One record: two files below the root, and how to read the mask."""

    image: str
    mask: str
    binary: bool
    resize: bool
    channels: int | None


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    images: str | None = None,
    masks: str | None = None,
    ids: Mapping[Any, int] | None = None,
    binary: bool = False,
    classes: Sequence[str] = (),
    mask_size: str = "refuse",
    channels: int | None = None,
) -> Sequence[Pair]:
    """The pairs of a split, sorted or in the order of its list.

    images, masks: folder or glob below root, where convention does not find them.
    ids: {raw id: class}. binary: 0 stays, the one other value of a mask becomes 1.
    mask_size: "resize" takes masks of another size by nearest neighbour.
    channels: so many of 8 or 16 bits as stored; None: any image as 8-bit RGB.
    """
    lookup.pick(dict.fromkeys(MASK_SIZES), mask_size, kind="mask_size")
    found = find_pairs(root, images, masks)[split]
    missing = [image for image, mask in found if mask is None]
    if missing:
        parts = {f"images of split {split!r} without mask": missing}
        raise _labels.Unpaired(root, parts, NAME_MASKS)
    return [Pair(*pair, binary, mask_size == "resize", channels) for pair in found]


def parse(record: Pair, root: Path, variant: str) -> Example:
    image = images_lib.read(root / record.image, record.channels)
    mask = images_lib.read_ids(root / record.mask)
    size = image.shape[:2]
    if mask.shape != size:
        _check_size(mask.shape, size, record, root)
        mask = images_lib.resize_ids(mask, size)
    if record.binary:
        mask = to_binary(mask, root / record.mask)
    return {"image": image, "segmentation": mask, "id": record.image}


def describe(facts: Dataset, root: Path, **options: Any) -> Dataset:
    """`facts` with the splits, classes and sizes that this folder has."""
    pairs = find_pairs(root, options["images"], options["masks"])
    first = "train" if "train" in pairs else next(iter(pairs))
    given = options["ids"]
    ids = None if given is None else {int(k): int(v) for k, v in given.items()}
    if options["binary"] and ids is not None:
        raise errors.UserError(
            f"{root}: binary and ids both say what a mask's values mean. Fix: drop one."
        )
    classes = tuple(options["classes"])
    if options["binary"]:
        classes = classes or ("background", "foreground")
    masks = [root / mask for _, mask in pairs[first] if mask is not None]
    return dataclasses.replace(
        facts,
        splits={split: len(found) for split, found in pairs.items()},
        classes=classes or _measure_classes(masks, ids, root),
        ids=ids,
        size=_median_size([root / image for image, _ in pairs[first]]),
    )


def digest(root: Path, *, images: str | None, masks: str | None, **_: Any) -> str:
    """SHA-256 of the names and sizes of all files and the bytes of masks and lists."""
    pairs = find_pairs(root, images, masks)
    both = [pair for found in pairs.values() for pair in found]
    labels = {mask for _, mask in both if mask} | {
        path.name for path in _lists(root).values()
    }
    total = hashlib.sha256()
    for name in sorted({image for image, _ in both} | labels):
        total.update(f"{name}\0{images_lib.num_bytes(root / name)}\0".encode())
        if name in labels:
            total.update((root / name).read_bytes())
    return total.hexdigest()


def to_binary(mask: np.ndarray, path: Path) -> np.ndarray:
    """int32 [H, W] of 0 and 1; UserError where there are more than two values."""
    top = mask.max()
    if not ((mask == 0) | (mask == top)).all():
        found = np.unique(mask)
        raise errors.UserError(
            f"{path}: found the values {', '.join(map(str, found[:6]))}"
            f"{', ...' if len(found) > 6 else ''}; allowed with binary are 0 and one "
            "other. Fix: threshold the mask, or give ids={raw: class} instead."
        )
    return (mask > 0).astype(np.int32)


# Finding the files.


def find_pairs(
    root: Path, images: str | None, masks: str | None
) -> dict[str, list[tuple[str, str | None]]]:
    """{split: [(image, mask or None)]}, paths below root with forward slashes."""
    lists = _lists(root)
    image_files, mask_files = _keyed(root, images, masks)
    pairs = {k: (f, _mask_for(k, mask_files)) for k, f in image_files.items()}
    if lists:
        return {split: _listed(path, root, pairs) for split, path in lists.items()}
    if not pairs:
        raise _nothing_found(root, images, masks)
    _refuse_orphans(root, pairs, mask_files)
    splits = {key: _split_of(key) for key in pairs}
    if not any(splits.values()):
        return _drawn(root, pairs)
    lost = [pairs[key][0] for key, split in splits.items() if split is None]
    if lost:
        raise errors.UserError(
            f"{root}: some images lie in train, val or test folders, {len(lost)} do "
            f"not, for example {lost[0]}. Fix: move them, or list each split in a file "
            "train.txt, val.txt."
        )
    return {
        split: [pair for key, pair in pairs.items() if splits[key] == split]
        for split in SPLITS
        if split in splits.values()
    }


def _walk(root: Path) -> list[str]:
    """Image files below root, sorted, without hidden ones and archive leftovers."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith((".", "__MACOSX"))]
        for file in files:
            if file.lower().endswith(images_lib.SUFFIXES) and not file.startswith("."):
                found.append((Path(folder) / file).relative_to(root).as_posix())
    return sorted(found)


def _keyed(
    root: Path, images: str | None, masks: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    """{key: path} of the images and of the masks; a pair shares its key."""
    tables: tuple[dict[str, str], dict[str, str]] = {}, {}
    image_key = _matcher(images, IMAGE_FOLDER)
    mask_key = _matcher(masks, MASK_FOLDER)
    for name in _walk(root):
        key, table = mask_key(name), tables[1]
        if key is None:
            key, table = image_key(name), tables[0]
        if key is None:
            continue
        if key in table:
            raise errors.UserError(
                f"{root}: {table[key]} and {name} would be the same example. Fix: give "
                "them different names, or narrow images=... and masks=..."
            )
        table[key] = name
    return tables


def _matcher(pattern: str | None, convention: str) -> Callable[[str], str | None]:
    """path -> key, what is left of it without the part that says image or mask."""

    def by_convention(name: str) -> str | None:
        *folders, file = name.split("/")
        for place, folder in enumerate(folders):
            if re.fullmatch(convention, folder.lower()):
                return "/".join([*folders[:place], *folders[place + 1 :], _stem(file)])
        return None

    if pattern is None:
        return by_convention
    glob = pattern if "*" in pattern else pattern.rstrip("/") + "/**"
    regex = re.escape(glob).replace(r"\*\*", "(.*)").replace(r"\*", "([^/]*)")

    def by_pattern(name: str) -> str | None:
        match = re.fullmatch(regex, name)
        return _stem("/".join(match.groups())) if match else None

    return by_pattern


def _stem(name: str) -> str:
    head, suffix = os.path.splitext(name)
    return head if suffix.lower() in images_lib.SUFFIXES else name


def _mask_for(key: str, masks: Mapping[str, str]) -> str | None:
    """The mask of an image: the same key, or that key with _mask, _gt or the like."""
    if key in masks:
        return masks[key]
    plain = re.sub(IMAGE_ENDING, "", key)
    named = [plain, *(f"{plain}{dash}{end}" for dash in "_-" for end in MASK_ENDINGS)]
    return next((masks[name] for name in named if name in masks), None)


def _lists(root: Path) -> dict[str, Path]:
    """{split: file} of the lists train.txt, val.txt, ... that exist."""
    return {
        split: root / f"{name}.txt"
        for split, names in SPLITS.items()
        for name in reversed(names)
        if (root / f"{name}.txt").is_file()
    }


def _listed(
    path: Path, root: Path, pairs: Mapping[str, tuple[str, str | None]]
) -> list[tuple[str, str | None]]:
    """The pairs that the lines of a list name."""
    by_name: dict[str, set[tuple[str, str | None]]] = {}
    for key, pair in pairs.items():
        for name in {key, PurePosixPath(key).name, pair[0], _stem(pair[0])}:
            by_name.setdefault(name, set()).add(pair)
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line, words = line.strip(), line.split()
        candidates = by_name.get(line) or by_name.get(_stem(line)) or set()
        if len(words) == 2 and all((root / word).is_file() for word in words):
            candidates = {(words[0], words[1])}
        if line and len(candidates) != 1:
            raise errors.UserError(
                f"{path}:{number}: {line!r} names {len(candidates)} images; allowed is "
                f"the name of one of the {len(pairs)} images found below {root}, or "
                "`image mask`, two files relative to it. Fix: correct the line."
            )
        found.extend(candidates)
    return found


def _split_of(key: str) -> str | None:
    """The split whose name is a folder of the key."""
    folders = {part.lower() for part in key.split("/")[:-1]}
    return next((s for s, names in SPLITS.items() if folders & set(names)), None)


def _drawn(
    root: Path, pairs: Mapping[str, tuple[str, str | None]]
) -> dict[str, list[tuple[str, str | None]]]:
    """A fifth for validation, drawn with a fixed seed from the sorted pairs."""
    if len(pairs) < 2:
        raise errors.UserError(
            f"{root}: found one image; allowed are two or more, to train on some and "
            "validate on others. Fix: add images, or lists train.txt and val.txt."
        )
    every = list(pairs.values())
    order = np.random.default_rng(0).permutation(len(every))
    border = max(1, len(every) // 5)
    return {
        "train": [every[i] for i in sorted(order[border:])],
        "validation": [every[i] for i in sorted(order[:border])],
    }


def _refuse_orphans(
    root: Path,
    pairs: Mapping[str, tuple[str, str | None]],
    masks: Mapping[str, str],
) -> None:
    used = {mask for _, mask in pairs.values()}
    orphans = [mask for mask in masks.values() if mask not in used]
    if orphans:
        without = [image for image, mask in pairs.values() if mask is None]
        parts = {"images without mask": without} if without else {}
        parts["mask files without image"] = orphans
        raise _labels.Unpaired(root, parts, NAME_MASKS)


def _nothing_found(
    root: Path, images: str | None, masks: str | None
) -> errors.UserError:
    files = _walk(root)
    folders = sorted({str(PurePosixPath(name).parent) for name in files})[:5]
    found = f"{len(files)} image files, in {folders}" if files else "no image files"
    wanted = f"images={images!r}" if images else "a folder like images/ or photos/"
    return errors.UserError(
        f"{root}: found {found}, but none in {wanted}. Fix: put images in images/ and "
        "masks of the same names in masks/, or say where they are with images=FOLDER "
        "and masks=FOLDER (or globs such as masks='*_mask.png')."
    )


# Measuring what the fact sheet leaves open.


def _measure_classes(
    masks: Sequence[Path], ids: Mapping[int, int] | None, root: Path
) -> tuple[str, ...]:
    """class_0, class_1, ... up to the highest id of the training masks."""
    found = {id_ for each in _present.each(masks, images_lib.read_ids) for id_ in each}
    mapped = {(ids or {}).get(raw, raw) for raw in found} - {255, IGNORE}
    if len(mapped) < 2 or max(mapped) > 254:
        raise errors.UserError(
            f"{root}: the training masks hold the ids {sorted(found)[:12]} "
            "(255 is ignore); allowed are two or more classes, ids up to 254. Fix: "
            "binary=True for masks of 0 and 255, ids={raw: class} for others; name "
            "the classes if they are more than 255 (then 65535 is ignore)."
        )
    return tuple(f"class_{i}" for i in range(max(mapped) + 1))


def _median_size(paths: Sequence[Path]) -> tuple[int, int] | None:
    """Median height and width of some of the images, from their headers."""
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), SIZE_IMAGES)).astype(int)
    sizes = []
    for index in chosen:
        with contextlib.suppress(errors.UserError):  # raised again when it is read
            sizes.append(images_lib.size(paths[index]))
    if not sizes:
        return None
    height, width = np.median(sizes, axis=0).astype(int)
    return int(height), int(width)


def _check_size(
    mask: tuple[int, ...], image: tuple[int, ...], record: Pair, root: Path
) -> None:
    """Refuses a mask of another size, or, where it may differ, of another shape."""
    sizes = (
        f"{root / record.mask}: mask is {mask[0]} x {mask[1]} (height x width), its "
        f"image {record.image} is {image[0]} x {image[1]}"
    )
    if not record.resize:
        raise errors.UserError(
            f"{sizes}. Fix: mask_size='resize' if the mask shows the same picture at "
            "another resolution, or replace the mask."
        )
    expected_width = mask[0] * image[1] / image[0]
    if abs(expected_width - mask[1]) > 1 + 0.02 * mask[1]:
        raise errors.UserError(
            f"{sizes}, another aspect ratio, so it cannot show the same picture. Fix: "
            "replace the mask."
        )
