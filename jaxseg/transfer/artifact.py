"""An artifact as a model: load a folder, predict, look inside."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.core import draw, errors, image_files, lookup
from jaxseg.core import manifest as manifests
from jaxseg.core.types import Array, Variables
from jaxseg.data.normalization import Normalize
from jaxseg.evals import predictor as predictors
from jaxseg.models import model as models
from jaxseg.tasks import build, objective
from jaxseg.transfer import stored

ORDERS = {"yxyx": [0, 1, 2, 3], "xyxy": [1, 0, 3, 2]}  # of the corners of boxes


class Artifact:
    """A model trained here or imported. `manifest` says what made it; of a training of
    several parts its task, classes and preprocessing are those of the head.
    """

    def __init__(self, folder: Path | str, head: str | None = None):
        self.folder = Path(folder)
        self.manifest: dict[str, Any] = manifests.read(self.folder)
        while "winner" in self.manifest:  # the winner is the model of a `select` stage
            self.folder = self.folder.parent / self.manifest["winner"][:20]
            self.manifest = manifests.read(self.folder)
        if "model" not in self.manifest:
            kind = self.manifest["kind"]
            raise errors.UserError(
                f"{folder}: a {kind} artifact holds no model. Fix: the artifact of a "
                "train, select or imported stage (python -m jaxseg.artifacts list)"
            )
        heads = self.manifest["heads"]
        if head is not None and head not in heads:
            raise lookup.unknown(head, heads, kind="head", where=str(folder))
        self.head = head or next(iter(heads), None)
        parts = self.manifest.get("parts") or {}
        self.manifest = self.manifest | parts.get(self.head, {})

    def __repr__(self) -> str:
        return f"Artifact({self.manifest['name']}, {self.manifest['key'][:20]})"

    @property
    def variables(self) -> Variables:
        """{"params": tree, "batch_stats": tree}, NumPy; bytes are checked first."""
        return stored.load(self.folder, self.manifest["self"])

    @functools.cached_property
    def model(self) -> models.Model:
        """The network, without its values."""
        outputs = self.manifest["outputs"] or {"none": 1}  # a backbone alone
        return models.build_model(self.model_section, head_outputs=outputs)

    def features(self, batch: Array) -> tuple[Array, ...]:
        """Normalized float [B, H, W, C] -> backbone maps, shallow to deep."""
        return self._apply["features"](self.on_device, _normalized(batch))

    def logits(self, batch: Array) -> Array:
        """Normalized float [B, H, W, C] -> raw output of the head."""
        self._check_head()
        return self._apply["logits"](self.on_device, _normalized(batch))

    def from_maps(self, maps: tuple[Array, ...], size: tuple[int, int]) -> Array:
        """Maps of `features` -> raw output of the head, with gradients by the maps.

        size: (height, width) of the image, multiples of `multiple`. UserError where
        the head reads a class token, which is no map of `features`.
        """
        self._check_head()
        if any(length % self.multiple for length in size):
            raise errors.UserError(
                f"size: found {list(size)}, allowed: multiples of {self.multiple}, for "
                "which `features` cuts nothing. Fix: pad the image"
            )
        if getattr(self.model.backbone, "class_map", False):
            raise errors.UserError(
                f"{self.folder}: its head reads a class token, which is no map of "
                "`features`. Fix: a backbone without class_map"
            )
        return self._apply["from_maps"](self.on_device, maps, tuple(size))

    @property
    def multiple(self) -> int:
        """What height and width of an image are padded to a multiple of."""
        return self.model.backbone.multiple

    def _check_head(self) -> None:
        """UserError unless there is one with known outputs."""
        if self.head not in self.manifest["outputs"]:
            raise errors.UserError(
                f"{self.folder}: holds no trained head with known outputs, only "
                "`features` work. Fix: train one on it (configs/finetune.py)"
            )

    def __call__(
        self, image: Any, *, size: tuple[int, int] | None = None, boxes: str = "yxyx"
    ) -> Any:
        """An image -> prediction of the task in the image's own pixels; a list of
        images -> a list; a batch of one size -> arrays with a batch axis.

        image: a path, an image of Pillow's, or uint8 or uint16 [H, W], [H, W, C] or
        [B, H, W, C]; converted as the files of training are: grey is repeated, alpha
        dropped, 16 bits cut to 8, a photo turned upright. Numbers from 0 to 1 are
        refused.

        Classes int32 [H, W], depth float32 [H, W] in metres, a label, or a dict of
        boxes, scores, labels and keypoints in image pixels (row, column).

        The image is letterboxed to `size` (height, width), which is the resolution of
        training as in evaluation where it is not given. boxes: the order of their
        corners, "yxyx" (row0, column0, row1, column1) or "xyxy"; keypoints stay.
        """
        pictures, batched = self._pictures(image)
        if boxes not in ORDERS:
            raise lookup.unknown(boxes, ORDERS, kind="order", where="boxes")
        predict = self.predictor(batch_size=self._at_once(pictures), **_sized(size))
        answers = predict(self.on_device, pictures)
        if isinstance(answers[0], dict):
            order = ORDERS[boxes]
            answers = [one | {"boxes": one["boxes"][:, order]} for one in answers]
        return _like(image, answers, batched)

    def probabilities(self, image: Any, *, size: tuple[int, int] | None = None) -> Any:
        """An image as in a call -> float32 [H, W, K], in which a pixel's sum is 1, or
        [K] of a classifier; of a binary task K is 2. A list or batch as in a call.
        """
        pictures, batched = self._pictures(image)
        self.objective.probabilities(np.zeros((1, 1, self._num_outputs), np.float32))
        predict = self.predictor(batch_size=self._at_once(pictures), **_sized(size))
        scores = predict.scores(self.on_device, pictures)
        return _like(image, [self.objective.probabilities(s) for s in scores], batched)

    def overlay(self, image: Any, prediction: Any) -> np.ndarray:
        """uint8 [H, W, 3]: the prediction of a call, its boxes "yxyx", drawn on the
        image; objects from a score on, depth in colours with its scale below. A small
        image with objects is enlarged.
        """
        (picture,), _ = self._pictures(image)
        fields = self.objective.as_fields(prediction, picture.shape[:2])
        palette = draw.full_palette(self.manifest["palette"] or (), len(self.classes))
        return draw.labels(picture, fields, palette, self.classes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by number; of an imported model as far as its file has them."""
        return tuple(self.manifest["classes"] or ())

    def _pictures(self, image: Any) -> tuple[list[np.ndarray], bool]:
        """The images of a call, and whether they are several."""
        self.check_predicts()
        batched = isinstance(image, list | tuple) or getattr(image, "ndim", 0) == 4
        if batched and not len(image):
            raise errors.UserError(
                "image: found a batch of none. Fix: give one or more"
            )
        return [self.given(one) for one in (image if batched else [image])], batched

    def check_predicts(self) -> None:
        """UserError where it has no trained head or nobody knows how images were
        normalized.
        """
        if self.preprocessing is None or self.head not in self.manifest["outputs"]:
            raise errors.UserError(
                f"{self.folder}: imported without a head or preprocessing, so it "
                "predicts nothing. Fix: train on it first (configs/finetune.py)"
            )

    def _at_once(self, pictures: list[np.ndarray]) -> int:
        return min(len(pictures), self.batch_size or len(pictures))

    def predictor(self, **changes: Any) -> predictors.Predictor:
        """A predictor with the model, the task and the normalization of its training.
        Of a task of several heads it uses all, whichever of them was loaded.

        changes: other fields of `evals.predictor.Predictor`; `size` and `normalize` are
        needed where `preprocessing` is None.
        """
        return predictors.Predictor(**self.prediction | changes)

    @property
    def prediction(self) -> dict[str, Any]:
        """The fields that `evals.predictor.Predictor` and `evals.loss.LossEvaluator`
        share; without `size` and `normalize` where `preprocessing` is None.
        """
        fields, known = {}, self.preprocessing
        if known is not None:
            statistics = (tuple(known[name]) for name in ("mean", "std"))
            fields = {"size": tuple(known["size"]), "normalize": Normalize(*statistics)}
        return fields | {
            "model": self.model_section,
            "task": self.task_section,
            "num_outputs": self._num_outputs,
        }

    @property
    def objective(self) -> objective.Objective:
        """The task that the head was trained for, or the objective."""
        return build.task(self.task_section, self._num_outputs)

    @property
    def _num_outputs(self) -> int:
        """Of the head, or of the first one where its task has several."""
        heads = build.task(self.task_section, 1).heads
        first = next(iter(heads)) if len(heads) > 1 else self.head
        return self.manifest["outputs"][first]

    def given(self, image: Any) -> np.ndarray:
        """A path, an image of Pillow's or an array as the files of training are read:
        uint8 or uint16 [H, W, C].
        """
        image = image_files.given(image, self._stored_channels)
        if image.dtype == np.uint8 and max(self.preprocessing["mean"]) > 255:
            raise errors.UserError(
                "image: found uint8, allowed is uint16: the model was trained on 16 "
                "bits. Fix: give the values that the files have"
            )
        return image

    @property
    def model_section(self) -> dict[str, Any]:
        """Resolved; of an imported model that of its file."""
        return self.manifest["model"]

    @property
    def task_section(self) -> dict[str, Any] | None:
        """Resolved; None for a backbone without a task."""
        return self.manifest["task"]

    @property
    def data_section(self) -> dict[str, Any]:
        """Of the data its head was trained on; empty for an imported model."""
        parts = self._spec.get("parts") or {}
        return parts.get(self.head, self._spec).get("data") or {}

    @property
    def evaluations(self) -> dict[str, Any]:
        """{name: resolved section} of its evaluations; empty for an imported model."""
        return self._spec.get("evaluations", {})

    @property
    def batch_size(self) -> int | None:
        """That of its training; None for an imported model."""
        return self._spec.get("batch_size")

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """mean and std of pixels, size and channels of images; None: unknown."""
        return self.manifest.get("preprocessing")

    @property
    def _spec(self) -> dict[str, Any]:
        """Of the stage that made it: plain JSON, other fields in each kind."""
        return self.manifest["spec"]

    @property
    def _stored_channels(self) -> int | None:
        """How many the files of training had, where these were not made RGB."""
        options = self.data_section.get("options") or {}
        known = self.preprocessing["channels"]
        return options.get("channels") or (None if known == 3 else known)

    @functools.cached_property
    def on_device(self) -> Variables:
        """The weights on the default device."""
        with jax.ensure_compile_time_eval():  # else a caller's trace would be kept
            return jax.device_put(self.variables)

    @functools.cached_property
    def _apply(self) -> dict[str, Any]:
        model, head = self.model, self.head

        def features(variables: Variables, batch: Array) -> tuple[Array, ...]:
            return model.apply(variables, batch, method="features")

        def logits(variables: Variables, batch: Array) -> Array:
            return model.apply(variables, batch, train=False, head=head)

        def from_maps(
            variables: Variables, maps: tuple[Array, ...], size: tuple[int, int]
        ) -> Array:
            return model.apply(variables, maps, size, head=head, method="from_maps")

        return {
            "features": jax.jit(features),
            "logits": jax.jit(logits),
            "from_maps": jax.jit(from_maps, static_argnums=2),
        }


def _sized(size: tuple[int, int] | None) -> dict[str, Any]:
    """The change of a predictor for a working size; UserError for what is none."""
    if size is None:
        return {}
    if len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size):
        raise errors.UserError(
            f"size: found {size!r}, allowed: (height, width) in pixels"
        )
    return {"size": tuple(size)}


def _like(image: Any, answers: list[Any], batched: bool) -> Any:
    """The answers as the images came: one, a list, or arrays with a batch axis."""
    if not batched:
        return answers[0]
    if isinstance(image, list | tuple):
        return answers
    return jax.tree.map(lambda *x: np.stack(x), *answers)


def _normalized(batch: Array) -> Array:
    """The batch; UserError where it is one image, or pixels as they are in files."""
    if batch.ndim != 4:
        raise errors.UserError(
            f"image: found the shape {list(batch.shape)}, allowed: [B, H, W, C]. Fix: "
            "image[None] for one image"
        )
    if not jnp.issubdtype(batch.dtype, jnp.floating):
        raise errors.UserError(
            f"image: found {batch.dtype}, allowed is float, normalized by the mean and "
            "std of manifest['preprocessing']. Fix: (image - mean) / std"
        )
    return batch


def load(folder: Path | str, head: str | None = None) -> Artifact:
    """Any artifact that holds a model, trained here or imported."""
    return Artifact(folder, head)
