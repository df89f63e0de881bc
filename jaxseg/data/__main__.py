r"""Lists, shows, previews, checks and measures data sets; writes configs for folders.

python -m jaxseg.data list
python -m jaxseg.data show camvid/11
python -m jaxseg.data preview worlds/driving_day --output sheet.png --augment conrec
python -m jaxseg.data preview folder/segmentation --root DIR --options '{"binary":true}'
python -m jaxseg.data check camvid/11 --root DIR --json report.json --fix-report
python -m jaxseg.data check DIR
python -m jaxseg.data check --across DIR OTHER_DIR
python -m jaxseg.data stats camvid/11 --root DIR
python -m jaxseg.data init DIR --output config.py
python -m jaxseg.data init DIR --options '{"outside": true}'
"""

import argparse
import json
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import command, errors, image_files
from jaxseg.data import catalogue, dataset, recipes
from jaxseg.data import source as source_lib
from jaxseg.data.source import Source
from jaxseg.data.tools import audit, checks, guess, nested, statistics
from jaxseg.data.tools import preview as preview_lib
from jaxseg.data.tools.problems import Problem


@command.entry
def main(argv: Sequence[str]) -> int:
    """Exit code: 0; 1 if `check` found problems; 2 for wrong arguments."""
    args = _parser().parse_args(argv)
    return args.run(args)


def list_datasets(args: argparse.Namespace) -> int:
    """Prints a line per data set: what it is and whether it can be opened here."""
    row = "{:32} {:11} {:8} {:>9} {:>9}  {:40} {}".format
    print(row("name", "domain", "classes", "size", "images", "fields", "here"))
    for name in catalogue.names():
        facts = catalogue.find(name)
        size = "x".join(map(str, facts.size)) if facts.size else "any"
        images_ = sum(facts.splits.values()) or "any"
        classes = facts.num_classes or "any"
        fields = " ".join(facts.fields[1:])  # all have an image
        here = _is_here(name)
        print(row(name, facts.domain, classes, size, images_, fields, here))
    return 0


def show(args: argparse.Namespace) -> int:
    """Prints the fact sheet and where to get the data."""
    facts = catalogue.find(args.name)
    counts = {split: count or "as found" for split, count in facts.splits.items()}
    splits = ", ".join(f"{split} {count}" for split, count in counts.items())
    lines = {
        "name": f"{args.name} (version {facts.version})",
        "domain": facts.domain,
        "fields": ", ".join(facts.fields),
        "splits": splits or "as found in the folder",
        "size": "x".join(map(str, facts.size)) if facts.size else "as found",
        "classes": ", ".join(facts.classes) or "as found, or set by options",
        "keypoints": ", ".join(facts.keypoints),
        "licence": facts.licence,
        "from": facts.obtain if facts.on_disk else "rendered here, nothing to get",
        "here": _is_here(args.name),
    }
    for key, value in lines.items():
        if value:
            print(f"{key:10} {value}")
    for option, default in catalogue.bind_options(args.name, None).items():
        print(f"{'option':10} {option} = {default!r}")
    return 0


def preview(args: argparse.Namespace) -> int:
    """A contact sheet with the labels drawn onto the images."""
    source = _open(args)
    sheet = preview_lib.sheet(source, args.count, args.augment)
    output = args.output or Path(f"{source.name.replace('/', '_')}.png")
    output.write_bytes(image_files.encode_png(sheet))
    shown = min(args.count, len(source))
    print(f"{output}: {shown} of {len(source)} examples of {source.name}")
    return 0


def check(args: argparse.Namespace) -> int:
    """Reads every record, prints problems of labels and images; exit code 1 if any."""
    if args.across:
        return _check_across(args)
    if args.name is None:
        raise errors.UserError("check: found no name. Fix: check NAME, or check DIR.")
    name, root, options, known = _find(args.name, args.root, args.options)
    try:
        findings = audit.audit(name, root, options, args.split, _score, known)
    except audit.NoSplit:
        raise
    except errors.UserError as error:
        problems = checks.refused(error)
        _print_problems(problems, args.limit)
        report = {"name": args.name, "ok": False, "error": str(error)}
        _write_json(args.json, report)
        return 1
    for each in findings:
        _print_problems(each.problems, args.limit)
        if each.split:
            more = (
                " more" if findings[0].fatal else ""
            )  # those of files are printed above
            counts = f"{each.fatal}{more} problems in {each.records} records"
            print(f"{name} {each.split}: {counts}")
    aside = checks.left_out(catalogue.find_root(name, root, options))
    _print_problems(aside, args.limit)
    problems = [problem for each in findings for problem in each.problems]
    if args.fix_report:
        _print_fixes(problems)
    whole, *splits = findings
    report = {each.split: _as_json(each.problems, each.records) for each in splits}
    fatal = sum(problem.fatal for problem in problems)
    _print_verdict(args.name, fatal, len(problems) + len(aside) - fatal)
    report = {"name": name, "ok": not fatal, "splits": report}
    leaks = [problem for problem in whole.problems if problem.kind == "leak"]
    others = [problem for problem in whole.problems if problem.kind != "leak"]
    for key, each in (("whole", others), ("leaks", leaks), ("left_out", aside)):
        report[key] = _as_json(each, len(each))["problems"]
    _write_json(args.json, report)
    return 1 if fatal else 0


def stats(args: argparse.Namespace) -> int:
    """Mean and std of channels, pixels and objects of each class, sizes."""
    source = _open(args)
    report = statistics.measure(source, progress=True)
    rows = report.pop("classes", [])
    for key, value in report.items():
        print(f"{key:10} {value}")
    for row in rows:
        counts = "  ".join(f"{k} {v:.4g}" for k, v in row.items() if k != "name")
        print(f"{row['name']:20} {counts}")
    _write_json(args.json, report | {"classes": rows})
    return 0


def init(args: argparse.Namespace) -> int:
    """Guesses the format of a folder and writes a config that trains on it."""
    root, output = Path(args.folder).expanduser(), args.output
    if output.exists():
        raise errors.UserError(
            f"{output}: exists already. Fix: name another with --output FILE."
        )
    best, *others = guess.guess(root, _options(args.options))
    output.write_text(guess.config_text(best, root, output), encoding="utf-8")
    splits = ", ".join(f"{name} {n}" for name, n in best.facts.splits.items())
    print(f"{root}: {best.name} for {best.task}, because of {best.reason}")
    classes = best.facts.classes
    print(f"splits: {splits}; {len(classes)} classes: {', '.join(classes) or 'none'}")
    if guess.validation(best) is None:
        print("no validation split: a fifth of the training images is held out")
    for other in others:
        print(f"or else: {other.name} for {other.task}, because of {other.reason}")
    print(f"{output}: written. It trains into runs/{guess.slug(root)}.")
    given = f" --options {shlex.quote(args.options)}" if args.options != "{}" else ""
    folder, config = shlex.quote(args.folder), shlex.quote(str(output))
    print(f"Next: python -m jaxseg.data check {folder}{given}  # every record")
    print(f"then: python -m jaxseg.main --config={config} --plan")
    return 0


def _find(
    name: str, root: str | None, options: str
) -> tuple[str, str | None, dict[str, Any], Sequence[errors.UserError]]:
    """(name, root, options, errors of files and folders) of a data set by name, or of a
    folder by its content.
    """
    given = _options(options)
    folder = Path(name).expanduser()
    if root is None and folder.is_dir():
        try:
            reading = guess.readings(folder, given)[0]
        except errors.UserError as error:
            raise errors.UserError(f"{error}{nested.hint(folder, given)}") from error
        print(f"{name}: read as {reading.name}, because of {reading.reason}")
        known = (*reading.problems, *nested.problems(folder, reading, given))
        return reading.name, str(folder), reading.options, known
    if root is None and name not in catalogue.names():
        raise guess.no_such_name(name)
    catalogue.find(name)
    catalogue.find_root(name, root)
    return name, root, given, ()


def _score(source: Source, facts: dataset.Dataset) -> dict[str, float]:
    """Metrics of the truth used as prediction."""
    from jaxseg.evals import truth  # loads JAX, which other commands do not need

    return truth.scores(source, facts)


def _check_across(args: argparse.Namespace) -> int:
    """Prints the images that two data sets share."""
    both = []
    for given in args.across:
        name, root, options, known = _find(given, None, args.options)
        findings = audit.audit(name, root, options, args.split, _score, known)
        both.append(findings[1:])
    leaks = audit.leaks(*both, names=args.across)
    _print_problems(leaks, args.limit)
    print(f"{args.across[0]} and {args.across[1]}: {len(leaks)} images in both")
    _write_json(args.json, {"across": args.across, "ok": not leaks})
    return 1 if leaks else 0


def _print_verdict(name: str, fatal: int, notes: int) -> None:
    """Prints the last line: the numbers of problems and notes."""
    if fatal:
        print(
            f"{name}: problems: {fatal}, notes: {notes}; correct these before training"
        )
    else:
        print(f"{name}: no problem, notes: {notes}")


def _print_problems(problems: Sequence[Problem], limit: int) -> None:
    """Prints a line for each, at most `limit` of every kind."""
    counts: Counter = Counter()
    for problem in problems:
        counts[problem.kind] += 1
        if counts[problem.kind] <= limit:
            print(f"{'bad' if problem.fatal else 'note'}: {problem}")
    for kind, count in counts.items():
        if count > limit:
            print(f"and {count - limit} more of kind {kind}")


def _print_fixes(problems: Sequence[Problem]) -> None:
    """Prints how many problems each fix corrects, the most first."""
    fixes = Counter((problem.kind, problem.fix) for problem in problems if problem.fix)
    for (kind, fix), count in fixes.most_common():
        print(f"fix: {count} x {kind}: {fix}")


def _as_json(problems: Sequence[Problem], records: int) -> dict[str, Any]:
    return {"records": records, "problems": [each._asdict() for each in problems]}


def _write_json(path: Path | None, report: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(report, indent=1), encoding="utf-8")


def _open(args: argparse.Namespace) -> Source:
    name, root, options, _ = _find(args.name, args.root, args.options)
    return source_lib.open(
        name, split=args.split, root=root, options=options, cache="none"
    )


def _options(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        given = error
    if not isinstance(given, dict):
        raise errors.UserError(
            f"--options {text!r} is not JSON of {{option: value}}. Fix: write it like "
            "'{\"binary\": true}', with true or false for True or False."
        )
    return given


def _is_here(name: str) -> str:
    if not catalogue.find(name).on_disk:
        return "rendered"
    try:
        return str(catalogue.find_root(name, None))
    except errors.UserError:
        return "no"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    file: dict[str, Any] = {"metavar": "FILE", "type": command.output_file}
    help_ = (
        """of the reader, as JSON; '{"outside": true}': links may leave the folder"""
    )
    options: dict[str, Any] = {"metavar": "JSON", "default": "{}", "help": help_}
    picture = file | {"type": command.picture_file}
    number: dict[str, Any] = {"metavar": "N", "type": command.count}

    def add(name: str, run: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        sub.set_defaults(run=run)
        return sub

    add("list", list_datasets)
    add("show", show).add_argument("name", help="such as camvid/11")
    for name, run, split in (
        ("preview", preview, "train"),
        ("check", check, None),
        ("stats", stats, "train"),
    ):
        sub = add(name, run)
        optional = {"nargs": "?"} if run is check else {}
        sub.add_argument("name", help="such as camvid/11, or a folder", **optional)
        sub.add_argument("--root", help="folder; default $JAXSEG_DATA/<file>")
        sub.add_argument("--split", default=split, help=f"default {split or 'all'}")
        sub.add_argument("--options", **options)
        if run is not preview:
            sub.add_argument("--json", help="the report as JSON", **file)
        if run is preview:
            sub.add_argument("--output", help="default NAME.png", **picture)
            known = (
                f"beside each image; {', '.join(recipes.RECIPES)} (default: factors)"
            )
            sub.add_argument(
                "--augment", nargs="?", const="factors", metavar="RECIPE", help=known
            )
            sub.add_argument("--count", default=12, help="default 12", **number)
        if run is check:
            sub.add_argument("--across", nargs=2, metavar=("A", "B"), help="shared?")
            sub.add_argument(
                "--fix-report",
                action="store_true",
                help="what corrects it",
            )
            sub.add_argument("--limit", default=20, help="lines of a kind", **number)
    sub = add("init", init)
    sub.add_argument("folder", help="images with labels")
    sub.add_argument("--options", **options)
    sub.add_argument("--output", default="config.py", help="default config.py", **file)
    return parser


if __name__ == "__main__":
    sys.exit(main())
