"""Pairs the images and masks of a folder and assigns the pairs to splits.

Images lie in a folder called like images/ or Training_Images/, masks in one called
like masks/, labels/, annotations/ or Ground_Truth/, under the same names. Splits are
train.txt, val.txt, test.txt with a name or an `image mask` pair per line; or else
folders train/, val/, test/ anywhere in the path; or else a fixed fifth for validation.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from jaxseg.core import errors, image_files
from jaxseg.data import refusals, subsets
from jaxseg.data.readers import text_files

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


def find_pairs(
    root: Path, images: str | None, masks: str | None
) -> dict[str, list[tuple[str, str | None]]]:
    """{split: [(image, mask or None)]}, paths below root with forward slashes.

    Within `refusals.setting_aside`, pairs that cannot be opened are left out.
    """
    splits = _all_pairs(root, images, masks)
    if not refusals.sets_aside():
        return splits
    return {
        split: [each for each in pairs if _opens(root, each)]
        for split, pairs in splits.items()
    }


def _opens(root: Path, pair: tuple[str, str | None]) -> bool:
    names = [name for name in pair if name is not None]
    return sum(refusals.opens(root, name) for name in names) == len(names)


def _all_pairs(
    root: Path, images: str | None, masks: str | None
) -> dict[str, list[tuple[str, str | None]]]:
    listed = lists(root)
    listing, mask_files = _keyed(root, images, masks)
    pairs = {k: (f, _mask_for(k, mask_files)) for k, f in listing.items()}
    if listed:
        return {split: _listed(path, root, pairs) for split, path in listed.items()}
    if not pairs:
        raise _nothing_found(root, images, masks)
    _refuse_orphans(root, pairs, mask_files)
    splits = {key: _split_of(key) for key in pairs}
    if not any(splits.values()):
        return subsets.drawn_splits(list(pairs.values()), root)
    lost = [pairs[key][0] for key, split in splits.items() if split is None]
    if lost:
        outside = errors.UserError(
            f"{root}: some images lie in train, val or test folders, {len(lost)} do "
            f"not, for example {lost[0]}. Fix: move them, or list each split in a file "
            "train.txt, val.txt."
        )
        refusals.refuse(outside)
    return {
        split: [pair for key, pair in pairs.items() if splits[key] == split]
        for split in SPLITS
        if split in splits.values()
    }


def _walk(root: Path) -> list[str]:
    """Image files below root, sorted, without hidden ones and archive leftovers."""
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith((".", "__MACOSX"))]
        for file in files:
            if file.lower().endswith(image_files.SUFFIXES) and not file.startswith("."):
                names.append((Path(folder) / file).relative_to(root).as_posix())
    return sorted(names)


def _keyed(
    root: Path, images: str | None, masks: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    """{key: path} of the images and of the masks; both of a pair have the same key."""
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
            twice = errors.UserError(
                f"{root}: {table[key]} and {name} would be the same example. Fix: give "
                "them different names, or narrow images=... and masks=..."
            )
            refusals.refuse(twice)
        table.setdefault(key, name)
    return tables


def _matcher(pattern: str | None, convention: str) -> Callable[[str], str | None]:
    """Function path -> key: the path without its part for image or mask, or None."""

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
    return head if suffix.lower() in image_files.SUFFIXES else name


def _mask_for(key: str, masks: Mapping[str, str]) -> str | None:
    """The mask of an image: the same key, or that key with _mask, _gt or the like."""
    if key in masks:
        return masks[key]
    plain = re.sub(IMAGE_ENDING, "", key)
    named = [plain, *(f"{plain}{dash}{end}" for dash in "_-" for end in MASK_ENDINGS)]
    return next((masks[name] for name in named if name in masks), None)


def lists(root: Path) -> dict[str, Path]:
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
    chosen = []
    for number, line in enumerate(text_files.read_text(path).splitlines(), 1):
        line, words = line.strip(), line.split()
        candidates = by_name.get(line) or by_name.get(_stem(line)) or set()
        if len(words) == 2:
            try:
                if all((root / word).is_file() for word in words):
                    candidates = {(words[0], words[1])}
            except errors.UserError as error:
                refusals.refuse(errors.UserError(f"{path}:{number}: {error}"))
                continue
        if line and len(candidates) != 1:
            error = errors.UserError(
                f"{path}:{number}: {line!r} names {len(candidates)} images; allowed is "
                f"the name of one of the {len(pairs)} images found below {root}, or "
                "`image mask`, two files relative to it. Fix: correct the line."
            )
            refusals.refuse(error)
            continue
        chosen.extend(candidates)
    return chosen


def _split_of(key: str) -> str | None:
    """The split whose name is a folder of the key."""
    folders = {part.lower() for part in key.split("/")[:-1]}
    return next((s for s, names in SPLITS.items() if folders & set(names)), None)


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
        refusals.refuse(refusals.Unpaired(root, parts, NAME_MASKS))


def _nothing_found(
    root: Path, images: str | None, masks: str | None
) -> errors.UserError:
    files = _walk(root)
    folders = sorted({str(PurePosixPath(name).parent) for name in files})[:5]
    wanted = f"images={images!r}" if images else "a folder like images/ or photos/"
    content = "no image files"
    if files:
        content = f"{len(files)} image files, in {folders}, but none in {wanted}"
    return errors.UserError(
        f"{root}: found {content}. Fix: put images in images/ and "
        "masks of the same names in masks/, or say where they are with images=FOLDER "
        "and masks=FOLDER (or globs such as masks='*_mask.png')."
    )
