"""Lists, shows, compares and deletes the artifacts of a workdir.

python -m jaxseg.artifacts list --workdir=runs/factors
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import command, errors, hashing, jsonl, lookup
from jaxseg.core import manifest as manifests

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
        commands, "list", list_, "all artifacts: key, kind, size, metric, name"
    ).add_argument(
        "--verify",
        action="store_true",
        help="compare every file with its checksum, and parents with those it was "
        "made from; exit code 1 if anything is wrong",
    )
    _add(commands, "show", show, "what made an artifact; every byte is checked", 1)
    _add(commands, "diff", diff, "the fields in which two artifacts differ", 2)
    _add(commands, "remove", remove, "delete artifacts; a run makes them again", "+")
    _add(commands, "gc", collect, "delete all that no plan names").add_argument(
        "--yes", action="store_true", help="delete; without it they are only listed"
    )
    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


def list_(arguments: argparse.Namespace) -> int:
    """Prints a line for each artifact, the oldest first."""
    from jaxseg.transfer import store as stores

    store, counts = _store(arguments), dict.fromkeys(WRONG, 0)
    rows = [(key, _listed(store, key)) for key in store.folders()]
    for key, row in sorted(rows, key=lambda pair: pair[1]["created"]):
        kind, text = _wrong(store, key) if arguments.verify else ("", "")
        state = f"  {text or 'ok'}" if arguments.verify else ""
        if kind:
            counts[kind] += 1
        size = stores.size(store.folder(key)) / 2**20
        print(
            f"{key}  {row['kind']:8}  {size:8.1f} MiB  {headline(row):18}  "
            f"{row['name']}{'  without weights' * manifests.dropped(row)}{state}"
        )
    text = "".join(f", {count} {kind}" for kind, count in counts.items() if count)
    print(f"{len(rows)} artifacts{text}")
    return 1 if text else 0


def show(arguments: argparse.Namespace) -> None:
    """Prints the manifest without its list of files, and what was transplanted."""
    store = _store(arguments)
    key = _find(store, arguments.keys[0])
    shown = {k: v for k, v in store.verify(key).items() if k not in ("files", "self")}
    print(json.dumps(shown, indent=1))
    receipt = store.folder(key) / "receipt.json"
    for row in jsonl.read_json(receipt) if receipt.is_file() else ():
        print(
            f"transplant from {row['source_name']}: {row['take']}, "
            f"{row['copied_parameters']:,} of {row['total_parameters']:,} parameters"
        )


def diff(arguments: argparse.Namespace) -> None:
    """Prints `path: first | second` for each field in which two artifacts differ."""
    store = _store(arguments)
    first, second = (
        _comparable(store.manifest(_find(store, k))) for k in arguments.keys
    )
    differing = [
        f"{path}: {first.get(path, '(none)')} | {second.get(path, '(none)')}"
        for path in sorted(first.keys() | second.keys())
        if first.get(path) != second.get(path)
    ]
    print("\n".join(differing) or "no difference")


def remove(arguments: argparse.Namespace) -> None:
    """Deletes artifacts or what failed stages left. Their children stay: the keys of
    children do not change.
    """
    store = _store(arguments)
    for given in arguments.keys:
        key = _find(store, given, also=store.unfinished())
        name = _name(store, key)
        with store.lock("main", "a run"), store.lock(key, f"stage {name}"):
            store.remove(key)
        print(f"removed {key} {name}")


def collect(arguments: argparse.Namespace) -> None:
    """Deletes artifacts and unfinished work that no plan.json of the workdir names.

    Each is deleted under the lock of its stage, if still no plan names it: workers
    write their plan before they take such a lock.
    """
    from jaxseg.transfer import store as stores

    store, freed, count = _store(arguments), 0, 0
    with store.lock("main", "a run"):
        for key in sorted({*store.folders(), *store.unfinished()} - _planned(store)):
            try:
                with store.lock(key, f"stage {key}"):
                    if key in _planned(store):
                        continue
                    places = (store.folder(key), store.running(key))
                    size = sum(stores.size(place) for place in places if place.is_dir())
                    print(f"{key}  {size / 2**20:8.1f} MiB  {_name(store, key)}")
                    if arguments.yes:
                        store.remove(key)
            except errors.Busy as error:
                print(f"{key}  left alone: {error}")
                continue
            count, freed = count + 1, freed + size
    verb = "freed" if arguments.yes else "would be freed; --yes does it"
    print(f"{count} not named by any plan, {freed / 2**20:.1f} MiB {verb}")


def _planned(store: Any) -> set[str]:
    """Short keys of all stages of all plans in a workdir; Damaged where one is."""
    plans = store.workdir.glob("studies/*/plan.json")
    values = [jsonl.read_sealed(path, fix=manifests.PLAN_FIX) for path in plans]
    return {stage["key"][:20] for value in values for stage in value["stages"]}


def headline(manifest: Mapping[str, Any]) -> str:
    """'miou 0.4120', the headline metric; '' where nothing was measured."""
    metric = manifests.headline(manifest)
    return f"{metric['name']} {metric['value']:.4f}" if metric else ""


def _add(commands: Any, name: str, run: Callable, text: str, keys: Any = None) -> Any:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--workdir", required=True, metavar="DIR")
    if keys is not None:
        parser.add_argument("keys", nargs=keys, metavar="KEY", help="or its beginning")
    parser.set_defaults(run=run)
    return parser


def _store(arguments: argparse.Namespace) -> Any:
    from jaxseg.transfer import store as stores

    workdir = Path(arguments.workdir)
    if not workdir.is_dir():
        raise errors.UserError(f"{workdir}: no such folder. Give --workdir of a run.")
    return stores.Store(workdir)


def _find(store: Any, given: str, also: Sequence[str] = ()) -> str:
    """The one short key that begins with `given`, of an artifact or in `also`."""
    known = list(dict.fromkeys([*store.folders(), *also]))
    matching = [key for key in known if key.startswith(given[:20])]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        raise lookup.unknown(given, known, kind="artifact", where=str(store.workdir))
    raise errors.UserError(
        f"{given!r} is the beginning of {len(matching)} keys: {matching}"
    )


def _name(store: Any, key: str) -> str:
    """The name of the stage; a remark where the manifest cannot be read."""
    try:
        return store.manifest(key)["name"]
    except errors.UserError:
        return "(unfinished or damaged)"


def _listed(store: Any, key: str) -> dict[str, Any]:
    """The manifest; the fields that `list` prints where it is damaged."""
    try:
        return store.manifest(key)
    except errors.UserError:
        return {"kind": "damaged", "name": "(damaged)", "created": ""}


def _wrong(store: Any, key: str) -> tuple[str, str]:
    """(one of WRONG, the message) of an artifact; ("", "") where nothing is wrong."""
    try:
        manifest = store.verify(key)
    except errors.UserError as error:
        return WRONG[0], f"DAMAGED {error}"
    extra = ", ".join(map(str, manifests.extra(store.folder(key))))
    if extra:
        return WRONG[1], f"EXTRA {extra}: not of this artifact. Fix: delete it"
    rebuilt = _rebuilt(store, manifest)
    return (WRONG[2], rebuilt) if rebuilt else ("", "")


def _rebuilt(store: Any, manifest: Mapping[str, Any]) -> str:
    """The message on a parent whose weights changed after they were used, else ""."""
    pairs = [
        (manifest["parents"][role], used)
        for role, used in manifest.get("parent_weights", {}).items()
    ]
    receipt = store.folder(manifest["key"]) / "receipt.json"
    rows = jsonl.read_json(receipt) if receipt.is_file() else []
    pairs += [(row["source_key"], row.get("source_weights")) for row in rows]
    for key, used in pairs:
        parent = _listed(store, key) if store.done(key) else {}
        if used and parent.get("weights", used) != used:
            return (
                f"PARENT BUILT AGAIN: {parent['name']} ({key[:20]}) has other weights "
                "than those this was made from. Fix: remove "
                f"{manifest['name']} as well, and run again"
            )
    return ""


def _comparable(manifest: Mapping[str, Any]) -> dict[str, str]:
    """{path: JSON} of what made an artifact and of its metrics."""
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
