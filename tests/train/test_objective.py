"""An objective with two heads and pairs of views, through a step and microbatches."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.tasks import objective
from jaxseg.train import optim, programs, state
from tests.train import toy

ROWS = 4
HEADS = {"embedding": 2, "colors": 3}


class Heads(nn.Module):
    """A backbone that takes a mask, and a linear head for each name."""

    @nn.compact
    def __call__(self, image, *, train, head, mask):
        x = nn.Dense(5, name="backbone")(image.mean((1, 2)) * mask[:, None])
        made = {n: nn.Dense(k, name=f"heads_{n}")(x) for n, k in HEADS.items()}
        return {name: made[name] for name in head}


@dataclasses.dataclass(frozen=True)
class Pairs(objective.Objective):
    """Views of a record have like embeddings; colors are those of the clean image."""

    name = "pairs"
    views = 2
    clean = True

    @property
    def heads(self):
        return HEADS

    def prepare(self, batch, rng):
        shape = batch["image"].shape[:2]
        return batch | {"mask": jax.random.uniform(rng, shape)}

    def inputs(self, batch):
        return {"mask": batch["mask"]}

    def loss(self, outputs, batch, totals=None):
        count = (totals or self.totals(batch))["images"]
        first, second = jnp.moveaxis(outputs["embedding"], 1, 0)
        apart = jnp.square(first - second).sum() / count
        wanted = batch["clean"].mean((2, 3))
        colors = jnp.square(outputs["colors"] - wanted).sum() / count
        return apart + colors, {"apart": apart, "colors": colors}


TASK = Pairs(2)


def views(rows=ROWS, index=0):
    rng = np.random.default_rng([11, index])
    shape = (rows, 2, *toy.SIZE, 3)
    names = ("image", "clean")
    return {name: rng.normal(size=shape).astype(np.float32) for name in names}


def start(rate):
    """(state in NumPy, options of the step)."""
    rng, model = np.random.default_rng(0), Heads()
    given = dict(train=False, head=tuple(HEADS), mask=jnp.ones(1))
    init = lambda: model.init(jax.random.key(0), jnp.zeros((1, *toy.SIZE, 3)), **given)
    draw = lambda leaf: rng.normal(size=leaf.shape).astype(np.float32)
    params = jax.tree.map(draw, jax.eval_shape(init)["params"])
    tx = optim.build("sgd")
    one = state.create({"params": params}, tx, seed=0, ema=False)
    return jax.tree.map(np.array, one), {"model": model, "task": TASK, "tx": tx}


def stepped(batch, **options):
    """(parameters before, after, logs) of a step."""
    one, given = start(0.1)
    program, arrays = programs.of_step(**given | options), jax.device_put(batch)
    put, rate = jax.device_put(one), jnp.float32(0.1)
    after, logs = program.compiled(put, arrays, rate, key=arrays)(put, arrays, rate)
    logs = {name: float(value) for name, value in logs.items()}
    return one.params, jax.device_get(after.params), logs


def by_hand(params, batch, rng):
    """(apart, colors) of the whole batch in float64."""
    mask = np.asarray(jax.random.uniform(rng, batch["image"].shape[:2]), float)
    dense = lambda x, p: x @ p["kernel"].astype(float) + p["bias"]
    x = batch["image"].mean((2, 3), dtype=float) * mask[..., None]
    x = dense(x, params["backbone"])
    embedding, colors = (dense(x, params[f"heads_{name}"]) for name in HEADS)
    apart = np.square(embedding[:, 0] - embedding[:, 1]).sum() / len(mask)
    wanted = batch["clean"].mean((2, 3), dtype=float)
    return apart, np.square(colors - wanted).sum() / len(mask)


def test_one_step_moves_both_heads_by_the_loss_of_pairs():
    batch = views()
    before, after, logs = stepped(batch)
    rng = jax.random.fold_in(jax.random.PRNGKey(0), 0)
    apart, colors = by_hand(before, batch, rng)
    assert logs["apart"] == pytest.approx(apart, rel=1e-5)
    assert logs["colors"] == pytest.approx(colors, rel=1e-5)
    assert logs["loss"] == pytest.approx(apart + colors, rel=1e-5)
    for name in ("backbone", *(f"heads_{head}" for head in HEADS)):
        assert not np.array_equal(before[name]["kernel"], after[name]["kernel"]), name


@pytest.mark.parametrize("parts", [2, 4])
def test_a_microbatch_keeps_the_views_of_a_record_together(parts):
    """The loss compares views: microbatches that mixed records would change it."""
    batch = views()
    _, whole, logs = stepped(batch)
    _, split, others = stepped(batch, accumulate=parts)
    assert others == pytest.approx(logs, rel=1e-5)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, whole, split)
    mixed = batch | {"image": batch["image"][:, ::-1][np.roll(np.arange(ROWS), 1)]}
    assert stepped(mixed)[2]["apart"] != pytest.approx(logs["apart"], rel=1e-3)


def test_several_heads_are_called_by_a_tuple_and_one_by_its_name():
    assert TASK.head == ("embedding", "colors")
    assert toy.TASK.head == "segmentation" and toy.TASK.heads == {"segmentation": 3}
