"""VOC's AP against worked examples and against the devkit written out in loops."""

import itertools

import pytest

from jaxseg.core import errors
from jaxseg.metrics import detection
from tests.metrics.test_detection import (
    COCO,
    VOC,
    VOC11,
    at,
    image,
    ours,
    scene,
    values,
)


def voc_example():
    """Found, false, found, false, found; one of four missed; over two images."""
    first = image([at(0), at(500), at(100)], [0.9, 0.8, 0.7], truths=[at(0), at(100)])
    second = image([at(600), at(0)], [0.6, 0.5], truths=[at(0), at(300)])
    return [first, second]


def test_voc_by_hand():
    precisions = [1, 2 / 3, 3 / 5]  # at recalls 1/4, 2/4, 3/4
    found = values(VOC, voc_example())
    assert found["ap50_voc"] == pytest.approx(sum(precisions) / 4)
    assert found == dict.fromkeys(("ap50_voc", "ap50_voc/cat"), found["ap50_voc"])
    # 0, 0.1, 0.2 | 0.3, 0.4, 0.5 | 0.6, 0.7 | and nothing at 0.8, 0.9, 1.
    by_11 = (3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11
    assert values(VOC11, voc_example())["ap50_voc07"] == pytest.approx(by_11)


def test_voc_takes_the_best_precision_to_the_right():
    one = image([at(500), at(0), at(100)], [0.9, 0.8, 0.7], truths=[at(0), at(100)])
    for metric in (VOC, VOC11):  # precision 0, 1/2, 2/3: raised to 2/3 everywhere
        assert values(metric, [one])[metric.name] == pytest.approx(2 / 3)


def test_a_recall_of_exactly_three_tenths_reaches_its_point():
    truths = [at(20 * i) for i in range(10)]
    one = image(truths[:3], [0.9, 0.8, 0.7], truths=truths)
    assert values(VOC11, [one])["ap50_voc07"] == pytest.approx(4 / 11)
    assert values(VOC, [one])["ap50_voc"] == pytest.approx(0.3)


def test_difficult_objects_count_for_nothing():
    truths = [at(0), at(100), at(200)]
    boxes = [at(100), at(100), at(0)]  # the difficult one twice, then the other
    one = image(boxes, [0.9, 0.8, 0.7], truths=truths)
    for aside in ("difficult", "crowd"):
        easy = one | {aside: [False, True, True]}
        for metric in (VOC, VOC11):
            assert values(metric, [easy])[metric.name] == 1.0
    assert values(VOC, [one])["ap50_voc"] == pytest.approx((1 + 2 / 3) / 3)


def test_a_class_of_difficult_objects_only_is_left_out():
    one = image([at(0)], [0.9], truths=[at(0), at(50)], true_labels=[0, 1])
    found = values(VOC, [one | {"difficult": [False, True]}])
    assert found == {"ap50_voc": 1.0, "ap50_voc/cat": 1.0}


def test_a_second_detection_is_false():
    one = image([at(0), at(1), at(100)], [0.9, 0.8, 0.7], truths=[at(0), at(100)])
    assert values(VOC, [one])["ap50_voc"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_detection_takes_the_truth_it_overlaps_most_even_if_taken():
    # The second overlaps at(0) with 9/11 and at(4) with 7/13: the former is taken.
    one = image([at(0), at(1)], [0.9, 0.8], truths=[at(0), at(4)])
    assert values(VOC, [one])["ap50_voc"] == pytest.approx(1 / 2)
    assert values(COCO, [one])["ar100"] > 0.5  # COCO gives it the free one


def test_voc_averages_classes_with_truth():
    truths, labels = [at(0), at(100)], [0, 1]
    one = image([at(0), at(100)], [0.9, 0.8], [0, 2], truths, labels)
    found = values(VOC, [one])
    assert found.pop("ap50_voc") == 0.5
    assert found == {"ap50_voc/cat": 1.0, "ap50_voc/dog": 0.0}


def test_an_overlap_of_exactly_half_is_enough():
    one = image([at(0, width=5)], [0.9], truths=[at(0)])
    assert values(VOC, [one])["ap50_voc"] == 1.0
    assert values(VOC, [one | {"boxes": [at(0, width=4.9)]}])["ap50_voc"] == 0.0


def test_the_devkits_inclusive_boxes():
    one = image([(0, 0, 9, 4)], [0.9], truths=[(0, 0, 9, 9)])  # 36 / 81 or 50 / 100
    assert values(VOC, [one])["ap50_voc"] == 0.0
    assert values(detection.VocBoxes(3, inclusive=True), [one])["ap50_voc"] == 1.0


def test_an_unknown_interpolation():
    with pytest.raises(errors.UserError, match="allowed are 'all'"):
        detection.VocBoxes(3, "101")


def slow_voc(images, label, points):
    """VOCevaldet.m in plain loops, of one class without difficult objects."""
    truths = [
        [b for b, k in zip(o["true_boxes"], o["true_labels"]) if k == label]
        for o in images
    ]
    taken = [set() for _ in images]
    ranked = [
        (-score, i, j)
        for i, o in enumerate(images)
        for j, (score, k) in enumerate(zip(o["scores"], o["labels"]))
        if k == label
    ]
    hits, curve = 0, []
    for count, (_, i, j) in enumerate(sorted(ranked), 1):
        best, which = -1.0, None
        for n, (r0, c0, r1, c1) in enumerate(truths[i]):
            a0, b0, a1, b1 = images[i]["boxes"][j]
            height, width = min(r1, a1) - max(r0, a0), min(c1, b1) - max(c0, b0)
            if height > 0 and width > 0:
                both = (r1 - r0) * (c1 - c0) + (a1 - a0) * (b1 - b0)
                overlap = height * width / (both - height * width)
                if overlap > best:
                    best, which = overlap, n
        if best >= 0.5 and which not in taken[i]:
            hits += 1
            taken[i].add(which)
        curve.append((hits / sum(map(len, truths)), hits / count))
    top = lambda least: max(
        [p for r, p in curve if r >= least - 1e-12], default=0.0
    )  # but for rounding
    if points:
        return sum(top(i / 10) for i in range(11)) / 11
    recalls = [0.0, *(r for r, _ in curve)]
    return sum((b - a) * top(b) for a, b in itertools.pairwise(recalls))


@pytest.mark.parametrize("seed", range(4))
def test_voc_is_a_slow_devkit(seed):
    images = [ours(one) for one in scene(seed)]
    images = [one | {"crowd": [False] * len(one["crowd"])} for one in images]
    for metric, points in ((VOC, 0), (VOC11, 11)):
        found = values(metric, images)
        slow = [slow_voc(images, label, points) for label in (0, 1)]
        mine = [found[f"{metric.name}/{animal}"] for animal in ("cat", "dog")]
        assert mine == pytest.approx(slow, abs=1e-12)
        assert 0.1 < found[metric.name] < 0.95
