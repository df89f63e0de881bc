"""Functions compiled ahead of time, one program for each shapes, and their cost."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import jax

from jaxseg.core import flops, garbage, user_cache


class Program:
    """A jitted function. `compiled` gives the executable for arguments like these.

    `seconds` is the time spent in compilation so far.
    """

    def __init__(self, function: Callable[..., Any], **options: Any):
        self._jit = jax.jit(function, **options)
        self._executables: dict[Any, jax.stages.Compiled] = {}
        self._flops: dict[Any, int] = {}
        self.seconds = 0.0

    def compiled(self, *arguments: Any, key: Any) -> jax.stages.Compiled:
        """The executable for `arguments`; `key` is the part whose shapes may vary.

        The sharding of the arrays of `key` counts too: two meshes give two programs,
        and so do variables in another tree, such as stacked ones.
        """
        name = _name(arguments, key)
        if name not in self._executables:
            start = time.perf_counter()
            with garbage.uncollected():
                traced = self._jit.trace(*arguments)
                lowered = traced.lower()
            self._flops[name] = flops.count(traced.jaxpr.jaxpr)
            self._executables[name] = lowered.compile()
            self.seconds += time.perf_counter() - start
        return self._executables[name]

    def cost(self, *arguments: Any, key: Any) -> dict[str, int | None]:
        """{flops, bytes} of one call. flops: by `flops.count`, of all devices and the
        whole batch; bytes: the peak on one device, None where that is not known.
        """
        peak = peak_bytes(self.compiled(*arguments, key=key))
        return {"flops": self._flops[_name(arguments, key)], "bytes": peak}


def peak_bytes(executable: jax.stages.Compiled) -> int | None:
    """Peak bytes on one device, arguments and results included; None if not known."""
    memory = executable.memory_analysis()
    if memory is None:
        return None
    peak = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    return peak + memory.output_size_in_bytes - memory.alias_size_in_bytes


def use_cache() -> None:
    """Keeps compiled programs on disk for later processes, below `user_cache.folder`,
    unless the user has already set a folder for JAX.
    """
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(user_cache.folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        # `user_cache.check` warns once; JAX would warn for every program.
        warnings.filterwarnings("ignore", "Error (read|writ)ing persistent compilation")


def _name(arguments: Any, key: Any) -> Any:
    kinds = (
        (x.shape, x.dtype, getattr(x, "sharding", None)) for x in jax.tree.leaves(key)
    )
    return (jax.tree.structure((arguments, key)), *kinds)
