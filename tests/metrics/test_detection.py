import json

import numpy as np
import pytest
from pycocotools import coco, cocoeval

from jaxseg.core import errors
from jaxseg.metrics import detection

NAMES = ("cat", "dog", "cow")
FILL = {"labels": -1, "true_labels": -1}  # what stands in a slot without anything
SHAPES = {"boxes": (4,), "true_boxes": (4,)}
TYPES = {"labels": np.int32, "true_labels": np.int32, "crowd": bool, "difficult": bool}


def image(boxes=(), scores=(), labels=None, truths=(), true_labels=None, **more):
    """One image in our vocabulary; all of class 0 unless told."""
    n = len(truths)
    one = dict(
        boxes=boxes,
        scores=scores,
        labels=[0] * len(boxes) if labels is None else labels,
        true_boxes=truths,
        true_labels=[0] * n if true_labels is None else true_labels,
        crowd=[False] * n,
        difficult=[False] * n,
    )
    return one | more


def batches(images, size, shapes=SHAPES):
    """Rows of `size` images, slots and the last batch filled up with rubbish."""
    found = []
    for start in range(0, len(images), size):
        chunk = images[start : start + size]
        rows = {"valid": np.arange(size) < len(chunk)}
        for name in dict.fromkeys(key for one in chunk for key in one):
            slots = 1 + max(len(one.get(name, ())) for one in images)
            shape = (size, slots, *shapes.get(name, ()))
            rows[name] = np.full(shape, FILL.get(name, 7), TYPES.get(name, np.float32))
            for row, one in enumerate(chunk):
                if len(one.get(name, ())):
                    rows[name][row, : len(one[name])] = one[name]
        for name in FILL:  # of rows that fill up, even the slots look taken
            rows[name][len(chunk) :] = 0
        found.append(rows)
    return found


def values(metric, images, size=2, classes=NAMES, reverse=False, shapes=SHAPES):
    state = metric.zeros()
    rows = batches(images, size, shapes)
    for one in reversed(rows) if reverse else rows:
        state = metric.merge(state, one)
    return metric.compute(state, classes)


COCO, VOC = detection.CocoBoxes(3), detection.VocBoxes(3)
VOC11 = detection.VocBoxes(3, "11")


def at(column, row=0, height=10, width=10):
    return (row, column, row + height, column + width)


def scene(seed, distinct=False, images=9):
    """[{truths, predictions}] on a grid of 1/8 pixel, where float32 rounds nothing.

    Objects of all sizes, crowds, areas of segments, images without truth, without
    predictions and without both, equal scores, 150 detections in one image.
    """
    rng = np.random.default_rng(seed)
    grid = lambda low, high, n: rng.integers(8 * low, 8 * high, n) / 8
    found, number = [], 0
    for index in range(images):
        truths, predictions = [], []
        for _ in range(0 if index in (2, 3) else rng.integers(1, 9)):
            side = rng.choice([12, 60, 150])
            box = [*grid(0, 300, 2), *grid(side // 2, side, 2)]
            label, crowd = rng.choice([0, 0, 1]), rng.random() < 0.2
            area = int(box[2] * box[3] * 0.6) if rng.random() < 0.5 else 0
            truths.append((box, int(label), crowd, area))
            for _ in range(rng.integers(0, 3)):
                shift = rng.integers(-side, side, 4) / 64
                near = [*(box[:2] + shift[:2]), *(box[2:] + np.abs(shift[2:]))]
                predictions.append((near, int(rng.choice([label, label, 2]))))
        extra = {3: 0, 4: 150}.get(index, 3)
        for _ in range(extra):
            box = [*grid(0, 300, 2), *grid(10, 80, 2)]
            predictions.append((box, int(rng.choice([0, 1, 2])) if extra < 99 else 0))
        predictions = [] if index == 5 else predictions
        order = rng.permutation(len(predictions))
        scores = rng.integers(1, 7, len(order)) / 8
        if distinct:
            scores = rng.permutation(len(order)) / 256 + index / 4096
        predictions = [(*predictions[i], float(s)) for i, s in zip(order, scores)]
        found.append(dict(truths=truths, predictions=predictions))
        number += len(predictions)
    assert number > 150
    return found


def ours(one):
    """Of one image of a scene."""
    corners = lambda boxes: [(y, x, y + h, x + w) for x, y, w, h in boxes]
    boxes, labels, scores = list(zip(*one["predictions"])) or [()] * 3
    truths, true_labels, crowd, areas = list(zip(*one["truths"])) or [()] * 4
    return image(
        corners(boxes),
        scores,
        labels,
        corners(truths),
        true_labels,
        crowd=crowd,
        area=areas,
    )


def files(scene):
    """(annotation file, result list) in COCO's layout, other ids than ours."""
    truths, results = [], []
    for number, one in enumerate(scene):
        base = {"image_id": 7 * number + 3}
        for box, label, crowd, area in one["truths"]:
            truth = {"category_id": 3 * label + 1, "bbox": box, "iscrowd": int(crowd)}
            truth |= {"area": area or box[2] * box[3], "id": len(truths) + 1}
            truths.append(base | truth)
        for box, label, score in one["predictions"]:
            result = {"category_id": 3 * label + 1, "bbox": box, "score": score}
            results.append(base | result)
    dataset = {
        "images": [{"id": 7 * number + 3} for number in range(len(scene))],
        "categories": [{"id": 3 * label + 1} for label in range(len(NAMES))],
        "annotations": truths,
    }
    return dataset, results


def directly(folder, dataset, results, kind, sigmas=None):
    """A COCOeval run as its demo does, through files."""
    (folder / "truth.json").write_text(json.dumps(dataset))
    (folder / "results.json").write_text(json.dumps(results))
    truth = coco.COCO(str(folder / "truth.json"))
    run = cocoeval.COCOeval(truth, truth.loadRes(str(folder / "results.json")), kind)
    if sigmas is not None:
        run.params.kpt_oks_sigmas = np.array(sigmas)
    run.evaluate()
    run.accumulate()
    run.summarize()
    return run


def expected_boxes(run, classes):
    names = ["map", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"]
    names += ["ar1", "ar10", "ar100"]
    found = {name: x for name, x in zip(names, run.stats) if x != -1}
    for k, name in enumerate(classes):
        precision = run.eval["precision"][:, :, k, 0, 2]
        if precision.max() > -1:
            found[f"ap/{name}"] = np.mean(precision[precision > -1])
    return found


@pytest.mark.parametrize("seed", range(4))
def test_exactly_pycocotools_on_its_own_files(tmp_path, seed):
    made = scene(seed)
    run = directly(tmp_path, *files(made), "bbox")
    found = values(COCO, [ours(one) for one in made])
    assert found == expected_boxes(run, NAMES)
    assert 0.1 < found["map"] < 0.9 and "ap/cow" not in found  # says something
    assert {"ap_small", "ap_medium", "ap_large", "ap/cat", "ap/dog"} <= set(found)


def test_the_scene_holds_what_it_should():
    made = [ours(one) for one in scene(0)]
    assert any(any(one["crowd"]) for one in made)
    assert max(sum(np.array(one["labels"]) == 0) for one in made) > 100
    kinds = {(len(one["true_boxes"]) > 0, len(one["boxes"]) > 0) for one in made}
    assert len(kinds) == 4
    scores = [score for one in made for score in one["scores"]]
    assert len(set(scores)) < 10


def test_coco_by_hand():
    boxes, truths = [at(0), at(500), at(100)], [at(0), at(100)]
    found = values(COCO, [image(boxes, [0.9, 0.8, 0.7], truths=truths)])
    # Precision 1 up to recall 0.5 (51 of 101 points), then 2/3.
    assert found["map"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    for name in ("ap50", "ap75", "ap_small", "ap/cat"):
        assert found[name] == pytest.approx(found["map"])
    assert found["ar1"] == 0.5 and found["ar10"] == found["ar100"] == 1.0
    assert not {"ap_medium", "ap_large", "ap/dog", "ap/cow"} & set(found)


def test_coco_thresholds():
    # IoU 0.8 counts at 0.5, 0.55, ..., 0.8: 7 of 10 thresholds.
    found = values(COCO, [image([at(0, height=8)], [0.5], truths=[at(0)])])
    assert found["ap50"] == pytest.approx(1) and found["map"] == pytest.approx(0.7)
    assert found["ap75"] == pytest.approx(1)


@pytest.mark.parametrize("order, map_", [((0, 500), 1.0), ((500, 0), 0.5)])
def test_equal_scores_are_ranked_in_list_order(order, map_):
    boxes = [at(column) for column in order]
    found = values(COCO, [image(boxes, [0.5, 0.5], truths=[at(0)])])
    assert found["map"] == pytest.approx(map_)
    # The same over two images: one has an object, what the other predicts is false.
    split = [image([at(0)], [0.5], truths=[at(0)]), image([at(0)], [0.5])]
    split = split if order[0] == 0 else split[::-1]
    assert values(COCO, split)["map"] == pytest.approx(map_)
    assert values(VOC, split)["ap50_voc"] == pytest.approx(map_)


def test_detections_in_a_crowd_are_not_false():
    crowd = at(0, height=40, width=40)
    boxes = [at(0), at(20), at(100)]
    one = image(boxes, [0.9, 0.8, 0.7], truths=[crowd, at(100)])
    assert values(COCO, [one | {"crowd": [True, False]}])["map"] == pytest.approx(1)
    assert values(COCO, [one])["map"] < 0.5


def test_the_area_is_the_boxs_unless_the_segments_is_given():
    one = image([at(0)], [0.9], truths=[at(0)])
    assert "ap_small" in values(COCO, [one])
    assert "ap_small" in values(COCO, [one | {"area": [0.0]}])
    found = values(COCO, [one | {"area": [5000.0]}])
    assert "ap_medium" in found and "ap_small" not in found


def test_predictions_where_nothing_is_count():
    perfect = image([at(0)], [0.5], truths=[at(0)])
    empty = image([at(0)], [0.9])
    assert values(COCO, [perfect, empty])["map"] == pytest.approx(0.5)
    assert values(COCO, [perfect, empty | dict(labels=[1])])["map"] == pytest.approx(1)


@pytest.mark.parametrize("images", [[], [image()], [image([at(0)], [0.5])]])
def test_nothing_to_find(images):
    assert values(COCO, images) == {"map": 0.0, "ap50": 0.0}
    assert values(VOC, images) == {"ap50_voc": 0.0}


def test_nothing_found():
    found = values(COCO, [image(truths=[at(0)])])
    assert set(found.values()) == {0.0} and {"map", "ar100", "ap/cat"} <= set(found)
    found = values(VOC, [image(truths=[at(0)])])
    assert found == {"ap50_voc": 0.0, "ap50_voc/cat": 0.0}


def test_nothing_is_printed(capsys):
    values(COCO, [image([at(0)], [0.5], truths=[at(0)])])
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("metric", [COCO, VOC, VOC11])
def test_how_a_set_is_cut_into_batches_changes_nothing(metric):
    images = [ours(one) for one in scene(1)]
    whole = values(metric, images, size=9)
    for size in (1, 2, 4, 16):  # 16: seven rows that only fill up
        assert values(metric, images, size) == whole


@pytest.mark.parametrize("metric", [COCO, VOC, VOC11])
def test_the_order_of_batches_changes_nothing(metric):
    images = [ours(one) for one in scene(2, distinct=True)]
    assert values(metric, images, reverse=True) == values(metric, images)


def test_merging_leaves_the_state_it_was_given():
    state = COCO.zeros()
    COCO.merge(state, batches([image(truths=[at(0)])], 1)[0])
    assert state == []


@pytest.mark.parametrize("metric", [COCO, VOC])
def test_a_class_that_does_not_exist(metric):
    for name in ("labels", "true_labels"):
        one = image([at(0)], [0.5], truths=[at(0)]) | {name: [3]}
        with pytest.raises(errors.UserError, match=f"^{name} holds 3; allowed are 0"):
            values(metric, [one])


@pytest.mark.parametrize("metric", [COCO, VOC])
@pytest.mark.parametrize("name", ["boxes", "scores", "true_boxes"])
def test_nan_is_no_match(metric, name):
    one = image([at(0)], [0.5], truths=[at(0)])
    one[name] = np.full_like(np.array(one[name], np.float32), np.nan)
    with pytest.raises(errors.UserError, match=f"^{name} holds NaN"):
        values(metric, [one])


def real_boxes(path):
    """(dataset as in the file, class names, {image id: annotations})."""
    dataset = json.loads(path.read_text())
    ids = sorted(one["id"] for one in dataset["images"])
    known = {number: [] for number in ids}
    for one in dataset["annotations"]:
        known[one["image_id"]].append(one)
    return dataset, tuple(c["name"] for c in dataset["categories"]), known


def real_image(truths, results, dataset):
    label = {c["id"]: k for k, c in enumerate(dataset["categories"])}
    corners = lambda x, y, w, h: (y, x, y + h, x + w)
    return image(
        [corners(*one["bbox"]) for one in results],
        [one["score"] for one in results],
        [label[one["category_id"]] for one in results],
        [corners(*one["bbox"]) for one in truths],
        [label[one["category_id"]] for one in truths],
        area=[one["area"] for one in truths],
    )


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_truths_as_predictions(real_data, split):
    path = real_data / f"coco128/annotations/instances_{split}2017.json"
    dataset, classes, known = real_boxes(path)
    images = [
        real_image(own, [one | {"score": 0.5} for one in own], dataset)
        for own in known.values()
    ]
    found = values(detection.CocoBoxes(len(classes)), images, 8, classes)
    # pycocotools divides by tp + fp + 2.2e-16, which makes 1 / 1 the float below 1.
    assert found["map"] == pytest.approx(1, abs=1e-14) and found["ar100"] == 1.0
    for interpolation in ("all", "11"):
        metric = detection.VocBoxes(len(classes), interpolation)
        assert set(values(metric, images, 8, classes).values()) == {1.0}


def test_real_boxes_exactly_as_pycocotools(real_data, tmp_path):
    path = real_data / "coco128/annotations/instances_val2017.json"
    dataset, classes, known = real_boxes(path)
    rng = np.random.default_rng(0)
    results = {number: [] for number in known}
    for one in dataset["annotations"]:
        x, y, w, h = one["bbox"]
        x, y = x + w * rng.normal(0, 0.1), y + h * rng.normal(0, 0.1)
        score = float(np.float32(rng.random()))
        kind = {"image_id": one["image_id"], "category_id": one["category_id"]}
        results[one["image_id"]].append(kind | {"bbox": [x, y, w, h], "score": score})
    listed = [one for own in results.values() for one in own]
    run = directly(tmp_path, dataset, listed, "bbox")
    images = [real_image(known[i], results[i], dataset) for i in known]
    found = values(detection.CocoBoxes(len(classes)), images, 8, classes)
    assert found == expected_boxes(run, classes)
    assert 0.3 < found["map"] < 0.9
