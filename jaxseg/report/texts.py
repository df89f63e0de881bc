"""A gain table as text: for a terminal, in Markdown and in LaTeX."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxseg.report import tables


def number(row: Mapping[str, Any] | None, hole: str = "") -> str:
    """The text of a cell: '+12.3 [+4, +21]*', '+12.3?' or '(not learned)'.

    * marks a sure gain, ? one that is undecided or has no interval. `hole` is the
    status of a cell without a row.
    """
    if row is not None and row["gain"] is not None:
        low, high = row["gain_low"], row["gain_high"]
        if low is None or row["undecided"]:
            return f"{signed(row['gain'])}?"
        ends = f"[{whole(low)}, {whole(high)}]"
        return f"{signed(row['gain'])} {ends}{'*' * row['significant']}"
    words = hole if row is None else row["reason"]
    return f"({words})" if words else ""


def signed(value: int | float) -> str:
    """A gain with sign and one decimal, fewer digits above 1000; never '-0.0'.

    >>> signed(12.345), signed(-0.01), signed(12345), signed(1.2e6)
    ('+12.3', '+0.0', '+12345', '+1e+06')
    """
    if abs(value) >= 1e5:
        return f"{value:+.0e}"
    return (
        f"{value:+.0f}"
        if abs(value) >= 1000
        else f"{round(float(value), 1) + 0.0:+.1f}"
    )


def whole(value: int | float) -> str:
    """The end of an interval in whole per cent, with sign; below 1 with one digit, so
    that no end below 0 reads as one above it.

    >>> whole(12.6), whole(-0.399), whole(0.02), whole(0)
    ('+13', '-0.4', '+0.02', '+0')
    """
    if abs(value) >= 1000:
        return signed(value)
    return f"{value:+.1g}" if 0 < abs(value) < 1 else f"{round(float(value)) + 0:+d}"


def domain(name: str) -> str:
    """The heading of the sources of a domain; those of several would not fit.

    >>> domain("driving"), domain(""), domain("driving + indoor")
    ('driving', 'scratch', 'several')
    """
    return "several" if " + " in name else name or "scratch"


def baseline(grid: tables.Grid, target: tables.Axis) -> str:
    """The text of a baseline's value: '0.412', 'varies' or ''."""
    value = grid.baselines.get(target)
    several = "varies" if target in grid.baselines else ""
    return several if value is None else f"{value:.3f}"


def texts(grid: tables.Grid) -> list[list[str]]:
    """The rows of the table: domain, target, baseline, a cell for each source."""
    body = []
    for target in grid.targets:
        line = [target.domain, target.heading, baseline(grid, target)]
        for source in grid.sources:
            pair = target, source
            line.append(number(grid.cells.get(pair), grid.holes.get(pair, "")))
        body.append(line)
    return body


def header(grid: tables.Grid) -> list[str]:
    """The column names of `texts`."""
    return ["domain", "target", grid.baseline, *(s.label for s in grid.sources)]


def markdown(grid: tables.Grid) -> str:
    """A Markdown table below its title, with the domains of the sources as the first
    row; then legend and notes.
    """
    domains = [
        "",
        "",
        grid.metric,
        *(f"*{s.domain}*" * bool(s.domain) for s in grid.sources),
    ]
    rule = ["---", "---", *["---:"] * (len(domains) - 2)]
    lines = [header(grid), rule, domains, *texts(grid)]
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    notes = [f"- {line}" for line in grid.notes()]
    return "\n".join([f"## {grid.title}", "", table, legend(grid), "", *notes, ""])


def legend(grid: tables.Grid) -> str:
    """One line that explains the numbers of a grid and their marks."""
    metric = f" ({grid.direction})" if grid.metric else ""
    text = f"% better than {grid.baseline}{metric} [95 % interval]; * it leaves out 0"
    marked = any(number(row).endswith("?") for row in grid.rows())
    return text + "; ? undecided: it scatters, or has one seed" * marked


def latex(grid: tables.Grid) -> str:
    """A LaTeX tabular (booktabs) with sure gains in bold; title, legend and notes are
    comments above it.
    """
    spans = ["", "", tex(grid.metric)] + [
        rf"\multicolumn{{{end - first}}}{{c}}{{{tex(domain)}}}"
        for domain, first, end in tables.blocks(grid.sources)
    ]
    words = [grid.title, legend(grid).replace("* ", "bold: "), *grid.notes()]
    lines = [f"% {line}" for line in words]
    lines += [rf"\begin{{tabular}}{{ll{'r' * (len(grid.sources) + 1)}}}", r"\toprule"]
    lines += [tex_row(spans), tex_row(map(tex, header(grid))), r"\midrule"]
    domain = None
    for line in texts(grid):
        if domain not in (None, line[0]):
            lines.append(r"\addlinespace")
        domain = line[0]
        lines.append(tex_row(_tex_cell(cell) for cell in line))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def tex_row(cells: Iterable[str]) -> str:
    """One row of a LaTeX tabular."""
    return " & ".join(cells) + r" \\"


def tex(text: str) -> str:
    r"""A text with the special characters of LaTeX escaped.

    >>> print(tex("chairs_64: 5 ± 1 %"))
    chairs\_64: 5 $\pm$ 1 \%
    """
    for special in "&%$#_{}":
        text = text.replace(special, "\\" + special)
    return text.replace("±", r"$\pm$").replace("†", r"$\dagger$")


def _tex_cell(text: str) -> str:
    return rf"\textbf{{{text[:-1]}}}" if text.endswith("*") else tex(text)


def terminal(grid: tables.Grid, width: int = 100) -> str:
    """The grid in plain text; sources that do not fit in `width` follow in blocks."""
    body, head = texts(grid), header(grid)
    left = [max(len(line[i]) for line in [head, *body]) for i in range(3)]
    cell = max([9, *(len(text) for line in body for text in line[3:])]) + 2
    fits = max(1, (width - sum(left) - 6) // cell)
    parts = []
    for first in range(3, max(4, len(head)), fits):
        columns = slice(first, first + fits)
        parts.append(_block(grid, head, body, columns, [*left, cell]))
    words = [textwrap.fill(line, max(width, 40)) for line in grid.notes()]
    return "\n".join([grid.title, legend(grid), "", *parts, *words, ""])


def _block(grid: tables.Grid, head, body, columns: slice, widths: Sequence[int]) -> str:
    """Some columns of the grid; names of sources are broken at underscores."""
    sources = grid.sources[columns.start - 3 : columns.stop - 3]
    names = [[s.domain[:10], *_broken(s.label)] for s in sources]
    height = max((len(name) for name in names), default=1)
    names = [[name[0], *[""] * (height - len(name)), *name[1:]] for name in names]
    lines = []
    for level in range(height):
        start = head[:3] if level == height - 1 else ["", "", ""]
        lines.append(_line(start, [name[level] for name in names], widths))
    lines.append("-" * max(map(len, lines)))
    for index, line in enumerate(body):
        same = index and body[index - 1][0] == line[0]
        start = ["" if same else line[0], *line[1:3]]
        lines.append(_line(start, line[columns], widths))
    return "\n".join(lines) + "\n"


def _broken(name: str) -> list[str]:
    """A name in lines of at most ten characters, broken at underscores and spaces."""
    lines = [""]
    for part in name.replace("_", "_\n").replace(" ", "\n").split("\n"):
        if lines[-1] and len(lines[-1] + part) > 10:
            lines.append("")
        lines[-1] += part
    return [line.removesuffix("_")[:10] for line in lines]


def _line(start: Sequence[str], cells: Iterable[str], widths: Sequence[int]) -> str:
    domain, target, value = start
    text = f"{domain:<{widths[0]}}  {target:<{widths[1]}}  {value:>{widths[2]}}"
    return (text + "".join(f"{cell:>{widths[3]}}" for cell in cells)).rstrip()
