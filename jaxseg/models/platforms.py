"""Operations that take another form on some platforms."""

from collections.abc import Callable
from typing import Any

import jax

# Part of what JAX knows a traced function by: a form chosen in a plan stays there.
_PLANNING = jax.make_user_context(default_value=False)


def planning() -> Any:
    """Context: of each operation the form of TPUs alone is traced.

    There is less to trace, and the FLOPs are those of the hours that a plan prints.
    """
    return _PLANNING(True)


def planned() -> bool:
    """Whether a plan traces the function."""
    return _PLANNING.value


def dependent(
    *inputs: Any, default: Callable[..., Any], **forms: Callable[..., Any]
) -> Any:
    """`jax.lax.platform_dependent`: the form of the platform that a program is for."""
    if planned():
        return forms.get("tpu", default)(*inputs)
    return jax.lax.platform_dependent(*inputs, default=default, **forms)
