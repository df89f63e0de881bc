"""Finished stages -> one row per stage and label set, the headline metric only."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxseg.core import errors
from jaxseg.core import manifest as manifests
from jaxseg.report import workdir

COLUMNS = [
    "study",
    "cell",
    "setting",
    "target",
    "target_dataset",
    "target_task",
    "target_domain",
    "target_images",
    "source",
    "source_dataset",
    "source_task",
    "source_domain",
    "source_images",
    "backbone",
    "start",
    "resolution",
    "variant",
    "seed",
    "lr",
    "selected",
    "metric",
    "protocol",
    "value",
    "steps",
    "seconds",
    "artifact",
    "target_set_images",
    "source_set_images",
]
MEASURED = {"metric": "name", "protocol": "protocol"}  # {column: of the headline}
ROLES = ("pretraining", "source", "target")  # candidates have others, and no row
NEEDED = "cell setting target target_dataset target_task target_domain source seed"
EMBEDDED = ("worlds/", "chairs/")  # dataset files that draw their own images


def results(study: workdir.Study) -> list[dict[str, Any]]:
    """Rows of COLUMNS, and what the gains need beside: role, baseline_source, stage,
    higher_is_better and floor, what learning nothing gives (None: not known)."""
    found = []
    for stage in study.stages:
        result = stage.result
        if stage.kind not in ("train", "select") or result is None:
            continue
        if result.headline is None or result.headline["value"] is None:
            continue
        found += [_row(study, stage, label) for label in _labels(study, stage)]
    return sorted(found, key=_order)


def planned(study: workdir.Study) -> list[dict[str, Any]]:
    """The target cells of the plan with the status of their stage, run or not.

    Metric and protocol are None until a stage has measured by them.
    """
    return [
        dict(label)
        | {"study": study.name, "status": stage.status}
        | {"baseline_source": label.get("baseline")}
        | {name: _headline(stage).get(key) for name, key in MEASURED.items()}
        for stage in study.stages
        for label in _labels(study, stage)
        if label["role"] == "target"
    ]


def _headline(stage: workdir.Stage) -> Mapping[str, Any]:
    return (stage.result and stage.result.headline) or {}


def embedded(dataset: str) -> bool:
    """Whether jaxseg draws the images itself: they prove nothing about photos."""
    return str(dataset).startswith(EMBEDDED) and dataset != "chairs/folder"


def write_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """CSV text; floats so that they read back as the same bits, None as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_cell(row.get(name)) for name in columns] for row in rows])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)


def _labels(study: workdir.Study, stage: workdir.Stage) -> list[Mapping[str, Any]]:
    """The label sets of a stage that stand for a result, checked."""
    labels = [label for label in stage.labels if label.get("role") in ROLES]
    for label in labels:
        missing = [name for name in NEEDED.split() if name not in label]
        if label["role"] == "target" and missing:
            raise errors.UserError(
                f"studies/{study.name}/plan.json: labels of stage {stage.name!r} lack "
                f"{', '.join(missing)}. Run `python -m jaxseg.main` again to write it."
            )
    return labels


def _row(study, stage: workdir.Stage, label: Mapping[str, Any]) -> dict[str, Any]:
    """The result row of one finished stage under one of its label sets."""
    manifest, headline = stage.result.manifest, stage.result.headline
    row = {name: label.get(name) for name in COLUMNS} | {
        "study": study.name,
        "metric": headline["name"],
        "protocol": headline["protocol"],
        "value": headline["value"],
        "steps": manifest["steps"],
        "seconds": manifest["seconds"],
        "artifact": stage.result.key,
        "role": label["role"],
        "baseline_source": label.get("baseline"),
        "higher_is_better": headline["higher_is_better"],
        "floor": headline.get("floor"),
        "stage": stage,
    }
    if row["lr"] is None:  # known only once the winner is
        row["lr"] = manifests.lr(manifest)
    return row


def _order(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A total order that depends on what a row means, not on when it was made."""
    names = [
        "study",
        "setting",
        "target",
        "source",
        "backbone",
        "resolution",
        "variant",
    ]
    text = ["" if row[name] is None else str(row[name]) for name in names]
    return (*text, f"{row['seed'] or 0:09d}", str(row["cell"]), row["artifact"])
