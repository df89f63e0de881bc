"""What analyses returned: their rows as tables, their arrays as panels."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.report import figures, workdir

MAX_ROWS, MAX_PANELS = 100, 12  # of one measurement, on the page


def shown(study: workdir.Study) -> list[dict[str, Any]]:
    """A line for each finished `measure` stage: name, analysis, key, rows (their
    number), heads, body (texts), numeric (indices of columns of numbers), panels
    [(name, svg)], and others, words on arrays that are no panel.
    """
    stages: dict[str, workdir.Stage] = {}
    for stage in study.stages:
        if stage.kind == "measure" and stage.artifact:
            stages.setdefault(stage.key, stage)
    return [_line(stage) for stage in stages.values()]


def _line(stage: workdir.Stage) -> dict[str, Any]:
    artifact = stage.artifact
    own = artifact.lines("rows.jsonl")
    heads = list(dict.fromkeys(name for row in own for name in row))
    heads = [name for name in heads if name != "analysis"]
    line = {"name": stage.name, "analysis": artifact.analysis, "key": artifact.key}
    line |= {"rows": len(own), "heads": heads, "numeric": _numeric(own, heads)}
    line["body"] = [[_text(row.get(name)) for name in heads] for row in own[:MAX_ROWS]]
    return line | _drawn(artifact.arrays())


def _numeric(own: Sequence[Mapping[str, Any]], heads: Sequence[str]) -> list[int]:
    kinds = (numbers.Real, type(None))
    return [
        index
        for index, name in enumerate(heads)
        if all(isinstance(row.get(name), kinds) for row in own)
    ]


def _text(value: Any) -> str:
    """
    >>> _text(0.123456), _text(12345), _text(None), _text("car")
    ('0.1235', '12345', '', 'car')
    """
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _drawn(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """{"panels": the first MAX_PANELS that are drawn, "others": words on the rest}."""
    panels, others = [], []
    for name, values in arrays.items():
        svg = figures.array(values, name) if len(panels) < MAX_PANELS else None
        if svg:
            panels.append((name, svg))
        else:
            words = _text(values.item()) if values.size == 1 else ""
            others.append(f"{name}: {words or figures.described(values)}")
    return {"panels": panels, "others": others}
