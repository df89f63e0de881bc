"""Rebuilds the report of a workdir: python -m jaxseg.report --workdir=DIR."""

import argparse
import shutil
import sys
from collections.abc import Sequence

from jaxseg.core import command
from jaxseg.report import build


@command.entry
def main(arguments: Sequence[str]) -> int:
    """Builds the report; prints the gain tables and the paths of the files.

    Exit code: 0, 1 where something damaged was left out, 2 on a user's mistake.
    """
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.report",
        description="Rebuilds report/ of a workdir from its files alone: results.csv, "
        "gains.csv, claims.csv, tables.csv, tables.md, tables.tex, index.html. Needs "
        "no accelerator and no JAX. Exit codes: 0 everything was used, 1 something was "
        "left out and is named (damaged, or made of other data), 2 a mistake.",
    )
    parser.add_argument("--workdir", required=True, help="the workdir of a run")
    options = parser.parse_args(arguments)
    report = build.build(options.workdir)
    print(report.text(shutil.get_terminal_size((100, 24)).columns))
    print()
    for name, path in report.files.items():
        print(f"{name:<12} {path}")
    return 1 if report.left_out else 0


if __name__ == "__main__":
    sys.exit(main())
