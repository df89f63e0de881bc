"""What is stored in a workdir: list, show, diff, remove, gc.

python -m jaxseg.artifacts list --workdir=runs/factors
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import command, errors, hashing, jsonl, lookup, manifest

WRONG = ("damaged", "with extra files", "made from parents that were built again")


@command.entry
def main(argv: Sequence[str]) -> int | None:
    """Exit code: 0, 1 where something is damaged, 2 on a mistake, 3 where another
    process is at work on it.
    """
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.artifacts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit codes: 0 all is well, 1 something is damaged, 2 a mistake in the "
        "command, 3 another process is at work on it",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add(
        commands, "list", list_, "every artifact: key, name, metric, size"
    ).add_argument(
        "--verify",
        action="store_true",
        help="compare every file with its checksum, and parents with those it was "
        "made from; exit code 1 if anything is wrong",
    )
    _add(commands, "show", show, "what made an artifact, checked byte by byte", 1)
    _add(commands, "diff", diff, "how the specs and metrics of two differ", 2)
    _add(commands, "remove", remove, "delete artifacts; plans run them again", "+")
    _add(commands, "gc", collect, "delete what no plan names").add_argument(
        "--yes", action="store_true", help="delete; without it only say what would go"
    )
    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


def list_(arguments: argparse.Namespace) -> int:
    """One line each, oldest first."""
    from jaxseg.transfer import store

    box, counts = _box(arguments), dict.fromkeys(WRONG, 0)
    rows = [(key, _listed(box, key)) for key in box.folders()]
    for key, row in sorted(rows, key=lambda pair: pair[1]["created"]):
        kind, told = _wrong(box, key) if arguments.verify else ("", "")
        state = f"  {told or 'ok'}" if arguments.verify else ""
        if kind:
            counts[kind] += 1
        size = store.size(box.folder(key)) / 2**20
        print(
            f"{key}  {row['kind']:8}  {size:8.1f} MiB  {headline(row):18}  "
            f"{row['name']}{state}"
        )
    text = "".join(f", {count} {kind}" for kind, count in counts.items() if count)
    print(f"{len(rows)} artifacts{text}")
    return 1 if text else 0


def show(arguments: argparse.Namespace) -> None:
    """The manifest without its list of files, and what was transplanted."""
    box = _box(arguments)
    key = _find(box, arguments.keys[0])
    shown = {k: v for k, v in box.verify(key).items() if k not in ("files", "self")}
    print(json.dumps(shown, indent=1))
    receipt = box.folder(key) / "receipt.json"
    for row in jsonl.read_json(receipt) if receipt.is_file() else ():
        print(
            f"transplant from {row['source_name']}: {row['take']}, "
            f"{row['copied_parameters']:,} of {row['total_parameters']:,} parameters"
        )


def diff(arguments: argparse.Namespace) -> None:
    """Lines `path: first | second` of all that differs in what made them."""
    box = _box(arguments)
    first, second = (_comparable(box.manifest(_find(box, k))) for k in arguments.keys)
    differing = [
        f"{path}: {first.get(path, '(none)')} | {second.get(path, '(none)')}"
        for path in sorted(first.keys() | second.keys())
        if first.get(path) != second.get(path)
    ]
    print("\n".join(differing) or "no difference")


def remove(arguments: argparse.Namespace) -> None:
    """Deletes artifacts, or what failed; children stay: their keys do not change."""
    box = _box(arguments)
    for given in arguments.keys:
        key = _find(box, given, also=box.unfinished())
        name = _name(box, key)
        with box.lock("main", "a run"), box.lock(key, f"stage {name}"):
            box.remove(key)
        print(f"removed {key} {name}")


def collect(arguments: argparse.Namespace) -> None:
    """Artifacts and unfinished work that no plan.json of the workdir names.

    Each under the lock of its stage, after a look whether a plan names it by now:
    workers write theirs before they take such a lock.
    """
    from jaxseg.transfer import store

    box, freed, count = _box(arguments), 0, 0
    with box.lock("main", "a run"):
        for key in sorted({*box.folders(), *box.unfinished()} - _planned(box)):
            try:
                with box.lock(key, f"stage {key}"):
                    if key in _planned(box):
                        continue
                    places = (box.folder(key), box.running(key))
                    size = sum(store.size(place) for place in places if place.is_dir())
                    print(f"{key}  {size / 2**20:8.1f} MiB  {_name(box, key)}")
                    if arguments.yes:
                        box.remove(key)
            except errors.Busy as error:
                print(f"{key}  left alone: {error}")
                continue
            count, freed = count + 1, freed + size
    verb = "freed" if arguments.yes else "would be freed; --yes does it"
    print(f"{count} not named by any plan, {freed / 2**20:.1f} MiB {verb}")


def _planned(box: Any) -> set[str]:
    """Short keys of all stages of all plans in a workdir; Damaged where one is."""
    plans = box.workdir.glob("studies/*/plan.json")
    values = [jsonl.read_sealed(path, fix=manifest.PLAN_FIX) for path in plans]
    return {stage["key"][:20] for value in values for stage in value["stages"]}


def headline(found: Mapping[str, Any]) -> str:
    """'miou 0.412' of a manifest."""
    metric = manifest.headline(found)
    return f"{metric['name']} {metric['value']:.4f}" if metric else ""


def _add(commands: Any, name: str, run: Callable, text: str, keys: Any = None) -> Any:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--workdir", required=True, metavar="DIR")
    if keys is not None:
        parser.add_argument("keys", nargs=keys, metavar="KEY", help="or its beginning")
    parser.set_defaults(run=run)
    return parser


def _box(arguments: argparse.Namespace) -> Any:
    from jaxseg.transfer import store

    workdir = Path(arguments.workdir)
    if not workdir.is_dir():
        raise errors.UserError(f"{workdir}: no such folder. Give --workdir of a run.")
    return store.Store(workdir)


def _find(box: Any, given: str, also: Sequence[str] = ()) -> str:
    """The one short key of an artifact, or of those in `also`, that begins so."""
    known = list(dict.fromkeys([*box.folders(), *also]))
    found = [key for key in known if key.startswith(given[:20])]
    if len(found) == 1:
        return found[0]
    if not found:
        raise lookup.unknown(given, known, kind="artifact", where=str(box.workdir))
    raise errors.UserError(f"{given!r} is the beginning of {len(found)}: {found}")


def _name(box: Any, key: str) -> str:
    """The stage's name, even where the manifest is what is damaged."""
    try:
        return box.manifest(key)["name"]
    except errors.UserError:
        return "(unfinished or damaged)"


def _listed(box: Any, key: str) -> dict[str, Any]:
    """The manifest, or what stands for one that is damaged."""
    try:
        return box.manifest(key)
    except errors.UserError:
        return {"kind": "damaged", "name": "(damaged)", "created": ""}


def _wrong(box: Any, key: str) -> tuple[str, str]:
    """(one of WRONG, what it is about in words) of an artifact, else ("", "")."""
    try:
        found = box.verify(key)
    except errors.UserError as error:
        return WRONG[0], f"DAMAGED {error}"
    extra = ", ".join(map(str, manifest.extra(box.folder(key))))
    if extra:
        return WRONG[1], f"EXTRA {extra}: not of this artifact. Fix: delete it"
    rebuilt = _rebuilt(box, found)
    return (WRONG[2], rebuilt) if rebuilt else ("", "")


def _rebuilt(box: Any, found: Mapping[str, Any]) -> str:
    """Which parent holds other weights now than when it was used; "" if none does."""
    pairs = [
        (found["parents"][role], used)
        for role, used in found.get("parent_weights", {}).items()
    ]
    receipt = box.folder(found["key"]) / "receipt.json"
    rows = jsonl.read_json(receipt) if receipt.is_file() else []
    pairs += [(row["source_key"], row.get("source_weights")) for row in rows]
    for key, used in pairs:
        parent = _listed(box, key) if box.done(key) else {}
        if used and parent.get("weights", used) != used:
            return (
                f"PARENT BUILT AGAIN: {parent['name']} ({key[:20]}) has other weights "
                f"than those this was made from. Fix: remove {found['name']} as well, "
                "and run again"
            )
    return ""


def _comparable(manifest: Mapping[str, Any]) -> dict[str, str]:
    """{path: JSON} of what made an artifact and what came of it."""
    parts = ("kind", "spec", "parents", "versions", "packages", "code", "data")
    values = {name: manifest.get(name) for name in parts}
    values["metrics"] = {
        f"{m.get('evaluation')}/{m['name']}": m["value"] for m in manifest["metrics"]
    }
    flat: dict[str, str] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, Mapping) and value:
            for key, item in value.items():
                walk(item, f"{path}/{key}" if path else str(key))
        else:
            flat[path] = hashing.canonical(value)

    walk(values, "")
    return flat


if __name__ == "__main__":
    sys.exit(main())
