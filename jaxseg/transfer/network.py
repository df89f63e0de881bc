"""The network of a training: what decides the shapes of its weights."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any

import jax

from jaxseg.core import errors, flops, hashing, memo, trees
from jaxseg.core.types import Variables
from jaxseg.data import dataset
from jaxseg.models import model as models
from jaxseg.models import shapes
from jaxseg.tasks import build


# Cached: a study has many stages and few networks.
@dataclasses.dataclass(frozen=True)
class Network:
    """Equal networks have equal shapes.

    sections: the model's and {head: outputs} as canonical JSON. image_shape: of
    training crops, [H, W, C].
    """

    sections: str
    image_shape: tuple[int, ...]

    @classmethod
    def of(
        cls,
        model: Mapping[str, Any],
        heads: Mapping[str, int],
        image_shape: tuple[int, ...],
    ) -> "Network":
        """Of a resolved section, with heads of so many outputs."""
        return cls(hashing.canonical([model, heads]), image_shape)

    @functools.lru_cache(maxsize=256)  # noqa: B019 (a network is a few strings)
    def shapes(self) -> Variables:
        """Shapes of all variables; computes none. Equal backbones and heads are one
        object, so that a plan of thousands of stages compares them at no cost.

        UserError with what Flax says where sizes that are each allowed do not go
        together.
        """
        made = self._shapes()
        return {
            kind: {name: _one(tree) for name, tree in parts.items()}
            for kind, parts in made.items()
        }

    @memo.on_disk
    def _shapes(self) -> Variables:
        section, heads = json.loads(self.sections)
        model = models.build_model(section, head_outputs=heads)
        try:
            return shapes.variables(model, self.image_shape)
        except errors.UserError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            raise errors.UserError(
                f"model: no network for images {self.image_shape} can be built of "
                f"{section}: {text}"
            ) from error

    @functools.lru_cache(maxsize=256)  # noqa: B019
    @memo.on_disk
    def flops(self, heads: tuple[str, ...], image_shape: tuple[int, ...]) -> int:
        """Of a training step of these heads on one image: an estimate, for what is
        frozen counts as well.
        """
        section, outputs = json.loads(self.sections)
        model = models.build_model(section, head_outputs=outputs)
        return flops.TRAINING * shapes.forward_flops(model, heads, image_shape)

    @functools.lru_cache(maxsize=256)  # noqa: B019
    @memo.on_disk
    def check(
        self, task: str, outputs: int, fields: tuple[str, ...], points: int
    ) -> None:
        """UserError where the task cannot compute its loss from what its head returns.

        task: its section as canonical JSON. fields: of the data, that the task reads;
        points: keypoints of an object.
        """
        section, heads = json.loads(self.sections)
        model = models.build_model(section, head_outputs=heads)
        objective = build.task(json.loads(task), outputs)
        objective.check(model)
        views = (objective.views,) if objective.views > 1 else ()
        output = shapes.outputs(model, self.image_shape)
        output = output if len(objective.heads) > 1 else output[objective.head]
        output = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((1, *views, *x.shape[1:]), x.dtype), output
        )
        height, width, _ = self.image_shape
        sizes = dict(height=height, width=width, objects=2, points=points)
        sizes["classes"] = outputs
        arrays = {name: dataset.shape(name, **sizes) for name in fields}
        images = ("image", "clean") if objective.clean else ("image",)
        arrays |= dict.fromkeys(images, (self.image_shape, "float32"))
        seen = {name: views if name in dataset.PIXEL_FIELDS else () for name in arrays}
        batch = {
            name: jax.ShapeDtypeStruct((1, *seen[name], *shape), kind)
            for name, (shape, kind) in arrays.items()
        }

        def loss(output: Any, batch: Any) -> Any:
            batch = objective.prepare(batch, jax.random.key(0))
            return objective.loss(output, batch)[0]

        try:
            jax.eval_shape(loss, output, batch)
        except errors.UserError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            names = [head["name"] for head in models.head_sections(section)]
            raise errors.UserError(
                f"model/head: found {', '.join(names)}; task {objective.name!r} cannot "
                f"use what it returns ({text}). Fix: a head for "
                "this task, such as those of configs/common.py"
            ) from error

    @functools.lru_cache(maxsize=256)  # noqa: B019
    def size(self) -> tuple[int, int]:
        """Parameters, and bytes of all variables."""
        tree = self.shapes()
        return trees.num_parameters(tree["params"]), trees.num_bytes(tree)


@memo.by_content
def _one(tree: Any) -> Any:
    """The first of all trees of this content."""
    return tree
