"""Rows of measurements, kept as JSON lines, and the tables of tests/bench/README.md."""

import json
import os
import statistics
from pathlib import Path

HERE = Path(__file__).parents[1]
ROWS, README = HERE / "steps.jsonl", HERE / "README.md"
KEYS = ("device", "network")
OURS = ("before", "jaxseg")
EAGER = ("nchw", "channels-last")  # torch's layouts; the ratio is to the better one


def device_name(found: str) -> str:
    """The device of a row: of a CPU its model and the number of cores."""
    if found != "cpu":
        return found
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(x.split(":")[1].strip() for x in lines if x.startswith("model name"))
    return f"{model}, {len(os.sched_getaffinity(0))} cores"


def load() -> list[dict]:
    """All rows there are."""
    if not ROWS.exists():
        return []
    return [json.loads(line) for line in ROWS.read_text().splitlines()]


def keep(rows: list[dict]) -> None:
    """Adds rows in place of those of the same device and network."""
    name = lambda row: [row[key] for key in KEYS]
    new = [name(row) for row in rows]
    kept = [row for row in load() if name(row) not in new]
    short = [_short(row) for row in rows]
    ROWS.write_text("".join(json.dumps(row) + "\n" for row in [*kept, *short]))


def _short(row: dict) -> dict:
    rounded = lambda x: float(f"{x:.4g}") if isinstance(x, float) else x
    digits = {"losses"}  # these stand for what is computed
    return {
        key: x
        if key in digits
        else [rounded(y) for y in x]
        if isinstance(x, list)
        else rounded(x)
        for key, x in row.items()
    }


def line(row: dict) -> str:
    """One row for people."""
    if "error" in row:
        return f"{row['network']}: {row['program']}: {row['error']}"
    return (
        f"{row['network']}: {row['program']:14} step {_ms(row, 'train')} ms, "
        f"inference {_ms(row, 'predict')} ms, compiled in {_seconds(row)} s, "
        f"{_megabytes(row)} MB, losses {row['losses']}"
    )


def write() -> None:
    """The tables between the marks of README.md, from all rows."""
    rows = load()
    text = []
    for device in dict.fromkeys(row["device"] for row in rows):
        ours = [row for row in rows if row["device"] == device]
        text += [f"### {device}", "", *_ratios(ours), "", *_details(ours), ""]
    fill("steps", "\n".join(text))


def fill(mark: str, text: str) -> None:
    """Replaces what stands in README.md between the two marks of a section."""
    first, last = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->\n"
    before, rest = README.read_text().split(first)
    after = rest.split(last)[1]
    README.write_text(f"{before}{first}\n{text.strip()}\n\n{last}{after}")


def _ratios(rows: list[dict]) -> list[str]:
    """A row for each network: the ratios to torch's better layout."""
    kinds = [(kind, ours) for kind in ("train", "predict") for ours in OURS]
    heads = ["ratio to PyTorch", "step, before", "step", "inference, before"]
    lines = [cells([*heads, "inference"]), cells(["---"] * 5)]
    for network in dict.fromkeys(row["network"] for row in rows):
        of = _of(rows, network)
        ratios = [_ratio(of, kind, ours) for kind, ours in kinds]
        lines.append(cells([network, *ratios]))
    return lines


def _ratio(of: dict[str, dict], kind: str, ours: str) -> str:
    eager = [statistics.median(of[x][kind]) for x in EAGER if kind in of.get(x, {})]
    if not eager or kind not in of.get(ours, {}):
        return ""
    return f"{min(eager) / statistics.median(of[ours][kind]):.2f}"


def _details(rows: list[dict]) -> list[str]:
    """Milliseconds of a step / of inference, seconds to compile, megabytes."""
    others = ["compile"] * any(row["program"] == "compile" for row in rows)
    names = [*OURS, *(f"torch.{name}" for name in others)]
    heads = ["step / inference, ms", *OURS, *EAGER, *names[len(OURS) :]]
    heads += [f"{x}: compiled, s / peak, MB" for x in names]
    lines = [cells([*heads, "torch: peak, MB"])]
    lines.append(cells(["---"] * (len(heads) + 1)))
    for network in dict.fromkeys(row["network"] for row in rows):
        of = _of(rows, network)
        programs = [of.get(name, {}) for name in (*OURS, *EAGER, *others)]
        eager = [row for row in programs[2:4] if "peak_bytes" in row]
        best = min(eager, key=lambda row: statistics.median(row["train"]), default={})
        costs = [_costs(of.get(name, {})) for name in (*OURS, *others)]
        times = map(_times, programs)
        lines.append(cells([network, *times, *costs, _megabytes(best)]))
    return lines


def _costs(row: dict) -> str:
    return f"{_seconds(row)} / {_megabytes(row)}" if "peak_bytes" in row else ""


def _of(rows: list[dict], network: str) -> dict[str, dict]:
    return {row["program"]: row for row in rows if row["network"] == network}


def _times(row: dict) -> str:
    if "error" in row:
        return row["error"]
    return " / ".join(_ms(row, kind) for kind in ("train", "predict") if kind in row)


def _ms(row: dict, kind: str) -> str:
    if kind not in row:
        return ""
    milliseconds = 1000 * statistics.median(row[kind])
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


def _seconds(row: dict) -> str:
    seconds = row.get("compile_s")
    return "" if seconds is None else f"{seconds:.0f}"


def _megabytes(row: dict) -> str:
    return f"{row['peak_bytes'] / 1e6:.0f}" if "peak_bytes" in row else ""


def cells(texts: list[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(texts)} |"
