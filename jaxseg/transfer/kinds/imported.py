"""Weights from elsewhere: an artifact of another workdir, or a safetensors file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jaxseg.core import checkpoint, errors, hashing, trees
from jaxseg.models import model as models
from jaxseg.transfer import artifact, store, work

VERSION = 1  # goes up when the same file would give other weights
COLLECTIONS = ("params", "batch_stats")
# What an artifact says of itself that stays true of its weights elsewhere.
KNOWN = {"heads", "classes", "palette", "data", "preprocessing", "metrics"}


def arguments(*, file: str, model: Mapping[str, Any] | None = None) -> None:
    """What an `imported` section may hold.

    file: an artifact's folder, or a .safetensors file whose names are jaxseg's paths,
    "params/backbone/..." and "batch_stats/backbone/...".
    model: the model section the file belongs to; a folder knows its own.
    """


def bind(bound: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The model section with its defaults."""
    spec = dict(bound)
    if spec["model"] is not None:
        spec["model"] = models.bind_model(spec["model"], where=f"{where}/model")
    return spec


def resolve(spec: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The model of a folder, and the content of the file as a sum."""
    path = Path(spec["file"]).expanduser()
    if (path / store.MANIFEST).is_file():
        origin = artifact.load(path).manifest  # of a selection: its winner's
        task = origin["spec"].get("task")
        known = {"model": origin["spec"]["model"], "task": task}
        return dict(spec) | known | {"content": origin["key"]}
    if not path.is_file():
        raise errors.UserError(
            f"{where}/file: {path} is neither a file nor an artifact's folder"
        )
    if spec["model"] is None:
        raise errors.UserError(
            f"{where}: a file of weights needs model={{backbone, head}}, found none"
        )
    return dict(spec) | {"content": hashing.file_sum(path)}


def keyed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All but where the file lies."""
    return {key: value for key, value in spec.items() if key != "file"}


def versions(spec: Mapping[str, Any]) -> dict[str, int]:
    """None beside the kind's own."""
    return {}


def check_parents(
    spec: Mapping[str, Any], parents: Mapping[str, str], where: str
) -> None:
    """UserError where there are any."""
    if parents:
        raise errors.UserError(f"{where}: an imported stage has no parents")


def describe(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Costs a copy."""
    return {}


def run(job: work.Work) -> dict[str, Any]:
    """weights/ as Orbax, and what else the origin said of itself."""
    path = Path(job.stage.spec["file"]).expanduser()
    if path.is_dir():
        origin = artifact.load(path)
        store.verify(origin.folder)
        tree = checkpoint.restore_tree(origin.folder / "weights")
        facts = {name: origin.manifest[name] for name in KNOWN & origin.manifest.keys()}
    else:
        tree = _read_file(path)
        heads = sorted(n[6:] for n in tree["params"] if n.startswith("heads_"))
        facts = {"heads": heads, "classes": [], "metrics": []}
    checkpoint.save_tree(job.folder / "weights", tree)
    parameters = trees.num_parameters(tree["params"])
    return facts | {"parameters": parameters, "origin": path.name, "seconds": 0.0}


def _read_file(path: Path) -> dict[str, Any]:
    """{"params": tree, "batch_stats": tree} of a safetensors file."""
    try:
        flat = load_file(path)
    except (SafetensorError, OSError) as error:
        raise errors.UserError(f"{path}: not a safetensors file ({error})") from error
    strange = [name for name in flat if name.split("/")[0] not in COLLECTIONS]
    if strange or not flat:
        raise errors.UserError(
            f"{path}: tensor {next(iter(strange), 'none')!r}; allowed are names that "
            f"begin with {' or '.join(COLLECTIONS)}, such as params/backbone/..."
        )
    return trees.unflatten({name: np.asarray(x) for name, x in flat.items()})
