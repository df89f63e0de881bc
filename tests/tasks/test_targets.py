import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.tasks import targets
from jaxseg.train import mesh

SHAPE, NUM_CLASSES = (24, 32), 3


def f32(x):
    return jnp.asarray(x, jnp.float32)


@functools.cache  # one program for all tests of a function
def jitted(name, **static):
    return jax.jit(functools.partial(getattr(targets, name), **static))


def logit(heat):
    """Logits [B, h, w, K] whose sigmoid is the heat, a little inside (0, 1)."""
    heat = np.clip(np.asarray(heat, np.float64), 1e-6, 1 - 1e-6)
    return f32(np.log(heat / (1 - heat)))


def at_cells(cells, valid, values):
    """A map [B, h, w, C] that holds the values [B, N, C] at their cells, else noise."""
    maps = np.random.default_rng(9).normal(size=(len(cells), *SHAPE, values.shape[-1]))
    for i, n in np.argwhere(valid):
        maps[(i, *np.asarray(cells)[i, n])] = np.asarray(values)[i, n]
    return f32(maps)


def random_boxes(rng, batch, num):
    """Boxes whose centers lie in different cells, two apart: no peak hides another."""
    boxes = np.zeros((batch, num, 4))
    for i in range(batch):
        grid = rng.permutation(SHAPE[0] // 2 * SHAPE[1] // 2)[:num]
        cells = 2 * np.stack(np.divmod(grid, SHAPE[1] // 2), axis=1)
        center = (cells + rng.random((num, 2))) / SHAPE
        room = 2 * np.minimum(center, 1 - center)
        size = room * rng.uniform(0.2, 0.99, (num, 2))
        boxes[i] = np.concatenate([center - size / 2, center + size / 2], axis=1)
    return boxes


def radius_reference(height, width, overlap=0.7):
    """The public code, line by line."""
    b1, c1 = height + width, width * height * (1 - overlap) / (1 + overlap)
    r1 = (b1 + math.sqrt(b1**2 - 4 * c1)) / 2
    b2, c2 = 2 * (height + width), (1 - overlap) * width * height
    r2 = (b2 + math.sqrt(b2**2 - 4 * 4 * c2)) / 2
    a3, b3 = 4 * overlap, -2 * overlap * (height + width)
    r3 = (b3 + math.sqrt(b3**2 - 4 * a3 * (overlap - 1) * width * height)) / 2
    return min(r1, r2, r3)


def heat_reference(centers, sizes, labels, num_classes, shape):
    heat = np.zeros((len(labels), *shape, num_classes))
    for i, n in np.argwhere(np.asarray(labels) >= 0):
        height, width = np.ceil(sizes[i, n])
        radius = int(radius_reference(height, width))
        sigma = (2 * radius + 1) / 6
        row, col = np.floor(centers[i, n]).astype(int)
        for r in range(max(row - radius, 0), min(row + radius + 1, shape[0])):
            for c in range(max(col - radius, 0), min(col + radius + 1, shape[1])):
                distance = (r - row) ** 2 + (c - col) ** 2
                value = math.exp(-distance / (2 * sigma**2))
                place = i, r, c, labels[i, n]
                heat[place] = max(heat[place], value)
    return heat


def test_radius():
    sizes = np.random.default_rng(0).integers(1, 200, (50, 2)).astype(float)
    found = targets.gaussian_radius(f32(sizes[:, 0]), f32(sizes[:, 1]))
    expected = [radius_reference(*size) for size in sizes]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    # By hand: (-28 + sqrt(784 + 336)) / 2 of a box of 10 by 10 cells.
    assert abs(targets.gaussian_radius(f32(10), f32(10)) - 2.7332) < 1e-3
    assert targets.gaussian_radius(f32(0), f32(0)) == 0


def test_heatmap():
    rng = np.random.default_rng(1)
    centers = rng.random((3, 6, 2)) * SHAPE
    sizes = rng.random((3, 6, 2)) * 30
    labels = rng.integers(-1, NUM_CLASSES, (3, 6))
    labels[2] = -1
    found = jitted("heatmap", num_classes=NUM_CLASSES, shape=SHAPE)(
        f32(centers), f32(sizes), jnp.asarray(labels)
    )
    expected = heat_reference(centers, sizes, labels, NUM_CLASSES, SHAPE)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert (np.asarray(found)[2] == 0).all()
    for i, n in np.argwhere(labels >= 0):
        assert found[(i, *centers[i, n].astype(int), labels[i, n])] == 1.0


def test_overlapping_gaussians_by_maximum():
    centers, sizes = f32([[[5.5, 5.5], [5.5, 7.5]]]), jnp.full((1, 2, 2), 20.0)
    heat = targets.heatmap(centers, sizes, jnp.zeros((1, 2), int), 1, SHAPE)
    heat = np.asarray(heat)[0, :, :, 0]
    assert heat.max() == 1.0 and heat[5, 5] == heat[5, 7] == 1.0
    sigma = (2 * math.floor(radius_reference(20, 20)) + 1) / 6
    np.testing.assert_allclose(heat[5, 6], math.exp(-1 / (2 * sigma**2)), rtol=1e-5)


def encode(boxes, labels, shape=SHAPE):
    found = jitted("encode_boxes", shape=shape, num_classes=NUM_CLASSES)(
        f32(boxes), jnp.asarray(labels)
    )
    return {name: np.asarray(value) for name, value in found.items()}


def test_encoding_by_hand():
    # Rows 2 to 5 and columns 4 to 9 of 24 x 32 cells: center 3.5, 6.5.
    found = encode([[[2 / 24, 4 / 32, 5 / 24, 9 / 32]]], [[1]])
    assert found["cells"].tolist() == [[[3, 6]]]
    np.testing.assert_allclose(found["offset"], [[[0.5, 0.5]]], atol=1e-6)
    np.testing.assert_allclose(found["size"], [[[3, 5]]], atol=1e-6)
    assert found["heat"][0, 3, 6, 1] == 1 and found["valid"].all()
    assert (found["heat"][..., [0, 2]] == 0).all()


BAD = {
    "empty": [0.5, 0.5, 0.5, 0.7],
    "negative": [0.6, 0.5, 0.4, 0.7],
    "nan": [0.1, np.nan, 0.4, 0.7],
    "infinite": [0.1, 0.1, np.inf, 0.7],
    "above": [-0.5, 0.1, 0.3, 0.7],
    "at the edge": [0.5, 0.1, 1.5, 0.7],
}


@pytest.mark.parametrize("box", BAD.values(), ids=BAD)
def test_bad_boxes_give_nothing(box):
    good = [0.1, 0.1, 0.5, 0.5]
    found = encode([[box, good], [box, box]], [[0, 1], [2, -1]])
    alone = encode([[good, good], [good, good]], [[-1, 1], [-1, -1]])
    assert found["valid"].tolist() == [[False, True], [False, False]]
    out = encode([[good, good], [good, good]], [[NUM_CLASSES, 1], [-1, NUM_CLASSES]])
    np.testing.assert_array_equal(out["heat"], alone["heat"])  # labels out of range
    for name in found:
        assert np.isfinite(found[name]).all()
        np.testing.assert_array_equal(found[name], alone[name])


def test_no_slots():
    heat = encode(np.zeros((2, 0, 4)), np.zeros((2, 0), int))["heat"]
    assert heat.shape == (2, *SHAPE, NUM_CLASSES) and (heat == 0).all()


def test_a_center_just_inside_stays_inside():
    edge = np.nextafter(np.float32(1), np.float32(0))
    for length in (24, 100):
        box = [[[2 * edge - 1, 0.1, 1.0, 0.2]]]
        found = encode(box, [[0]], shape=(length, 16))
        assert found["cells"][0, 0, 0] < length
        assert found["valid"][0, 0] == (found["heat"].max() == 1)


def test_ignore_regions():
    boxes = f32([[[2 / 24, 4 / 32, 5 / 24, 9 / 32], [0, 0, 1, 1], [np.nan] * 4]])
    crowd = jnp.asarray([[True, False, True]])
    expected = np.zeros((1, *SHAPE), bool)
    expected[0, 2:5, 4:9] = True
    found = targets.ignore_regions(boxes, crowd, SHAPE)
    np.testing.assert_array_equal(found, expected)


def test_peaks():
    heat = np.zeros((1, 4, 5, 2))
    heat[0, 1, 1, 0], heat[0, 1, 2, 0], heat[0, 1, 2, 1] = 0.9, 0.8, 0.7
    heat[0, 3, 4, 0] = heat[0, 3, 0, 1] = 0.5  # equals: by row, then column
    scores, labels, cells = targets.peaks(f32(heat), 6)
    np.testing.assert_allclose(scores, [[0.9, 0.7, 0.5, 0.5, 0, 0]])
    assert labels.tolist() == [[0, 1, 1, 0, -1, -1]]
    assert cells.tolist()[0][:4] == [[1, 1], [1, 2], [3, 0], [3, 4]]
    scores, labels, _ = targets.peaks(f32(heat), 50)  # more than 4 * 5 * 2 places
    assert scores.shape == (1, 50) and (np.asarray(labels)[0, 4:] == -1).all()


def decode(found, count):
    maps = [
        at_cells(found["cells"], found["valid"], found[n]) for n in ("offset", "size")
    ]
    decoded = jitted("decode_boxes", count=count)(logit(found["heat"]), *maps)
    return [np.asarray(x) for x in decoded]


def paired(boxes, labels, decoded, limit):
    """Each valid box has its own decoded box within `limit` (relative, per axis)."""
    places, scores, classes = decoded
    for i in range(len(boxes)):
        kept = [n for n in range(len(labels[i])) if labels[i][n] >= 0]
        assert (scores[i, : len(kept)] > 0.99).all()
        assert (scores[i, len(kept) :] < 0.99).all()
        used = set()  # decoded boxes, each for one
        for n in kept:
            away = np.abs(places[i, : len(kept)] - boxes[i, n]).max(axis=1)
            away[classes[i, : len(kept)] != labels[i, n]] = np.inf
            used.add(int(np.argmin(away)))
            assert (np.abs(places[i, np.argmin(away)] - boxes[i, n]) <= limit).all()
        assert len(used) == len(kept)


def test_boxes_there_and_back():
    rng = np.random.default_rng(2)
    for _ in range(10):
        boxes, labels = random_boxes(rng, 3, 12), rng.integers(-1, NUM_CLASSES, (3, 12))
        labels[2] = -1  # no objects
        decoded = decode(encode(boxes, labels), 20)
        paired(boxes, labels, decoded, np.tile(0.5 / np.asarray(SHAPE), 2))
        assert ((decoded[0] >= 0) & (decoded[0] <= 1)).all()
        # Closer still: offset and size hold what the cell leaves out.
        paired(boxes, labels, decoded, 1e-5)


def test_more_objects_than_peaks():
    rng = np.random.default_rng(3)
    boxes, labels = random_boxes(rng, 2, 12), np.zeros((2, 12), int)
    places, scores, _ = decode(encode(boxes, labels), 5)
    assert places.shape == (2, 5, 4) and (scores > 0.99).all()
    for i in range(2):
        away = np.abs(boxes[i][None] - places[i][:, None]).max(axis=2)
        assert (away.min(axis=1) < 1e-5).all()


def test_decoded_boxes_are_cut_to_the_canvas():
    heat = np.zeros((1, 4, 4, 1))
    heat[0, 0, 0] = heat[0, 3, 3] = 0.9
    size = np.full((1, 4, 4, 2), 6.0)
    size[0, 3, 3] = -1.0  # a network may say so
    boxes, _, _ = targets.decode_boxes(
        logit(heat), jnp.full((1, 4, 4, 2), 0.5), f32(size), 2
    )
    expected = [[0, 0, 3.5 / 4, 3.5 / 4], [3.5 / 4] * 4]
    np.testing.assert_allclose(boxes[0], expected, atol=1e-6)


def iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.maximum(high - low, 0))
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
    return shared / union if union > 0 else 0.0


def nms_reference(boxes, scores, labels, threshold):
    """One image, greedy: which stay."""
    kept = []
    for t in sorted(range(len(scores)), key=lambda t: -scores[t]):
        rivals = [k for k in kept if labels[k] == labels[t]]
        if labels[t] >= 0 and all(iou(boxes[k], boxes[t]) <= threshold for k in rivals):
            kept.append(t)
    return [t in kept for t in range(len(scores))]


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_nms(threshold):
    rng = np.random.default_rng(4)
    for _ in range(5):
        corner = rng.random((2, 40, 2)) * 0.5
        boxes = np.concatenate([corner, corner + rng.random((2, 40, 2)) * 0.5], axis=-1)
        boxes = boxes.astype(np.float32)
        boxes[:, 7] = boxes[:, 5]
        boxes[:, 9:12, 2:] = boxes[:, 9:12, :2] = boxes[:, 9:10, :2]  # empty
        scores = rng.integers(0, 12, (2, 40)).astype(np.float32) / 12  # many equals
        labels = rng.integers(-1, 3, (2, 40))
        found, classes = jitted("nms", threshold=threshold)(
            f32(boxes), f32(scores), jnp.asarray(labels)
        )
        stays = [
            nms_reference(boxes[i], scores[i], labels[i], threshold) for i in (0, 1)
        ]
        np.testing.assert_array_equal(found, np.where(stays, scores, 0))
        np.testing.assert_array_equal(classes, np.where(stays, labels, -1))
        assert 0 < np.sum(stays) < np.sum(labels >= 0)


def random_people(rng, batch=2, num=5, kinds=4):
    """Boxes, labels and keypoints, in their own box and in cells of their own kind."""
    boxes, labels = random_boxes(rng, batch, num), np.zeros((batch, num), int)
    labels[:, -1] = -1
    low, high = boxes[:, :, None, :2], boxes[:, :, None, 2:]
    places = low + rng.uniform(0.1, 0.9, (batch, num, kinds, 2)) * (high - low)
    visible = rng.integers(0, 3, (batch, num, kinds, 1))
    for i in range(batch):  # points in one cell share one offset: only one is marked
        cells = np.floor(places[i].reshape(-1, 2) * SHAPE)
        first = np.unique(cells, axis=0, return_index=True)[1]
        alone = np.isin(np.arange(num * kinds), first)
        visible[i] *= alone.reshape(num, kinds, 1)
    return boxes, labels, np.concatenate([places, visible], axis=-1)


def encode_people(boxes, labels, points):
    found = jitted("encode_keypoints", shape=SHAPE)(
        f32(boxes), jnp.asarray(labels), f32(points)
    )
    return {name: np.asarray(value) for name, value in found.items()}


def people_maps(found):
    """What a head that has learned the targets would say."""
    batch, num, kinds = found["point_valid"].shape
    flat = lambda x: x.reshape(batch, num * kinds, -1)
    valid = flat(found["point_valid"])[..., 0]
    spread = functools.partial(at_cells, found["cells"], found["valid"])
    cells, offset = flat(found["point_cells"]), flat(found["point_offset"])
    return {
        "heat": logit(found["heat"]),
        "offset": spread(found["offset"]),
        "size": spread(found["size"]),
        "points": logit(found["points"]),
        "allocation": spread(found["allocation"].reshape(batch, num, -1)),
        "point_offset": at_cells(cells, valid, offset),
    }


def test_keypoint_targets():
    boxes, labels, points = random_people(np.random.default_rng(5))
    points[0, 0, 0] = [1.2, 0.5, 2]  # outside
    points[0, 0, 1] = [np.nan, 0.5, 2]
    boxes[1, 0, 2:] = boxes[1, 0, :2]  # empty: gives nothing
    found = encode_people(boxes, labels, points)
    expected = (points[..., 2] > 0) & (labels >= 0)[..., None]
    expected[0, 0, :2] = expected[1, 0] = False
    np.testing.assert_array_equal(found["point_valid"], expected)
    assert all(np.isfinite(value).all() for value in found.values())
    for name in ("point_cells", "point_offset", "allocation"):
        assert (found[name][~expected] == 0).all()
    places = (points[..., :2] * SHAPE)[expected]
    cells = np.floor(places).astype(int)
    np.testing.assert_array_equal(found["point_cells"][expected], cells)
    np.testing.assert_allclose(
        found["point_offset"][expected], places - cells, atol=1e-5
    )
    center = np.repeat(found["cells"][:, :, None], 4, axis=2)[expected]
    np.testing.assert_allclose(
        found["allocation"][expected], places - center, atol=1e-5
    )
    # Each kind is a class of its own, with the size of the object's box.
    flat = np.where(expected, np.arange(4), -1).reshape(2, -1)
    sizes = np.repeat(found["size"], 4, axis=1)
    spots = np.nan_to_num(points[..., :2] * SHAPE).reshape(2, -1, 2)
    heat = heat_reference(spots, sizes, flat, 4, SHAPE)
    np.testing.assert_allclose(found["points"], heat, rtol=1e-5, atol=1e-6)


def test_keypoints_there_and_back():
    rng = np.random.default_rng(6)
    for _ in range(5):
        boxes, labels, points = random_people(rng)
        found = encode_people(boxes, labels, points)
        decoded = jitted("decode_keypoints", count=10)(people_maps(found))
        places, *others, keypoints = map(np.asarray, decoded)
        paired(boxes, labels, (places, *others), 1e-5)
        assert keypoints.shape == (2, 10, 4, 3)
        for i, n in np.argwhere(labels >= 0):
            t = np.argmin(np.abs(places[i] - boxes[i, n]).max(axis=1))
            marked = found["point_valid"][i, n]
            away = np.abs(keypoints[i, t, :, :2] - points[i, n, :, :2])[marked]
            assert (away <= 0.5 / np.asarray(SHAPE)).all()
            # Two equal maxima side by side are both peaks, so each reaches 1.
            assert (keypoints[i, t, marked, 2] > 0.9).all()


# One person in a map of 10 x 10 cells: cell (4, 4), box 0.5 to 8.5, said (6.3, 2.6).
def one_person(peaks_at):
    names = "offset", "size", "point_offset", "allocation"
    maps = {name: np.zeros((1, 10, 10, 2)) for name in names}
    heat, points = np.zeros((2, 1, 10, 10, 1))
    heat[0, 4, 4], maps["offset"][0, 4, 4], maps["size"][0, 4, 4] = 0.8, 0.5, 8.0
    maps["allocation"][0, 4, 4] = 2.3, -1.4
    points[0, 6, 2] = 0.05  # what is there, where it is said to be
    for (row, col), value in peaks_at.items():
        points[0, row, col], maps["point_offset"][0, row, col] = value, 0.25
    maps = {name: f32(value) for name, value in maps.items()}
    maps |= {"heat": logit(heat), "points": logit(points)}
    boxes, _, labels, keypoints = targets.decode_keypoints(maps, count=3)
    np.testing.assert_allclose(boxes[0, 0] * 10, [0.5, 0.5, 8.5, 8.5], atol=1e-4)
    assert labels[0, 0] == 0
    return np.asarray(keypoints[0, 0, 0]) * [10, 10, 1]


@pytest.mark.parametrize(
    "peaks_at, expected",
    [
        ({(7, 2): 0.6, (4, 2): 0.9}, (7.25, 2.25, 0.6)),  # the nearest, not the highest
        ({(7, 2): 0.09, (4, 2): 0.9}, (4.25, 2.25, 0.9)),  # too weak
        ({(9, 2): 0.9}, (6.3, 2.6, 0.05)),  # not in the box
        ({(2, 7): 0.9}, (6.3, 2.6, 0.05)),  # in the box, too far
        ({}, (6.3, 2.6, 0.05)),
    ],
)
def test_which_keypoint_is_taken(peaks_at, expected):
    np.testing.assert_allclose(one_person(peaks_at), expected, atol=1e-4)


def test_drawing_needs_nothing_from_other_devices():
    devices = mesh.create()
    boxes = np.tile(np.array([0.1, 0.2, 0.5, 0.6], np.float32), (4, 3, 1))
    batch = {
        "boxes": boxes,
        "labels": np.zeros((4, 3), np.int32),
        "keypoints": np.full((4, 3, 5, 3), 0.3, np.float32),
    }
    run = jax.jit(
        lambda boxes, labels, keypoints: (
            targets.encode_boxes(boxes, labels, (16, 16), 7),
            targets.encode_keypoints(boxes, labels, keypoints, (16, 16)),
        )
    )
    program = run.lower(**mesh.put_batch(batch, devices)).compile().as_text()
    assert devices.size > 1 and "all-reduce" in program  # of the last slot in use
    assert "all-gather" not in program
