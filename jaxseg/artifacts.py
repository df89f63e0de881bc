"""What is stored in a workdir: list, show, diff, remove, gc.

python -m jaxseg.artifacts list --workdir=runs/factors
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import command, errors, hashing, lookup, records


@command.entry
def main(argv: Sequence[str]) -> int | None:
    """Exit code: 0, 1 where `list --verify` found something, 2 on a mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.artifacts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add(
        commands, "list", list_, "every artifact: key, name, metric, size"
    ).add_argument(
        "--verify",
        action="store_true",
        help="compare every file with its checksum, and parents with those it was "
        "made from",
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

    box, damaged, stale = _box(arguments), 0, 0
    rows = sorted(
        (_listed(box, key) for key in box.stored()), key=lambda m: m["created"]
    )
    for manifest in rows:
        key, state = manifest["key"][:20], ""
        if arguments.verify:
            try:
                box.verify(key)
                told = _rebuilt(box, manifest)
                stale, state = stale + bool(told), told or "  ok"
            except errors.Damaged as error:
                damaged, state = damaged + 1, f"  DAMAGED {error}"
        size = store.size(box.folder(key)) / 2**20
        print(
            f"{key}  {manifest['kind']:8}  {size:8.1f} MiB  {headline(manifest):18}  "
            f"{manifest['name']}{state}"
        )
    text = f", {damaged} damaged" if damaged else ""
    text += f", {stale} made from parents that were built again" if stale else ""
    print(f"{len(rows)} artifacts{text}")
    return 1 if damaged or stale else 0


def show(arguments: argparse.Namespace) -> None:
    """The manifest without its list of files, and what was transplanted."""
    box = _box(arguments)
    key = _find(box, arguments.keys[0])
    box.verify(key)
    manifest = {
        k: v for k, v in box.manifest(key).items() if k not in ("files", "self")
    }
    print(json.dumps(manifest, indent=1))
    receipt = box.folder(key) / "receipt.json"
    for row in records.read_json(receipt) if receipt.is_file() else ():
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
        with box.lock("main", "a run"):
            box.remove(key)
        print(f"removed {key} {name}")


def collect(arguments: argparse.Namespace) -> None:
    """Artifacts and unfinished work that no plan.json of the workdir names."""
    from jaxseg.transfer import store

    box = _box(arguments)
    named = set()
    for path in box.workdir.glob("studies/*/plan.json"):
        named |= {stage["key"][:20] for stage in records.read_sealed(path)["stages"]}
    # Folders without a manifest too: what a kill left of a removal.
    folders = [*box.workdir.glob("artifacts/*"), *box.workdir.glob("running/*")]
    loose = sorted({path.name for path in folders if path.is_dir()} - named)
    freed = 0
    with box.lock("main", "a run"):
        for key in loose:
            places = (box.folder(key), box.running(key))
            size = sum(store.size(place) for place in places if place.is_dir())
            freed += size
            print(f"{key}  {size / 2**20:8.1f} MiB  {_name(box, key)}")
            if arguments.yes:
                box.remove(key)
    verb = "freed" if arguments.yes else "would be freed; --yes does it"
    print(f"{len(loose)} not named by any plan, {freed / 2**20:.1f} MiB {verb}")


def headline(manifest: Mapping[str, Any]) -> str:
    """'miou 0.412' of a manifest."""
    for metric in manifest.get("metrics", ()):
        if metric["headline"]:
            return f"{metric['name']} {metric['value']:.4f}"
    return ""


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
    known = [*box.stored(), *also]
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
        return {"key": key, "kind": "damaged", "name": "(damaged)", "created": ""}


def _rebuilt(box: Any, manifest: Mapping[str, Any]) -> str:
    """Which parent holds other weights now than when it was used; "" if none does."""
    parents = manifest.get("parent_weights", {}).items()
    pairs = [(manifest["parents"][role], used) for role, used in parents]
    receipt = box.folder(manifest["key"]) / "receipt.json"
    rows = records.read_json(receipt) if receipt.is_file() else []
    pairs += [(row["source_key"], row.get("source_weights")) for row in rows]
    for key, used in pairs:
        parent = _listed(box, key) if box.done(key) else {}
        if used and parent.get("weights", used) != used:
            return (
                f"  PARENT BUILT AGAIN: {parent['name']} ({key[:20]}) has other "
                f"weights than those this was made from. Fix: remove {manifest['name']}"
                " as well, and run again"
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
