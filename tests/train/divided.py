"""Three steps of training on meshes of eight devices; run by test_divided.

python -m tests.train.divided FILE writes {"DATAxFSDP": what was seen}.
"""

import json
import re
import sys
from pathlib import Path

import jax
import numpy as np

from jaxseg.models import initial
from jaxseg.tasks import build
from jaxseg.train import mesh, optim, programs, state
from tests.train import toy

BACKBONE = {"name": "vit", "variant": "tiny", "depth": 1, "width": 64, "image_size": 32}
HEAD = {"name": "fcn"}  # has batch statistics and dropout
MESHES = ((1, 1), (4, 1), (2, 2), (1, 4))
BYTES = {"f32": 4, "s32": 4, "u32": 4, "pred": 1}
COLLECTIVE = re.compile(
    r" = (\(.*?\)|\S+) (all-gather|all-reduce|reduce-scatter|all-to-all|"
    r"collective-permute|collective-broadcast)(?:-start)?\("
)


def batch():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(8, 32, 32, 3)).astype(np.float32)
    labels = rng.integers(0, 4, (8, 32, 32), dtype=np.int32)
    return {"image": image, "segmentation": labels}


def collectives(text):
    """{kind: bytes of what its operations return on one device} of a program."""
    found = {}
    for shapes, kind in COLLECTIVE.findall(text):
        for dtype, lengths in re.findall(r"(\w+)\[([\d,]*)\]", shapes):
            count = np.prod([int(n) for n in lengths.split(",") if n], dtype=int)
            found[kind] = found.get(kind, 0) + BYTES[dtype] * int(count)
    return found


def num_bytes(tree):
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def on_one(tree):
    """Bytes that the first device has of a tree."""
    leaves = jax.tree.leaves(tree)
    return sum(leaf.addressable_shards[0].data.nbytes for leaf in leaves)


def trained(data, fsdp):
    """What three steps on data x fsdp devices give, and what the compiler says."""
    model, task = build.network(
        {"backbone": BACKBONE, "head": HEAD}, {"name": "segmentation"}, 4
    )
    tx = optim.build("adamw", weight_decay=0.1, clip=1.0)
    variables = jax.device_get(initial.variables(model, (32, 32, 3), 0))
    start = jax.tree.map(np.array, state.create(variables, tx, seed=0, ema=True))
    devices = toy.on(data * fsdp, fsdp)
    one = mesh.put_state(start, devices)
    program = programs.of_step(model=model, task=task, tx=tx, ema=0.9, mesh=devices)
    arrays, lr = mesh.put_batch(batch(), devices), np.float32(0.01)
    run = program.compiled(one, arrays, lr, key=arrays)
    memory, held, losses = run.memory_analysis(), on_one(one), []
    for _ in range(3):
        one, logs = run(one, arrays, lr)
        losses.append(float(logs["loss"]))
    assert mesh.described(devices).startswith(f"{data * fsdp} x cpu")
    return {
        "losses": losses,
        "norm": float(logs["grad_norm"]),
        "held": [held, on_one(one)],
        "arguments": memory.argument_size_in_bytes - on_one(arrays),
        "results": memory.output_size_in_bytes,
        "collectives": collectives(run.as_text()),
        "parameters": num_bytes(variables["params"]),
        "statistics": num_bytes(variables.get("batch_stats", {})),
        "batch": num_bytes(arrays),
    }


def main(path):
    found = {f"{data}x{fsdp}": trained(data, fsdp) for data, fsdp in MESHES}
    Path(path).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
