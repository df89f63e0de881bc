import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.core import compiled


def test_one_program_for_each_shape_and_type():
    program = compiled.Program(lambda x: x @ x.T)
    ran = {}
    for name, x in {
        "a": jnp.ones((2, 3)),
        "same": jnp.zeros((2, 3)),
        "shape": jnp.ones((3, 2)),
        "type": jnp.ones((2, 3), jnp.int32),
    }.items():
        ran[name] = program.compiled(x, key=x)
        np.testing.assert_array_equal(ran[name](x), x @ x.T)
    assert ran["a"] is ran["same"]
    assert len({id(run) for run in ran.values()}) == 3


def test_seconds_are_those_of_compiling():
    program = compiled.Program(lambda x: x + 1)
    assert program.seconds == 0.0
    x = jnp.ones(3)
    program.compiled(x, key=x)
    spent = program.seconds
    program.compiled(x, key=x)
    assert program.seconds == spent > 0.0


def test_cost_by_hand():
    x = jnp.ones((8, 16), jnp.float32)
    program = compiled.Program(lambda x: x @ x.T)
    found = program.cost(x, key=x)
    assert found["flops"] == 2 * 8 * 8 * 16
    assert found["bytes"] >= 4 * (8 * 16 + 8 * 8)


def test_a_loop_is_counted_as_often_as_it_runs():
    def loop(x):
        return jax.lax.scan(lambda c, y: (c + (y @ x[0].T).sum(), None), 0.0, x)[0]

    x = jnp.ones((4, 8, 16), jnp.float32)
    assert compiled.Program(loop).cost(x, key=x)["flops"] == 4 * 2 * 8 * 8 * 16
