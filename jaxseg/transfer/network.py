"""The network of a training: what decides the shapes of its weights."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any

from jaxseg.core import errors, hashing, trees
from jaxseg.core.types import Variables
from jaxseg.models import initial
from jaxseg.tasks import build


# Cached: a study has many stages and few networks.
@dataclasses.dataclass(frozen=True)
class Network:
    """Equal networks have equal shapes.

    sections: model, task and number of outputs as canonical JSON. image_shape: of
    training crops, [H, W, C].
    """

    sections: str
    image_shape: tuple[int, ...]

    @classmethod
    def of(
        cls,
        model: Mapping[str, Any],
        task: Mapping[str, Any],
        outputs: int,
        image_shape: tuple[int, ...],
    ) -> "Network":
        """Of resolved sections."""
        return cls(hashing.canonical([model, task, outputs]), image_shape)

    @functools.lru_cache(maxsize=256)  # noqa: B019 (a network is a few strings)
    def shapes(self) -> Variables:
        """Shapes of all variables; computes none.

        UserError with what Flax says where sizes that are each allowed do not go
        together.
        """
        section, task, outputs = json.loads(self.sections)
        model, _ = build.network(section, task, outputs)
        try:
            return initial.shapes(model, self.image_shape)
        except errors.UserError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            raise errors.UserError(
                f"model: no network for images {self.image_shape} can be built of "
                f"{section}: {text}"
            ) from error

    @functools.lru_cache(maxsize=256)  # noqa: B019
    def size(self) -> tuple[int, int]:
        """Parameters, and bytes of all variables."""
        tree = self.shapes()
        return trees.num_parameters(tree["params"]), trees.num_bytes(tree)
