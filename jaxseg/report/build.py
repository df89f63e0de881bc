"""Writes WORKDIR/report, tables and a page, from plans and artifacts alone."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import errors, jsonl
from jaxseg.report import absolute, claims, gains, page, rows, tables, texts, workdir
from jaxseg.report.view import View


@dataclasses.dataclass(frozen=True)
class Report:
    """All that was computed for a report, and the paths of its files."""

    studies: Sequence[workdir.Study]
    views: Sequence[View]
    results: Sequence[Mapping[str, Any]]
    gains: Sequence[Mapping[str, Any]]
    grids: Sequence[tables.Grid]
    claims: Sequence[Mapping[str, Any]]
    tables: Sequence[absolute.Table]  # of the papers
    files: Mapping[str, Path]

    @property
    def left_out(self) -> list[str]:
        """Messages on what exists and was not used: damaged, or made of other data."""
        studies = [study.error for study in self.studies if study.error]
        stages = [s for study in self.studies for s in study.stages if s.refused]
        lost = [f"{s.name}: {text}" for study in self.studies for s, text in study.lost]
        return studies + [f"{stage.name}: {stage.error}" for stage in stages] + lost

    def text(self, width: int = 100) -> str:
        """Gain tables, numbers of stages by status, and errors, for a terminal."""
        parts = [texts.terminal(grid, width) for grid in self.grids if grid.compares]
        for study in self.studies:
            if study.error:
                parts.append(f"{study.name}: left out, {study.error}")
                continue
            counts = [f"{n} {status}" for status, n in study.counts().items() if n]
            parts.append(f"{study.name}: {', '.join(counts)}")
            broken = [s for s in study.broken if s.status != "blocked"]
            parts += [f"  {stage.name}: {_why(stage)}" for stage in broken]
            parts += [f"  {s.name}: a picture left out, {t}" for s, t in study.lost]
            names = ", ".join(stage.name for stage in study.not_needed)
            parts += [f"  diverged, and not needed: {names}"] if names else []
        return "\n".join(parts)


def _why(stage: workdir.Stage) -> str:
    """The last line of the error of a stage."""
    last = (stage.error.strip().splitlines() or ["no message"])[-1]
    return f"left out, {last}" if stage.refused else last


def read(folder: Path | str) -> Report:
    """The report of a workdir, without writing a file; UserError where none can be."""
    folder = Path(folder)
    if not folder.is_dir():
        raise errors.UserError(f"{folder}: no such folder. Give --workdir of a run.")
    views = _with_siblings([_view(study) for study in workdir.load(folder)])
    measured = [row for view in views for row in view.gains]
    cells = [cell for view in views for cell in view.cells]
    names = ("results.csv", "gains.csv", "claims.csv", "index.html")
    names += ("tables.csv", "tables.md", "tables.tex")
    return Report(
        studies=[view.study for view in views],
        views=views,
        results=[row for view in views for row in view.results],
        gains=measured,
        grids=tables.grids(measured, cells),
        tables=[table for view in views if view.own for table in view.own.tables(view)],
        claims=[line for view in views for line in claims.table(view)],
        files={name: folder / "report" / name for name in names},
    )


def _view(study: workdir.Study) -> View:
    results = rows.results(study)
    return View(study, results, gains.gains(results))


def _with_siblings(views: Sequence[View]) -> list[View]:
    """Each view with those of the other studies that share its file."""
    return [
        dataclasses.replace(
            view,
            siblings=[
                s for s in views if s is not view and s.own and s.own is view.own
            ],
        )
        for view in views
    ]


def build(folder: Path | str) -> Report:
    """Writes results.csv, gains.csv, claims.csv, tables.csv, tables.md, tables.tex and
    index.html into report/ of a workdir; UserError where the disk refuses it.
    """
    report = read(folder)
    grids = [grid for grid in report.grids if grid.compares]
    values = [*map(absolute.twin, grids), *report.tables]
    written = {
        "results.csv": rows.write_csv(report.results, rows.COLUMNS),
        "gains.csv": rows.write_csv(report.gains, gains.COLUMNS),
        "claims.csv": rows.write_csv(report.claims, claims.COLUMNS),
        "index.html": page.render(report),
        "tables.csv": absolute.csv(values),
        "tables.md": "\n".join(
            [*map(texts.markdown, grids), *map(absolute.markdown, values)]
        ),
        "tables.tex": "\n".join(
            [*map(texts.latex, grids), *map(absolute.latex, values)]
        ),
    }
    try:
        for name, text in written.items():
            jsonl.write_text(report.files[name], text)
    except OSError as error:
        raise errors.UserError(
            f"{error.filename or folder}: cannot write the report ({error.strerror}). "
            f"Free space or make the workdir writable and run it again."
        ) from error
    return report
