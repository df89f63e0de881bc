"""Models as wholes: padding, cropping, dtypes, heads, bad sections."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors, lookup, trees
from jaxseg.models import initial, model

TINY = {"name": "hrnet", "variant": "tiny"}


def build(head="linear", backbone=TINY, outputs=5, **section):
    section |= {"backbone": backbone, "head": {"name": head}}
    return model.build_model(section, head_outputs={"task": outputs})


def random_image(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


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


def test_equal_models_are_equal_keys():
    assert build() == build() and hash(build()) == hash(build())
    assert build() != build(outputs=6)


@pytest.mark.parametrize(
    "section, message",
    [
        ({"backbone": {"name": "hrnt", "variant": "tiny"}}, "Did you mean 'hrnet'"),
        ({"backbone": {"name": "hrnet", "variant": "w49"}}, "Known: small, tiny, w18"),
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
        for path in trees.flatten(initial.shapes(build(head), (64, 64, 3))):
            assert not any(part[0].isupper() for part in path.split("/")), path


def test_model_is_a_linen_module():
    assert isinstance(build(), nn.Module)


HEADS = {"a": {"name": "linear"}, "b": {"name": "centernet"}}


def test_heads_of_their_own_in_one_pass():
    """The output of each is that of the head alone; a dict is cropped like an array."""
    section = {"backbone": TINY, "heads": HEADS}
    built = model.build_model(section, head_outputs={"a": 3, "b": 4})
    variables = model.init(built, (64, 64, 3), seed=0)
    assert set(variables["params"]) == {"backbone", "heads_a", "heads_b"}
    image = random_image(1, 65, 97, 3)

    @jax.jit
    def apply(x):
        one = lambda head: built.apply(variables, x, train=False, head=head)
        return one(("a", "b")), {"a": one("a"), "b": one("b")}

    both, alone = apply(image)
    assert both["a"].shape == (1, 65, 97, 3)
    assert {name: x.shape for name, x in both["b"].items()} == {
        "heat": (1, 17, 25, 4),
        "offset": (1, 17, 25, 2),
        "size": (1, 17, 25, 2),
    }
    jax.tree.map(np.testing.assert_array_equal, both, alone)


@pytest.mark.parametrize(
    "section, message",
    [
        ({"heads": {"a": HEADS["a"]}}, "found a; the task asks for a, b"),
        ({"heads": HEADS | {"c": HEADS["a"]}}, "found a, b, c; the task asks for a, b"),
    ],
)
def test_heads_are_those_that_are_asked_for(section, message):
    with pytest.raises(errors.UserError, match=message):
        model.build_model({"backbone": TINY} | section, head_outputs={"a": 3, "b": 4})


def test_sections_of_heads_are_bound_by_name():
    bound = model.bind_model({"backbone": TINY, "heads": HEADS}, where="x")
    assert set(bound) == {"backbone", "heads", "dtype"}
    alone = model.bind_model({"backbone": TINY, "head": HEADS["b"]}, where="x")
    assert set(alone) == {"backbone", "head", "dtype"}
    assert (
        bound["heads"]["b"] == alone["head"] and bound["backbone"] == alone["backbone"]
    )
    assert model.section_of(alone, "heads_any") == alone["head"]
    with pytest.raises(errors.UserError, match=r"x/heads: found .* and head as well"):
        model.bind_model({"backbone": TINY, "heads": HEADS} | {"head": {}}, where="x")
    with pytest.raises(
        errors.UserError, match=r"x/heads: found \{\}; allowed: \{name: sec"
    ):
        model.bind_model({"backbone": TINY, "heads": {}}, where="x")
    with pytest.raises(errors.UserError, match=r"x/heads/a: .*'name'"):
        model.bind_model({"backbone": TINY, "heads": {"a": {}}}, where="x")
