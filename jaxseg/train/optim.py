"""Optimizers and schedules by name; freezing and learning rates by path pattern.

The learning rate is an input of the step, not a part of the optimizer, so that runs
which differ only in it, or in their number of steps, share one compiled program.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import jax
import optax

from jaxseg.core import binding, errors, lookup, rules, trees
from jaxseg.core.types import Array
from jaxseg.models import stacking
from jaxseg.train import state as states

Pairs = Sequence[Sequence[Any]]  # [[pattern, number], ...], first match wins
Momentum = Annotated[float, rules.BELOW_1]
NotNegative = Annotated[float, rules.at_least(0)]
Positive = Annotated[float, rules.ABOVE_0]
Share = Annotated[float, rules.SHARE]
DECAY = "optimizer/decay_multipliers"


def sgd(
    momentum: Momentum = 0.9, nesterov: bool = False
) -> optax.GradientTransformation:
    """Stochastic gradient descent; torch's momentum, decay added to the gradient."""
    return optax.trace(decay=momentum, nesterov=nesterov)


def adam(
    b1: Momentum = 0.9, b2: Momentum = 0.999, eps: Positive = 1e-8
) -> optax.GradientTransformation:
    """Adam; decay, if any, is added to the gradient, as in torch."""
    return optax.scale_by_adam(b1=b1, b2=b2, eps=eps)


def adamw(
    b1: Momentum = 0.9, b2: Momentum = 0.999, eps: Positive = 1e-8
) -> optax.GradientTransformation:
    """Adam with decoupled decay: lr * decay * parameter, as in torch."""
    return optax.scale_by_adam(b1=b1, b2=b2, eps=eps)


def rmsprop(
    alpha: Momentum = 0.99, momentum: Momentum = 0.0, eps: Positive = 1e-8
) -> optax.GradientTransformation:
    """RMSprop as in torch: v = alpha v + (1 - alpha) g^2 from v = 0, then
    b = momentum b + g / (sqrt(v) + eps); decay, if any, is added to the gradient.

    optax.rmsprop differs: alpha is 0.9, eps is within the root, and the momentum adds
    up steps that hold their rates already.
    """
    return optax.chain(
        optax.scale_by_rms(decay=alpha, eps=eps, eps_in_sqrt=False),
        optax.trace(decay=momentum),
    )


OPTIMIZERS = {"sgd": sgd, "adam": adam, "adamw": adamw, "rmsprop": rmsprop}


def build(
    name: str,
    *,
    weight_decay: NotNegative = 0.0,
    decay_multipliers: Pairs = (),
    clip: Positive | None = None,
    **options: Any,
) -> optax.GradientTransformation:
    """An optax transformation: gradients -> direction, without the learning rate.

    Backbone and heads have each a state of their own (`Apart`). clip: the largest
    global norm of the gradient of all; the first thing that is applied.
    decay_multipliers: [pattern, factor] pairs on parameter paths. By default all
    parameters decay, biases and scales as well, as in torch.
    """
    core = _apart(lookup.pick(OPTIMIZERS, name, kind="optimizer")(**options))
    decay = _decay(weight_decay, decay_multipliers) if weight_decay else None
    parts = [optax.clip_by_global_norm(clip)] if clip else []
    if decay is None:
        parts += [core]
    else:
        parts += [core, decay] if name == "adamw" else [decay, core]
    return optax.chain(*parts)


def bind(section: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """An `optimizer` section with all defaults written in."""
    name = binding.name_of(section, where)
    rule = lookup.pick(OPTIMIZERS, name, kind="optimizer")
    return binding.bind(build, rule, section=section, where=where, named=True)


def update(
    state: states.TrainState,
    grads: Any,
    lr: Array,
    tx: optax.GradientTransformation,
    scales: Any,
) -> states.TrainState:
    """The state after one step against `grads`, times the `scales` of `leaf_scales`.

    Leaves of scale 0 keep their value and their optimizer state; momentum and decay
    would change them. A backbone or head of such leaves alone counts no step either.
    """
    directions, opt_state = tx.update(grads, state.opt_state, state.params)
    params = jax.tree.map(
        lambda p, d, m: p - lr * m * d if m else p, state.params, directions, scales
    )
    opt_state = _keep_still(opt_state, state.opt_state, scales)
    return state.replace(step=state.step + 1, params=params, opt_state=opt_state)


def leaf_scales(
    params: Any, lr_multipliers: Pairs, active: Sequence[str] | None = None
) -> Any:
    """The factor on the learning rate of each leaf, as a tree like `params`.

    0 freezes a leaf; leaves outside the prefixes in `active` get 0.
    """
    values = _of_leaves(lr_multipliers, params, what="lr_multipliers")
    if active is not None:
        values = {
            path: value if trees.under_any(active, path) else 0.0
            for path, value in values.items()
        }
    return trees.unflatten(values)


def hold(params: Any, scales: Any) -> Any:
    """`params` whose leaves of scale 0 have no gradient: none is computed, and the norm
    and `clip` do not count it.
    """
    return jax.tree.map(
        lambda p, m: p if m else jax.lax.stop_gradient(p), params, scales
    )


class Apart(NamedTuple):
    """{backbone or head: its optimizer state}. Adam divides by 1 - b ** count: by the
    steps of the others, those of a head that few batches train would be too long.
    """

    states: dict[str, Any]


def _apart(core: optax.GradientTransformation) -> optax.GradientTransformation:
    """`core` for each top-level subtree of the parameters on its own."""

    def init(params: Any) -> Apart:
        return Apart({top: core.init(tree) for top, tree in params.items()})

    def update(updates: Any, state: Apart, params: Any) -> tuple[Any, Apart]:
        both = {
            top: core.update(tree, state.states[top], params[top])
            for top, tree in updates.items()
        }
        states = {top: own for top, (_, own) in both.items()}
        return {top: direction for top, (direction, _) in both.items()}, Apart(states)

    return optax.GradientTransformation(init, update)


def _keep_still(new: Any, old: Any, scales: Any) -> Any:
    """The new state; of leaves of scale 0 the old one."""

    def keep(new: Any, old: Any) -> Any:
        if not isinstance(new, Apart):
            return new
        states = {
            top: _kept(own, old.states[top], scales[top])
            for top, own in new.states.items()
        }
        return Apart(states)

    return jax.tree.map(keep, new, old, is_leaf=lambda node: isinstance(node, Apart))


def _kept(new: Any, old: Any, scales: Any) -> Any:
    """As `_keep_still`, of one backbone or head."""
    every, like = jax.tree.leaves(scales), jax.tree.structure(scales)
    if all(every) or not any(every):
        return new if all(every) else old

    def is_params(node: Any) -> bool:
        return jax.tree.structure(node) == like

    def keep(new: Any, old: Any) -> Any:
        if not is_params(new):
            return new
        return jax.tree.map(lambda n, o, m: n if m else o, new, old, scales)

    return jax.tree.map(keep, new, old, is_leaf=is_params)


def decay_factors(params: Any, decay_multipliers: Pairs) -> Any:
    """The factor on the weight decay of each leaf, as a tree like `params`."""
    return trees.unflatten(_of_leaves(decay_multipliers, params, what=DECAY))


def _of_leaves(multipliers: Pairs, params: Any, *, what: str) -> dict[str, Any]:
    """{path: factor}, 1 where no pattern matches. A stacked leaf has that of its first
    part: `loops` has made sure that all are equal.
    """
    names = {path: stacking.paths(path) for path in trees.flatten(params)}
    every = [name for several in names.values() for name in several]
    values = trees.first_match(multipliers, every, 1.0, what=what)
    return {path: values[several[0]] for path, several in names.items()}


def loops(
    known: Sequence[stacking.Loop],
    params: Any,
    lr_multipliers: Pairs,
    decay_multipliers: Pairs,
) -> list[stacking.Loop]:
    """Those of a model, cut into modules whose leaves have the same factors."""
    pairs = {"lr_multipliers": lr_multipliers, DECAY: decay_multipliers}
    tables = [_of_leaves(own, params, what=what) for what, own in pairs.items()]
    factors = {path: tuple(t[path] for t in tables) for path in trees.flatten(params)}
    return stacking.cut(known, factors)


def _decay(weight_decay: float, multipliers: Pairs) -> optax.GradientTransformation:
    def add(updates: Any, state: Any, params: Any) -> tuple[Any, Any]:
        tree = decay_factors(params, multipliers)
        decay = jax.tree.map(
            lambda u, p, f: u + weight_decay * f * p if f else u, updates, params, tree
        )
        return decay, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), add)


def constant() -> Callable[[float], float]:
    """1 at every step."""
    return lambda done: 1.0


def cosine(final: Share = 0.0) -> Callable[[float], float]:
    """From 1 to `final` along half a cosine."""
    return lambda done: final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))


def poly(power: NotNegative = 0.9) -> Callable[[float], float]:
    """(1 - step / steps) ** power (factors A.2, for SUIM and KITTI)."""
    return lambda done: (1 - done) ** power


def step(
    at: Annotated[Sequence[float], rules.SHARE] = (0.5, 0.75), factor: Share = 0.1
) -> Callable[[float], float]:
    """Multiplied by `factor` at each of these shares of the run (factors A.2)."""
    return lambda done: factor ** sum(done >= point for point in at)


SCHEDULES = {"constant": constant, "cosine": cosine, "poly": poly, "step": step}


def schedule(
    name: str, *, steps: int, warmup_steps: int = 0, **options: Any
) -> Callable[[int], float]:
    """A function of the step, 0 to steps - 1, that returns a factor on the rate.

    warmup_steps: linear from 1 / warmup_steps to 1; the schedule has the other steps.

    >>> factor = schedule("poly", steps=6, warmup_steps=2, power=1.0)
    >>> [factor(step) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if not 0 <= warmup_steps <= steps:
        raise errors.UserError(
            f"schedule/warmup_steps: found {warmup_steps}, allowed: 0 to steps={steps}"
        )
    curve = lookup.pick(SCHEDULES, name, kind="schedule")(**options)

    def at(index: int) -> float:
        if index < warmup_steps:
            return (index + 1) / warmup_steps
        return curve((index - warmup_steps) / max(steps - warmup_steps, 1))

    return at


def bind_schedule(section: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """A `schedule` section with all defaults written in."""
    curve = lookup.pick(SCHEDULES, binding.name_of(section, where), kind="schedule")
    return binding.bind(
        schedule, curve, section=section, where=where, given={"steps": 1}, named=True
    )
