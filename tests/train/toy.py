"""A model, a task and batches that compile in a fraction of a second."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.models import layers
from jaxseg.tasks import segmentation
from jaxseg.train import mesh, optim, programs, state

TASK = segmentation.build(3)
SIZE = (4, 4)


class Toy(nn.Module):
    """Trees `backbone/...` and `heads_segmentation/...`, as every model has them."""

    norm: bool = True

    @nn.compact
    def __call__(self, image, *, train, head=None):
        x = nn.Dense(5, name="backbone_dense")(image)
        if self.norm:
            x = layers.BatchNorm(name="norm")(x, train=train)
        return nn.Dense(3, name="heads_segmentation")(nn.relu(x))


def batch(index: int, rows: int = 4) -> dict[str, np.ndarray]:
    """Batch `index` of a stream; every pixel has a label."""
    rng = np.random.default_rng([7, index])
    image = rng.normal(size=(rows, *SIZE, 3)).astype(np.float32)
    labels = rng.integers(0, 3, (rows, *SIZE), dtype=np.int32)
    return {"image": image, "segmentation": labels}


def batches(start: int = 0, rows: int = 4):
    """The stream from batch `start`, with ids."""
    index = start
    while True:
        yield batch(index, rows), [f"image{index}_{row}" for row in range(rows)]
        index += 1


def variables(norm: bool = True, seed: int = 0):
    """Initial values from NumPy: nothing to compile."""
    rng = np.random.default_rng(seed)
    model = Toy(norm)
    shapes = jax.eval_shape(
        lambda: model.init(jax.random.key(0), jnp.zeros((1, *SIZE, 3)), train=False)
    )
    draw = lambda leaf: rng.normal(size=leaf.shape).astype(np.float32)
    made = {"params": jax.tree.map(draw, shapes["params"])}
    if norm:
        stats = {"mean": np.zeros(5, np.float32), "var": np.ones(5, np.float32)}
        made["batch_stats"] = {"norm": stats}
    return made


def parts(optimizer="sgd", norm=True, ema=None, clip=None, **more):
    """(state in NumPy, jitted step) of a toy run; `more` goes to `train_step`."""
    tx = optim.build(optimizer, clip=clip)
    start = state.create(variables(norm), tx, seed=0, ema=ema is not None)
    start = jax.tree.map(np.array, start)  # not donated with the first step
    options = {"model": Toy(norm), "task": TASK, "tx": tx, "ema": ema} | more
    return start, programs.of_step(**options)


def on(number: int, fsdp: int = 1) -> jax.sharding.Mesh:
    """A mesh of the first `number` devices."""
    first = np.array(jax.devices()[:number]).reshape(-1, fsdp)
    types = (jax.sharding.AxisType.Auto,) * 2
    return jax.sharding.Mesh(first, mesh.AXES, axis_types=types)


def put(start, number: int = 1):
    """The state on the first `number` devices."""
    return mesh.put_state(start, on(number))
