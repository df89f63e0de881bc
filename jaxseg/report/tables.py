"""Gains as a grid grouped by image domain (Table 4a), and the grid as text."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxseg.report import gains, rows

DOMAINS = [
    "consumer",
    "driving",
    "indoor",
    "aerial",
    "underwater",
    "closeups",
    "synthetic",
    "websearch",
    "own",
]


METRICS = {"miou": "mIoU", "top1": "top-1", "pixel_accuracy": "pixel accuracy"}


@dataclasses.dataclass(frozen=True)
class Axis:
    """One target (row) or one source (column) of a grid."""

    name: str
    domain: str
    images: int
    detail: str = ""  # what tells two rows of one name apart
    real: bool = False  # real images in a grid that has embedded ones as well

    @property
    def label(self) -> str:
        """The name, marked where a grid mixes real images with embedded ones."""
        return f"{self.name} (real)" if self.real else self.name


@dataclasses.dataclass(frozen=True)
class Grid:
    """One gain table. A planned cell without a gain is a hole with its status."""

    study: str
    setting: str
    task: str
    backbone: str
    variant: str
    baseline: str
    metric: str
    targets: Sequence[Axis]
    sources: Sequence[Axis]  # the random start last
    cells: Mapping[tuple[Axis, Axis], Mapping[str, Any]]
    holes: Mapping[tuple[Axis, Axis], str]
    baselines: Mapping[Axis, float]

    @property
    def title(self) -> str:
        """What tells this grid from the others of a report."""
        parts = (self.task, f"{self.setting} target set", self.backbone, self.variant)
        return ", ".join(part for part in parts if part)

    def rows(self) -> list[Mapping[str, Any]]:
        """The gains of the grid in reading order."""
        order = [(target, source) for target in self.targets for source in self.sources]
        return [self.cells[pair] for pair in order if pair in self.cells]


def grids(found: Iterable[Mapping], cells: Iterable[Mapping]) -> list[Grid]:
    """Gains over planned cells, a grid per study, setting, task, backbone, variant."""
    groups = collections.defaultdict(lambda: ([], []))
    for index, some in enumerate((found, cells)):
        for row in some:
            groups[place(row)][index].append(row)
    return [_grid(key, *groups[key]) for key in sorted(groups)]


def shown(metric: str) -> str:
    """A metric's name as people write it."""
    return METRICS.get(metric, metric)


def place(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Which grid a row belongs to."""
    names = ["study", "setting", "target_task", "backbone", "variant"]
    return tuple(str(row.get(name) or "") for name in names)


def place_of(grid: Grid) -> tuple[str, ...]:
    """What `place` says of the rows of `grid`."""
    return grid.study, grid.setting, grid.task, grid.backbone, grid.variant


def _grid(key: tuple[str, ...], found: Sequence[Mapping], cells: Sequence[Mapping]):
    """One grid from its gain rows and planned cells."""
    names = [row["baseline_source"] for row in found]
    names += [row.get("baseline") for row in cells]
    baseline = next(filter(None, names), "")
    several = _resolutions(cells)
    mixed = _mixed(cells)
    target = lambda row: _target(row, several, mixed)
    source = lambda row: _source(row, mixed)
    filled = {(target(row), source(row)): row for row in found}
    measured = {pair: row for pair, row in filled.items() if row["gain"] is not None}
    holes = {
        (target(row), source(row)): row["status"]
        for row in cells
        if row["source"] != baseline and (target(row), source(row)) not in measured
    }
    done = {p: "no baseline" if p in filled else "no result" for p in holes}
    holes = {p: done[p] if s == "done" else s for p, s in holes.items()}
    pairs = [*measured, *holes]
    return Grid(
        *key,
        baseline=baseline,
        metric=next((row["metric"] for row in found), ""),
        targets=sorted({pair[0] for pair in pairs}, key=_order),
        sources=sorted({pair[1] for pair in pairs}, key=_order),
        cells=measured,
        holes=holes,
        baselines={pair[0]: row["baseline"] for pair, row in measured.items()},
    )


def _resolutions(cells: Iterable[Mapping]) -> set[str]:
    """Targets that a grid has at more than one resolution."""
    seen = collections.defaultdict(set)
    for row in cells:
        seen[row["target"]].add(row.get("resolution"))
    return {target for target, sizes in seen.items() if len(sizes) > 1}


def _mixed(cells: Iterable[Mapping]) -> bool:
    """Whether a grid holds embedded data and real data."""
    names = [
        row.get(f"{side}_dataset") for row in cells for side in ("target", "source")
    ]
    return len({rows.embedded(name) for name in names if name}) > 1


def _target(row: Mapping[str, Any], several: set[str], mixed: bool) -> Axis:
    detail = str(row.get("resolution", "")) if row["target"] in several else ""
    images = int(row.get("target_images") or 0)
    real = mixed and not rows.embedded(row["target_dataset"])
    return Axis(row["target"], row["target_domain"], images, detail, real)


def _source(row: Mapping[str, Any], mixed: bool) -> Axis:
    if row["source"] == gains.RANDOM:  # it has neither domain nor images
        return Axis(gains.RANDOM, "", 0)
    task = row.get("source_task", "")
    detail = "" if task == row["target_task"] else str(task)
    images = int(row.get("source_images") or 0)
    domain = row.get("source_domain") or ""
    dataset = row.get("source_dataset")
    real = mixed and bool(dataset) and not rows.embedded(dataset)
    return Axis(row["source"], domain, images, detail, real)


def _order(axis: Axis) -> tuple:
    """Random start last, other tasks after the target's own; by domain, then size."""
    known = axis.domain in DOMAINS
    place = DOMAINS.index(axis.domain) if known else len(DOMAINS)
    last = axis.name == gains.RANDOM
    return last, axis.detail, place, axis.domain, -axis.images, axis.name


def blocks(axes: Sequence[Axis]) -> list[tuple[str, int, int]]:
    """[(domain, first, end)] of neighbours that share a domain and a detail."""
    found: list[tuple[str, int, int]] = []
    for index, axis in enumerate(axes):
        before = axes[index - 1] if index else None
        if before and (axis.domain, axis.detail) == (before.domain, before.detail):
            found[-1] = (axis.domain, found[-1][1], index + 1)
        else:
            found.append((axis.domain, index, index + 1))
    return found


def number(row: Mapping[str, Any] | None, hole: str = "") -> str:
    """'+12.3', with * where the interval leaves out 0; the hole's status; or ''."""
    if row is None:
        return f"({hole})" if hole else ""
    rounded = round(row["gain"], 1) + 0.0  # never '-0.0'
    return f"{rounded:+.1f}" + ("*" if row["significant"] else "")


def texts(grid: Grid) -> list[list[str]]:
    """The grid as rows of text: domain, target, baseline, one cell per source."""
    body = []
    for target in grid.targets:
        value = grid.baselines.get(target)
        line = [target.domain, " ".join(filter(None, (target.label, target.detail)))]
        line.append("" if value is None else f"{value:.3f}")
        for source in grid.sources:
            pair = target, source
            line.append(number(grid.cells.get(pair), grid.holes.get(pair, "")))
        body.append(line)
    return body


def header(grid: Grid) -> list[str]:
    """Column names that go with `texts`."""
    return ["domain", "target", grid.baseline, *(s.label for s in grid.sources)]


def markdown(grid: Grid) -> str:
    """The grid as a Markdown table, domains of the sources in a first line."""
    domains = [
        "",
        "",
        grid.metric,
        *(f"*{s.domain}*" * bool(s.domain) for s in grid.sources),
    ]
    rule = ["---", "---", *["---:"] * (len(domains) - 2)]
    lines = [header(grid), rule, domains, *texts(grid)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def latex(grid: Grid) -> str:
    """The grid as a LaTeX tabular (booktabs), significant gains in bold."""
    spans = ["", "", _tex(grid.metric)] + [
        rf"\multicolumn{{{end - first}}}{{c}}{{{_tex(domain)}}}"
        for domain, first, end in blocks(grid.sources)
    ]
    lines = [rf"\begin{{tabular}}{{ll{'r' * (len(grid.sources) + 1)}}}", r"\toprule"]
    lines += [_tex_row(spans), _tex_row(map(_tex, header(grid))), r"\midrule"]
    domain = None
    for line in texts(grid):
        if domain not in (None, line[0]):
            lines.append(r"\addlinespace")
        domain = line[0]
        lines.append(_tex_row(_tex_cell(cell) for cell in line))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _tex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex(text: str) -> str:
    for special in "&%$#_{}":
        text = text.replace(special, "\\" + special)
    return text


def _tex_cell(text: str) -> str:
    return rf"\textbf{{{text[:-1]}}}" if text.endswith("*") else _tex(text)


def terminal(grid: Grid, width: int = 100) -> str:
    """The grid in plain text; more sources than fit go into a second block."""
    body, head = texts(grid), header(grid)
    left = [max(len(line[i]) for line in [head, *body]) for i in range(3)]
    fits = max(1, (width - sum(left) - 6) // 11)
    parts = []
    for first in range(3, max(4, len(head)), fits):
        columns = slice(first, first + fits)
        parts.append(_block(grid, head, body, columns, left))
    metric = f" ({shown(grid.metric)})" if grid.metric else ""
    note = f"% gain over {grid.baseline}{metric}; * 95 % interval leaves out 0"
    return f"{grid.title}\n{note}\n\n" + "\n".join(parts)


def _block(grid: Grid, head, body, columns: slice, left: Sequence[int]) -> str:
    """Some columns of the grid, names of sources broken at underscores."""
    sources = grid.sources[columns.start - 3 : columns.stop - 3]
    names = [[s.domain[:10], *_broken(s.label)] for s in sources]
    height = max((len(name) for name in names), default=1)
    names = [[name[0], *[""] * (height - len(name)), *name[1:]] for name in names]
    lines = []
    for level in range(height):
        start = head[:3] if level == height - 1 else ["", "", ""]
        lines.append(_line(start, [name[level] for name in names], left))
    lines.append("-" * max(map(len, lines)))
    for index, line in enumerate(body):
        same = index and body[index - 1][0] == line[0]
        start = ["" if same else line[0], *line[1:3]]
        lines.append(_line(start, line[columns], left))
    return "\n".join(lines) + "\n"


def _broken(name: str) -> list[str]:
    """A name in lines of at most ten characters, broken at underscores if it can be."""
    lines = [""]
    for part in name.replace("_", "_\n").replace(" ", "\n").split("\n"):
        if lines[-1] and len(lines[-1] + part) > 10:
            lines.append("")
        lines[-1] += part
    return [line.removesuffix("_")[:10] for line in lines]


def _line(start: Sequence[str], cells: Iterable[str], left: Sequence[int]) -> str:
    domain, target, baseline = start
    text = f"{domain:<{left[0]}}  {target:<{left[1]}}  {baseline:>{left[2]}}"
    return (text + "".join(f"{cell:>11}" for cell in cells)).rstrip()
