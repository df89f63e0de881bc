"""Transfer learning for dense prediction in JAX: which start helps, and how much."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxseg.transfer.artifact import Artifact

__version__ = "0.1.0"
__all__ = ["load", "run"]


def load(folder: Path | str, head: str | None = None) -> "Artifact":
    """The model of an artifact, trained here or imported; UserError if it has none.

    model = jaxseg.load("runs/factors/artifacts/0123456789abcdef0123")
    classes = model(image)  # uint8 [H, W, 3] -> int32 [H, W]

    model.features(batch) and model.logits(batch) take normalized float images
    [B, H, W, C]; model.predictor(...) predicts in windows, scales and mirror images;
    model.manifest says what made it.
    """
    from jaxseg.transfer import artifact  # `import jaxseg` costs nothing

    return artifact.load(folder, head)


def run(config: Any, workdir: Any, **options: Any) -> Any:
    """Runs the stages of a config that are not done in `workdir`, then the report."""
    from jaxseg.transfer import run as runs

    return runs.run(config, workdir, **options)
