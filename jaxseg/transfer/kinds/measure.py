"""Measuring a trained model: one analysis in, rows out."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.analysis import domain_distance as distances
from jaxseg.analysis import features
from jaxseg.core import binding, errors, jsonl, lookup
from jaxseg.data import catalogue, subsets
from jaxseg.data.source import Source
from jaxseg.transfer import artifact, planning, work

VERSION = 2  # goes up when the same model would give other rows
PATHS = ("root", "full_digest")  # where data lie is no part of what they are


def domain_distance(
    *, datasets: Sequence[Mapping[str, Any]], batch_size: int = 32
) -> None:
    """Eq. 1 between all ordered pairs of `datasets`, in the parent's feature space.

    Images are normalized by the mean and std of their own set, as the paper does with
    every set to take illumination out of its comparisons (4.1).
    datasets: sections {name, split, count, seed, root, label}; the same images stand
    for a set as target and as source, as in the paper (1000 of each; count=None: all).
    """


def dataset_arguments(
    *,
    name: str,
    split: str = "train",
    count: int | None = None,
    seed: int = 0,
    root: str | None = None,
    options: Mapping[str, Any] | None = None,
    copy: str | None = None,
    full_digest: bool = False,
    label: str | None = None,
) -> None:
    """One set of images to describe; its rows say `label`, or its name.

    copy, full_digest: as of a data section of training.
    """


ANALYSES = {"domain_distance": domain_distance}


def arguments(*, analysis: Mapping[str, Any]) -> None:
    """analysis: {name: domain_distance, datasets: [...]}; the parent is the model."""


def bind(bound: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The analysis with its defaults."""
    section = bound["analysis"]
    name = binding.name_of(section, f"{where}/analysis")
    function = lookup.pick(ANALYSES, name, kind="analysis")
    analysis = binding.bind(
        function, section=section, where=f"{where}/analysis", named=True
    )
    analysis["datasets"] = [
        binding.bind(dataset_arguments, section=data, where=f"{where}/datasets")
        for data in analysis["datasets"]
    ]
    for place, data in enumerate(analysis["datasets"]):
        subsets.check_draw(data, f"{where}/analysis/datasets/{place}")
        data["label"] = data["label"] or data["name"]
    counts = collections.Counter(data["label"] for data in analysis["datasets"])
    for label, count in counts.items():
        if count > 1:
            raise errors.UserError(
                f"{where}/analysis/datasets: {count} are called {label!r}. "
                "Fix: a label each"
            )
    return {"analysis": analysis}


def resolve(spec: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Each data set with its fingerprint; UserError on images that it does not have."""
    if spec["analysis"]["batch_size"] < 1:
        found = spec["analysis"]["batch_size"]
        raise errors.UserError(
            f"{where}/analysis/batch_size: found {found}, allowed: 1 or more"
        )
    for place, data in enumerate(spec["analysis"]["datasets"]):
        facts = catalogue.find(data["name"])
        if facts.own:
            facts = planning.open_source(data | {"count": None}).dataset
        subsets.check(data, facts, f"{where}/analysis/datasets/{place}")
    datasets = [
        dict(data)
        | {
            "fingerprint": catalogue.fingerprint(
                data["name"],
                root=data["root"],
                options=data["options"],
                full_digest=data["full_digest"],
            )
        }
        for data in spec["analysis"]["datasets"]
    ]
    return {"analysis": dict(spec["analysis"]) | {"datasets": datasets}}


def keyed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All but paths."""
    datasets = [
        {key: value for key, value in data.items() if key not in PATHS}
        for data in spec["analysis"]["datasets"]
    ]
    return {"analysis": dict(spec["analysis"]) | {"datasets": datasets}}


def reads(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """{name in the manifest: data section} of all that is read."""
    return {data["label"]: data for data in spec["analysis"]["datasets"]}


def versions(spec: Mapping[str, Any]) -> dict[str, int]:
    """None beside the kind's own."""
    return {}


def check_parents(
    spec: Mapping[str, Any], parents: Mapping[str, Any], where: str
) -> None:
    """UserError unless there is exactly the model."""
    if set(parents) != {"model"}:
        raise lookup.unknown(
            ", ".join(parents) or "none", ["model"], kind="parent", where=where
        )


def describe(spec: Mapping[str, Any], parents: Mapping[str, Any]) -> dict[str, Any]:
    """The images to look at."""
    return {"examples": sum(d["count"] or 0 for d in spec["analysis"]["datasets"])}


def run(job: work.Work) -> dict[str, Any]:
    """rows.jsonl: a row for each ordered pair of data sets."""
    spec = job.stage.spec["analysis"]
    model = artifact.load(job.parents["model"])
    size = tuple(model.manifest["preprocessing"]["size"])
    vectors, read = {}, {}
    for number, (name, data) in enumerate(reads(job.stage.spec).items()):
        job.progress(number, len(spec["datasets"]), data["name"])
        source = planning.open_source(data)
        read[name] = planning.describe_source(data, source)
        vectors[name] = _vectors(model, source, size, spec["batch_size"])
    rows = [
        {
            "analysis": spec["name"],
            "target": target,
            "source": source,
            "value": distances.domain_distance(vectors[target], vectors[source]),
        }
        for target in vectors
        for source in vectors
    ]
    jsonl.write(job.folder / "rows.jsonl", rows)
    return {"metrics": [], "data": read}


def _vectors(
    model: artifact.Artifact, source: Source, size: Any, batch_size: int
) -> np.ndarray:
    """[N, D] pooled features of one data set, normalized by its own statistics."""
    from jaxseg.data import normalization, pipeline

    own = normalization.Normalize.of(source.dataset)
    batches = pipeline.eval_batches(
        source, normalize=own, size=size, batch_size=batch_size, fields=("image",)
    )
    return features.collect(model.features, batches)
