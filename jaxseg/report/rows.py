"""Finished stages as rows of results.csv: one for each of their `columns`."""

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
    "overlap",
]
MEASURED = {"metric": "name", "protocol": "protocol"}  # {column: of the headline}
ROLES = ("pretraining", "source", "target")  # candidates have another, and no row
NEEDED = "cell setting target target_dataset target_task target_domain source seed"
EMBEDDED = ("worlds/", "chairs/")  # data sets whose images are drawn


def results(study: workdir.Study) -> list[dict[str, Any]]:
    """Rows with COLUMNS and, for the gains, role, baseline_source, higher_is_better,
    stage and floor: the score of a model that learned nothing (None: not known).
    """
    rows = []
    for stage in study.stages:
        result = stage.result
        if stage.kind not in ("train", "select") or result is None:
            continue
        if result.headline is None or result.headline["value"] is None:
            continue
        rows += [_row(study, stage, columns) for columns in _columns(study, stage)]
    return sorted(rows, key=_order)


def planned(study: workdir.Study) -> list[dict[str, Any]]:
    """The target cells of the plan with the status of their stage.

    Metric and protocol are None until the stage has measured.
    """
    return [
        dict(columns)
        | {"study": study.name, "status": stage.status}
        | {"baseline_source": columns.get("baseline")}
        | {name: _headline(stage).get(key) for name, key in MEASURED.items()}
        for stage in study.stages
        for columns in _columns(study, stage)
        if columns["role"] == "target" and stage.status != "skipped"
    ]


def metrics(study: workdir.Study) -> list[dict[str, Any]]:
    """A row for each metric of each evaluation of a finished stage under each of its
    columns: these, metric, value, protocol, evaluation, split, higher_is_better, floor
    (None: not known), `reported` (of the evaluation that tables show), artifact, stage.
    """
    return [
        dict(columns) | _metric(stage, metric)
        for stage in study.stages
        if stage.kind in ("train", "select") and stage.result
        for columns in _columns(study, stage)
        for metric in stage.result.manifest["metrics"]
        if metric["value"] is not None
    ]


def measurements(study: workdir.Study) -> list[dict[str, Any]]:
    """The rows of finished `measure` stages, with `analysis`, `stage` and the columns
    of the stage, if any, under each of them.
    """
    return [
        dict(columns) | {"analysis": stage.artifact.analysis, "stage": stage} | row
        for stage in study.stages
        if stage.kind == "measure" and stage.artifact
        for columns in stage.columns or [{}]
        for row in stage.artifact.lines("rows.jsonl")
    ]


def searches(study: workdir.Study) -> list[dict[str, Any]]:
    """The candidates of each finished search in the order of its list, the lowest rate
    first: `stage`, candidate, lr, metric, evaluation, value (None: it diverged or was
    skipped), diverged (why, or None), asked (at which place from 1; None: skipped),
    skipped, winner, and `border` where the winner is the first or last of the list: one
    beyond it may be better.
    """
    found = []
    for stage in study.stages:
        if stage.kind == "select" and stage.artifact and _searched(stage.artifact):
            listed = stage.artifact.lines("rows.jsonl")
            ends = [listed[0], listed[-1]]
            found += [
                row | {"stage": stage, "border": row["winner"] and row in ends}
                for row in listed
            ]
    return found


def _searched(artifact: workdir.Artifact) -> bool:
    return artifact.manifest.get("skipped") is not None


def _metric(stage: workdir.Stage, metric: Mapping[str, Any]) -> dict[str, Any]:
    """One metric of a stage that has a headline, as `metrics` gives it."""
    names = ("value", "protocol", "evaluation", "split", "higher_is_better", "floor")
    reported = metric.get("evaluation") == _headline(stage).get("evaluation")
    row = {name: metric.get(name) for name in names} | {"metric": metric["name"]}
    return row | {"reported": reported, "artifact": stage.result.key, "stage": stage}


def _headline(stage: workdir.Stage) -> Mapping[str, Any]:
    return (stage.result and stage.result.headline) or {}


def embedded(dataset: str) -> bool:
    """Whether jaxseg draws the images itself; results then say nothing on photos."""
    return str(dataset).startswith(EMBEDDED) and dataset != "chairs/folder"


def write_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """CSV text. Floats read back as the same bits; None is an empty cell.

    >>> write_csv([{"target": "night", "value": 0.1, "lr": None}], ["value", "lr"])
    'value,lr\\n0.1,\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_cell(row.get(name)) for name in columns] for row in rows])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)


def _columns(study: workdir.Study, stage: workdir.Stage) -> list[Mapping[str, Any]]:
    """The columns of each row that a stage has; UserError where a target lacks some."""
    rows = [columns for columns in stage.columns if columns.get("role") in ROLES]
    for columns in rows:
        missing = [name for name in NEEDED.split() if name not in columns]
        if columns["role"] == "target" and missing:
            raise errors.UserError(
                f"studies/{study.name}/plan.json: columns of stage {stage.name!r} lack "
                f"{', '.join(missing)}. Run `python -m jaxseg.main` again to write it."
            )
    return rows


def _row(study, stage: workdir.Stage, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a finished stage under one of its `columns`."""
    manifest, headline = stage.result.manifest, stage.result.headline
    row = {name: columns.get(name) for name in COLUMNS} | {
        "study": study.name,
        "metric": headline["name"],
        "protocol": headline["protocol"],
        "value": headline["value"],
        "steps": manifest["steps"],
        "seconds": manifest["seconds"],
        "artifact": stage.result.key,
        "role": columns["role"],
        "baseline_source": columns.get("baseline"),
        "higher_is_better": headline["higher_is_better"],
        "floor": headline.get("floor"),
        "stage": stage,
    }
    if row["lr"] is None:  # of a selection: known from its winner
        row["lr"] = manifests.lr(manifest)
    return row


def _order(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A sort key that depends on the columns of a row, not on when it was made."""
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
