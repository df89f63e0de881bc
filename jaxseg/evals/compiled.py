"""Functions compiled ahead of time: one program per shapes, with what it costs."""

import time
from collections.abc import Callable
from typing import Any

import jax


class Program:
    """A jitted function. `compiled` gives the executable for arguments like these.

    `seconds` is the time spent compiling so far, so that a stage can tell compilation
    from work.
    """

    def __init__(self, function: Callable[..., Any], **options: Any):
        self._jit = jax.jit(function, **options)
        self._executables: dict[Any, jax.stages.Compiled] = {}
        self.seconds = 0.0

    def compiled(self, *arguments: Any, key: Any) -> jax.stages.Compiled:
        """Executable for `arguments`; `key` is the part whose shapes may vary.

        Where the arrays of `key` lie counts too: two meshes are two programs.
        """
        leaves, structure = jax.tree.flatten(key)
        kinds = ((x.shape, x.dtype, getattr(x, "sharding", None)) for x in leaves)
        name = (structure, *kinds)
        if name not in self._executables:
            start = time.perf_counter()
            self._executables[name] = self._jit.lower(*arguments).compile()
            self.seconds += time.perf_counter() - start
        return self._executables[name]


def cost(executable: jax.stages.Compiled) -> dict[str, float | None]:
    """FLOPs and peak bytes of one call as the compiler counts them; None if untold."""
    counted = executable.cost_analysis() or {}
    memory = executable.memory_analysis()
    flops = counted.get("flops")
    peak = None
    if memory is not None:
        peak = memory.argument_size_in_bytes + memory.temp_size_in_bytes
        peak += memory.output_size_in_bytes - memory.alias_size_in_bytes
    return {"flops": flops, "bytes": peak}
