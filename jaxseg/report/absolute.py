"""Tables of measured values, mean and standard deviation over seeds.

The number that a paper prints stands in a column of its own beside the measured one.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxseg.report import gains, rows, tables, texts

COLUMNS = ["study", "table", "row", "column", "mean", "std", "count", "paper"]


class Column(NamedTuple):
    """A column; form: how a number is written. Not measured: only the paper's."""

    name: str
    form: str = "{:.2f}"
    measured: bool = True


MARK = "†"
Place = tuple[tuple[str, ...], str]  # (labels of the row, name of the column)


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of a study.

    heads: what the labels of a row are. values: {place: one for each seed}, empty where
    nothing was measured. paper: {place: the printed number}. marked: the places with a
    seed that is known to have learned nothing.
    """

    study: str
    title: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, ...]]
    columns: Sequence[Column]
    values: Mapping[Place, Sequence[gains.Number]]
    paper: Mapping[Place, gains.Number] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()
    over: str = "seeds"  # what the values of a cell differ in
    marked: Collection[Place] = ()

    @property
    def header(self) -> list[str]:
        """The names of all columns, as in `body`."""
        return [
            *self.heads,
            *(name for column in self.columns for name in self._names(column)),
        ]

    @property
    def body(self) -> list[list[str]]:
        """A line of texts for each row."""
        return [
            [*row, *(text for c in self.columns for text in self._cells(row, c))]
            for row in self.rows
        ]

    @property
    def legend(self) -> str:
        """What explains the numbers."""
        several = any(len(values) > 1 for values in self.values.values())
        text = f"mean ± standard deviation over {self.over} (their number)"
        text = text if several else "one value in each cell"
        text += "; beside it what the paper prints" * bool(self.paper)
        words = f"; {MARK} on at least one seed no better than the best constant answer"
        return text + words * bool(self.marked)

    @property
    def measured(self) -> bool:
        """Whether any cell has a value."""
        return any(len(values) for values in self.values.values())

    def lines(self) -> list[dict[str, Any]]:
        """Rows of COLUMNS: one for each cell with a value or a number of the paper."""
        return [
            {"study": self.study, "table": self.title, "row": ", ".join(row)}
            | {"column": column.name, "paper": self.paper.get((row, column.name))}
            | _statistics(self.values.get((row, column.name), ()))
            for row in self.rows
            for column in self.columns
            if self.values.get((row, column.name)) or (row, column.name) in self.paper
        ]

    def _names(self, column: Column) -> list[str]:
        compared = any(name == column.name for _, name in self.paper)
        return [column.name] * column.measured + [f"{column.name}, paper"] * compared

    def _cells(self, row: tuple[str, ...], column: Column) -> list[str]:
        place = row, column.name
        text = cell(self.values.get(place, ()), column.form)
        text += f" {MARK}" * (place in self.marked)
        names = self._names(column)
        line = [text] * column.measured
        if len(names) > len(line):
            known = self.paper.get(place)
            line.append("" if known is None else column.form.format(known))
        return line


def cell(values: Sequence[gains.Number], form: str = "{:.2f}") -> str:
    """Mean, standard deviation and number of values; '' without any.

    >>> cell([0.5]), cell([1.0, 2.0, 3.0])
    ('0.50', '2.00 ± 1.00 (3)')
    """
    if not len(values):
        return ""
    mean = form.format(np.mean(values))
    if len(values) == 1:
        return mean
    return f"{mean} ± {form.format(np.std(values, ddof=1))} ({len(values)})"


def twin(grid: tables.Grid) -> Table:
    """The values behind a gain table: targets by baseline and sources.

    Means are arithmetic; gains compare geometric ones.
    """
    values = {}
    for (target, source), row in grid.cells.items():
        sides = {grid.baseline: row["baseline_rows"], source.heading: row["rows"]}
        for name, seeds in sides.items():
            values[(target.domain, target.heading), name] = [
                seeds[seed]["value"] for seed in sorted(seeds)
            ]
    names = [grid.baseline, *(source.heading for source in grid.sources)]
    return Table(
        grid.study,
        f"{grid.title}, absolute",
        ("domain", "target"),
        [(target.domain, target.heading) for target in grid.targets],
        [Column(name, "{:.3f}") for name in names],
        values,
    )


def csv(several: Iterable[Table]) -> str:
    """The text of tables.csv."""
    lines = [line for table in several for line in table.lines()]
    return rows.write_csv(lines, COLUMNS)


def markdown(table: Table) -> str:
    """A Markdown table below its title; then legend and notes."""
    left = len(table.heads)
    rule = ["---"] * left + ["---:"] * (len(table.header) - left)
    lines = [table.header, rule, *table.body]
    text = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([f"## {table.title}", "", text, table.legend, "", *notes, ""])


def latex(table: Table) -> str:
    """A LaTeX tabular (booktabs); title, legend and notes are comments above it."""
    left = len(table.heads)
    align = "l" * left + "r" * (len(table.header) - left)
    lines = [f"% {line}" for line in (table.title, table.legend, *table.notes)]
    lines += [rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
    lines += [texts.tex_row(map(texts.tex, table.header)), r"\midrule"]
    lines += [texts.tex_row(map(texts.tex, line)) for line in table.body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _statistics(values: Sequence[gains.Number]) -> dict[str, Any]:
    several = len(values) > 1
    return {
        "mean": float(np.mean(values)) if len(values) else None,
        "std": float(np.std(values, ddof=1)) if several else None,
        "count": len(values),
    }
