"""Images of a folder by their names, and the label files that belong to them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from jaxseg.core import errors, image_files
from jaxseg.data import refusals

T = TypeVar("T")


def matched(
    where: Path | str,
    images: Mapping[T, str],
    labels: Mapping[T, str],
    kind: str = "mask",
) -> list[tuple[str, str]]:
    """(image, label file) of each key that both have, in the order of `images`.

    Refuses keys that only one of them has; `kind` says what the labels are.
    """
    parts = {
        f"images without {kind}": [f for k, f in images.items() if k not in labels],
        f"{kind} files without image": [
            f for k, f in labels.items() if k not in images
        ],
    }
    parts = {what: sorted(files) for what, files in parts.items() if files}
    if parts:
        refusals.refuse(refusals.Unpaired(where, parts))
    return [(file, labels[key]) for key, file in images.items() if key in labels]


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
        if path.suffix.lower() in image_files.SUFFIXES
    }


def below(root: Path, folder: str) -> dict[str, str]:
    """{name without suffix: path below root} of the images in a folder."""
    names = image_names(root / folder)
    return {name: f"{folder}/{file}" for name, file in names.items()}


def header_size(path: Path) -> tuple[int, int] | None:
    """(height, width), or None for a file that `read_image` will refuse later."""
    try:
        return image_files.size(path)
    except errors.UserError:
        return None
