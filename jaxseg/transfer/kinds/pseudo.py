"""Pseudo labels (PSSL, section 3): labelled images in, the deciles of what classifiers
agree on out, as a data set of the catalogue (`deciles/shards`).
"""

import dataclasses
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from PIL import Image

from jaxseg.analysis import saliency
from jaxseg.core import binding, errors, hashing, hosts, image_files, jsonl, rules
from jaxseg.data import published
from jaxseg.data.dataset import Dataset
from jaxseg.data.published import Published
from jaxseg.data.spec import DataSpec
from jaxseg.train import hooks
from jaxseg.transfer import stage as stages

READER, SPLIT = "deciles/shards", "train"
BACKGROUND = "background"
PNG, JPEG = "png", "jpeg"
QUALITY = 95  # of JPEG
METHOD = saliency.Method()
CLASSIFICATION = {"name": "classification"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PseudoSpec(binding.Spec):
    """data: images, each of one class, in their own size. seed: of SmoothGrad's noise.

    batch_size: images at once. stored: how images are kept; jpeg is smaller and changes
    pixels a little. per_shard: images in a file; after a kill at most these are made
    again.
    """

    data: DataSpec
    method: saliency.Method = METHOD
    seed: rules.Seed = 0
    batch_size: Annotated[int, rules.at_least(1)] = 16
    stored: Annotated[str, rules.one_of(PNG, JPEG)] = PNG
    per_shard: Annotated[int, rules.at_least(1)] = 500


class Pseudo(stages.Kind):
    """Explains each image by all parents, which are classifiers in any roles."""

    Spec = PseudoSpec
    VERSION = 1
    TOGETHER = True

    def resolve(self, spec: PseudoSpec, where: str) -> PseudoSpec:
        """Data identified; UserError unless an image has one class."""
        facts = spec.data.facts()
        if "label" not in facts.fields:
            raise errors.UserError(
                f"{where}/data: {spec.data.called} has {', '.join(facts.fields)}; "
                "needed is label, one class for each image. Fix: a classification set"
            )
        data = spec.data.identified(facts, f"{where}/data")
        return dataclasses.replace(spec, data=data)

    def check_parents(
        self, spec: PseudoSpec, parents: Mapping[str, stages.Stage], where: str
    ) -> None:
        """UserError without a classifier, or with a training of another task."""
        models = {r: one for r, one in parents.items() if r != spec.data.of}
        for role, one in models.items():
            task = getattr(one.spec, "task", None) or CLASSIFICATION
            if task["name"] != CLASSIFICATION["name"]:
                raise errors.UserError(
                    f"{where}/parents/{role}: {one.name} is trained for "
                    f"{task['name']}; allowed is classification. Fix: a stage with "
                    "task={'name': 'classification'}"
                )
        if not models:
            raise errors.UserError(
                f"{where}/parents: found none; needed is a classifier, better several. "
                "Fix: parents={role: stage, ...}"
            )

    def uses(self, stage: stages.Stage) -> list[stages.Stage]:
        """The classifiers, where another parent is data."""
        own = stage.spec.data.of
        return [one for role, one in stage.parents.items() if role != own]

    def reads(self, spec: PseudoSpec) -> dict[str, DataSpec]:
        """The labelled images."""
        return {"data": spec.data}

    def publishes(self, spec: PseudoSpec) -> Published:
        """The same images with their class where the mean map is highest."""
        facts = spec.data.facts()
        return Published(
            READER,
            Dataset(
                fields=("image", "segmentation"),
                domain=facts.domain,
                splits={SPLIT: spec.data.images(facts)[0]},
                version=1,
                size=facts.size,
                classes=(BACKGROUND, *facts.classes),
                background=0,
                mean=facts.mean,
                std=facts.std,
                licence=facts.licence,
            ),
        )

    def describe(
        self, spec: PseudoSpec, parents: Mapping[str, stages.Stage]
    ) -> dict[str, int]:
        """The images to explain."""
        return {"examples": spec.data.images(spec.data.facts())[0]}

    def run(self, context: stages.StageContext) -> dict[str, Any]:
        """The shards. What a kill left is kept where its files are whole."""
        from jaxseg.transfer import artifact  # loads grain: a plan does without

        spec = context.stage.spec
        source = spec.data.open()
        folders = {r: f for r, f in context.parents.items() if r != spec.data.of}
        explain = {
            role: saliency.Explainer(
                artifact.load(path), spec.method, source.dataset.classes, spec.seed
            )
            for role, path in folders.items()
        }
        written = _Shards(context, len(source))
        stop = hosts.Stop(context.interrupted)
        for shard, numbers in enumerate(written.numbers):
            if stop(shard):
                raise hooks.Interrupted(f"saved {shard} of {len(written.numbers)}")
            if written.whole(shard):
                continue
            records: list[dict[str, Any]] = []
            for batch in _explained(source, numbers, explain, spec):
                records += batch
                done = numbers.start + len(records)
                context.progress(done, len(source), spec.data.called)
            written.write(shard, records)
        counts = written.close(source.dataset.classes)
        if hosts.leads():
            published.finish(context.folder, self.publishes(spec))
        return {"metrics": [], "data": {"data": spec.data.described(source)}} | counts


KIND = Pseudo()


def _explained(
    source: Any,
    numbers: range,
    explain: Mapping[str, saliency.Explainer],
    spec: PseudoSpec,
) -> Iterator[list[dict[str, Any]]]:
    """The records of images by batches, of which each process makes a share."""
    place, count = hosts.shard()
    step = spec.batch_size * count
    for begin in range(numbers.start, numbers.stop, step):
        group = range(begin, min(begin + step, numbers.stop))
        own, found = group[place::count], []
        if own:
            examples = [source[number] for number in own]
            maps = saliency.explained(explain, examples, own, spec.batch_size)
            for example, heats in zip(examples, maps):
                found.append(_record(example, heats, spec.stored))
        every = hosts.every(found)
        yield [every[n % count][n // count] for n in range(len(group))]


def _record(
    example: Mapping[str, Any], heats: Mapping[str, np.ndarray], stored: str
) -> dict[str, Any]:
    """What a shard holds of an image, and under `constant` the maps without a pixel
    above another.
    """
    together = saliency.mean(heats)
    ranks = saliency.deciles(together)
    return {
        "id": str(example["id"]),
        "image": _encoded(example["image"], stored),
        "deciles": image_files.encode_png(ranks),
        "label": int(example["label"]),
        "constant": [role for role, heat in heats.items() if not heat.any()],
        "without_top": bool(ranks.max() < saliency.TOP),
    }


def _encoded(image: np.ndarray, stored: str) -> bytes:
    """The bytes of a file of an image, uint8 [H, W, 3] or [H, W, 1]."""
    if image.dtype != np.uint8 or image.shape[-1] not in (1, 3):
        raise errors.UserError(
            f"pseudo/data: found an image {image.dtype} {list(image.shape)}, allowed "
            "are 8 bits and 1 or 3 channels. Fix: a set of such images"
        )
    plain = image[..., 0] if image.shape[-1] == 1 else image
    if stored == PNG:
        return image_files.encode_png(plain)
    text = io.BytesIO()
    Image.fromarray(plain).save(text, "jpeg", quality=QUALITY, subsampling=0)
    return text.getvalue()


class _Shards:
    """The files of the artifact. While they are made, shards.jsonl lists the whole
    ones. Process 0 alone reads and writes them.
    """

    def __init__(self, context: stages.StageContext, images: int):
        self.root = published.folder(context.folder)
        self.log = context.scratch / "shards.jsonl"
        if hosts.leads() and self.log.is_file():
            jsonl.write(self.log, jsonl.read(self.log))  # a kill may leave half a line
        step = context.stage.spec.per_shard
        self.numbers = [
            range(begin, min(begin + step, images)) for begin in range(0, images, step)
        ]

    def whole(self, shard: int) -> bool:
        """Whether an earlier try wrote the file, and its bytes are still those."""

        def same() -> bool:
            row, path = self._rows().get(shard), self._path(shard)
            return bool(row and path.is_file()) and (
                hashing.file_sum(path) == row["sum"]
            )

        return hosts.first(same)

    def write(self, shard: int, records: Sequence[Mapping[str, Any]]) -> None:
        """The file, then the line that says that it is whole."""
        from jaxseg.data.datasets import shards

        if not hosts.leads():
            return
        self.root.mkdir(exist_ok=True)
        path, begun = self._path(shard), self.log.with_name("shard.tmp")
        kept = ("id", "image", "deciles", "label")
        shards.write_file(begun, [{k: row[k] for k in kept} for row in records])
        os.replace(begun, path)
        constant = [role for row in records for role in row["constant"]]
        row = {"shard": shard, "sum": hashing.file_sum(path), "constant": constant}
        without = sum(row["without_top"] for row in records)
        jsonl.append(self.log, row | {"without_top": without})

    def close(self, classes: Sequence[str]) -> dict[str, Any]:
        """Names the classes; {"constant": {role: maps}, "without_top": images}."""
        if not hosts.leads():
            return {}
        (self.root / "classes.txt").write_text("".join(f"{n}\n" for n in classes))
        rows = self._rows().values()
        constant = [role for row in rows for role in row["constant"]]
        counts = {role: constant.count(role) for role in sorted(set(constant))}
        return {
            "constant": counts,
            "without_top": sum(row["without_top"] for row in rows),
        }

    def _path(self, shard: int) -> Path:
        return (
            self.root / f"{SPLIT}-{shard:05d}-of-{len(self.numbers):05d}.array_record"
        )

    def _rows(self) -> dict[int, dict[str, Any]]:
        """{shard: its last line}."""
        if not self.log.is_file():
            return {}
        return {row["shard"]: row for row in jsonl.read(self.log)}
