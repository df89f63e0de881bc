"""Training steps and inference beside PyTorch; tests/bench/README.md is its table.

  python -m tests.bench.steps --torch=VENV/bin/python [--before=CHECKOUT]
      [--networks=u-net] [--layouts=nchw,channels-last]

Each library and layout is a process of its own, and so is the jaxseg of another
checkout; for a network all of them are compiled first and then take turns, so that
whatever else the machine does hits all. Rows are kept in tests/bench/steps.jsonl by
device and network. On a GPU or TPU networks compute in bfloat16, batches are larger,
and the study of chairs is timed as a whole.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.steps import networks, table

ROOT = Path(__file__).parents[3]
ROUNDS = 5
SPAN = 0.5  # seconds of steps between two readings of the clock
LAYOUTS = ("nchw", "channels-last", "compile")


class Side:
    """A process of `of_jax` or `of_torch`, which compiles and then answers."""

    def __init__(self, root: Path, python: str, module: str, *arguments: str):
        command = [python, "-m", f"tests.bench.steps.{module}", *arguments]
        self._process = subprocess.Popen(
            command,
            text=True,
            cwd=root,
            env=os.environ
            | {"PYTHONPATH": str(root), "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def read(self, limit: float | None = None):
        """The next answer. RuntimeError if the process ended or was too slow."""
        pipe = self._process.stdout
        if not select.select([pipe], [], [], limit)[0]:
            self._process.kill()
            raise RuntimeError(f"not compiled within {limit:.0f} s")
        line = pipe.readline()
        if not line:
            raise RuntimeError(f"ended with {self._process.wait()}")
        return json.loads(line)

    def ask(self, line: str):
        """An answer to one line."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self.read()

    def end(self):
        """Waits for the process, which has been told to end or is dead."""
        self._process.stdin.close()
        self._process.wait()


def measure(name: str, dtype: str, options: argparse.Namespace) -> list[dict]:
    """The rows of a network, one for each library, layout and checkout."""
    programs = [("jaxseg", ROOT, sys.executable, "of_jax", ())]
    if options.before:
        programs.append(("before", options.before, sys.executable, "of_jax", ()))
    if options.torch:
        layouts = options.layouts.split(",")
        programs += [(x, ROOT, options.torch, "of_torch", (x,)) for x in layouts]
    sides, rows = {}, []
    for program, root, python, module, more in programs:  # each compiles alone
        row = {"network": name, "program": program, "dtype": dtype}
        side = Side(root, python, module, name, dtype, *more)
        try:
            row |= side.read(options.limit if program == "compile" else None)
            sides[program] = side, row | {"train": [], "predict": []}
        except RuntimeError as error:
            if program in ("jaxseg", "before"):
                raise
            rows.append(row | {"error": str(error)})
            side.end()
    take_turns([*sides.values()])
    counts = {row["parameters"] for _, row in sides.values()}
    if len(counts) > 1:
        raise RuntimeError(f"{name}: not the same network: {counts} parameters")
    return [row for _, row in sides.values()] + rows


def take_turns(sides: list) -> None:
    """Fills rows with the seconds of a step in each round, and the peak of memory."""
    counts = {}
    for number in range(ROUNDS + 1):  # the first tells how many fit into SPAN
        for index, (side, row) in enumerate(sides):
            for kind in ("train", "predict"):
                count = counts.get((index, kind), 1)
                side.ask(f"{kind} 1")  # after a rest it takes up to twice as long
                seconds = side.ask(f"{kind} {count}")
                if number:
                    row[kind].append(seconds)
                else:
                    counts[index, kind] = max(1, min(50, round(SPAN / seconds)))
    for side, row in sides:
        row["peak_bytes"] = side.ask("end")
        side.end()


def study(device: str) -> dict:
    """Seconds of the study of chairs from an empty folder and an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jaxseg.main", "--config=configs/chairs.py"]
        environment = os.environ | {"JAXSEG_CACHE": f"{folder}/cache"}
        start = time.perf_counter()
        subprocess.run(
            [*command, f"--workdir={folder}/runs"],
            cwd=ROOT,
            env=environment,
            check=True,
        )
        seconds = time.perf_counter() - start
    return {
        "device": device,
        "network": "configs/chairs.py, end to end",
        "program": "jaxseg",
        "train": [seconds],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", help="a Python with torch; else no columns")
    parser.add_argument("--before", type=Path, help="another checkout of jaxseg")
    parser.add_argument("--networks", default="", help="part of their names")
    parser.add_argument("--layouts", default=",".join(LAYOUTS), help="of torch")
    parser.add_argument("--limit", type=float, default=240, help="seconds to compile")
    parser.add_argument("--table", action="store_true", help="only write README.md")
    options = parser.parse_args()
    if not options.table:
        find = "import jax; print(jax.default_backend())"
        command = [sys.executable, "-c", find]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        on_host = found.stdout.strip() == "cpu"
        run(options, on_host)
    table.write()


def run(options: argparse.Namespace, on_host: bool) -> None:
    """Measures all networks that are asked for, and keeps the rows."""
    chosen = networks.NETWORKS if on_host else networks.on_accelerator()
    dtype = "float32" if on_host else "bfloat16"
    device = None
    for name in chosen:
        if options.networks.lower() not in name.lower():
            continue
        rows = measure(name, dtype, options)
        device = table.device_name(rows[0]["device"])
        rows = [row | {"device": device} for row in rows]
        table.keep(rows)
        for row in rows:
            print(table.line(row), flush=True)
    if device and not on_host and not options.networks:
        table.keep([study(device)])


if __name__ == "__main__":
    main()
