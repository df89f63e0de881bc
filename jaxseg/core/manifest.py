"""manifest.json, the record of an artifact: the only place that writes and reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxseg.core import checkpoint, errors, jsonl

FILE = "manifest.json"  # written last: a folder without it is not an artifact
FOLDER = "artifacts"  # in WORKDIR; there an artifact's name is the head of its key
SCHEMA = 1  # goes up when the meaning of a field changes
WEIGHTS = "weights/"
DATASET = "dataset"  # folder of a data set that the stage publishes
LARGE = (WEIGHTS, f"{DATASET}/")  # no report reads them
PICTURES = ("samples/", "events/")  # no number depends on them
# What stays true of the weights of an artifact when another one takes them over.
OF_WEIGHTS = ("heads", "model", "task", "outputs", "classes", "palette", "data")
OF_WEIGHTS += ("parts", "preprocessing", "metrics", "licences", "weights")
PLAN_FIX = "Fix: run `python -m jaxseg.main` again, which writes it anew."


def exists(folder: Path) -> bool:
    """Whether the folder is an artifact, whose manifest is written last."""
    return (Path(folder) / FILE).is_file()


def write(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Makes the folder an artifact. The file holds a checksum of itself."""
    jsonl.write_sealed(folder / FILE, manifest)


def remove(folder: Path) -> None:
    """Deletes the manifest, if there is one: the folder is no artifact any more."""
    (folder / FILE).unlink(missing_ok=True)


def read(folder: Path) -> dict[str, Any]:
    """The manifest of an artifact folder; UserError where there is none.

    Damaged where its bytes have changed, or where it is that of another artifact.
    """
    folder = Path(folder)
    path, stored = folder / FILE, folder.absolute().parent.name == FOLDER
    if not exists(folder):
        text = f"{folder}: not an artifact, it has no {FILE}."
        if stored and folder.is_dir():
            raise errors.Damaged(f"{text} {remedy(folder)}")
        raise errors.UserError(
            f"{text} Artifacts are the folders in WORKDIR/{FOLDER}; `python -m "
            "jaxseg.artifacts list --workdir=WORKDIR` shows them."
        )
    manifest = jsonl.read_sealed(path, fix=remedy(folder))
    if manifest.get("schema") != SCHEMA:
        raise errors.UserError(
            f"{path}: schema {manifest.get('schema')!r}, this version reads {SCHEMA}. "
            "Fix: use the version of jaxseg that wrote it, or run the study again."
        )
    if stored and not manifest["key"].startswith(folder.name):
        raise errors.Damaged(
            f"{path}: the manifest of another artifact, expected key {folder.name}, "
            f"found {manifest['key'][:20]}. {remedy(folder)}"
        )
    return manifest


def check(folder: Path, weights: bool = True, pictures: bool = True) -> dict[str, Any]:
    """The manifest, after every file that it lists was compared with its checksum.

    Damaged with the first file that is missing or changed, DamagedPicture where only
    PICTURES are. weights=False: of what is LARGE only the existence is checked.
    pictures=False: pictures are not checked.
    """
    manifest = read(folder)
    sums = manifest["files"]
    read_in_full = {
        name: expected
        for name, expected in sums.items()
        if not name.startswith(PICTURES if weights else (*LARGE, *PICTURES))
    }
    checkpoint.check_sums(folder, read_in_full, fix=remedy(folder))
    for name in sums.keys() - read_in_full.keys():
        if name.startswith(LARGE) and not (Path(folder) / name).is_file():
            checkpoint.check_sums(folder, {name: sums[name]}, fix=remedy(folder))
    for text in lost_pictures(folder, manifest).values() if pictures else ():
        raise errors.DamagedPicture(text)
    return manifest


def dropped(manifest: Mapping[str, Any]) -> bool:
    """Whether the weights were deleted once nothing needed them."""
    return "weights" in manifest.get("dropped", ())


def without_weights(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of the artifact once its weights are dropped, unsealed."""
    files = {n: s for n, s in manifest["files"].items() if not n.startswith(WEIGHTS)}
    rest = {name: value for name, value in manifest.items() if name != "self"}
    return rest | {"files": files, "dropped": ["weights"]}


def check_kept(folder: Path, manifest: Mapping[str, Any]) -> None:
    """UserError where the weights of an artifact were dropped."""
    if dropped(manifest):
        name = manifest["name"]
        raise errors.UserError(
            f"{folder}: the weights of {name} were dropped (store='metrics'). Fix: run "
            f"its config again with --set 'stages/{name}/store=\"all\"', which trains "
            "it again; a stage that starts from it has this done by itself"
        )


def headline(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """The metric that stands for the artifact; None where it measured none."""
    metrics = manifest.get("metrics", ())
    return next((metric for metric in metrics if metric.get("headline")), None)


def of_weights(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest says of its weights, for one that takes them over."""
    return {name: manifest[name] for name in OF_WEIGHTS if name in manifest}


def lr(manifest: Mapping[str, Any]) -> float | None:
    """The learning rate of the training; None for artifacts that trained nothing."""
    return manifest["spec"].get("lr")


def lost_pictures(folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """{name: message} of the PICTURES that are missing or changed."""
    lost = {}
    for name, expected in manifest["files"].items():
        if name.startswith(PICTURES):
            try:
                checkpoint.check_sums(folder, {name: expected}, fix=remedy(folder))
            except errors.Damaged as error:
                lost[name] = str(error)
    return lost


def extra(folder: Path) -> list[Path]:
    """The files in an artifact folder that its manifest does not list, sorted."""
    known = read(folder)["files"].keys() | {FILE}
    files = sorted(path for path in Path(folder).rglob("*") if not path.is_dir())
    return [path for path in files if path.relative_to(folder).as_posix() not in known]


def remedy(folder: Path) -> str:
    """The fix that messages give for a damaged artifact."""
    folder = Path(folder)
    return (
        f"Fix: `python -m jaxseg.artifacts remove {folder.name} "
        f"--workdir={folder.parent.parent}`, then run the same command again."
    )
