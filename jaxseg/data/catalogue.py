"""Data sets by name: fact sheets, options, folders and fingerprints.

A data set is a file in `data/datasets/` with

  DATASETS = {variant: Dataset(...)}
  records(variant, split, root, **options) -> Sequence   cheap, random access, picklable
  parse(record, root, variant) -> Example                deterministic, no resizing

and, if the defaults do not suffice,

  reads(record, root, variant) -> (images, labels)       files below root that parse
      opens; default: the strings of a record without id and where, image first
  describe(variant, root, **options) -> Dataset          the facts, completed from
      the folder
  files(root, **options) -> (images, labels)             names of all files of a user's
      own folder, whose content is its fingerprint
  CLASSES_FROM = {variant: "names" or "ids"}             what defines the classes if no
      option lists them: the names in labels, even misspelt ones, or the ids
  DEFAULTS = {variant: {option: value}}                  where they differ from those of
      the signature of `records`
  PLACES = (option, ...)                                 options for the place or size
      of files, not for the meaning of labels

A file with labels is among `labels`, even if it is an image: of `images` only
the first and last bytes enter the digest.

A data set of the catalogue enters a plan by name and version, so that a plan needs no
data; the digest of the files that were read is taken when a stage runs.

A reader joins names to its root with `/`; core/paths.py defines what that refuses.

The id to ignore is 255 in the files and in `ids` of a set of up to 255 classes, and
65535 (16-bit PNG) of a larger one, where 255 is a class. In memory it is always
dataset.IGNORE. Readers may return either; `dataset.map_ids` converts.
"""

import functools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxseg.core import binding, errors, hashing, lookup, paths
from jaxseg.data import contents, refusals
from jaxseg.data.dataset import Dataset

PACKAGE = "jaxseg.data.datasets"
OUTSIDE = "outside"


def names() -> list[str]:
    """All `file/variant` names, sorted by file.

    >>> [name for name in names() if name.startswith("camvid/")]
    ['camvid/11', 'camvid/32']
    """
    files = lookup.names(PACKAGE)
    return [f"{f}/{v}" for f in files for v in lookup.load(PACKAGE, f).DATASETS]


def find(name: str) -> Dataset:
    """The fact sheet of `file/variant`, from memory; UserError for an unknown name.

    >>> find("camvid/11").splits["train"]
    367
    """
    file, _, variant = name.partition("/")
    datasets = module(file).DATASETS
    if variant not in datasets:
        full = [f"{file}/{known}" for known in datasets]
        raise lookup.unknown(name, full, kind="dataset")
    return datasets[variant]


def classes_from(name: str) -> str | None:
    """CLASSES_FROM of the reader of `file/variant`; None if the reader has a list."""
    file, variant = name.split("/")
    return getattr(module(file), "CLASSES_FROM", {}).get(variant)


def places(name: str) -> tuple[str, ...]:
    """PLACES of the reader of `file/variant`."""
    return getattr(module(name.split("/")[0]), "PLACES", ())


def bind_options(name: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of the reader with all defaults; UserError for an unknown one."""
    file, variant = name.split("/")
    reader, section = module(file).records, options or {}
    functions = (reader, _anywhere) if find(name).on_disk else (reader,)
    defaults = getattr(module(file), "DEFAULTS", {}).get(variant)
    if defaults:
        section = {**defaults, **section}
    given = dict.fromkeys(("variant", "split", "root"))
    where = f"{name} options"
    bound = binding.bind(*functions, section=section, where=where, given=given)
    return bound if bound.get(OUTSIDE) else _own(bound)


def find_root(
    name: str, root: str | os.PathLike | None, options: Mapping[str, Any] | None = None
) -> paths.Root | None:
    """The folder of a data set on disk: `root`, or $JAXSEG_DATA/file; None for one that
    is rendered. UserError if the folder does not exist.
    """
    facts = find(name)
    if not facts.on_disk:
        return None
    file = name.split("/")[0]
    base = os.environ.get("JAXSEG_DATA")
    if root is None and base is None:
        raise errors.UserError(
            f"{name}: no folder given. Fix: set root=DIR, or the environment variable "
            f"JAXSEG_DATA to the folder that holds {file}/. {facts.obtain}".rstrip()
        )
    path = Path(root) if root is not None else Path(base) / file
    if not path.is_dir():
        origin = "root" if root is not None else "$JAXSEG_DATA"
        raise errors.UserError(
            f"{name}: looked in {path} (from {origin}), which is not a folder. Fix: "
            f"set root=DIR or JAXSEG_DATA. {facts.obtain}".rstrip()
        )
    return paths.root(path, outside=bool((options or {}).get(OUTSIDE)))


def fingerprint(
    name: str,
    *,
    root: str | os.PathLike | None = None,
    options: Mapping[str, Any] | None = None,
    full_digest: bool = False,
) -> str:
    """The part of a content key: `name@version` and the digest of a user's folder.

    full_digest: the digest is of all bytes of the images, not only of both ends.
    """
    facts, options = find(name), bind_options(name, options)
    text = f"{name}@{facts.version}"
    if not facts.own:
        return text
    folder = find_root(name, root, options)

    def digest() -> str:
        with errors.reading(f"{name}: {folder}"):
            images, labels = module(name.split("/")[0]).files(folder, **_own(options))
            if full_digest:
                images, labels = (), [*images, *labels]
            return contents.digest(folder, images, labels)

    key = (name, folder, hashing.canonical(options), full_digest)
    return f"{text}:{contents.once(key, digest)}"


def describe(
    name: str,
    *,
    root: str | os.PathLike | None = None,
    options: Mapping[str, Any] | None = None,
) -> Dataset:
    """The fact sheet, with splits, classes and size as the folder has them."""
    options = bind_options(name, options)
    folder = find_root(name, root, options)
    print_ = fingerprint(name, root=folder, options=options)
    return described(name, folder, hashing.canonical(options), print_)


def records(
    name: str, facts: Dataset, split: str, root: Path | None, options: dict[str, Any]
) -> Sequence[Any]:
    file, variant = name.split("/")
    place = name if root is None else f"{name} in {root}"
    if split not in facts.splits:
        raise lookup.unknown(split, facts.splits, kind="split", where=place)
    with errors.reading(f"{name} {split}: {root}"):
        result = module(file).records(variant, split, root, **_own(options))
    if not len(result):
        raise errors.UserError(f"{place}: split {split!r} holds no records")
    return result


def module(file: str) -> ModuleType:
    if file not in lookup.names(PACKAGE):
        raise lookup.unknown(file, lookup.names(PACKAGE), kind="dataset")
    return lookup.load(PACKAGE, file)


def _anywhere(*, outside: bool = False) -> None:
    """The option `outside` of all data on disk: names and links may leave the root.

    It is bound only if true: it changes no example, and so no key.
    """


def _own(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the reader takes."""
    return {key: value for key, value in options.items() if key != OUTSIDE}


def described(name: str, root: Path | None, options: str, print_: str) -> Dataset:
    """The facts, completed from the folder; read once for each fingerprint."""
    look_up = _look_up.__wrapped__ if refusals.sets_aside() else _look_up
    return look_up(name, root, options, print_)


@functools.lru_cache(maxsize=256)
def _look_up(name: str, root: Path | None, options: str, _print: str) -> Dataset:
    reader, variant = module(name.split("/")[0]), name.split("/")[1]
    if not hasattr(reader, "describe"):
        return reader.DATASETS[variant]
    with errors.reading(f"{name}: {root}"):
        return reader.describe(variant, root, **_own(json.loads(options)))
