r"""Plans the DAG of stages of a config, runs what is not done, writes the report.

python -m jaxseg.main --config=configs/factors.py --workdir=runs/factors
"""

import argparse
import ast
import importlib.util
import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import command as commands
from jaxseg.core import errors, garbage, lookup

DEFAULT_WORKDIR = "runs"
COORDINATOR = (
    "address of process 0, where N processes on one or many hosts share each training; "
    "auto: as JAX finds them on TPU pods and in SLURM"
)
EXIT_CODES = """exit codes:
  0    all is done
  1    something failed, diverged or is damaged; the others were made
  2    a mistake in the command, the config or the data; nothing was made
  3    busy: another process makes what is missing; look again when it has ended
  4    early, of --stage: a parent is not done, or no search asks for it yet; run it
       again once more is done
  130  interrupted, and saved: the same command continues"""


@commands.entry
def main(argv: Sequence[str]) -> int:
    """Exit code: see EXIT_CODES."""
    arguments, changes = parse(argv)
    from jaxseg.core import cluster, hosts  # load JAX: --help does without

    sys.stdout.reconfigure(line_buffering=True)  # a log file grows line by line
    cluster.join(arguments.coordinator, arguments.process, arguments.processes)
    if hosts.leads():
        return hosts.led(lambda: command(arguments, changes))
    return follow(arguments, changes)


def follow(arguments: argparse.Namespace, changes: list[tuple[str, Any]]) -> int:
    """Takes part in what process 0 does for the same flags; its exit code."""
    from jaxseg.transfer import chain
    from jaxseg.transfer.running import everywhere

    if arguments.print or arguments.plan:
        return everywhere.follow((), Path())
    config, workdir = _config(arguments, changes)
    return everywhere.follow(chain.plan(config).stages, workdir)


def command(arguments: argparse.Namespace, changes: list[tuple[str, Any]]) -> int:
    """What the flags ask for."""
    from jaxseg.train import hooks
    from jaxseg.transfer import chain, run
    from jaxseg.transfer.running import table

    with garbage.uncollected():
        config, workdir = _config(arguments, changes)
        if arguments.print:
            print(json.dumps(config.plain(), indent=1))
            return 0
        if arguments.plan:
            stages = chain.plan(config).needed(arguments.only)
            table.show(config.study, stages, workdir)
            return 0
    file, _, argument = arguments.config.partition(":")
    try:
        outcome = run.run(
            config,
            workdir,
            only=arguments.only,
            stage=arguments.stage,
            max_hours=arguments.max_hours,
            jobs=arguments.jobs,
            config_file=file,
            argument=argument,
        )
    except hooks.Interrupted as stop:
        print(f"jaxseg: stopped, {stop}. The same command continues.", file=sys.stderr)
        return 130
    return outcome.exit_code


def _config(
    arguments: argparse.Namespace, changes: list[tuple[str, Any]]
) -> tuple[Any, Path]:
    """The config with every default and change, and its workdir."""
    from jaxseg.transfer import chain, overrides

    file, _, argument = arguments.config.partition(":")
    config = load_config(Path(file), argument)
    config = overrides.override(config, changes) if changes else chain.bind(config)
    return config, Path(arguments.workdir or Path(DEFAULT_WORKDIR) / config.study)


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[tuple[str, Any]]]:
    """Flags, and the changes that --set and --config.a.b ask for, in order."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.main",
        description=__doc__ + about_config(argv),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog="--config.x.y=VALUE replaces one key, for example "
        "--config.stages.websearch.steps=100; VALUE is JSON or plain text."
        f"\n\n{EXIT_CODES}",
    )
    add = parser.add_argument
    add("--config", required=True, metavar="FILE[:ARG]", help="a file with get_config")
    add("--workdir", metavar="DIR", help="where results go (default: runs/STUDY)")
    add("--plan", action="store_true", help="print the stages and run nothing")
    add("--print", action="store_true", help="print the config with all defaults")
    add("--only", default=".*", metavar="PATTERN", help="regex of stages to run")
    add("--stage", metavar="KEY", help="make this one stage, for workers")
    add("--coordinator", metavar="HOST:PORT", help=COORDINATOR)
    add("--process", type=int, metavar="I", help="number of this process, from 0")
    add("--processes", type=int, metavar="N", help="how many there are")
    add("--max_hours", type=float, metavar="H", help="save and stop after H hours")
    add(
        "--jobs",
        type=int,
        metavar="N",
        default=os.environ.get("JAXSEG_JOBS"),
        help="stages to make side by side, each with its share of the cores (default: "
        "$JAXSEG_JOBS; else up to 4 on a CPU, 1 on an accelerator)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="PATTERN=VALUE",
        help="replace every key whose path the regex matches, for example "
        "--set 'stages/target.*/steps=50'",
    )
    known, rest = parser.parse_known_args(argv)
    changes = []
    for text in rest:
        found = re.fullmatch(r"--config\.([^=]+)=(.*)", text, re.DOTALL)
        if not found:
            parser.error(f"unknown argument {text!r}; --help lists all")
        changes.append((re.escape(found[1].replace(".", "/")), value_of(found[2])))
    for text in known.set:
        pattern, equals, value = text.partition("=")
        if not equals:
            parser.error(f"--set {text!r}: write PATTERN=VALUE")
        changes.append((pattern, value_of(value)))
    return known, changes


def about_config(argv: Sequence[str]) -> str:
    """For --help: what the file of --config says of itself; "" without such a file."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", default="")
    path = Path(finder.parse_known_args(argv)[0].config.partition(":")[0])
    if "--help" not in argv or not path.is_file():
        return ""
    try:
        text = ast.get_docstring(ast.parse(path.read_bytes())) or "no description"
    except (SyntaxError, ValueError):  # what is wrong with it is said when it is run
        return ""
    return f"\n{path}: {text}\n"


def value_of(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # a number or nesting beyond what Python reads
        return text


def load_config(path: Path, argument: str) -> Any:
    """What `get_config(argument)` of a file returns; its checkout leads sys.path.

    UserError with the line for whatever else the file raises: it is the user's own.
    """
    given = f"{path}:{argument}" if argument else path
    if not path.is_file():
        hint = lookup.did_you_mean(path, map(str, path.parent.glob("*.py")))
        raise errors.UserError(f"--config: no such file {path}.{hint}")
    sys.path.insert(0, str(path.resolve().parent.parent))
    spec = importlib.util.spec_from_file_location("jaxseg_config", path)
    if spec is None:
        raise errors.UserError(f"--config: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "get_config"):
            raise ValueError("defines no get_config(arg)")
        return module.get_config(argument)
    except (errors.UserError, ValueError) as error:  # how configs refuse an argument
        raise errors.UserError(f"--config: {given}: {error}") from error
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        where = f"{given}{_line(path, error)}"
        raise errors.UserError(f"--config: {where}: {text}") from error


def _line(path: Path, error: Exception) -> str:
    """ ", line 3" of the config, as far as it came; "" where it did not begin."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines = [error.lineno]
    return f", line {lines[-1]}" if lines else ""


if __name__ == "__main__":
    sys.exit(main())
