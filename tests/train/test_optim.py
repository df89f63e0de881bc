import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors, trees
from jaxseg.models import freezing, stacking
from jaxseg.train import optim, state

RATES = (0.1, 0.05, 0.2)
PATHS = ("backbone/bias", "backbone/kernel", "heads_x/kernel")
SHAPES = dict(zip(PATHS, [(3,), (2, 3), (3, 2)]))


def draw(seed):
    """{path: float32 array} of a small tree."""
    rng = np.random.default_rng(seed)
    return {p: rng.normal(size=SHAPES[p]).astype(np.float32) for p in PATHS}


def trained(section, steps, **options):
    """States after 0, 1, ... steps, as flat NumPy dicts."""
    tx = optim.build(**section)
    start = {"params": trees.unflatten(draw(0))}
    ema = options.pop("ema", None)
    one = state.create(start, tx, seed=0, ema=ema is not None)

    scales = optim.leaf_scales(start["params"], options.pop("lr_multipliers", ()))
    assert not options

    @jax.jit
    def update(one, grads, lr):
        one = optim.update(one, grads, lr, tx, scales)
        return one if ema is None else one.averaged(ema)

    states = [one]
    for index in range(steps):
        grads = trees.unflatten(draw(index + 1))
        one = update(one, grads, jnp.float32(RATES[index]))
        states.append(one)
    return states


def values(one):
    return {path: np.asarray(leaf) for path, leaf in trees.flatten(one.params).items()}


def torch_sgd(steps, momentum=0.9, nesterov=False, weight_decay=0.0):
    """torch.optim.SGD, written from its documentation, in float64."""
    params = {k: v.astype(float) for k, v in draw(0).items()}
    buffers = {}
    for index in range(steps):
        for path, g in draw(index + 1).items():
            g = g + weight_decay * params[path]
            b = g if index == 0 else momentum * buffers[path] + g
            buffers[path] = b
            d = g + momentum * b if nesterov else b
            params[path] = params[path] - RATES[index] * d
    return params


def torch_adam(steps, weight_decay=0.0, decoupled=False, b1=0.9, b2=0.999, eps=1e-8):
    """torch.optim.Adam and AdamW, written from their documentation, in float64."""
    params = {k: v.astype(float) for k, v in draw(0).items()}
    m = dict.fromkeys(PATHS, 0.0)
    v = dict.fromkeys(PATHS, 0.0)
    for index in range(steps):
        lr = RATES[index]
        for path, g in draw(index + 1).items():
            if decoupled:
                params[path] = params[path] - lr * weight_decay * params[path]
            else:
                g = g + weight_decay * params[path]
            m[path] = b1 * m[path] + (1 - b1) * g
            v[path] = b2 * v[path] + (1 - b2) * g * g
            m_hat = m[path] / (1 - b1 ** (index + 1))
            v_hat = v[path] / (1 - b2 ** (index + 1))
            params[path] = params[path] - lr * m_hat / (np.sqrt(v_hat) + eps)
    return params


def torch_rmsprop(steps, alpha=0.99, momentum=0.0, eps=1e-8, weight_decay=0.0):
    """torch.optim.RMSprop, written from its documentation, in float64."""
    params = {k: v.astype(float) for k, v in draw(0).items()}
    v, buffers = dict.fromkeys(PATHS, 0.0), dict.fromkeys(PATHS, 0.0)
    for index in range(steps):
        for path, g in draw(index + 1).items():
            g = g + weight_decay * params[path]
            v[path] = alpha * v[path] + (1 - alpha) * g * g
            buffers[path] = momentum * buffers[path] + g / (np.sqrt(v[path]) + eps)
            params[path] = params[path] - RATES[index] * buffers[path]
    return params


CASES = {
    "sgd": (dict(name="sgd"), torch_sgd, {}),
    "plain": (dict(name="sgd", momentum=0.0), torch_sgd, dict(momentum=0.0)),
    "nesterov": (
        dict(name="sgd", nesterov=True, weight_decay=0.1),
        torch_sgd,
        dict(nesterov=True, weight_decay=0.1),
    ),
    "sgd_decay": (
        dict(name="sgd", weight_decay=0.1),
        torch_sgd,
        dict(weight_decay=0.1),
    ),
    "adam": (dict(name="adam"), torch_adam, {}),
    "adam_decay": (
        dict(name="adam", weight_decay=0.1, eps=1e-3),
        torch_adam,
        dict(weight_decay=0.1, eps=1e-3),
    ),
    "adamw": (
        dict(name="adamw", weight_decay=0.1, b1=0.8, b2=0.99),
        torch_adam,
        dict(weight_decay=0.1, decoupled=True, b1=0.8, b2=0.99),
    ),
    "rmsprop": (dict(name="rmsprop"), torch_rmsprop, {}),
    "chairs": (  # of its FCN-ResNets, with a larger decay
        dict(name="rmsprop", momentum=0.9, weight_decay=0.1, eps=1e-3),
        torch_rmsprop,
        dict(momentum=0.9, weight_decay=0.1, eps=1e-3),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_equals_torchs_formulas(case):
    section, reference, options = CASES[case]
    states = trained(section, 3)
    for steps in (1, 3):
        expected = reference(steps, **options)
        found = values(states[steps])
        chex.assert_trees_all_close(found, expected, rtol=2e-5, atol=1e-6)
        assert int(states[steps].step) == steps


def test_steps_of_rmsprop_by_hand():
    """g = 2, then 0: v = 0.04, 2 / (0.2 + 0.05) = 8; then momentum alone, 0.5 * 8."""
    tx = optim.build("rmsprop", momentum=0.5, eps=0.05)
    params = {"w": jnp.zeros(1)}
    first, memory = tx.update({"w": jnp.array([2.0])}, tx.init(params), params)
    second, _ = tx.update({"w": jnp.array([0.0])}, memory, params)
    found = np.concatenate([first["w"], second["w"]])
    np.testing.assert_allclose(found, [8.0, 4.0], rtol=1e-6)


def test_decay_multipliers():
    table = [[".*/bias", 0.0], ["heads_x/.*", 2.0]]
    section = dict(name="sgd", momentum=0.0, weight_decay=0.1, decay_multipliers=table)
    found = values(trained(section, 1)[1])
    start, grads = draw(0), draw(1)
    for path, factor in zip(PATHS, (0.0, 1.0, 2.0)):
        expected = start[path] - 0.1 * (grads[path] + 0.1 * factor * start[path])
        np.testing.assert_allclose(found[path], expected, rtol=1e-6)


def test_decay_multipliers_must_match_something():
    section = dict(name="sgd", weight_decay=0.1, decay_multipliers=[["head/.*", 0.0]])
    with pytest.raises(errors.UserError, match=r"optimizer/decay_multipliers"):
        trained(section, 1)


def test_clipping_scales_the_whole_gradient_and_only_a_large_one():
    norm = np.sqrt(sum((g**2).sum() for g in draw(1).values()))
    for clip, factor in ((norm / 4, 0.25), (norm * 2, 1.0)):
        section = dict(name="sgd", momentum=0.0, clip=float(clip))
        found = values(trained(section, 1)[1])
        for path in PATHS:
            expected = draw(0)[path] - 0.1 * factor * draw(1)[path]
            np.testing.assert_allclose(found[path], expected, rtol=1e-5, atol=1e-6)


def test_clipping_comes_before_decay():
    section = dict(name="sgd", momentum=0.0, clip=1e-9, weight_decay=0.5)
    found = values(trained(section, 1)[1])
    expected = {path: 0.95 * leaf for path, leaf in draw(0).items()}
    chex.assert_trees_all_close(found, expected, rtol=1e-5)


def test_multipliers_scale_the_rate():
    section = dict(name="sgd", momentum=0.0, weight_decay=0.1)
    table = [["backbone/bias", 0.5], ["backbone/.*", 0.1]]
    plain = values(trained(section, 1)[1])
    found = values(trained(section, 1, lr_multipliers=table)[1])
    for path, factor in zip(PATHS, (0.5, 0.1, 1.0)):
        start = draw(0)[path]
        moved = factor * (plain[path] - start)
        np.testing.assert_allclose(found[path] - start, moved, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_frozen_leaves_do_not_move_by_a_bit(name):
    section = dict(name=name, weight_decay=0.1)
    states = trained(section, 3, lr_multipliers=[["backbone/.*", 0]], ema=0.9)
    first, last = state.to_flat(states[0]), state.to_flat(states[-1])
    moved = {
        path
        for path in first
        if np.asarray(first[path]).tobytes() != np.asarray(last[path]).tobytes()
    }
    counted = ("ema_steps:",)  # of the steps in an average, not of a leaf
    assert not [p for p in moved if "backbone" in p and not p.startswith(counted)]
    average = "ema:params:heads_x:kernel"
    assert {"params:heads_x:kernel", average, "step"} <= moved
    assert [path for path in moved if path.startswith("opt_state")]


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_leaves_that_are_not_active_rest_with_their_momentum(name):
    """Momentum of earlier steps, and decay, would move them otherwise."""
    tx = optim.build(name, weight_decay=0.1)
    one = state.create({"params": trees.unflatten(draw(0))}, tx, seed=0, ema=False)
    rest = optim.leaf_scales(one.params, (), active=("heads_x",))
    lr, every = jnp.float32(0.1), optim.leaf_scales(one.params, ())
    one = optim.update(one, trees.unflatten(draw(1)), lr, tx, every)
    two = optim.update(one, trees.unflatten(draw(2)), lr, tx, rest)
    before, after = state.to_flat(one), state.to_flat(two)
    for path, leaf in before.items():
        same = np.asarray(leaf).tobytes() == np.asarray(after[path]).tobytes()
        if "backbone" in path:
            assert same, path
        elif "heads_x" in path:
            assert not same, path


def test_active_prefixes_end_at_borders():
    params = {"heads_a": {"w": 0.0}, "heads_ab": {"w": 0.0}, "backbone": {"w": 0.0}}
    scales = optim.leaf_scales(params, [["backbone/.*", 0.1]], ("heads_a", "backbone"))
    assert scales == {
        "heads_a": {"w": 1.0},
        "heads_ab": {"w": 0.0},
        "backbone": {"w": 0.1},
    }


def test_the_running_mean_by_hand():
    states = trained(dict(name="sgd", momentum=0.0), 3, ema=0.75)
    expected = {path: leaf.astype(float) for path, leaf in draw(0).items()}
    for one, kept in zip(states[1:], (2 / 11, 3 / 12, 4 / 13)):  # of 0.75 at last
        for path, leaf in values(one).items():
            expected[path] = kept * expected[path] + (1 - kept) * leaf
    found = trees.flatten(states[-1].ema["params"])
    chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)
    kept = states[-1].variables()["params"]
    np.testing.assert_array_equal(kept["heads_x"]["kernel"], found["heads_x/kernel"])


def test_the_running_mean_of_what_stands_still_is_that_bit_for_bit():
    """0.6 a + 0.4 a is not always a: a frozen backbone would leave its source."""
    params = {"w": np.random.default_rng(0).normal(size=1000).astype(np.float32)}
    tx = optim.build("sgd")
    one = state.create({"params": params}, tx, seed=0, ema=True)
    lr = jnp.float32(0.1)
    update = jax.jit(lambda s, g: optim.update(s, g, lr, tx, {"w": 1.0}).averaged(0.6))
    for _ in range(3):
        one = update(one, {"w": np.zeros(1000, np.float32)})
    assert np.asarray(one.ema["params"]["w"]).tobytes() == params["w"].tobytes()


def test_multipliers_that_match_nothing_are_refused():
    params = trees.unflatten(draw(0))
    with pytest.raises(errors.UserError, match=r"lr_multipliers: pattern 'heads/\.\*'"):
        optim.leaf_scales(params, [["heads/.*", 0.0]])


def test_sections():
    bound = optim.bind({"name": "adam"}, where="x")
    assert bound == {
        "name": "adam",
        "weight_decay": 0.0,
        "decay_multipliers": (),
        "clip": None,
        "b1": 0.9,
        "b2": 0.999,
        "eps": 1e-8,
    }
    with pytest.raises(errors.UserError, match=r"unknown optimizer 'adm'.*mean 'adam"):
        optim.bind({"name": "adm"}, where="x")
    with pytest.raises(errors.UserError, match=r"x: unknown key 'momentum'"):
        optim.bind({"name": "adam", "momentum": 0.9}, where="x")
    with pytest.raises(errors.UserError, match="unknown schedule 'polly'"):
        optim.bind_schedule({"name": "polly"}, where="x")
    assert "steps" not in optim.bind_schedule({"name": "poly"}, where="x")


def curve(name, steps, **options):
    at = optim.schedule(name, steps=steps, **options)
    return [at(index) for index in range(steps)]


def test_constant():
    assert curve("constant", 3) == [1.0, 1.0, 1.0]


def test_cosine():
    found = curve("cosine", 4)
    half = np.sqrt(0.5) / 2
    np.testing.assert_allclose(found, [1.0, 0.5 + half, 0.5, 0.5 - half], rtol=1e-12)
    found = curve("cosine", 4, final=0.2)
    np.testing.assert_allclose(found[2], 0.6, rtol=1e-12)


def test_poly():
    np.testing.assert_allclose(curve("poly", 4, power=2.0), [1, 9 / 16, 1 / 4, 1 / 16])
    assert curve("poly", 10)[9] == pytest.approx(0.1**0.9)


def test_step():
    assert curve("step", 8) == [1] * 4 + [0.1] * 2 + [pytest.approx(0.01)] * 2
    assert curve("step", 4, at=[0.25], factor=0.5) == [1, 0.5, 0.5, 0.5]


def test_warm_up():
    found = curve("poly", 6, power=1.0, warmup_steps=2)
    assert found == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    assert curve("constant", 2, warmup_steps=2) == [0.5, 1.0]


def test_warm_up_longer_than_the_run_is_refused():
    with pytest.raises(errors.UserError, match="found 7, allowed: 0 to steps=6"):
        optim.schedule("poly", steps=6, warmup_steps=7)
    with pytest.raises(errors.UserError, match="found -1"):
        optim.schedule("poly", steps=6, warmup_steps=-1)


def test_factors_of_stacked_leaves_are_those_of_their_parts():
    """Patterns name each; one that fits some of a loop's modules cuts the loop."""
    leaf = np.ones(2, np.float32)
    params = {"backbone": {f"block{i}": {"bias": leaf} for i in range(4)}}
    known = [("backbone", tuple(params["backbone"]))]
    pairs = [["backbone/block[01]/.*", 0.0]]
    loops = optim.loops(known, params, pairs, ())
    stacked = stacking.stack({"params": params}, loops)["params"]
    scales = optim.leaf_scales(stacked, pairs)
    assert trees.flatten(scales) == {
        "backbone/block0..1/bias": 0.0,
        "backbone/block2..3/bias": 1.0,
    }
    assert "backbone/block1" in freezing.modules(scales)
