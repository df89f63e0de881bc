"""The loss of a label map as a weighted sum of parts, chosen by name."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxseg.core import errors, lookup
from jaxseg.losses import classification as xent
from jaxseg.losses import reduce, segmentation

PARTS = ("cross_entropy", "focal", "dice", "lovasz")


@dataclasses.dataclass(frozen=True)
class Combined:
    """Parts with their weights, and the options that shape them.

    binary: one logit per pixel, sigmoid in place of softmax, of foreground 1.

    Values of the parts of a batch add up to that of the batch, except `unsplit`: Dice
    over the batch, Lovasz and the choice of hard pixels look at all pixels at once, so
    each part of a batch has its own, weighted by its share of the images.

    >>> loss = Combined((("cross_entropy", 1.0), ("dice", 0.5)))
    >>> labels = jnp.array([[[0, 1], [1, 255]]])
    >>> total, parts = loss(jnp.zeros((1, 2, 2, 2)), labels, valid=labels != 255)
    >>> round(float(total), 3), sorted(parts)
    (0.884, ['cross_entropy_loss', 'dice_loss'])
    """

    parts: tuple[tuple[str, float], ...] = (("cross_entropy", 1.0),)
    binary: bool = False
    class_weights: tuple[float, ...] | None = None  # of cross entropy and focal
    label_smoothing: float = 0.0  # of cross entropy
    focal_gamma: float = 2.0
    dice_epsilon: float = 1.0
    dice_per_image: bool = False
    ohem: float | None = None  # only pixels whose true class has less probability
    ohem_keep: int = 4096  # but at least that many of a batch

    def __post_init__(self) -> None:
        names = [name for name, _ in self.parts]
        for name in names:
            if name not in PARTS:
                raise lookup.unknown(name, PARTS, kind="part of task/losses")
        rules = {
            "losses": bool(names) and all(weight > 0 for _, weight in self.parts),
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "focal_gamma": self.focal_gamma >= 0,
            "dice_epsilon": self.dice_epsilon >= 0,
            "ohem": self.ohem is None or 0 < self.ohem <= 1,
            "ohem_keep": self.ohem_keep >= 0,
        }
        allowed = "one or more parts with weights above 0; smoothing in [0, 1), ohem in"
        allowed += " (0, 1], the others 0 or more"
        for field, holds in rules.items():
            if not holds:
                given = dict(self.parts) if field == "losses" else getattr(self, field)
                raise errors.UserError(
                    f"task/{field}: found {given}, allowed: {allowed}"
                )
        if self.binary and self.label_smoothing:
            raise errors.UserError(
                f"task: found binary with label_smoothing {self.label_smoothing}; "
                "smoothing spreads over classes and a binary task has one output. Fix: "
                "drop one of them."
            )

    def __call__(
        self,
        logits: Float[Array, "b *s k"],
        labels: Int[Array, " b *s"],
        valid: Bool[Array, " b *s"],
        totals: Mapping[str, reduce.Total] | None = None,
        rows: Bool[Array, " b"] | None = None,
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """(weighted sum, {part: value before weighting}); 0 without a valid pixel.

        totals: of the batch that these images are a part of; None: they are all.
        rows: False for images that only fill up a batch; None: there are none.
        """
        totals = self.totals(labels, valid, rows) if totals is None else totals
        share = _images(labels, rows) / jnp.maximum(totals["images"], 1)
        targets = (labels, valid, totals, share)
        values = {
            f"{name}_loss": getattr(self, f"_{name}")(logits, *targets)
            for name, _ in self.parts
        }
        weights = [weight for _, weight in self.parts]
        total = sum(w * x for w, x in zip(weights, values.values(), strict=True))
        return total, values

    def totals(
        self,
        labels: Int[Array, " b *s"],
        valid: Bool[Array, " b *s"],
        rows: Bool[Array, " b"] | None = None,
    ) -> dict[str, reduce.Total]:
        """{"images", "known": those with a valid pixel, "pixels": all valid ones,
        "weights": the sum over them}.
        """
        known = jnp.any(valid, axis=tuple(range(1, valid.ndim)))
        counts = {"images": _images(labels, rows), "known": jnp.sum(known)}
        counts["pixels"] = jnp.sum(valid)
        if self.class_weights is None:
            return counts
        weights = jnp.asarray(self.class_weights, jnp.float32)
        return counts | {"weights": segmentation.weight_total(labels, valid, weights)}

    @property
    def unsplit(self) -> tuple[str, ...]:
        """What parts of a batch cannot add up to, in words."""
        names = {name for name, _ in self.parts}
        there = {
            "Dice over the batch": "dice" in names and not self.dice_per_image,
            "Lovasz": "lovasz" in names,
            "hard pixels": self.ohem is not None and names & {"cross_entropy", "focal"},
        }
        return tuple(name for name, holds in there.items() if holds)

    @property
    def pixelwise(self) -> bool:
        """Whether values of any parts of the pixels, given the totals, add up."""
        return self.ohem is None and not {n for n, _ in self.parts} & {"dice", "lovasz"}

    def _cross_entropy(
        self, logits: Array, labels: Array, valid: Array, totals: Mapping, share: Array
    ) -> Array:
        """Torch's mean: with class weights it is over their sum, not over pixels."""
        valid, totals, share = self._hard(logits, labels, valid, totals, share)
        weights = self._weights(logits)
        if self.binary:
            losses = segmentation.binary_xent(logits[..., 0], labels, valid)
            if weights is not None:
                losses = losses * weights[jnp.where(valid, labels, 0)]
        elif self.label_smoothing:
            smoothing = self.label_smoothing
            losses = segmentation.smoothed_xent(
                logits, labels, valid, smoothing, weights
            )
        elif weights is not None:
            losses = segmentation.weighted_xent(logits, labels, valid, weights)
        else:
            losses = xent.softmax_xent(logits, labels, valid)
        total = totals["pixels" if weights is None else "weights"]
        return share * reduce.over(losses, total)

    def _focal(
        self, logits: Array, labels: Array, valid: Array, totals: Mapping, share: Array
    ) -> Array:
        valid, totals, share = self._hard(logits, labels, valid, totals, share)
        weights = self._weights(logits)
        if not self.binary:
            alpha = 1.0 if weights is None else weights
            losses = segmentation.focal(logits, labels, valid, self.focal_gamma, alpha)
        else:
            losses = segmentation.binary_focal(
                logits[..., 0], labels, valid, self.focal_gamma, alpha=-1.0
            )
            if weights is not None:
                losses = losses * weights[jnp.where(valid, labels, 0)]
        return share * reduce.over(losses, totals["pixels"])

    def _dice(
        self, logits: Array, labels: Array, valid: Array, totals: Mapping, share: Array
    ) -> Array:
        probabilities, labels = self._probabilities(logits, labels)
        losses = segmentation.soft_dice(
            probabilities, labels, valid, self.dice_per_image, self.dice_epsilon
        )
        if self.dice_per_image:
            return reduce.over(losses, totals["known"] * losses.shape[-1])
        return share * jnp.mean(losses)

    def _lovasz(
        self, logits: Array, labels: Array, valid: Array, totals: Mapping, share: Array
    ) -> Array:
        probabilities, labels = self._probabilities(logits, labels)
        flat = probabilities.reshape(-1, probabilities.shape[-1])
        values, present = segmentation.lovasz_softmax(
            flat, labels.reshape(-1), valid.reshape(-1)
        )
        return share * reduce.masked_mean(values, present)

    def _probabilities(self, logits: Array, labels: Array) -> tuple[Array, Array]:
        """[..., K] and class ids; of a binary task the foreground alone, as class 0."""
        if self.binary:
            return jax.nn.sigmoid(logits), 1 - labels
        return jax.nn.softmax(logits, axis=-1), labels

    def _hard(
        self, logits: Array, labels: Array, valid: Array, totals: Mapping, share: Array
    ) -> tuple[Array, Mapping, float | Array]:
        """The valid pixels that count in cross entropy and focal loss, their totals.

        Last the factor on a mean over those: how many pixels of a whole batch are hard
        is not known from its labels, so a part of it has its own totals, and `share`,
        its share of the images.
        """
        if self.ohem is None:
            return valid, totals, 1.0
        if self.binary:
            losses = segmentation.binary_xent(logits[..., 0], labels, valid)
        else:
            losses = xent.softmax_xent(logits, labels, valid)
        losses = jax.lax.stop_gradient(losses)
        hard = segmentation.ohem_mask(losses, valid, self.ohem, self.ohem_keep)
        return hard, self.totals(labels, hard), share

    def _weights(self, logits: Array) -> Array | None:
        if self.class_weights is None:
            return None
        return jnp.asarray(self.class_weights, logits.dtype)


def _images(labels: Array, rows: Array | None) -> reduce.Total:
    """How many of the images count."""
    return len(labels) if rows is None else jnp.sum(rows)
