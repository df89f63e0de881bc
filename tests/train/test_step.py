import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.tasks import segmentation
from jaxseg.train import state
from tests.train import toy

LR = np.float32(0.1)
FROZEN = [["norm/.*", 0], ["backbone_dense/.*", 0.0]]


def run(start, program, *batches):
    logs = []
    for batch in batches:
        arrays = jax.device_put(batch)
        one = program.compiled(start, arrays, jnp.asarray(LR), key=arrays)
        start, log = one(start, arrays, jnp.asarray(LR))
        logs.append({name: float(value) for name, value in log.items()})
    return start, logs


def leaves(one):
    return {name: np.asarray(leaf) for name, leaf in state.to_flat(one).items()}


def test_accumulated_gradients_are_those_of_the_whole_batch():
    found = {}
    for parts in (1, 2):
        start, program = toy.parts(norm=False, accumulate=parts)
        after, logs = run(jax.device_put(start), program, toy.batch(0))
        found[parts] = leaves(after), logs[0]
    assert found[1][1] == pytest.approx(found[2][1], rel=1e-5)
    for name, leaf in found[1][0].items():
        np.testing.assert_allclose(leaf, found[2][0][name], rtol=1e-4, atol=1e-6)


def test_one_step_against_numpy():
    """Forward, cross entropy and gradient of the toy without its norm, by hand."""
    start, program = toy.parts(norm=False)
    params = start.params
    after, logs = run(jax.device_put(start), program, batch := toy.batch(0))
    x = batch["image"].reshape(-1, 3).astype(float)
    labels = batch["segmentation"].reshape(-1)
    first, second = params["backbone_dense"], params["heads_segmentation"]
    hidden = x @ first["kernel"] + first["bias"]
    active = np.maximum(hidden, 0)
    logits = active @ second["kernel"] + second["bias"]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = -np.log(shares[np.arange(len(x)), labels]).mean()
    assert logs[0]["loss"] == pytest.approx(loss, rel=1e-5)
    d_logits = (shares - np.eye(3)[labels]) / len(x)
    d_hidden = (d_logits @ second["kernel"].T) * (hidden > 0)
    grads = {
        "params:heads_segmentation:kernel": active.T @ d_logits,
        "params:heads_segmentation:bias": d_logits.sum(axis=0),
        "params:backbone_dense:kernel": x.T @ d_hidden,
        "params:backbone_dense:bias": d_hidden.sum(axis=0),
    }
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    assert logs[0]["grad_norm"] == pytest.approx(norm, rel=1e-5)
    before, found = leaves(start), leaves(after)
    for name, gradient in grads.items():
        expected = before[name] - LR * gradient
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-6)


def test_batch_statistics_move_and_frozen_ones_do_not():
    start, program = toy.parts()
    found = leaves(run(jax.device_put(start), program, toy.batch(0))[0])
    x = toy.batch(0)["image"].reshape(-1, 3)
    first = start.params["backbone_dense"]
    mean = (x @ first["kernel"] + first["bias"]).mean(axis=0)
    stats = found["collections:batch_stats:norm:mean"]
    np.testing.assert_allclose(stats, 0.1 * mean, rtol=1e-4, atol=1e-6)

    start, program = toy.parts("adam", lr_multipliers=FROZEN)
    before = leaves(start)
    batches = [toy.batch(i) for i in range(3)]
    after = leaves(run(jax.device_put(start), program, *batches)[0])
    moved = {n for n in before if before[n].tobytes() != after[n].tobytes()}
    assert not [n for n in moved if "norm" in n or "backbone" in n]
    assert "params:heads_segmentation:kernel" in moved


def test_frozen_leaves_are_in_no_norm_and_clip_nothing():
    """As if the head stood alone on fixed features."""
    batch = toy.batch(0)
    start, program = toy.parts(lr_multipliers=FROZEN, clip=0.01)
    start.params["backbone_dense"]["kernel"][:] *= 3
    after, logs = run(jax.device_put(start), program, batch)
    model, labels = toy.Toy(), batch["segmentation"].reshape(-1)
    variables = {"params": start.params, **start.collections}
    logits = model.apply(variables, batch["image"], train=False).reshape(-1, 3)
    errors = (jax.nn.softmax(logits) - np.eye(3)[labels]) / len(labels)
    _, seen = model.apply(
        variables, batch["image"], train=False, capture_intermediates=True
    )
    (features,) = seen["intermediates"]["norm"]["__call__"]
    features = np.maximum(features, 0).reshape(-1, 5)
    grads = {"kernel": features.T @ errors, "bias": errors.sum(axis=0)}
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    assert logs[0]["grad_norm"] == pytest.approx(norm, rel=1e-4) and norm > 0.01
    head = start.params["heads_segmentation"]
    for name, gradient in grads.items():
        expected = head[name] - LR * gradient * 0.01 / norm
        found = after.params["heads_segmentation"][name]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_what_is_frozen_does_not_see_the_rest_of_the_batch():
    """Its loss on a batch is the mean of those on the batch's images alone."""
    start, program = toy.parts(lr_multipliers=FROZEN)
    batch = toy.batch(0, rows=2)
    losses = [
        run(jax.device_put(start), program, part)[1][0]["loss"]
        for part in (
            batch,
            *({k: v[i : i + 1] for k, v in batch.items()} for i in (0, 1)),
        )
    ]
    assert losses[0] == pytest.approx((losses[1] + losses[2]) / 2, rel=1e-5)


def test_what_is_frozen_costs_no_gradient():
    flops = []
    for table in ((), FROZEN):
        start, program = toy.parts(lr_multipliers=table)
        batch = toy.batch(0)
        cost = program.cost(start, batch, jnp.asarray(LR), key=batch)
        flops.append(cost["flops"])
    assert flops[1] < 0.7 * flops[0]


def test_averaged_parameters_have_averaged_statistics():
    """Those of the raw parameters belong to another network."""
    start, program = toy.parts(ema=0.2)
    expected = {"params": start.params, **start.collections}
    one = jax.device_put(start)
    for index, kept in enumerate([2 / 11, 0.2, 0.2]):
        one, _ = run(one, program, toy.batch(index))
        live = {"params": one.params, **one.collections}
        expected = jax.tree.map(
            lambda a, x, k=kept: k * a + (1 - k) * x, expected, live
        )
    found = one.variables()
    assert set(found) == {"params", "batch_stats"}
    chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)
    raw = one.collections["batch_stats"]["norm"]["mean"]
    assert not np.allclose(found["batch_stats"]["norm"]["mean"], raw, rtol=0.01)


def test_the_state_given_is_not_reused_and_rng_stays():
    start, program = toy.parts()
    given = jax.device_put(start)
    after, _ = run(given, program, toy.batch(0), toy.batch(1))
    assert np.array_equal(after.rng, start.rng) and int(after.step) == 2
    assert given.params["backbone_dense"]["kernel"].is_deleted()


class Drawing(segmentation.Segmentation):
    """Logs a number drawn with the key of `prepare`, and that of `apply`."""

    def prepare(self, batch, rng):
        return batch | {"prepared": jax.random.uniform(rng)}

    def apply(self, model, variables, batch, rng):
        outputs, collections = super().apply(model, variables, batch, rng)
        return (outputs, jax.random.uniform(rng)), collections

    def loss(self, outputs, batch, totals=None):
        outputs, applied = outputs
        loss, _ = super().loss(outputs, batch, totals)
        return loss, {"prepared": batch["prepared"], "applied": applied}


def test_randomness_is_a_function_of_seed_and_step():
    start, program = toy.parts(norm=False, task=Drawing(3))
    start = start.replace(step=np.int32(5))  # as after a resume
    _, logs = run(jax.device_put(start), program, toy.batch(0), toy.batch(0))
    for step, log in zip((5, 6), logs):
        key = jax.random.fold_in(jax.random.PRNGKey(0), step)
        drawn = float(jax.random.uniform(key))
        assert log["prepared"] == log["applied"] == drawn
    assert logs[0]["prepared"] != logs[1]["prepared"]
