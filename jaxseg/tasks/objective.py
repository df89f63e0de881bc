"""What an objective is: what a network is trained for, with predictions or without.

A file in `tasks/` has VERSION, `build(num_outputs, ...)` and `resolve(section, facts)`,
which writes into the section what the data set decides. What it builds is an Objective
alone (SimCLR, reconstruction), or a `task.Task`, which predicts as well.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxseg.core.types import Array, Batch, Logs, Totals, Variables
from jaxseg.data.dataset import Dataset
from jaxseg.metrics import mean_loss


@dataclasses.dataclass(frozen=True)
class Objective:
    """One way to train. Its fields are all that its programs depend on.

    Class names are no field: data sets with as many classes share programs.
    """

    num_outputs: int  # of the first head
    # The name of one part of a training of several: its head is called so.
    part: str | None = dataclasses.field(default=None, kw_only=True)

    name: ClassVar[str]  # by default also that of the head: `heads_<name>`
    fields: ClassVar[
        tuple[str, ...]
    ] = ()  # that an example must have besides its image
    optional: ClassVar[tuple[str, ...]] = ()  # fields used where a data set has them
    label_field: ClassVar[str | None] = (
        None  # what says whether and how large labels are
    )
    views: ClassVar[int] = (
        1  # draws of the augmentation per record, see `data.pipeline`
    )
    # Whether one view is judged on whole images, letterboxed; else as in training.
    letterboxed: ClassVar[bool] = True
    least: ClassVar[int] = 1  # images of a microbatch that its loss says something of
    clean: ClassVar[bool] = False  # whether a batch has the image before color changes
    mixable: ClassVar[bool] = False  # whether its loss takes what `mixing.mixup` adds
    named: ClassVar[str] = "classes"  # the names of a data set that outputs stand for
    headline: ClassVar[str] = mean_loss.NAME  # the metric that judges it
    higher_is_better: ClassVar[bool] = False  # of the headline

    def outputs(self, facts: Dataset) -> int:
        """How many outputs the first head needs for this data set."""
        return facts.num_classes

    @property
    def heads(self) -> dict[str, int]:
        """{name: number of outputs} of all heads; the first has `num_outputs`.

        Another number that the data decide is an option which `resolve` writes.
        """
        return {self.part or self.name: self.num_outputs}

    @property
    def head(self) -> str | tuple[str, ...]:
        """What `Model` is called with: one head gives its output, several give
        {name: output}.
        """
        names = tuple(self.heads)
        return names if len(names) > 1 else names[0]

    def fields_of(self, facts: Dataset) -> tuple[str, ...]:
        """The fields that training reads besides the image."""
        there = [name for name in self.optional if name in facts.fields]
        return (*self.fields, *there)

    def measured(self, source: Any) -> dict[str, Any]:
        """Options measured on the training examples; they go to the manifest."""
        return {}

    def prepare(self, batch: Batch, rng: Array) -> Batch:
        """The batch as the loss needs it (targets, masks), made on device.

        Every value has a leading batch axis: microbatches are cut from it.
        """
        return batch

    def inputs(self, batch: Batch) -> dict[str, Array]:
        """What the backbone takes besides the image, such as the mask of a ViT; with
        the image's leading axes.
        """
        return {}

    def check(self, model: Any) -> None:
        """UserError where a network cannot be trained for this."""

    def apply(
        self, model: Any, variables: Variables, batch: Batch, rng: Array
    ) -> tuple[Any, dict[str, Any]]:
        """Forward pass in training mode: (outputs, updated collections)."""
        options = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": rng}}
        outputs, collections = self._forward(model, variables, batch, options)
        return _unflattened(outputs, batch["image"]), collections

    def predict(
        self, model: Any, variables: Variables, batch: Batch, rng: Array
    ) -> Any:
        """Forward pass in evaluation mode: outputs.

        batch: has at least its `image`. rng: of an objective whose forward pass draws
        something; without need of it, the same weights give the same outputs.
        """
        outputs = self._forward(model, variables, batch, {"train": False})
        return _unflattened(outputs, batch["image"])

    def _forward(
        self, model: Any, variables: Variables, batch: Batch, options: dict[str, Any]
    ) -> Any:
        """Views [B, V, ...] go through the network as B * V images, those of a record
        next to each other.
        """
        image, inputs = batch["image"], self.inputs(batch)
        if image.ndim == 5:
            flat = lambda x: x.reshape(-1, *x.shape[2:])
            image, inputs = flat(image), jax.tree.map(flat, inputs)
        return model.apply(variables, image, head=self.head, **inputs, **options)

    def active(self, batch: Batch) -> tuple[str, ...] | None:
        """Prefixes of the leaves this batch trains; None: all of them. A part trains
        the backbone and its own head.
        """
        if self.part is None:
            return None
        return ("backbone", *(f"heads_{name}" for name in self.heads))

    def totals(self, batch: Batch) -> Totals:
        """What the losses of a batch are divided by; depends on its targets alone.

        In evaluation `valid` bool [B] is False for rows that fill up the last batch:
        they count neither here nor in the loss.
        """
        if "valid" in batch:
            return {"images": jnp.sum(batch["valid"])}
        return {"images": len(batch["image"])}

    def loss(
        self, outputs: Any, batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """(loss, further scalars to log) of a whole batch, or of a part of one.

        outputs: of `apply` or `predict`; of views with leading axes [B, V].
        totals: of the whole batch; None: the batch is whole. Losses and logs are sums
        of terms, each divided by one of the totals, so those of the parts add up to
        those of the whole. A loss over all images together cannot be split: it is
        weighted by the part's share of the images and named in `unsplit`.
        """
        raise NotImplementedError(type(self).__name__)

    def pairs(self, outputs: Any, batch: Batch) -> dict[str, tuple[Array, Array]]:
        """{name: (output, target)} of all images that outputs are held against, pixel
        by pixel; {} where the loss is of another kind.
        """
        return {}

    @property
    def unsplit(self) -> tuple[str, ...]:
        """The losses that each microbatch computes for itself, in words."""
        return ()


def _unflattened(outputs: Any, image: Array) -> Any:
    """Outputs for B * V images as [B, V, ...] where the image has views."""
    if image.ndim != 5:
        return outputs
    return jax.tree.map(lambda x: x.reshape(*image.shape[:2], *x.shape[1:]), outputs)
