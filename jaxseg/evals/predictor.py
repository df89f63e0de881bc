"""Images in, predictions out: whole or in windows, at several scales, mirrored too."""

import dataclasses
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxseg.core import compiled, errors, hashing, hosts, images_jnp
from jaxseg.core import images as image_lib
from jaxseg.core.types import Array, Batch, Example, Variables
from jaxseg.data import pipeline, transforms
from jaxseg.data.normalization import Normalize
from jaxseg.evals import maps as map_lib
from jaxseg.evals import protocol
from jaxseg.tasks import build
from jaxseg.tasks import task as tasks


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A network, the task of its head and the protocol by which it sees an image.

    It needs neither labels nor a data set. Equal predictors share compiled programs.

    >>> from jaxseg.models import model as models
    >>> model = {"backbone": {"name": "unet", "variant": "tiny"}}
    >>> model["head"] = {"name": "linear"}
    >>> network, _ = build.network(model, {"name": "segmentation"}, 3)
    >>> variables = models.init(network, (32, 32, 3), seed=0)
    >>> normalize = Normalize(mean=(128.0,), std=(64.0,))
    >>> predict = Predictor(model, {"name": "segmentation"}, 3, (32, 32), normalize)
    >>> predict(variables, [np.zeros((20, 50, 3), np.uint8)])[0].shape
    (20, 50)
    """

    model: dict[str, Any]  # resolved section
    task: dict[str, Any]  # resolved section
    num_outputs: int
    size: protocol.Size  # of the letterbox of an image, or of a window
    normalize: Normalize  # by the mean and std of the images it was trained on
    batch_size: int = 1  # images or windows at once
    put: Callable[[Batch], Batch] = jax.device_put  # NumPy -> arrays on the devices
    how: protocol.Protocol = protocol.WHOLE

    def __post_init__(self):
        built = build.task(self.task, self.num_outputs)
        if not isinstance(built, tasks.Task):
            raise errors.UserError(
                f"task {built.name!r} predicts nothing, it only trains. Fix: use "
                "the features of its backbone, or train a task on them"
            )
        protocol.check(self.how, self._task, "protocol")
        processes = hosts.shard()[1]
        if self._sliding and processes > 1:  # each image is cut on one host
            raise errors.UserError(
                f"mode 'sliding': found {processes} processes, allowed: 1. Fix: mode "
                "'whole' here, and python -m jaxseg.evaluate afterwards, on one process"
            )

    def __call__(self, variables: Variables, images: Sequence[np.ndarray]) -> list:
        """The prediction for each image, in its own pixels.

        images: uint8 or uint16 [H, W, C], of any sizes. A prediction is int32 [H, W]
        classes, float32 [H, W] metres, a label, or a dict of boxes, scores, labels and
        keypoints in pixels (row, column).
        """
        predictions = []
        for views, out, count in self._batches(images):
            answers, _ = self.run(variables, [hosts.own(view) for view in views], out)
            answers = self._task.at_image(
                jax.device_get(hosts.whole(answers)), views[0]
            )
            predictions += self._in_pixels(answers, views[0])[:count]
        return predictions

    def scores(self, variables: Variables, images: Sequence[np.ndarray]) -> list:
        """What is averaged over views of an image and decoded, of each in its own
        pixels: float32 [H, W, K], or [K] of a task that predicts no maps.
        """
        scores = []
        for views, out, count in self._batches(images):
            answers, _ = self._averaged(variables, map(hosts.own, views), out)
            answers = jax.device_get(hosts.whole(answers))
            scores += self._in_pixels(answers, views[0])[:count]
        return scores

    def _batches(
        self, images: Sequence[np.ndarray]
    ) -> Iterator[tuple[list[Batch], protocol.Size | None, int]]:
        """(views, size of maps, number of images) of each batch, the last one filled
        up with its last image.
        """
        step = 1 if self._sliding else self.batch_size
        for begin in range(0, len(images), step):
            group = images[begin : begin + step]
            views = self._views([*group, *[group[-1]] * (step - len(group))])
            out = None
            if self._task.dense:
                sizes = [tuple(size) for size in views[0]["label_size"].tolist()]
                out = pipeline.common_size(sizes, self.size)
            yield views, out, len(group)

    def run(
        self, variables: Variables, views: Sequence[Batch], out: protocol.Size | None
    ) -> tuple[Any, Any]:
        """(predictions, counts) of a batch, on the devices.

        views: the batch at each of the scales: `image` normalized on its canvas
        (`canvases`), `scaled`, `label_size`, and labels if there are any; with sliding
        windows one image as it is. Counts are None where there are no labels.

        out: (height, width) of maps, each in its top left corner resized to its own
        `label_size` before it is decoded; None for tasks without maps. The prediction
        for an image depends neither on `out` nor on its neighbours in the batch.
        """
        if self.how.averages:
            return self._judge(*self._averaged(variables, views, out))
        (view,) = views
        batch = self.put(view)
        outputs = self._outputs(variables, batch)
        return self._judge(outputs, batch, None if self._fills(view, out) else out)

    def _averaged(
        self, variables: Variables, views: Iterable[Batch], out: protocol.Size | None
    ) -> tuple[Any, Batch]:
        """Mean scores over views, and the last batch of them."""
        if self._sliding:
            (batch,) = views
            return self._of_windows(variables, batch, out), batch
        total = None
        for view in views:
            batch = self.put(view)
            for flip in self._flips:
                total = map_lib.added(total, self._scores(variables, batch, flip, out))
        return jax.tree.map(lambda x: x / self._num_views, total), batch

    @property
    def canvases(self) -> list[protocol.Size]:
        """(height, width) of whole images at each of the scales."""
        return [protocol.canvas(self.size, scale) for scale in self.how.scales]

    def _views(self, images: Sequence[np.ndarray]) -> list[Batch]:
        """What `run` takes, of images alone."""
        if self._sliding:
            (image,) = images
            size = np.array([image.shape[:2]], np.int32)
            return [{"image": image[None], "label_size": size}]
        fields = ("image", "scaled", "label_size")
        return [
            pipeline.stack([self._prepared(x, canvas) for x in images], fields)
            for canvas in self.canvases
        ]

    def _prepared(self, image: np.ndarray, canvas: protocol.Size) -> Example:
        size = np.array(image.shape[:2], np.int32)
        letterbox = transforms.Letterbox(*canvas, fill=self.normalize.mean)
        example = letterbox({"image": image}) | {"label_size": size}
        return example | {"image": self.normalize(example["image"])}

    def _in_pixels(self, answers: Any, batch: Batch) -> list:
        """Those of each image of a batch, maps without their padding."""
        sizes = batch["label_size"].tolist()
        rows = [
            jax.tree.map(lambda x, row=row: np.asarray(x[row]), answers)
            for row in range(len(sizes))
        ]
        if not self._task.dense:
            return rows
        return [row[:height, :width] for row, (height, width) in zip(rows, sizes)]

    def _fills(self, batch: Batch, out: protocol.Size | None) -> bool:
        """Whether maps need no resizing: all images are as large as the canvas, also
        those of other processes.
        """
        if out is None or tuple(out) != tuple(self.size):
            return out is None
        real = batch.get("valid", np.ones(len(batch["image"]), bool))
        sizes = (batch["scaled"][real], batch["label_size"][real])
        fills = all((rows == self.size).all() for rows in sizes)
        return all(hosts.every(bool(fills)))

    def _outputs(self, variables: Variables, batch: Batch, flip: bool = False) -> Any:
        """Of the head, for whole images on their canvas."""
        seen = {name: batch[name] for name in ("image", "scaled")[: 1 + flip]}
        network = self._program("network", self.model, flip)
        return network.compiled(variables, seen, key=seen)(variables, seen)

    def _scores(
        self, variables: Variables, batch: Batch, flip: bool, out: protocol.Size | None
    ) -> Array:
        """[B, *out, K] of whole images, at the size of their labels; [B, K] of a task
        that predicts no maps.
        """
        outputs = self._outputs(variables, batch, flip)
        sizes = {} if out is None else _sizes(batch)
        return self._run("scores", outputs, sizes, flip=flip, out=out)

    def _judge(
        self, outputs: Any, batch: Batch, out: protocol.Size | None = None
    ) -> tuple[Any, Any]:
        """(predictions, counts) of outputs or scores.

        The network is a program of its own so that it is compiled once for all `out`;
        decoding and counting are two, since XLA would resize the maps anew for each sum
        of a metric.
        """
        sizes = {} if out is None else _sizes(batch)
        predictions = self._run("decode", outputs, sizes, out=out)
        if (self._task.label_field or "valid") not in batch:
            return predictions, None
        rest = {name: x for name, x in batch.items() if name != "image"}
        return predictions, self._run("count", predictions, rest)

    def _run(self, kind: str, *given: Any, **options: Any) -> Any:
        """The result of a program that knows the task but not the model."""
        return self._program(kind, None, **options).compiled(*given, key=given)(*given)

    def _of_windows(
        self, variables: Variables, batch: Batch, out: protocol.Size
    ) -> Any:
        """float32 [1, *out, K]: mean scores of one image over windows and views."""
        (image,) = batch["image"]
        size, total = image.shape[:2], None
        for scale in self.how.scales:
            scaled = image_lib.resize(image, image_lib.scaled_size(size, scale))
            seen = self.normalize(scaled)
            for flip in self._flips:
                scores = self._mean_of_windows(variables, map_lib.mirrored(seen, flip))
                total = map_lib.added(total, map_lib.enlarged(scores, flip, size))
        after = [(0, 0), *((0, n) for n in np.subtract(out, size)), (0, 0)]
        pad = lambda maps: np.pad(maps[None] / self._num_views, after)
        return jax.tree.map(pad, total)

    def _mean_of_windows(self, variables: Variables, image: np.ndarray) -> Any:
        """float32 [H, W, K] of a normalized image [H, W, C]."""
        shape = tuple(np.maximum(image.shape[:2], self.size).tolist())
        padded = np.zeros((*shape, image.shape[2]), np.float32)  # 0 is the mean
        padded[: image.shape[0], : image.shape[1]] = image
        places = list(self._places(shape))
        total, count = None, np.zeros((*shape, 1), np.float32)
        for begin in range(0, len(places), self.batch_size):
            group = places[begin : begin + self.batch_size]
            windows = np.zeros((self.batch_size, *self.size, image.shape[2]), "f4")
            windows[: len(group)] = [padded[place] for place in group]
            batch = self.put({"image": windows})
            run = self._program("windows", self.model)
            run = run.compiled(variables, batch, key=batch)
            scores = jax.device_get(run(variables, batch))
            if total is None:
                empty = lambda x: np.zeros((*shape, x.shape[-1]), np.float32)
                total = jax.tree.map(empty, scores)
            jax.tree.map(functools.partial(map_lib.add_windows, group), total, scores)
            for place in group:
                count[place] += 1
        rows, columns = image.shape[:2]
        return jax.tree.map(lambda x: (x / count)[:rows, :columns], total)

    def _places(self, shape: protocol.Size) -> Iterator[tuple[slice, slice]]:
        """Of the windows in an image."""
        height, width = self.size
        sides = zip(shape, self.size, strict=True)
        starts = [protocol.starts(*side, self.how.overlap) for side in sides]
        for row, column in itertools.product(*starts):
            yield np.s_[row : row + height, column : column + width]

    @property
    def _sliding(self) -> bool:
        return self.how.mode == "sliding"

    @property
    def _flips(self) -> tuple[bool, ...]:
        return (False, True) if self.how.flip else (False,)

    @property
    def _num_views(self) -> int:
        return len(self.how.scales) * len(self._flips)

    @property
    def _task(self) -> tasks.Task:
        return build.task(self.task, self.num_outputs)

    def _program(
        self,
        kind: str,
        model: dict[str, Any] | None,
        flip: bool = False,
        out: protocol.Size | None = None,
    ) -> compiled.Program:
        """model: None for those that do the same whatever the model, see `_run`."""
        parts = [kind, model, self.task, self.num_outputs, flip, out]
        return _program(hashing.canonical(parts))


@functools.lru_cache(maxsize=256)
def _program(key: str) -> compiled.Program:
    """Shared by all predictors that are equal in what it depends on."""
    kind, model, section, num_outputs, flip, out = json.loads(key)
    task = build.task(section, num_outputs)
    if model is not None:
        model, _ = build.network(model, section, num_outputs)

    def network(variables: Variables, batch: Batch) -> Any:
        if flip:
            image = images_jnp.mirror(batch["image"], batch["scaled"][:, 1])
            batch = batch | {"image": image}
        # One key for all batches: a prediction does not depend on its place in a list.
        return task.predict(model, variables, batch, jax.random.PRNGKey(0))

    def windows(variables: Variables, batch: Batch) -> Array:
        return task.scores(network(variables, batch))

    def resized(outputs: Any, sizes: Batch) -> Any:
        resize = lambda maps: images_jnp.resize_to(maps, **sizes, out=tuple(out))
        return _of_maps(resize, outputs)

    def scores(outputs: Any, sizes: Batch) -> Any:
        if out is None:
            return task.scores(outputs)
        maps, widths = task.scores(resized(outputs, sizes)), sizes["label_size"][:, 1]
        return _of_maps(lambda x: images_jnp.mirror(x, widths), maps) if flip else maps

    def decode(outputs: Any, sizes: Batch) -> Any:
        return task.decode(outputs if out is None else resized(outputs, sizes))

    functions = (network, windows, scores, decode)
    known = {f.__name__: f for f in functions} | {"count": task.update}
    return compiled.Program(known[kind])


def _sizes(batch: Batch) -> Batch:
    """What `images_jnp.resize_to` needs of a batch."""
    return {name: batch[name] for name in ("scaled", "label_size")}


def _of_maps(function: Callable[[Array], Array], outputs: Any) -> Any:
    """The function of every map [B, h, w, K] of what a head returns."""
    return jax.tree.map(lambda x: function(x) if x.ndim == 4 else x, outputs)
