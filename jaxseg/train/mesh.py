"""One mesh axis, `data`: it splits batches, and every device has the whole state.

With Auto axes a mean over the batch is a mean over all devices, so batch statistics
are global without an axis name in any model.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxseg.core import errors, hosts


def create() -> Mesh:
    """All devices of the processes that work together, those of a process in a row.

    UserError where there are processes that were not joined.
    """
    if jax.process_count() != hosts.count():
        raise errors.UserError(
            f"found {jax.process_count()} processes that do not know each other, as on "
            "a TPU pod; allowed is one, or all that `python -m jaxseg.main` joins. "
            "Fix: --coordinator=auto on each host, or a single host"
        )
    if hosts.shard()[1] == 1:
        own = jax.local_devices()
        types = (AxisType.Auto,)
        return jax.make_mesh((len(own),), ("data",), axis_types=types, devices=own)
    # A batch of all processes has the rows of process 0 first.
    every = sorted(jax.devices(), key=lambda one: (one.process_index, one.id))
    return Mesh(np.array(every), ("data",), axis_types=(AxisType.Auto,))


def check_batch(batch_size: int, mesh: Mesh, accumulate: int = 1) -> None:
    """UserError if the global batch does not split over devices and microbatches."""
    parts = mesh.size * accumulate
    if batch_size % parts:
        fits = [
            b
            for b in (batch_size // parts * parts, -(-batch_size // parts) * parts)
            if b
        ]
        raise errors.UserError(
            f"batch_size: found {batch_size}, which does not split over {mesh.size} "
            f"devices x {accumulate} accumulated microbatches. Nearest that do: {fits}"
        )


def round_up(batch_size: int, mesh: Mesh) -> int:
    """The next batch size that splits over all devices: evaluation pads its rows."""
    return -(-batch_size // mesh.size) * mesh.size


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Each process's rows onto its devices, as one global array per field."""
    split = NamedSharding(mesh, PartitionSpec("data"))
    return {
        name: jax.make_array_from_process_local_data(split, np.asarray(rows))
        for name, rows in batch.items()
    }


def put_state(tree: Any, mesh: Mesh) -> Any:
    """A copy of every leaf on every device: of those that process 0 has."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    if hosts.shard()[1] == 1:
        return jax.device_put(tree, everywhere)

    def put(leaf: np.ndarray) -> jax.Array:
        return jax.make_array_from_process_local_data(everywhere, leaf, leaf.shape)

    return jax.tree.map(put, hosts.copied(tree))
