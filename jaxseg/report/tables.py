"""Gains as tables of one metric, targets by sources, sorted by domain (Table 4a)."""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jaxseg.core import text
from jaxseg.report import gains, rows

UNKNOWN = "unknown"  # domain, task or data set of weights from elsewhere
UNSAID = (None, "", UNKNOWN)

DOMAINS = (  # in the order of rows and columns
    *("consumer", "driving", "indoor", "aerial", "underwater"),
    *("closeups", "synthetic", "websearch", "own"),
)
METRICS = {
    "miou": "mIoU",
    "iou_pooled": "IoU",
    "iou_per_image": "IoU per image",
    "dice_per_image": "Dice per image",
    "top1": "top-1",
    "pixel_accuracy": "pixel accuracy",
    "rmse": "RMSE",
    "ap": "AP",
    "map": "mAP",
    "ap50": "AP50",
    "ap50_voc": "AP50 (VOC)",
    "ap50_voc07": "AP50 (VOC 2007)",
}
SETTINGS = {name: f"{name} target set" for name in ("small", "full")}
SETTINGS |= {"small_source": "small source and target sets"}  # others as they are
PLACE = [  # columns in which all cells of a grid agree
    "study",
    "setting",
    "target_task",
    "backbone",
    "variant",
    "baseline_source",
    "metric",
]


@dataclasses.dataclass(frozen=True)
class Axis:
    """One target (row) or one source (column) of a grid."""

    name: str
    domain: str
    images: tuple[int, ...] = ()  # trained on; several where cells differ
    detail: str = ""  # distinguishes axes of the same name
    real: bool = False  # real images, in a grid that also has embedded ones
    resolution: str = ""
    protocol: str = ""
    mark: str = ""  # of the protocol, where a grid has several

    @property
    def label(self) -> str:
        """The name, with 'real' and numbers of images where cells differ in them."""
        several = len(self.images) > 1
        sizes = f"{', '.join(map(str, self.images))} images" * several
        words = "; ".join(filter(None, ("real" * self.real, sizes)))
        name = text.visible(self.name, keep="")
        return f"{name} ({words})" if words else name

    @property
    def heading(self) -> str:
        """The label with `detail` and `mark`, which distinguish equal names."""
        return " ".join(filter(None, (self.label, self.detail, self.mark)))


@dataclasses.dataclass(frozen=True)
class Grid:
    """One gain table of one metric, with all planned and all measured cells."""

    study: str
    setting: str
    task: str
    backbone: str
    variant: str
    baseline: str
    metric: str
    targets: Sequence[Axis]
    sources: Sequence[Axis]  # the random start last
    cells: Mapping[tuple[Axis, Axis], Mapping[str, Any]]  # rows of gains
    holes: Mapping[tuple[Axis, Axis], str]  # {planned, not measured: its status}
    baselines: Mapping[Axis, float | None]  # None: cells differ in their seeds

    @property
    def title(self) -> str:
        """Task, setting, backbone, variant and metric."""
        metric, setting = shown(self.metric), SETTINGS.get(self.setting, self.setting)
        parts = (self.task, setting, self.backbone, self.variant, metric)
        return ", ".join(part for part in parts if part)

    @property
    def compares(self) -> bool:
        """Whether the plan has a baseline and a start to compare with it."""
        return bool(self.baseline and self.sources)

    @property
    def direction(self) -> str:
        """The metric, as 'RMSE, lower is better' where that is so."""
        rows = self.rows()
        lower = rows and not rows[0]["higher_is_better"]
        return shown(self.metric) + ", lower is better" * bool(lower)

    def rows(self) -> list[Mapping[str, Any]]:
        """The gain rows, target by target."""
        order = [(target, source) for target in self.targets for source in self.sources]
        return [self.cells[pair] for pair in order if pair in self.cells]

    def notes(self) -> list[str]:
        """Lines below the table: protocols, troubles of baselines and cells, floors."""
        protocols = {t.mark: t.protocol for t in self.targets if t.protocol}
        lines = [
            f"{mark or 'protocol:'} {text}" for mark, text in sorted(protocols.items())
        ]
        for target in self.targets:
            rows = [row for (line, _), row in self.cells.items() if line == target]
            notes = dict.fromkeys(row["baseline_note"] for row in rows)
            lines += [f"{target.heading}: {text}" for text in notes if text]
        lines += self._of_cells() + gains.overlaps(self.rows())
        return lines + self._floors()

    def _floors(self) -> list[str]:
        """One line with the metric's floor on each target; [] where none is known."""
        known = {line: gains.floor(row) for (line, _), row in self.cells.items()}
        known = {line: floor for line, floor in known.items() if floor is not None}
        words = [f"{t.heading} {known[t]:.3f}" for t in self.targets if t in known]
        return [f"learning nothing gives: {', '.join(words)}"] if words else []

    def _of_cells(self) -> list[str]:
        """A line for each distinct note of cells whose baseline has no trouble."""
        places = collections.defaultdict(list)
        for (target, source), row in self.cells.items():
            if row["note"] and not row["baseline_note"]:
                places[row["note"]].append(f"{target.heading} from {source.label}")
        return [f"{', '.join(where)}: {text}" for text, where in places.items()]


def grids(measured: Iterable[Mapping], cells: Sequence[Mapping]) -> list[Grid]:
    """A grid for each PLACE of measured gain rows and planned cells, in plan order.

    A cell that has not run has no metric yet. It joins the grids in which its target is
    measured, or else the only one that agrees in all but the metric.
    """
    groups = collections.defaultdict(lambda: ([], []))
    waiting = []
    for index, some in enumerate((measured, cells)):
        for row in some:
            if row["metric"] is None:
                waiting.append(row)
            else:
                groups[place(row)][index].append(row)
    homes = [(row, _homes(row, groups)) for row in waiting]
    for row, places in homes:
        for key in places:
            groups[key][1].append(row)
    places = dict.fromkeys(place(row)[:-1] for row in cells)
    order = {key: number for number, key in enumerate(places)}
    rank = lambda key: (order.get(key[:-1], len(order)), *map(str, key))
    return [_grid(key, *groups[key]) for key in sorted(groups, key=rank)]


def _homes(row: Mapping[str, Any], groups: Mapping[tuple, tuple]) -> list[tuple]:
    """The keys of the grids in which a cell without a metric is a hole."""
    agree = [key for key in groups if key[:-1] == place(row)[:-1]]
    same = [
        key
        for key in agree
        if any(_line(other) == _line(row) for some in groups[key] for other in some)
    ]
    return same or (agree if len(agree) == 1 else [place(row)])


def _line(row: Mapping[str, Any]) -> tuple:
    return row["target"], row.get("resolution")


def shown(metric: str) -> str:
    """A metric's name for readers.

    >>> shown("miou"), shown("recall")
    ('mIoU', 'recall')
    """
    return METRICS.get(metric, metric)


def place(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The key of the grid that a row belongs to."""
    return tuple(str(row.get(name) or "") for name in PLACE)


def place_of(grid: Grid) -> tuple[str, ...]:
    """The key of a grid: `place` of its rows, which are its first fields."""
    names = [field.name for field in dataclasses.fields(grid)[: len(PLACE)]]
    return tuple(getattr(grid, name) for name in names)


def _grid(key: tuple[str, ...], measured: Sequence[Mapping], cells: Sequence[Mapping]):
    """One grid from its gain rows and planned cells."""
    targets, sources = _targets([*measured, *cells]), _sources([*measured, *cells])
    target = lambda row: targets[_target(row)]
    source = lambda row: sources[row["source"]]
    filled = {(target(row), source(row)): row for row in measured}
    lines = {target(row) for row in (*measured, *cells) if row["protocol"]}
    holes = {}
    compared = [row for row in cells if row["baseline_source"] is not None]
    for row in compared:
        status = "no result" if row["status"] == "done" else row["status"]
        for line in _lines(target(row), lines):
            pair = line, source(row)
            if row["source"] != row["baseline_source"] and pair not in filled:
                holes[pair] = status
    pairs = [*filled, *holes]
    return Grid(
        *key,
        targets=sorted({pair[0] for pair in pairs} or lines, key=_order),
        sources=sorted({pair[1] for pair in pairs}, key=_order),
        cells=filled,
        holes=holes,
        baselines=_baselines(filled),
    )


def _lines(target: Axis, known: set[Axis]) -> list[Axis]:
    """The rows that a planned cell may belong to; one where its protocol is known."""
    if target.protocol:
        return [target]
    alike = lambda axis: (
        (axis.name, axis.resolution) == (target.name, target.resolution)
    )
    return sorted(filter(alike, known), key=_order) or [target]


def _baselines(filled: Mapping[tuple[Axis, Axis], Mapping]) -> dict[Axis, float | None]:
    """{target: value of its baseline}, None where its cells differ in seeds."""
    values = collections.defaultdict(set)
    for (target, _), row in filled.items():
        if row["shared"]:
            values[target].add((tuple(row["shared"]), row["baseline"]))
    return {t: v.pop()[1] if len(v) == 1 else None for t, v in values.items()}


def _protocols(rows: Iterable[Mapping]) -> dict[str, str]:
    """{protocol: mark}; marks are [1], [2], ... where there are several, else ''."""
    names = sorted({row["protocol"] for row in rows if row["protocol"]})
    marks = [
        f"[{number}]" if len(names) > 1 else "" for number in range(1, 1 + len(names))
    ]
    return dict(zip(names, marks))


def _resolutions(cells: Iterable[Mapping]) -> set[str]:
    """Names of targets that a grid has at several resolutions."""
    seen = collections.defaultdict(set)
    for row in cells:
        seen[row["target"]].add(row.get("resolution"))
    return {target for target, sizes in seen.items() if len(sizes) > 1}


def _mixed(cells: Iterable[Mapping]) -> bool:
    """Whether a grid has both embedded data and real data."""
    names = [
        row.get(f"{side}_dataset") for row in cells for side in ("target", "source")
    ]
    return len({rows.embedded(name) for name in names if name not in UNSAID}) > 1


def _target(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """(target, resolution, protocol): what distinguishes the rows of a grid."""
    return row["target"], str(row.get("resolution") or ""), row["protocol"] or ""


def _targets(every: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], Axis]:
    """{_target: axis}; resolution and protocol distinguish equal names."""
    several, marks, mixed = _resolutions(every), _protocols(every), _mixed(every)
    axes = {}
    for key, same in _grouped(every, _target).items():
        name, resolution, protocol = key
        axes[key] = Axis(
            name,
            same[0]["target_domain"],
            _images(same, "target_images"),
            detail=resolution if name in several else "",
            real=mixed and not rows.embedded(same[0]["target_dataset"]),
            resolution=resolution,
            protocol=protocol,
            mark=marks.get(protocol, ""),
        )
    return axes


def _sources(every: Sequence[Mapping[str, Any]]) -> dict[str, Axis]:
    """{name: axis}; the random start has neither domain nor images."""
    mixed, axes = _mixed(every), {gains.RANDOM: Axis(gains.RANDOM, "")}
    for name, same in _grouped(every, lambda row: row["source"]).items():
        row = same[0]
        task, dataset = row.get("source_task"), row.get("source_dataset")
        axis = Axis(
            name,
            row.get("source_domain") or UNKNOWN,
            _images(same, "source_images"),
            detail="" if task in (None, UNKNOWN, row["target_task"]) else task,
            real=mixed and dataset not in UNSAID and not rows.embedded(dataset),
        )
        axes.setdefault(name, axis)
    return axes


def _grouped(every: Iterable[Mapping], key: Callable) -> dict[Any, list[Mapping]]:
    groups = collections.defaultdict(list)
    for row in every:
        groups[key(row)].append(row)
    return groups


def _images(same: Sequence[Mapping[str, Any]], column: str) -> tuple[int, ...]:
    """The distinct numbers of images, of measured rows where there are any."""
    measured = [row for row in same if row["metric"] is not None] or same
    return tuple(sorted({int(row[column]) for row in measured if row.get(column)}))


def _order(axis: Axis) -> tuple:
    """Sort key: random start last, other tasks after the target's, domain, size."""
    known = axis.domain in DOMAINS
    place = DOMAINS.index(axis.domain) if known else len(DOMAINS)
    last = axis.name == gains.RANDOM
    size = -max(axis.images, default=0)
    namesakes = axis.name, axis.resolution, axis.protocol
    return last, axis.detail, place, axis.domain, size, *namesakes


def blocks(axes: Sequence[Axis]) -> list[tuple[str, int, int]]:
    """[(domain, first, end)] of neighbouring axes with one domain and one detail."""
    runs: list[tuple[str, int, int]] = []
    for index, axis in enumerate(axes):
        before = axes[index - 1] if index else None
        if before and (axis.domain, axis.detail) == (before.domain, before.detail):
            runs[-1] = (axis.domain, runs[-1][1], index + 1)
        else:
            runs.append((axis.domain, index, index + 1))
    return runs
