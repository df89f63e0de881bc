"""Boxes and keypoints to CenterNet's maps and back (arXiv:1904.07850; factors paper,
A.3 and A.4), pure and on the device.

Boxes are row0, col0, row1, col1 and points row, column, in [0, 1] of the canvas; cells
are those of the map [h, w], whose cell i covers [i, i + 1): no half cell is added.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxseg.losses import detection
from jaxseg.models import ops

Boxes = Float[Array, "b n 4"]
Labels = Int[Array, "b n"]
Shape = tuple[int, int]


def gaussian_radius(
    height: Float[Array, "*b"], width: Float[Array, "*b"], min_overlap: float = 0.7
) -> Float[Array, "*b"]:
    """Radius in cells, not rounded, at least 0, of boxes of a size in whole cells.

    CornerNet's three cases (arXiv:1808.01244, section 3.2): how far both corners may
    move, each case a quadratic a r^2 - b r + c, for an IoU of `min_overlap`.
    """
    area, around = height * width, height + width
    # The root of a r^2 - b r + c is divided by 2a. CornerNet's and CenterNet's public
    # code divides by 2, and the third case, the least of its three, comes out 4 *
    # min_overlap = 2.8 times too large. We take the code's radius: the published
    # numbers come from it.
    cases = (
        (1.0, around, area * (1 - min_overlap) / (1 + min_overlap)),
        (4.0, 2 * around, area * (1 - min_overlap)),
        (4 * min_overlap, -2 * min_overlap * around, area * (min_overlap - 1)),
    )
    roots = [(b + jnp.sqrt(jnp.maximum(b * b - 4 * a * c, 0))) / 2 for a, b, c in cases]
    return jnp.maximum(jnp.minimum(jnp.minimum(*roots[:2]), roots[2]), 0)


def _radius(sizes: Array) -> Array:
    """Whole radius of sizes [..., 2] in cells, as CenterNet rounds: up, then down."""
    height, width = jnp.moveaxis(jnp.ceil(sizes), -1, 0)
    return jnp.floor(gaussian_radius(height, width))


def _profiles(places: Array, radius: Array, valid: Array, shape: Shape) -> tuple:
    """Gaussians along rows [..., h] and columns [..., w], whose product is the 2-D one.

    Around the whole cells `places` [..., 2], cut off at the radius; 0 if not valid.
    """
    factors = []
    for axis, length in enumerate(shape):
        # Steps are whole numbers: the centre is exp(0) = 1 exactly.
        center = jnp.where(valid, jnp.floor(places[..., axis]), 0)[..., None]
        grid = jnp.arange(length, dtype=jnp.float32)
        step = grid.reshape((1,) * valid.ndim + (-1,)) - center
        sigma = (2 * radius + 1)[..., None] / 6
        inside = valid[..., None] & (jnp.abs(step) <= radius[..., None])
        values = jnp.exp(-jnp.square(step) / (2 * jnp.square(sigma)))
        factors.append(jnp.where(inside, values, 0.0))
    return tuple(factors)


def _over_slots(draw: Callable, valid: Array, channels: int, shape: Shape) -> Array:
    """Maps [B, h, w, K] after draw(n, maps [B, K, h, w]) for each slot n in turn.

    One object at a time and classes in front: what is touched is a plane, never all N
    or all K. It stops after the last slot that is valid in any image.
    """
    maps = jnp.zeros((len(valid), channels, *shape))
    if valid.shape[1]:
        used = jnp.any(valid, axis=tuple(i for i in range(valid.ndim) if i != 1))
        stop = jnp.max(jnp.where(used, jnp.arange(1, used.size + 1), 0))
        maps = jax.lax.fori_loop(0, stop, draw, maps)
    return jnp.moveaxis(maps, 1, -1)


def heatmap(
    centers: Float[Array, "b n 2"],
    sizes: Float[Array, "b n 2"],
    labels: Labels,
    num_classes: int,
    shape: Shape,
) -> Float[Array, "b h w k"]:
    """Maximum over objects of a Gaussian around each center, 1 at its cell, per class.

    Centers and sizes in cells; sigma = (2 r + 1) / 6, cut off at the radius r. Label -1
    adds nothing. (A.3 speaks of a sum, CenterNet takes the maximum: as here.)
    """
    valid = labels >= 0
    rows, columns = _profiles(centers, _radius(sizes), valid, shape)
    channel = jnp.where(valid, labels, 0)

    @jax.vmap  # and not an index into the batch: that would gather it from all devices
    def add(heat: Array, channel: Array, row: Array, column: Array) -> Array:
        return heat.at[channel].max(row[:, None] * column[None, :])

    def draw(n: Array, heat: Array) -> Array:
        return add(heat, channel[:, n], rows[:, n], columns[:, n])

    return _over_slots(draw, valid, num_classes, shape)


def real_boxes(boxes: Boxes, labels: Labels, num_classes: int) -> Bool[Array, "b n"]:
    """Objects: of a class, finite, not empty, with their center on the canvas."""
    low, high = boxes[..., :2], boxes[..., 2:]
    center = (low + high) / 2
    real = (labels >= 0) & (labels < num_classes)
    real &= jnp.all(jnp.isfinite(boxes), axis=-1) & jnp.all(high > low, axis=-1)
    return real & jnp.all((center >= 0) & (center < 1), axis=-1)


def real_points(
    keypoints: Float[Array, "b n k 3"], objects: Bool[Array, "b n"]
) -> Bool[Array, "b n k"]:
    """Keypoints of these objects that are marked and lie on the canvas."""
    places = keypoints[..., :2]
    known = (keypoints[..., 2] > 0) & objects[..., None]
    return known & jnp.all((places >= 0) & (places < 1), axis=-1)  # False for NaN


def encode_boxes(
    boxes: Boxes, labels: Labels, shape: Shape, num_classes: int
) -> dict[str, Array]:
    """heat [B, h, w, K]; cells (int32), offset, size [B, N, 2] in cells; valid [B, N].

    A slot without one of `real_boxes` adds nothing; its cell, offset and size are 0.
    """
    valid = real_boxes(boxes, labels, num_classes)
    scale = jnp.asarray(shape, jnp.float32).reshape(1, 1, 2)
    low, high = boxes[..., :2] * scale, boxes[..., 2:] * scale
    center, size = (low + high) / 2, high - low
    center, size = (jnp.where(valid[..., None], x, 0.0) for x in (center, size))
    cells = jnp.clip(jnp.floor(center), 0, scale - 1)  # rounding may reach the border
    kept = jnp.where(valid, labels, -1)
    return {
        "heat": heatmap(cells, size, kept, num_classes, shape),
        "cells": cells.astype(jnp.int32),
        "offset": center - cells,
        "size": size,
        "valid": valid,
    }


def ignore_regions(
    boxes: Boxes, crowd: Bool[Array, "b n"], shape: Shape
) -> Bool[Array, "b h w"]:
    """True at cells whose middle lies in a crowd box [row0, row1) x [col0, col1)."""
    inside = []
    for axis, length in enumerate(shape):
        middle = ((jnp.arange(length) + 0.5) / length).reshape(1, 1, -1)
        low, high = boxes[..., axis, None], boxes[..., axis + 2, None]
        inside.append((middle >= low) & (middle < high) & crowd[..., None])
    rows, columns = (x.astype(jnp.float32) for x in inside)
    return jnp.einsum("bnh,bnw->bhw", rows, columns) > 0


def peaks(
    heat: Float[Array, "b h w k"], count: int
) -> tuple[Float[Array, "b t"], Int[Array, "b t"], Int[Array, "b t 2"]]:
    """Scores, labels and cells of the `count` highest of the 3x3 maxima of each image.

    heat: probabilities. Best first; of equals the first by row, column, class. Where
    there are fewer maxima above 0: score 0, label -1.
    """
    batch, _, width, classes = heat.shape
    peaks = jnp.where(heat == ops.max_pool(heat, 3, 1, 1), heat, 0).reshape(batch, -1)
    short = max(count - peaks.shape[1], 0)
    scores, index = jax.lax.top_k(jnp.pad(peaks, ((0, 0), (0, short))), count)
    some = scores > 0
    index = jnp.where(some, index, 0)
    cell, label = index // classes, index % classes
    cells = jnp.stack([cell // width, cell % width], axis=-1)
    return scores, jnp.where(some, label, -1), cells


def _found_boxes(heat: Array, offset: Array, size: Array, count: int) -> tuple:
    """Boxes in cells, cut to the map, scores, labels, cells of the highest peaks."""
    scores, labels, cells = peaks(jax.nn.sigmoid(heat), count)
    center = cells + detection.at_cells(offset, cells)
    half = jnp.maximum(detection.at_cells(size, cells), 0) / 2
    limit = jnp.asarray(heat.shape[1:3], jnp.float32).reshape(1, 1, 2)
    corners = [jnp.clip(x, 0, limit) for x in (center - half, center + half)]
    boxes = jnp.concatenate(corners, axis=-1)
    return jnp.where(labels[..., None] >= 0, boxes, 0), scores, labels, cells


def decode_boxes(
    heat_logits: Float[Array, "b h w k"],
    offset: Float[Array, "b h w 2"],
    size: Float[Array, "b h w 2"],
    count: int = 100,
) -> tuple[Float[Array, "b t 4"], Float[Array, "b t"], Int[Array, "b t"]]:
    """Boxes in [0, 1], cut to the canvas, scores, labels of the highest peaks (A.3).

    Best first; score 0, label -1 and a box of zeros where there are fewer than `count`.
    """
    boxes, scores, labels, _ = _found_boxes(heat_logits, offset, size, count)
    scale = jnp.asarray(heat_logits.shape[1:3] * 2, jnp.float32)
    return boxes / scale.reshape(1, 1, 4), scores, labels


def _iou(boxes: Array) -> Array:
    """[T, T] IoU of boxes [T, 4]; 0 where both are empty."""
    low = jnp.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = jnp.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0), axis=-1)
    area = jnp.prod(jnp.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=-1)
    union = area[:, None] + area[None, :] - shared
    return shared / jnp.where(union > 0, union, 1)


def nms(
    boxes: Float[Array, "b t 4"],
    scores: Float[Array, "b t"],
    labels: Int[Array, "b t"],
    threshold: float,
) -> tuple[Float[Array, "b t"], Int[Array, "b t"]]:
    """Scores with 0 and labels with -1 where suppressed, in the order given.

    Greedy per class: a box goes if its IoU with a better one that stays is above the
    threshold; of equal scores the first is the better. Label -1 takes no part.
    """

    def one(boxes: Array, scores: Array, labels: Array) -> Array:
        order = jnp.argsort(-scores, stable=True)
        boxes, classes = boxes[order], labels[order]
        rivals = (_iou(boxes) > threshold) & (classes[:, None] == classes[None])
        after = jnp.arange(len(order))[:, None] < jnp.arange(len(order))[None]

        def visit(t: Array, stays: Array) -> Array:
            return stays & ~(stays[t] & rivals[t] & after[t])

        stays = jax.lax.fori_loop(0, len(order), visit, classes >= 0)
        return jnp.zeros_like(stays).at[order].set(stays, unique_indices=True)

    stays = jax.vmap(one)(boxes, scores, labels)
    return jnp.where(stays, scores, 0.0), jnp.where(stays, labels, -1)


def encode_keypoints(
    boxes: Boxes, labels: Labels, keypoints: Float[Array, "b n k 3"], shape: Shape
) -> dict[str, Array]:
    """`encode_boxes` of one class, and the targets of the maps M4 to M6 of A.4.

    points [B, h, w, K] heat with the radius of the object's box; point_cells (int32),
    point_offset, allocation [B, N, K, 2] in cells, the last from the object's cell
    (the whole one) to the point; point_valid [B, N, K]: `real_points`. What is not
    valid has cell, offset and allocation 0. Points of any kind that share a cell share
    its one offset (M5 has two channels).
    """
    one_class = jnp.where(labels >= 0, 0, -1)
    targets = encode_boxes(boxes, one_class, shape, 1)
    scale = jnp.asarray(shape, jnp.float32).reshape(1, 1, 1, 2)
    valid = real_points(keypoints, targets["valid"])
    places = jnp.where(valid[..., None], keypoints[..., :2] * scale, 0.0)
    cells = jnp.floor(places)
    allocation = places - targets["cells"][:, :, None]
    return targets | {
        "points": _draw_points(cells, targets["size"], valid, shape),
        "point_cells": cells.astype(jnp.int32),
        "point_offset": places - cells,
        "point_valid": valid,
        "allocation": jnp.where(valid[..., None], allocation, 0.0),
    }


def _draw_points(cells: Array, sizes: Array, valid: Array, shape: Shape) -> Array:
    """Heat [B, h, w, K] of points at cells [B, N, K, 2] of objects of sizes [B, N, 2].

    `heatmap` with all K channels of an object at once.
    """
    radius = jnp.broadcast_to(_radius(sizes)[..., None], valid.shape)
    rows, columns = _profiles(cells, radius, valid, shape)

    def draw(n: Array, heat: Array) -> Array:
        return jnp.maximum(heat, rows[:, n, :, :, None] * columns[:, n, :, None, :])

    return _over_slots(draw, valid, valid.shape[-1], shape)


def decode_keypoints(
    maps: Mapping[str, Float[Array, "b h w _"]],
    count: int = 100,
    threshold: float = 0.1,
    reach: float = 0.3,
) -> tuple[
    Float[Array, "b t 4"], Float[Array, "b t"], Int[Array, "b t"], Float[Array, "..."]
]:
    """Boxes, scores, labels (0) as `decode_boxes`, and keypoints [B, T, K, 3] (A.4).

    A keypoint is row, column in [0, 1] and score: the nearest peak of its heat map to
    where the object's center says it is, among those above the threshold, in the box
    and no farther than `reach` times its longer side (CenterNet's code); where there is
    none, the place said, with the heat there.
    """
    names = ("heat", "offset", "size")
    boxes, scores, labels, cells = _found_boxes(*(maps[n] for n in names), count)
    heat = jax.nn.sigmoid(maps["points"])
    shift = detection.at_cells(maps["allocation"], cells)
    said = cells[:, :, None] + shift.reshape(*shift.shape[:2], -1, 2)
    limit = jnp.asarray(heat.shape[1:3], jnp.float32)
    said = jnp.clip(said, 0, limit.reshape(1, 1, 1, 2))
    places, values = _candidates(heat, maps["point_offset"], count)
    nearest, usable = _nearest(said, places, values > threshold, boxes, reach)
    values = jnp.take_along_axis(values, nearest, axis=2).swapaxes(1, 2)
    places = jnp.take_along_axis(places, nearest[..., None], axis=2).swapaxes(1, 2)
    places = jnp.where(usable[..., None], places, said) / limit.reshape(1, 1, 1, 2)
    values = jnp.where(usable, values, _heat_at(heat, said))
    keypoints = jnp.concatenate([places, values[..., None]], axis=-1)
    keypoints = jnp.where(labels[..., None, None] >= 0, keypoints, 0)
    return boxes / jnp.tile(limit, 2).reshape(1, 1, 4), scores, labels, keypoints


def _candidates(heat: Array, offset: Array, count: int) -> tuple:
    """Places [B, K, C, 2] in cells and scores [B, K, C] of each kind's top peaks."""
    batch, height, width, kinds = heat.shape
    planes = jnp.moveaxis(heat, -1, 1).reshape(batch * kinds, height, width, 1)
    scores, _, cells = peaks(planes, min(count, height * width))
    shifts = detection.at_cells(offset, cells.reshape(batch, -1, 2))
    places = cells.reshape(batch, kinds, -1, 2) + shifts.reshape(batch, kinds, -1, 2)
    return places, scores.reshape(batch, kinds, -1)


def _nearest(said: Array, places: Array, hot: Array, boxes: Array, reach: float):
    """Index [B, K, T] of the nearest candidate that may be taken; if any [B, T, K]."""
    told, where = said.swapaxes(1, 2)[:, :, :, None], places[:, :, None]
    distance = jnp.sqrt(jnp.sum(jnp.square(told - where), axis=-1))  # [B, K, T, C]
    low, high = boxes[:, None, :, None, :2], boxes[:, None, :, None, 2:]
    usable = jnp.all((where >= low) & (where <= high), axis=-1) & hot[:, :, None]
    usable &= distance <= reach * jnp.max(high - low, axis=-1)
    nearest = jnp.argmin(jnp.where(usable, distance, jnp.inf), axis=-1)
    return nearest, jnp.any(usable, axis=-1).swapaxes(1, 2)


def _heat_at(heat: Array, places: Array) -> Array:
    """Heat [B, T, K] of each keypoint's own channel at places [B, T, K, 2] in cells."""
    batch, height, width, kinds = heat.shape
    last = jnp.asarray((height, width)).reshape(1, 1, 1, 2) - 1
    cells = jnp.minimum(jnp.floor(places).astype(jnp.int32), last)
    index = cells[..., 0] * width + cells[..., 1]
    return jnp.take_along_axis(heat.reshape(batch, -1, kinds), index, axis=1)
