"""The weights that an artifact folder holds: written by every process, read once."""

import functools
from pathlib import Path

from jaxseg.core import checkpoint, errors, hashing, trees
from jaxseg.core import manifest as manifests
from jaxseg.core.types import Variables
from jaxseg.train import mesh


def save(folder: Path, variables: Variables) -> dict[str, str]:
    """Writes weights/; {"weights": sum of all values}, which a manifest holds.

    Of several processes that work together each writes what its devices have, into the
    folder of process 0.
    """
    checkpoint.save_tree(folder / "weights", variables)
    whole = mesh.replicated(trees.flatten(variables))
    return {"weights": hashing.arrays_sum(whole)}


@functools.lru_cache(maxsize=8)  # a source is the parent of many stages in a row
def load(folder: Path, seal: str) -> Variables:
    """Weights of an artifact folder after their sums were checked.

    seal: `self` of the manifest that the caller has read. The folder may hold another
    build of the artifact by now: UserError.
    """
    manifest = manifests.read(folder)
    if manifest["self"] != seal:
        raise errors.UserError(
            f"{folder}: was made again after it was loaded. Fix: load it again."
        )
    manifests.check_kept(folder, manifest)
    files = manifest["files"]
    weights = {n: s for n, s in files.items() if n.startswith("weights/")}
    if not weights:
        raise errors.UserError(
            f"{folder}: a {manifest['kind']} artifact has no weights. Fix: that of a "
            "train, select or imported stage (python -m jaxseg.artifacts list)"
        )
    checkpoint.check_sums(folder, weights, fix=manifests.remedy(folder))
    return checkpoint.restore_tree(folder / "weights")
