"""Transfer learning for dense prediction in JAX: which start helps, and how much."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["load", "run"]


def load(folder: Any, head: str | None = None) -> Any:
    """The model of an artifact, trained here or imported; UserError if it has none.

    model = jaxseg.load("runs/factors/artifacts/0123456789abcdef0123")
    classes = model(image)  # uint8 [H, W, 3] -> int32 [H, W]
    """
    from jaxseg.transfer import artifact  # `import jaxseg` costs nothing

    return artifact.load(folder, head)


def run(config: Any, workdir: Any, **options: Any) -> Any:
    """Runs the stages of a config that are not done in `workdir`, then the report."""
    from jaxseg.transfer import run as runs

    return runs.run(config, workdir, **options)
