"""Prepared data sets of TensorFlow Datasets, read at random without TensorFlow.

root is the folder of the prepared sets (by default `~/tensorflow_datasets`), which
holds NAME/VERSION or NAME/CONFIG/VERSION. They must be prepared as ArrayRecord, which
is read without TensorFlow; preparing most sets needs it. Since labels lie in the files
of examples, these are read whole for the digest, once after each change.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import table
from jaxseg.data.readers import class_names, text_files

COMMON = dict(
    domain="own",
    splits={},
    version=1,
    obtain="Any set of tensorflow.org/datasets: pip install tensorflow, then "
    "tfds.builder(NAME, data_dir=ROOT, file_format='array_record')"
    ".download_and_prepare(); TensorFlow is not needed afterwards.",
)
DATASETS = {
    "segmentation": Dataset(
        fields=("image", "segmentation"), size=(256, 256), **COMMON
    ),
    "classification": Dataset(fields=("image", "label"), size=(224, 224), **COMMON),
    "detection": Dataset(
        fields=("image", "boxes", "box_labels", "crowd", "difficult"),
        size=(256, 256),
        **COMMON,
    ),
}
LABELS = {"segmentation": "segmentation_mask", "classification": "label"}
LABELS |= {"detection": "objects"}
INFO, FEATURES = "dataset_info.json", "features.json"
FORMAT = "array_record"


class Record(NamedTuple):
    """A decoded example of TFDS, and which of its features to take."""

    id: str
    features: Mapping[str, Any]
    image: str
    label: str


class Records(Sequence):
    """The examples of a split by index; picklable."""

    def __init__(self, source: Sequence[Any], prefix: str, image: str, label: str):
        self._source, self._prefix = source, prefix
        self._image, self._label = image, label

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        name = f"{self._prefix}/{index}"
        with errors.reading(name):
            features = self._source[index]
        return Record(name, features, self._image, self._label)


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    name: str = "",
    image: str = "image",
    label: str = "",
    classes: Sequence[str] = (),
    ids: Mapping[Any, int] | None = None,
) -> Records:
    """The examples of a split in the order of their files.

    name: NAME, NAME/CONFIG or either with :VERSION. image, label: names of features;
    "": segmentation_mask, label or objects. classes: names of the classes of masks in
    the order of their ids, ids: {raw id: class} of masks.
    """
    builder = _builder(root, name)
    source = builder.as_data_source(split=split)
    return Records(source, f"{name}/{split}", image, label or LABELS[variant])


def parse(record: Record, root: Path, variant: str) -> Example:
    image = _to_colours(np.asarray(record.features[record.image]), record.id)
    example = {"image": image, "id": record.id}
    label = record.features[record.label]
    if variant == "classification":
        return example | {"label": np.asarray(label, np.int32)}
    if variant == "detection":
        return example | _objects(label)
    mask = np.asarray(label)
    if mask.ndim != 3 or mask.shape[2] != 1:
        raise errors.UserError(
            f"{record.id}: {record.label} is {list(mask.shape)}; allowed are masks of "
            "ids [height, width, 1]. Fix: name another feature with label=NAME."
        )
    return example | {"segmentation": mask[..., 0].astype(np.int32)}


def describe(variant: str, root: Path, **options: Any) -> Dataset:
    """The variant's facts with the splits and classes of the prepared set."""
    facts = DATASETS[variant]
    name = options.get("name", "")
    info = _builder(root, name).info
    features, label = dict(info.features), options["label"] or LABELS[variant]
    _check_features(features, options["image"], label, variant, name)
    if variant == "segmentation":
        classes = table.named_classes(root / name.split(":")[0], options["classes"])
    else:
        classes = tuple(_class_feature(features, label, variant).names)
    return dataclasses.replace(
        facts,
        splits={
            split: split_info.num_examples for split, split_info in info.splits.items()
        },
        classes=classes,
        ids=class_names.raw_ids(options["ids"]),
    )


def files(root: Path, *, name: str = "", **_: Any) -> tuple[list[str], list[str]]:
    """No images; the files of examples and the descriptions, as labels."""
    folder = find_folder(root, name)
    there = [path for path in folder.iterdir() if not path.is_dir()]
    return [], [path.relative_to(root).as_posix() for path in there]


def find_folder(root: Path, name: str) -> Path:
    """The folder of the newest, or the named, version of a prepared set."""
    if not name:
        raise errors.UserError(
            f"{root}: no data set named. Fix: give the option name, for example "
            "name='oxford_iiit_pet'."
        )
    name, _, version = name.partition(":")
    versions = sorted((root / name).glob(f"{version or '*'}/{INFO}"), key=_version)
    if versions:
        return versions[-1].parent
    places = sorted(root.glob(f"{name}/*/*/{INFO}"))
    configs = sorted({f"{name}/{path.parent.parent.name}" for path in places})
    if configs:
        raise errors.UserError(
            f"{root}: {name} has the configurations {', '.join(configs)}. Fix: name "
            f"one, for example name={configs[0]!r}."
        )
    here = sorted({p.relative_to(root).parts[0] for p in root.glob(f"*/*/{INFO}")})
    raise errors.UserError(
        f"{root}: {name}{':' * bool(version)}{version} is not prepared here; found "
        f"{', '.join(here) or 'no prepared sets'}. Fix: {COMMON['obtain']}"
    )


def _version(info: Path) -> tuple[int, ...]:
    parts = info.parent.name.split(".")
    numbers = map(text_files.whole, parts)
    return tuple(-1 if number is None else number for number in numbers)


def _builder(root: Path, name: str) -> Any:
    """The builder of a prepared set; UserError if it is not ArrayRecord."""
    import tensorflow_datasets  # takes seconds

    folder = find_folder(root, name)
    with errors.reading(f"{folder}: {INFO} or {FEATURES}", "is a set as prepared"):
        builder = tensorflow_datasets.builder_from_directory(folder)
    _hide_accelerators()
    kind = builder.info.file_format
    if kind is None or kind.value != FORMAT:
        raise errors.UserError(
            f"{folder}: found the file format {kind and kind.value}; allowed is "
            f"{FORMAT}, which is read at random. Fix: remove the folder and prepare it "
            f"again. {COMMON['obtain']}"
        )
    return builder


def _hide_accelerators() -> None:
    """Hides GPUs from TensorFlow if it is imported: it would take all their memory."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        for kind in ("GPU", "TPU"):
            tensorflow.config.set_visible_devices([], kind)


def _check_features(
    features: Mapping[str, Any], image: str, label: str, variant: str, name: str
) -> None:
    for option, feature in (("image", image), ("label", label)):
        if feature not in features:
            raise errors.UserError(
                f"{name}: feature {feature!r} is missing; found "
                f"{', '.join(features)}. Fix: name the right one with {option}=NAME."
            )
    if variant != "segmentation" and _class_feature(features, label, variant) is None:
        raise errors.UserError(
            f"{name}: feature {label!r} has no named classes; allowed for {variant} is "
            f"{'bbox and label of each object' * (variant == 'detection')}"
            f"{'a class label' * (variant != 'detection')}. Fix: name another feature "
            "with label=NAME."
        )


def _class_feature(features: Mapping[str, Any], label: str, variant: str) -> Any:
    """The feature that has the names of the classes, or None."""
    feature = features[label]
    if variant == "detection":
        inner = getattr(feature, "feature", None)
        inner = dict(inner) if hasattr(inner, "keys") else {}
        feature = inner.get("label") if "bbox" in inner else None
    return feature if hasattr(feature, "names") else None


def _to_colours(image: np.ndarray, where: str) -> np.ndarray:
    """[H, W, 3] of 1, 3 or 4 channels; transparency is dropped."""
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise errors.UserError(
            f"{where}: image is {list(image.shape)}; allowed are 1, 3 or 4 channels. "
            "Fix: name another feature with image=NAME."
        )
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[..., :3]


def _objects(objects: Mapping[str, Any]) -> Example:
    """boxes and box_labels of TFDS's objects; those without an area are left out."""
    boxes = np.asarray(objects["bbox"], np.float32).reshape(-1, 4)
    finite = np.isfinite(boxes).all(axis=1)
    boxes = np.clip(np.where(finite[:, None], boxes, 0), 0, 1)
    keep = finite & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    no = np.zeros(len(boxes), bool)
    return {
        "boxes": boxes[keep],
        "box_labels": np.asarray(objects["label"], np.int32).reshape(-1)[keep],
        "crowd": np.asarray(objects.get("is_crowd", no), bool).reshape(-1)[keep],
        "difficult": np.asarray(objects.get("is_difficult", no), bool).reshape(-1)[
            keep
        ],
    }
