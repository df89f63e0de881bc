"""Memory of a training step as the compiler counts it, with and without
rematerialisation.

python tests/bench/bench_memory.py [VARIANT HEIGHT WIDTH BATCH]

The aim is HRNetV2-W48 at 512x512, batch 2, float32 on CPU, in 12 GiB.
"""

import sys
import time

import jax
import jax.numpy as jnp

from jaxseg.core import compiled
from jaxseg.models import initial, model


def measure(variant, height, width, batch, remat):
    """(GiB at the peak, GFLOPs, seconds to compile) of forward and backward."""
    backbone = {"name": "hrnet", "variant": variant, "remat": remat}
    section = {"backbone": backbone, "head": {"name": "linear"}}
    network = model.build_model(section, head_outputs={"task": 20})
    variables = initial.shapes(network, (height, width, 3))
    image = jax.ShapeDtypeStruct((batch, height, width, 3), jnp.float32)

    def loss(params, rest, image):
        out, rest = network.apply(
            {"params": params, **rest}, image, train=True, mutable=["batch_stats"]
        )
        return jnp.mean(jax.nn.logsumexp(out, axis=-1) - out[..., 0]), rest

    rest = {"batch_stats": variables["batch_stats"]}
    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    begin = time.perf_counter()
    lowered = step.lower(variables["params"], rest, image)
    peak = compiled.peak_bytes(lowered.compile())
    seconds = time.perf_counter() - begin
    return peak / 2**30, compiled.flops(lowered) / 1e9, seconds


if __name__ == "__main__":
    variant, *sizes = sys.argv[1:] or ["w48", "512", "512", "2"]
    for remat in (True, False):
        peak, flops, seconds = measure(variant, *map(int, sizes), remat)
        print(
            f"hrnet/{variant} {'x'.join(sizes)} remat={remat}: {peak:.2f} GiB, "
            f"{flops:.0f} GFLOPs, compiled in {seconds:.0f} s",
            flush=True,
        )
