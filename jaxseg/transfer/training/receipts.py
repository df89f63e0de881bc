"""Receipts: what a training took from its parents, and that it begins with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxseg.core import errors, hashing, trees
from jaxseg.models import stacking
from jaxseg.train import state as states
from jaxseg.transfer import artifact, transplant

FILE = "receipt.json"
Row = Mapping[str, Any]


def row(
    role: str, parent: artifact.Artifact, receipt: transplant.Receipt
) -> dict[str, Any]:
    """What receipt.json says of one transplant; fingerprints are of the source."""
    source = trees.flatten(parent.variables)
    return {
        "parent": role,
        "source_key": parent.manifest["key"],
        "source_name": parent.manifest["name"],
        "source_weights": parent.manifest.get("weights"),
        "take": receipt.take,
        "reinit": list(receipt.reinit),
        "copied": list(receipt.copied),
        "kept": list(receipt.kept),
        "left_behind": list(receipt.left_behind),
        "copied_parameters": receipt.copied_parameters,
        "total_parameters": receipt.total_parameters,
        "fingerprints": {
            path: fingerprint(source[receipt.origin[path]]) for path in receipt.copied
        },
    }


def fingerprint(leaf: Any) -> dict[str, Any]:
    """SHA-256 of its bytes for machines; sum and norm, in float64, for people."""
    array = np.asarray(leaf)
    values = array.astype(np.float64).ravel()
    return {
        "sha256": hashing.array_sum(array),
        "sum": float(values.sum()),
        "norm": float(np.sqrt(np.square(values).sum())),  # BLAS would start threads
    }


def check(rows: Sequence[Row], state: states.TrainState) -> None:
    """UserError naming the leaf unless `state`, as it lies on the devices before step
    0, and its average hold bit for bit what the receipts say was taken.
    """
    taken = {path: row for row in rows for path in row["fingerprints"]}
    if not taken:
        return  # nothing is fetched from the devices
    places = {"the parameters": {"params": state.params, **state.collections}}
    if state.ema is not None:
        places["their average (ema)"] = state.variables()
    for place, tree in places.items():
        leaves = trees.flatten(stacking.unstack(jax.device_get(tree)))
        for path, source in taken.items():
            _compare(path, leaves.get(path), source, place)


def _compare(path: str, leaf: Any, source: Row, place: str) -> None:
    expected = source["fingerprints"][path]
    if leaf is not None and hashing.array_sum(leaf) == expected["sha256"]:
        return
    holds = "no such leaf" if leaf is None else _text(fingerprint(leaf))
    raise errors.UserError(
        f"{path}: taken from {source['source_name']} with {_text(expected)}, but "
        f"{place} at step 0 hold {holds}. Something wrote over it after the "
        "transplant; nothing was trained. Fix: the code between "
        "`transplant` and the first step."
    )


def _text(fingerprint: Mapping[str, Any]) -> str:
    return f"sum {fingerprint['sum']:.6g} and norm {fingerprint['norm']:.6g}"


def compare(began: Sequence[Row], rows: Sequence[Row], scratch: Path) -> None:
    """UserError where a resumed training's parents now hold other weights than those
    that it `began` with.
    """
    for before, now in zip(began, rows, strict=True):
        if _sums(before) != _sums(now):
            raise errors.UserError(
                f"{scratch}: this training began with other weights of "
                f"{now['source_name']} ({now['source_key'][:20]}) than are there now: "
                f"it was made again in between. Fix: delete {scratch}, so that the "
                "training starts anew."
            )


def _sums(row: Row) -> dict[str, str]:
    return {path: one["sha256"] for path, one in row["fingerprints"].items()}
