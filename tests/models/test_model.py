"""Contract of every backbone and head; padding, cropping, dtypes, bad sections."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors, lookup, trees
from jaxseg.models import initial, model

BACKBONES = lookup.names("jaxseg.models.backbones")
HEADS = {  # small fields for tests; a head without an entry is built by its defaults
    "classifier": {"width": 2},
}
TINY = {"name": "hrnet", "variant": "tiny"}


def build(head="linear", backbone=TINY, outputs=5, **section):
    section |= {"backbone": backbone, "head": {"name": head} | HEADS.get(head, {})}
    return model.build_model(section, head_outputs={"task": outputs})


def random_image(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def loosened(variables):
    """Biases and shifts away from zero, so that no path is shut by symmetry."""
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda x: x + 0.1 * rng.random(x.shape).astype(np.float32), variables
    )


@pytest.mark.parametrize("name", BACKBONES)
def test_backbone_contract(name):
    backbone = lookup.load("jaxseg.models.backbones", name).build("tiny")
    variables = initial.variables(backbone, (64, 96, 3), seed=0)
    assert set(variables) <= {"params", "batch_stats"}
    image = random_image(2, 64, 96, 3)

    @jax.jit
    def run(params, stats):
        features, updated = backbone.apply(
            {"params": params, **stats}, image, train=True, mutable=["batch_stats"]
        )
        return sum(jnp.square(f).sum() for f in features), (features, updated)

    params, stats = loosened(variables["params"]), {"batch_stats": {}}
    stats |= {k: v for k, v in variables.items() if k != "params"}
    gradient, (features, updated) = jax.grad(run, has_aux=True)(params, stats)
    heights = [f.shape[1] for f in features]
    assert heights == sorted(heights)[::-1] and all(64 % h == 0 for h in heights)
    assert all(f.shape[0] == 2 and f.ndim == 4 for f in features)
    assert 32 % backbone.multiple == 0
    for path, leaf in trees.flatten(gradient).items():
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, path
    for path, leaf in trees.flatten(updated).items():
        assert not np.array_equal(leaf, trees.flatten(stats)[path]), path


@pytest.mark.parametrize("name", lookup.names("jaxseg.models.heads"))
def test_head_contract(name):
    built = build(name)
    variables = model.init(built, (64, 96, 3), seed=0)
    image = random_image(2, 64, 96, 3)

    @jax.jit
    def run(head):
        params = variables["params"] | {"heads_task": head}
        output, _ = built.apply(
            {**variables, "params": params}, image, train=True, mutable=["batch_stats"]
        )
        return jnp.square(output - 1).sum(), output

    head = loosened(variables["params"]["heads_task"])
    gradient, output = jax.grad(run, has_aux=True)(head)
    assert output.dtype == jnp.float32
    assert output.shape in {(2, 64, 96, 5), (2, 5)}
    for path, leaf in trees.flatten(gradient).items():
        before_norm = path.endswith("conv/bias")  # BatchNorm takes it out again
        assert before_norm or np.abs(leaf).max() > 0, path


def test_odd_sizes_are_padded_with_zeros_and_cropped():
    built = build()
    variables = model.init(built, (65, 97, 3), seed=0)
    image = random_image(1, 65, 97, 3)
    apply = jax.jit(lambda x: built.apply(variables, x, train=False))
    padded = jnp.pad(image, ((0, 0), (0, 31), (0, 31), (0, 0)))
    assert apply(image).shape == (1, 65, 97, 5)
    np.testing.assert_array_equal(apply(image), apply(padded)[:, :65, :97])

    maps = jax.eval_shape(lambda x: built.apply(variables, x, method="features"), image)
    sizes = [x.shape[1:3] for x in maps]
    assert sizes == [(17, 25), (9, 13), (5, 7), (3, 4)]


def test_bfloat16_computes_narrow_and_keeps_wide():
    built = build(dtype="bfloat16")
    variables = model.init(built, (64, 64, 3), seed=0)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(variables))

    def run(x):
        maps = built.apply(variables, x, method="features")
        return maps, built.apply(variables, x, train=True, mutable=["batch_stats"])

    maps, (logits, updated) = jax.eval_shape(run, random_image(1, 64, 64, 3))
    assert {x.dtype for x in maps} == {jnp.dtype("bfloat16")}
    assert {x.dtype for x in jax.tree.leaves((logits, updated))} == {
        jnp.dtype("float32")
    }


def test_linear_head_is_the_plain_one():
    """Projecting before upsampling equals concatenating first, then projecting."""
    head = lookup.load("jaxseg.models.heads", "linear").build(5)
    maps = tuple(random_image(2, 16 // 2**i, 24 // 2**i, 3 * 2**i) for i in range(4))
    kernel, bias = random_image(45, 5), random_image(5)
    variables = {"params": {"kernel": kernel, "bias": bias}}

    def up(x, height, width):
        return jax.image.resize(x, (2, height, width, x.shape[-1]), "bilinear")

    plain = jnp.concatenate([up(x, 16, 24) for x in maps], -1) @ kernel
    plain = up(plain + bias.reshape(1, 1, 1, -1), 64, 96)
    np.testing.assert_allclose(
        head.apply(variables, maps, (64, 96), train=False), plain, atol=2e-4
    )


def test_several_heads():
    built = model.build_model(
        {"backbone": TINY, "head": {"name": "linear"}}, head_outputs={"a": 3, "b": 4}
    )
    variables = model.init(built, (32, 32, 3), seed=0)
    assert set(variables["params"]) == {"backbone", "heads_a", "heads_b"}
    image = random_image(1, 32, 32, 3)

    def shape(head):
        apply = lambda x: built.apply(variables, x, train=False, head=head)
        return jax.eval_shape(apply, image).shape

    assert shape("b") == (1, 32, 32, 4)
    with pytest.raises(ValueError, match="which head"):
        shape(None)
    with pytest.raises(errors.UserError, match="Known: a, b"):
        shape("c")


@pytest.mark.slow  # compiles two backward passes
def test_remat_changes_neither_paths_nor_gradients():
    image = random_image(2, 32, 32, 3)
    results = []
    for remat in (False, True):
        built = build(backbone=TINY | {"remat": remat})
        variables = model.init(built, (32, 32, 3), seed=0)

        def loss(params, built=built, stats=variables["batch_stats"]):
            output, _ = built.apply(
                {"params": params, "batch_stats": stats},
                image,
                train=True,
                mutable=["batch_stats"],
            )
            return jnp.square(output - 1).mean()

        results.append(trees.flatten(jax.jit(jax.grad(loss))(variables["params"])))
    assert list(results[0]) == list(results[1])
    for path, leaf in results[0].items():
        np.testing.assert_allclose(leaf, results[1][path], rtol=1e-2, atol=1e-4)


def test_equal_models_are_equal_keys():
    assert build() == build() and hash(build()) == hash(build())
    assert build() != build(outputs=6)


@pytest.mark.parametrize(
    "section, message",
    [
        ({"backbone": {"name": "hrnt", "variant": "tiny"}}, "Did you mean 'hrnet'"),
        ({"backbone": {"name": "hrnet", "variant": "w49"}}, "Known: tiny, w18"),
        ({"backbone": TINY | {"fusion": "bilinar"}}, "Did you mean 'bilinear'"),
        ({"head": {"name": "linaer"}}, "Did you mean 'linear'"),
        ({"dtyp": "bfloat16"}, "Did you mean 'dtype'"),
        ({"dtype": "float16"}, "Known: bfloat16, float32"),
    ],
)
def test_bad_sections_are_explained(section, message):
    section = {"backbone": TINY, "head": {"name": "linear"}} | section
    with pytest.raises(errors.UserError, match=message):
        model.build_model(section, head_outputs={"task": 2})


def test_lists_from_json_become_tuples():
    assert build(backbone=TINY | {"stem": [16, 16]}) == build()


def test_every_module_that_owns_parameters_is_named():
    """Linen's automatic names (Conv_0) would make order in the code part of the API."""
    for head in lookup.names("jaxseg.models.heads"):
        for path in trees.flatten(model.init(build(head), (32, 32, 3), seed=0)):
            assert not any(part[0].isupper() for part in path.split("/")), path


def test_model_is_a_linen_module():
    assert isinstance(build(), nn.Module)
