"""A user's own folder of images and masks, which readers/folder_pairs.py pairs."""

import contextlib
import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, image_files, lookup
from jaxseg.core import images as images_lib
from jaxseg.core.types import Example
from jaxseg.data import refusals
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import (
    class_names,
    folder_pairs,
    mask_files,
    mask_ids,
)

DATASETS = {
    "segmentation": Dataset(
        fields=("image", "segmentation"),
        domain="own",
        splits={},
        version=3,  # classes are those of a list in the folder
        obtain="Your own folder of images and masks; root is that folder.",
    )
}
CLASSES_FROM = {"segmentation": "ids"}
PLACES = ("images", "masks", "mask_size")
MASK_SIZES = ("refuse", "resize")
SIZE_IMAGES = 200  # enough for a median


class Pair(NamedTuple):
    """One record: two files below the root, and how to read the mask."""

    image: str
    mask: str
    binary: bool
    resize: bool
    channels: int | None
    colors: Mapping[mask_files.Color, int] | None  # {colour: place in the table}


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
    colors: Sequence[Sequence[Any]] | str | None = None,
) -> Sequence[Pair]:
    """The pairs of a split, sorted or in the order of its list.

    images, masks: folder or glob below root, if their names follow no convention.
    ids: {raw id: class}. binary: 0 stays, the one other value of a mask becomes 1.
    mask_size: "resize" takes masks of another size by nearest neighbour.
    channels: their number, of 8 or 16 bits as stored; None: any image as 8-bit RGB.
    classes: names in the order of their ids. None of ids, binary, classes and colors:
    those of a list in the folder, such as classes.txt; else class_0 up to the top id.
    colors: masks show a colour for each class: rows [name, r, g, b], or a file of such
    lines, in the order of the classes; `ids` maps places in that order.
    """
    lookup.pick(dict.fromkeys(MASK_SIZES), mask_size, kind="mask_size")
    pairs = folder_pairs.find_pairs(root, images, masks)[split]
    missing = [image for image, mask in pairs if mask is None]
    if missing:
        parts = {f"images of split {split!r} without mask": missing}
        refusals.refuse(refusals.Unpaired(root, parts, folder_pairs.NAME_MASKS))
    table = None
    if colors is not None:
        table = {
            c: i for i, c in enumerate(mask_files.color_table(colors, root).values())
        }
    resize = mask_size == "resize"
    whole = [pair for pair in pairs if pair[1] is not None]
    return [Pair(*pair, binary, resize, channels, table) for pair in whole]


def parse(record: Pair, root: Path, variant: str) -> Example:
    path = root / record.mask
    size, mask_size = image_files.size(root / record.image), image_files.size(path)
    if mask_size != size:  # checked before gigabytes are decoded
        check_size(mask_size, size, record, root)
    image = image_files.read(root / record.image, record.channels)
    if record.colors is None:
        mask = image_files.read_ids(path)
    else:
        mask = mask_files.read_colors(path, record.colors)
    mask = images_lib.resize_ids(mask, size)
    if record.binary:
        mask = to_binary(mask, root / record.mask)
    return {"image": image, "segmentation": mask, "id": record.image}


def describe(variant: str, root: Path, **options: Any) -> Dataset:
    """The variant's facts with the splits, classes and sizes that this folder has."""
    facts = DATASETS[variant]
    pairs = folder_pairs.find_pairs(root, options["images"], options["masks"])
    first = "train" if "train" in pairs else next(iter(pairs))
    ids = class_names.raw_ids(options["ids"])
    meanings = [name for name in ("binary", "colors") if options[name]]
    if options["binary"] and ids is not None:
        meanings.append("ids")
    if options["colors"] and options["classes"]:
        meanings.append("classes")
    if len(meanings) > 1:
        raise errors.UserError(
            f"{root}: {' and '.join(meanings)} both say what a mask's values mean. "
            "Fix: drop one."
        )
    classes, palette = tuple(options["classes"]), ()
    if options["binary"]:
        classes = classes or ("background", "foreground")
    if options["colors"]:
        table = mask_files.color_table(options["colors"], root)
        classes = _classes_of(table, ids or {}, root)
        palette = tuple(table[name] for name in classes)
    masks = [*dict.fromkeys(m for members in pairs.values() for _, m in members if m)]
    if not masks:
        raise errors.UserError(
            f"{root}: found {sum(map(len, pairs.values()))} images and no masks. Fix: "
            f"put masks of the same names in masks/{folder_pairs.NAME_MASKS}; for "
            "boxes and other labels `python -m jaxseg.data init "
            f"{shlex.quote(str(root))}` finds their reader and writes a config."
        )
    names = None if classes else _own_names(root, options)
    if names is not None:
        held = mask_ids.ids_in(masks, root)
        ones = 1 if frozenset().union(*held) - {255} <= {0, 1} else None
        classes = tuple(mask_ids.named(root, masks, held, names, ones))
    return dataclasses.replace(
        facts,
        splits={split: len(members) for split, members in pairs.items()},
        classes=classes or _measure_classes(masks, ids, root),
        palette=palette,
        ids=ids,
        size=_median_size([root / image for image, _ in pairs[first]]),
    )


def files(
    root: Path,
    *,
    images: str | None,
    masks: str | None,
    colors: Sequence[Sequence[Any]] | str | None,
    **options: Any,
) -> tuple[list[str], list[str]]:
    """The images, and the masks, lists, the table of colours and that of names."""
    pairs = folder_pairs.find_pairs(root, images, masks)
    both = [pair for members in pairs.values() for pair in members]
    labels = [mask for _, mask in both if mask]
    labels += [path.name for path in folder_pairs.lists(root).values()]
    labels += [colors] if isinstance(colors, str) else []
    names = _own_names(root, options | {"colors": colors})
    labels += [names.file] if names else []
    return [image for image, _ in both], labels


def to_binary(mask: np.ndarray, path: Path) -> np.ndarray:
    """int32 [H, W] of 0 and 1; UserError for more than two values."""
    top = mask.max()
    if not ((mask == 0) | (mask == top)).all():
        values = np.unique(mask)
        raise errors.UserError(
            f"{path}: found the values {', '.join(map(str, values[:6]))}"
            f"{', ...' if len(values) > 6 else ''}; allowed with binary are 0 and one "
            "other. Fix: threshold the mask, or give ids={raw: class} instead."
        )
    return (mask > 0).astype(np.int32)


def _classes_of(
    table: mask_files.ColorTable, ids: Mapping[int, int], root: Path
) -> tuple[str, ...]:
    """Names of the classes that the places in a table of colours become."""
    names = list(table)
    first = {ids.get(i, i): names[i] for i in reversed(range(len(names)))}
    first = {class_: name for class_, name in first.items() if class_ != 255}
    if sorted(first) != list(range(len(first))):
        raise errors.UserError(
            f"{root}: ids map the {len(names)} colours to the classes {sorted(first)}; "
            "allowed are 0, 1, 2, ... without a gap, and 255 to ignore. Fix: correct "
            "ids={place in colors: class}."
        )
    return tuple(first[class_] for class_ in range(len(first)))


def _own_names(root: Path, options: Mapping[str, Any]) -> class_names.Names | None:
    """The list of names in the folder; None if an option defines the ids."""
    given = any(options[key] for key in ("classes", "ids", "binary", "colors"))
    return None if given else class_names.find(root)


def _measure_classes(
    masks: Sequence[str], ids: Mapping[int, int] | None, root: Path
) -> tuple[str, ...]:
    """class_0, class_1, ... up to the highest id of the masks of all splits."""
    every = mask_ids.ids_in(masks, root)
    held = [{(ids or {}).get(raw, raw) for raw in each} for each in every]
    odd = mask_ids.strays(held)
    for id_, place in odd.items():
        error = errors.UserError(
            f"{root / masks[place]}: holds the id {id_}, which hardly any of the "
            f"{len(masks)} masks does; allowed without names are ids without large "
            f"gaps. Fix: correct the mask, or map the id with ids={{{id_}: class}}, or "
            "name the classes in a file classes.txt, one a line, and `init` again."
        )
        refusals.refuse(error)
    present = {id_ for each in held for id_ in each}
    mapped = present - {255, IGNORE, *odd}
    if len(mapped) < 2 or max(mapped) > 254:
        raise errors.UserError(
            f"{root}: the masks hold the ids {sorted(present)[:12]} "
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
            sizes.append(image_files.size(paths[index]))
    if not sizes:
        return None
    height, width = np.median(sizes, axis=0).astype(int)
    return int(height), int(width)


def check_size(
    mask: tuple[int, ...], image: tuple[int, ...], record: Pair, root: Path
) -> None:
    """UserError for a mask of another size or, with resize, of another aspect ratio."""
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
