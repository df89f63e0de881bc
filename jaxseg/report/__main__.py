"""python -m jaxseg.report --workdir=DIR: rebuild the report from what is stored."""

import argparse
import shutil
import sys
from collections.abc import Sequence

from jaxseg.core import errors
from jaxseg.report import build


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the report, prints the gain table and the files; 2 on a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.report",
        description="Rebuilds report/ of a workdir from its files alone: results.csv, "
        "gains.csv, claims.csv, tables.md, tables.tex and index.html. Needs no "
        "accelerator and no JAX.",
    )
    parser.add_argument("--workdir", required=True, help="the workdir of a run")
    options = parser.parse_args(arguments)
    try:
        report = build.build(options.workdir)
    except errors.UserError as error:
        print(f"jaxseg: {error}", file=sys.stderr)
        return 2
    print(report.text(shutil.get_terminal_size((100, 24)).columns))
    print()
    for name, path in report.files.items():
        print(f"{name:<12} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
