"""Tiny datasets on disk, in the layouts that readers expect, and in memory."""

import numpy as np
from PIL import Image

from jaxseg.data.dataset import Dataset
from jaxseg.data.source import Source


def write_image(path, size=(12, 16), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_mask(path, size=(12, 16), values=(0, 1, 2)):
    ids = np.resize(np.array(values, np.uint8), size)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids).save(path)


def write_camvid(root, prefix="", count=3):
    for split in ("train", "val", "test"):
        lines = []
        for i in range(count):
            image, label = f"{split}/{i}.png", f"{split}annot/{i}.png"
            write_image(root / image, seed=i)
            write_mask(root / label, values=(0, 10, 11))
            lines.append(f"{prefix}{image} {prefix}{label}\n")
        (root / f"{split}.txt").write_text("".join(lines))


def write_folder(root, names, images="images", masks="masks", values=(0, 1, 2)):
    for seed, name in enumerate(names):
        write_image(root / images / f"{name}.jpg", seed=seed)
        write_mask(root / masks / f"{name}.png", values=values)


def in_memory(examples, fields=("image", "segmentation"), **facts):
    """A source of given examples, without files."""
    facts = Dataset(
        fields=fields,
        domain="synthetic",
        splits={"train": len(examples)},
        version=1,
        **{"mean": (100.0,) * 3, "std": (50.0,) * 3, "size": (8, 8)}
        | {"classes": ("a", "b", "c")}
        | facts,
    )
    return Examples(facts, examples)


class Examples(Source):
    """A source whose records are the examples themselves."""

    def __init__(self, facts, examples):
        super().__init__(
            "tests/memory",
            "train",
            facts,
            examples,
            root=None,
            options={},
            indices=np.arange(len(examples)),
            fingerprint="tests",
            in_memory=False,
        )

    def _read(self, index):
        return dict(self._records[index])


def assert_shards(whole, parts):
    """Each part has the next of equally many rows of each batch."""
    for step, (batch, ids) in enumerate(whole):
        for place, batches in enumerate(parts):
            part, part_ids = batches[step]
            count = len(ids) // len(parts)
            rows = slice(place * count, (place + 1) * count)
            assert part_ids == ids[rows]
            rows = batch["image"][rows]
            np.testing.assert_array_equal(part["image"], rows)
