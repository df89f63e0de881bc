"""jaxseg's side of the bench: `python -m tests.bench.steps.of_jax NETWORK DTYPE`.

The training step is that of every training, `programs.of_step`, with SGD and momentum.
"""

import dataclasses
import sys
import time

import jax
import jax.numpy as jnp

from jaxseg.core import trees
from jaxseg.models import initial, stacking
from jaxseg.models import model as models
from jaxseg.tasks import build, simmim
from jaxseg.train import optim, programs, state
from tests.bench.steps import networks, worker


@dataclasses.dataclass(frozen=True)
class Given(simmim.SimMIM):
    """With the masks of the batch: PyTorch has the same."""

    def prepare(self, batch, rng):
        """Masked patches keep their pixels, which the backbone does not see."""
        return batch | {"whole": batch["image"]}


def parts(network, dtype):
    """(model, objective) of a network."""
    section = {"backbone": network.backbone, "head": network.head, "dtype": dtype}
    if network.task == "simmim":
        task = Given(network.outputs, worker.PATCH)
        return models.build_model(section, head_outputs=task.heads), task
    return build.network(section, {"name": network.task}, network.outputs)


def main(name, dtype):
    """Compiles both programs and serves."""
    network = (networks.NETWORKS | networks.on_accelerator())[name]
    model, task = parts(network, dtype)
    tx = optim.build("sgd")
    shape = (network.size, network.size, 3)
    variables = jax.device_get(models.init(model, shape, seed=0))
    variables = stacking.stack(variables, initial.loops(model, shape))
    arrays = jax.device_put(worker.batch(network))
    now = jax.device_put(state.create(variables, tx, seed=0, ema=False))
    rate = jnp.float32(0.01)
    step = programs.of_step(model=model, task=task, tx=tx)
    train = step.compiled(now, arrays, rate, key=arrays)
    start = time.perf_counter()
    answer = lambda variables, batch: task.predict(model, variables, batch, None)
    # A copy: the step gives the memory of its state away.
    kept = jax.tree.map(jnp.copy, now.variables())
    predict = jax.jit(answer).lower(kept, arrays).compile()
    predict_compile = time.perf_counter() - start
    losses = []

    def one():
        nonlocal now
        now, logs = train(now, arrays, rate)
        return logs["loss"]

    losses = [float(one()) for _ in range(3)]
    jax.block_until_ready(predict(kept, arrays))
    device = jax.devices()[0]
    ready = {
        "versions": f"jax {jax.__version__}",
        "device": device.device_kind if device.platform != "cpu" else "cpu",
        "parameters": trees.num_parameters(variables["params"]),
        "compile_s": step.seconds,
        "predict_compile_s": predict_compile,
        "losses": losses,
    }
    on_host = device.platform == "cpu"
    if on_host:
        worker.reset_peak()
    peak = lambda: device.memory_stats()["peak_bytes_in_use"]
    worker.serve(
        ready,
        one,
        lambda: predict(kept, arrays),
        jax.block_until_ready,
        worker.resident_peak if on_host else peak,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
