"""A leaf's first value depends on the seed and on its own path, on nothing else."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.core import trees
from jaxseg.models import initial, model

BACKBONE = {"name": "hrnet", "variant": "tiny"}
SHAPE = (64, 64, 3)


def fresh(head, seed=0, **outputs):
    built = model.build_model(
        {"backbone": BACKBONE, "head": head}, head_outputs=outputs
    )
    return trees.flatten(model.init(built, SHAPE, seed))


def test_backbone_starts_alike_whatever_head_stands_beside_it():
    one = fresh({"name": "linear"}, segmentation=5)
    two = fresh({"name": "classifier", "width": 2}, classification=3)
    shared = {path for path in one if "/backbone/" in path}
    assert shared == {path for path in two if "/backbone/" in path}
    for path in shared:
        np.testing.assert_array_equal(one[path], two[path], err_msg=path)


def test_seed_and_path_decide():
    head = {"name": "linear"}
    one, same, other = (fresh(head, seed, a=5, b=5) for seed in (0, 0, 1))
    for path, leaf in one.items():
        np.testing.assert_array_equal(leaf, same[path])
        assert np.array_equal(leaf, other[path]) != path.endswith("kernel"), path
    assert not np.array_equal(
        one["params/heads_a/kernel"], one["params/heads_b/kernel"]
    )


def test_laws():
    leaves = fresh({"name": "linear"}, segmentation=40)
    kernel = leaves["params/backbone/stage4_module0/branch3/block0/conv1/conv/kernel"]
    assert abs(np.std(kernel) / np.sqrt(2 / (9 * 64)) - 1) < 0.02
    assert abs(np.std(leaves["params/heads_segmentation/kernel"]) / 0.01 - 1) < 0.05
    constants = {"scale": 1, "var": 1, "bias": 0, "mean": 0}
    for path, leaf in leaves.items():
        assert leaf.dtype == jnp.float32
        if (name := path.rsplit("/", 1)[1]) in constants:
            assert np.all(leaf == constants[name]), path


def test_linen_itself_draws_from_the_same_law():
    """`module.init` stays usable: its leaves are boxed with the law, apply unboxes."""
    module = nn.Dense(400, kernel_init=initial.he_fan_out)
    variables = module.init(jax.random.key(0), jnp.ones((1, 50)))
    kernel = variables["params"]["kernel"]
    assert abs(np.std(kernel.value) / kernel.deviation - 1) < 0.02
    assert module.apply(variables, jnp.ones((1, 50))).shape == (1, 400)


def test_no_leaf_shares_memory_between_calls():
    """Buffers are donated by train steps: a cached constant must not be handed out."""
    one, two = fresh({"name": "linear"}, a=5), fresh({"name": "linear"}, a=5)
    scale = "params/backbone/stem/conv1/norm/scale"
    assert one[scale] is not two[scale]
    one[scale].delete()
    assert np.all(fresh({"name": "linear"}, a=5)[scale] == 1)
