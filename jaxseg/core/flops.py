"""Floating-point operations of a traced program: nothing is compiled or computed."""

import math
from typing import Any

from jax.extend import core

TRAINING = 3  # times the forward pass: the gradients by values and by weights as well


def count(jaxpr: core.Jaxpr) -> int:
    """Of all convolutions and matrix products, a multiply-add as two; what else there
    is, such as normalization, is a few per cent. Of branches the most expensive counts.
    """
    return sum(_of(equation) for equation in jaxpr.eqns)


def _of(equation: core.JaxprEqn) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[params["dimension_numbers"].rhs_spec[0]]
        spread = math.prod(params["lhs_dilation"])  # by zeros, of a stride's gradient
        products = _size(equation.outvars[0]) * math.prod(kernel) // outputs
        return 2 * products // spread
    if name == "dot_general":
        ((contracted, _), _) = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return 2 * _size(equation.outvars[0]) * math.prod(shape[i] for i in contracted)
    inner = [count(one) for value in params.values() for one in _jaxprs(value)]
    if name == "cond":
        return max(inner)
    return params.get("length", 1) * sum(inner) if name == "scan" else sum(inner)


def _size(variable: core.Var) -> int:
    return math.prod(variable.aval.shape)


def _jaxprs(value: Any) -> list[core.Jaxpr]:
    """Those in a parameter of an equation."""
    if isinstance(value, core.ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, core.Jaxpr):
        return [value]
    if isinstance(value, (tuple, list)):
        return [one for some in value for one in _jaxprs(some)]
    return []
