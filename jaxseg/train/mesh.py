"""A mesh of two axes: both split batches, and `fsdp` splits the state as well.

With Auto axes a mean over the batch is a mean over all devices, so batch statistics
are global without an axis name in any model. Along `data` every device has the same
part of the state: the whole of it where `fsdp` is 1. Else parameters, optimizer state
and averages are divided (fully sharded data parallel, Zhao et al. 2023,
arXiv:2304.11277): a step gathers the parameters, each device computes the gradient of
its images, and adds up and keeps that of its own part.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from jaxseg.core import errors, hosts

AXES = ("data", "fsdp")
_AUTO = (AxisType.Auto,) * len(AXES)


def create(data: int | None = None, fsdp: int = 1) -> Mesh:
    """All devices of the processes that work together, those of a process in a row.

    data, fsdp: devices along each axis; data: None: all that are left. UserError where
    they are not as many as there are devices, or processes were not joined.
    """
    if jax.process_count() != hosts.count():
        raise errors.UserError(
            f"found {jax.process_count()} processes that do not know each other, as on "
            "a TPU pod; allowed is one, or all that `python -m jaxseg.main` joins. "
            "Fix: --coordinator=auto on each host, or a single host"
        )
    if hosts.shard()[1] == 1:
        own = jax.local_devices()
        shape = _shape(len(own), data, fsdp)
        return jax.make_mesh(shape, AXES, axis_types=_AUTO, devices=own)
    # A batch of all processes has the rows of process 0 first.
    every = sorted(jax.devices(), key=lambda one: (one.process_index, one.id))
    shape = _shape(len(every), data, fsdp)
    return Mesh(np.array(every).reshape(shape), AXES, axis_types=_AUTO)


def described(mesh: Mesh) -> str:
    """Such as "8 x cpu", or "8 x cpu, fsdp 4" where the state is divided."""
    text = f"{mesh.size} x {mesh.devices.flat[0].platform}"
    return f"{text}, fsdp {mesh.shape['fsdp']}" if mesh.shape["fsdp"] > 1 else text


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
    split = NamedSharding(mesh, PartitionSpec(AXES))
    return {
        name: jax.make_array_from_process_local_data(split, np.asarray(rows))
        for name, rows in batch.items()
    }


def put_state(tree: Any, mesh: Mesh) -> Any:
    """The leaves that process 0 has, on all devices, as `shardings` divides them."""
    if hosts.shard()[1] == 1:
        return jax.device_put(tree, shardings(tree, mesh))

    def put(leaf: np.ndarray, sharding: NamedSharding) -> jax.Array:
        return jax.make_array_from_callback(leaf.shape, sharding, lambda at: leaf[at])

    tree = hosts.copied(tree)
    return jax.tree.map(put, tree, shardings(tree, mesh))


def shardings(tree: Any, mesh: Mesh | AbstractMesh) -> Any:
    """How the leaves of a state lie on the devices: the largest axis whose length
    `fsdp` divides, the first of several, is split along `fsdp`. A leaf without such an
    axis, and one of whole numbers, is on every device.
    """
    parts = mesh.shape["fsdp"]

    def sharding(leaf: Any) -> NamedSharding:
        lengths = [0 if length % parts else length for length in jnp.shape(leaf)]
        longest = max(lengths, default=0)
        whole = not jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        if parts == 1 or whole or not longest:
            return NamedSharding(mesh, PartitionSpec())
        before = [None] * lengths.index(longest)
        return NamedSharding(mesh, PartitionSpec(*before, "fsdp"))

    return jax.tree.map(sharding, tree)


def layout(tree: Any, mesh: Mesh) -> Any:
    """Shapes and types of the leaves of a state, and how they lie on the devices."""

    def described(leaf: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(described, tree, shardings(tree, mesh))


def replicated(tree: Any) -> Any:
    """The same values with every leaf whole on each device that has a part of it."""

    def whole(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array) or leaf.is_fully_replicated:
            return leaf
        return jax.device_put(leaf, NamedSharding(leaf.sharding.mesh, PartitionSpec()))

    return jax.tree.map(whole, tree)


def gathered(params: Any, mesh: Mesh | None) -> Any:
    """Within a step: parameters whole on each device; gradients of them are divided as
    they are. mesh: None, or one with an `fsdp` of 1: nothing is divided.
    """
    if mesh is None or mesh.shape["fsdp"] == 1:
        return params

    @jax.custom_vjp  # a constraint alone would make whole gradients on each device
    def gather(params: Any) -> Any:
        everywhere = NamedSharding(mesh, PartitionSpec())
        return jax.lax.with_sharding_constraint(params, everywhere)

    gather.defvjp(
        lambda params: (gather(params), None), lambda _, grads: (divided(grads, mesh),)
    )
    return gather(params)


def divided(tree: Any, mesh: Mesh | None) -> Any:
    """Within a step: the leaves as `shardings` divides them; mesh as in `gathered`."""
    if mesh is None or mesh.shape["fsdp"] == 1:
        return tree
    return jax.lax.with_sharding_constraint(tree, shardings(tree, mesh))


def _shape(devices: int, data: int | None, fsdp: int) -> tuple[int, int]:
    """(data, fsdp); UserError unless their product is the number of devices."""
    along = devices // fsdp if data is None else data
    if along * fsdp == devices:
        return along, fsdp
    fits = [number for number in range(1, devices + 1) if devices % number == 0]
    raise errors.UserError(
        f"run/mesh: found data={data}, fsdp={fsdp}, but {devices} devices; allowed: "
        f"data x fsdp = {devices}. Fix: leave out data, and an fsdp of {fits}"
    )
