"""Finds the JSON files and the images of a data set in COCO's format."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from jaxseg.core import errors
from jaxseg.data import refusals

SPLITS = {"train": "train", "validation": "val", "test": "test"}
TRIED = 20  # images to look for when their folder is searched: some may be missing


def find_files(
    prefix: str, root: Path, annotations: Mapping[str, str] | None
) -> dict[str, str]:
    """{split: JSON file below root}: the given files, or those with this prefix."""
    if annotations is None:
        files = by_name(prefix, root)
        if not files:
            raise errors.UserError(
                f"{root}: found no annotations/{prefix}_train*.json, nor "
                "one of val or test. Fix: point root at the folder that holds "
                "annotations/, or name the files: annotations={'train': FILE, ...}."
            )
        return files
    unknown = sorted(set(annotations) - set(SPLITS))
    if unknown or not annotations:
        raise errors.UserError(
            f"annotations: found the splits {unknown or 'none'}; allowed are "
            f"{', '.join(SPLITS)}. Fix: annotations={{'train': FILE, ...}}."
        )
    return {split: annotations[split] for split in SPLITS if split in annotations}


def find_images(
    root: Path, file: str, files: Sequence[str], given: str | None
) -> PurePosixPath:
    """The folder below root that the file names of a JSON file are relative to."""
    if given is not None:
        if not (root / given).is_dir():
            raise errors.UserError(
                f"{root / given}: folder not found; images={given!r} must be a folder "
                f"below {root}. Fix: correct it."
            )
        return PurePosixPath(given)
    name = PurePosixPath(file).stem.rsplit("_", 1)[-1]
    beside = PurePosixPath(file).parent
    candidates = [PurePosixPath(p) for p in (name, f"images/{name}", "images", ".")]
    candidates.append(beside)
    for folder in candidates:
        if any(refusals.is_file(root / folder, name) for name in files[:TRIED]):
            return folder
    raise errors.UserError(
        f"{root / file}: images such as {files[0]!r} are in none of "
        f"{', '.join(map(str, candidates))} below {root}. Fix: add them, or name their "
        "folder with images=FOLDER; if that is not below root, point root higher up "
        "and name the JSON files with annotations={split: FILE}."
    )


def by_name(prefix: str, root: Path) -> dict[str, str]:
    """{split: JSON file below root} of the files with official names."""
    files = {}
    for split, name in SPLITS.items():
        pattern = f"annotations/{prefix}_{name}*.json"
        matches = sorted(
            path.relative_to(root).as_posix() for path in root.glob(pattern)
        )
        if len(matches) > 1:
            raise errors.UserError(
                f"{root}: found {', '.join(matches)} for split {split!r}; allowed is "
                f"one file. Fix: say which with annotations={{{split!r}: FILE}}."
            )
        if matches:
            files[split] = matches[0]
    return files


def of_split(images: Mapping[str, str] | str | None, split: str) -> str | None:
    """The folder of a split; None if none is given."""
    return images.get(split) if isinstance(images, Mapping) else images
