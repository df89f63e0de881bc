import json

import numpy as np
import pytest
from pycocotools import cocoeval

from jaxseg.core import errors
from jaxseg.metrics import keypoints
from tests.metrics.test_detection import batches, directly, image
from tests.metrics.test_detection import values as detection_values

PERSON = keypoints.Oks(17, keypoints.PERSON_17)
TWO = keypoints.Oks(2, (0.05, 0.1))


def person(points, scores, truths, boxes, **more):
    """One image in our vocabulary, all instances of class 0."""
    one = image(scores=scores, labels=[0] * len(scores), truths=boxes)
    del one["boxes"], one["difficult"]
    return one | dict(keypoints=points, true_keypoints=truths) | more


def values(metric, images, size=2, **options):
    points = (metric.num_keypoints, 3)
    shapes = dict(keypoints=points, true_keypoints=points, true_boxes=(4,))
    return detection_values(metric, images, size, ("person",), shapes=shapes, **options)


def expected(run):
    names = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "ar50")
    return {name: x for name, x in zip(names, run.stats) if x != -1}


def xy(points):
    """[K, 3] of a COCO list, as row, col, third."""
    return np.reshape(points, (-1, 3))[:, [1, 0, 2]]


def ours(truths, results, area=True):
    """One image of COCO's annotations and results."""
    corners = [(y, x, y + h, x + w) for x, y, w, h in (one["bbox"] for one in truths)]
    more = {"area": [one["area"] for one in truths]} if area else {}
    return person(
        [xy(one["keypoints"]) for one in results],
        [one["score"] for one in results],
        [xy(one["keypoints"]) for one in truths],
        corners,
        crowd=[bool(one["iscrowd"]) for one in truths],
        **more,
    )


def scene(seed, count, distinct=False):
    """(annotation file, results) on a grid of 1/8 pixel, where float32 rounds nothing.

    Crowds, people without a labelled point, images without truth, without predictions
    and without both, equal scores, more than 20 detections in one image.
    """
    rng = np.random.default_rng(seed)
    truths, results = [], []
    for index in range(8):
        for _ in range(0 if index in (2, 3) else rng.integers(1, 5)):
            side = int(rng.choice([60, 160]))
            x, y = (int(v) for v in rng.integers(0, 200, 2))
            points = np.stack(
                [
                    x + rng.integers(0, 8 * side, count) / 8,
                    y + rng.integers(0, 8 * side, count) / 8,
                    rng.choice([0, 1, 2], count) * (rng.random() < 0.85),
                ],
                axis=1,
            )
            truth = {"bbox": [x, y, side, side], "area": side * side // 2}
            truth |= {"keypoints": points.ravel().tolist()}
            truth |= {"num_keypoints": int((points[:, 2] > 0).sum())}
            truth |= {"iscrowd": int(rng.random() < 0.15), "image_id": index}
            truths.append(truth | {"category_id": 5, "id": len(truths) + 1})
            for _ in range(0 if index == 5 else 9 if index == 4 else 1):
                wrong = np.round(rng.normal(0, side / 2, (count, 3))) / 8
                guess = np.where(points[:, 2:] > 0, points, x) + wrong
                results.append({"image_id": index, "keypoints": guess.ravel().tolist()})
    for index in (3, *[4] * 20):
        guess = rng.integers(0, 1600, (count, 3)) / 8
        results.append({"image_id": index, "keypoints": guess.ravel().tolist()})
    results = [results[i] for i in rng.permutation(len(results))]
    for number, one in enumerate(results):
        score = number / 512 if distinct else int(rng.integers(1, 5)) / 4
        one |= {"category_id": 5, "score": score}
    images, kinds = [{"id": index} for index in range(8)], [{"id": 5}]
    return dict(images=images, categories=kinds, annotations=truths), results


def images_of(dataset, results, **options):
    here = lambda one, listed: [x for x in listed if x["image_id"] == one["id"]]
    return [
        ours(here(one, dataset["annotations"]), here(one, results), **options)
        for one in dataset["images"]
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("metric", [PERSON, TWO])
def test_exactly_pycocotools_on_its_own_files(tmp_path, seed, metric):
    dataset, results = scene(seed, metric.num_keypoints)
    sigmas = metric.sigmas if metric is TWO else None
    run = directly(tmp_path, dataset, results, "keypoints", sigmas)
    found = values(metric, images_of(dataset, results))
    assert found == expected(run)
    assert 0.02 < found["ap"] < 0.98 and len(found) == 7


def test_the_scene_holds_what_it_should():
    made = images_of(*scene(0, 2))
    assert any(any(one["crowd"]) for one in made)
    assert any((t[:, 2] == 0).all() for one in made for t in one["true_keypoints"])
    assert max(len(one["scores"]) for one in made) > 20
    kinds = {(len(one["true_boxes"]) > 0, len(one["scores"]) > 0) for one in made}
    assert len(kinds) == 4


BOX = (0, 0, 100, 100)
TRUTH = [(10, 20, 2), (50, 60, 1)]


def moved(rows, third=1.0):
    """TRUTH with its first point `rows` lower."""
    return [(10 + rows, 20, third), (50, 60, third)]


@pytest.mark.parametrize(
    "rows, area, ap",
    [
        # OKS = (1 + exp(-rows^2 / (2 (2 sigma)^2 area))) / 2, sigma 0.05.
        (0, 5000.0, 1.0),
        (5, 5000.0, 0.8),  # exp(-0.25) = 0.779, OKS 0.889: 0.5, 0.55, ..., 0.85
        (10, 5000.0, 0.4),  # exp(-1) = 0.368, OKS 0.684: 0.5, 0.55, 0.6, 0.65
        (10, 2500.0, 0.2),  # exp(-2) = 0.135, OKS 0.568: 0.5, 0.55
    ],
)
def test_oks_by_hand(rows, area, ap):
    one = person([moved(rows)], [0.5], [TRUTH], [BOX], area=[area])
    found = values(TWO, [one])
    assert found["ap"] == pytest.approx(ap) and found["ar"] == pytest.approx(ap)
    assert found["ap50"] == pytest.approx(1) and found["ar50"] == 1.0


def test_the_area_is_a_share_of_the_box_unless_given():
    one = person([moved(10)], [0.5], [TRUTH], [BOX])
    plain = values(TWO, [one])
    assert plain == values(TWO, [one | {"area": [5300.0]}])
    assert plain == values(TWO, [one | {"area": [0.0]}])
    other = values(keypoints.Oks(2, TWO.sigmas, area_factor=0.25), [one])
    assert other == values(TWO, [one | {"area": [2500.0]}]) != plain


def test_points_that_are_not_labelled_count_nowhere():
    truth = [(10, 20, 2), (np.nan, np.nan, 0)]
    one = person([moved(0)], [0.5], [truth], [BOX])
    assert values(TWO, [one])["ap"] == pytest.approx(1)


def test_the_score_of_a_point_does_not_count():
    found = [
        values(TWO, [person([moved(10, third)], [0.5], [TRUTH], [BOX])])
        for third in (0.0, 1.0)
    ]
    assert found[0] == found[1]


def test_someone_without_a_labelled_point_is_not_to_be_found():
    nobody = [(0, 0, 0), (0, 0, 0)]
    one = person([moved(0)] * 2, [0.9, 0.5], [nobody, TRUTH], [BOX, BOX])
    assert values(TWO, [one])["ap"] == pytest.approx(1)


def test_slots_without_a_prediction():
    one = person([moved(0)] * 3, [0.5, 0.9, -1.0], [TRUTH], [BOX], labels=[0, -1, 0])
    assert values(TWO, [one])["ap"] == pytest.approx(1)
    more = values(TWO, [one | {"labels": [0, 0, -1]}])
    assert more["ap"] == pytest.approx(1)  # a second true one comes too late to hurt
    far = [moved(0), moved(90), moved(90)]
    assert values(TWO, [one | {"keypoints": far}])["ap"] == pytest.approx(1)
    assert values(TWO, [one | dict(keypoints=far, labels=[0] * 3)])["ap"] < 0.6


@pytest.mark.parametrize(
    "images", [[], [person([], [], [], [])], [person([moved(0)], [0.5], [], [])]]
)
def test_nothing_to_find(images):
    assert values(TWO, images) == {"ap": 0.0, "ap50": 0.0}


def test_nothing_found():
    found = values(TWO, [person([], [], [TRUTH], [BOX])])
    assert set(found.values()) == {0.0} and "ar50" in found


def test_how_a_set_is_cut_into_batches_changes_nothing():
    images = images_of(*scene(1, 2))
    whole = values(TWO, images, size=8)
    for size in (1, 3, 16):
        assert values(TWO, images, size) == whole


def test_the_order_of_batches_changes_nothing():
    images = images_of(*scene(1, 2, distinct=True))
    assert values(TWO, images, reverse=True) == values(TWO, images)


def test_another_number_of_points():
    one = person([moved(0)], [0.5], [TRUTH], [BOX])
    metric = keypoints.Oks(3, (0.1,) * 3)
    shapes = dict(keypoints=(2, 3), true_keypoints=(2, 3), true_boxes=(4,))
    with pytest.raises(errors.UserError, match="hold 2 points per object"):
        metric.merge(metric.zeros(), batches([one], 1, shapes)[0])


@pytest.mark.parametrize("sigmas", [(0.1,), (0.1, 0.0), ()])
def test_sigmas_that_cannot_be(sigmas):
    with pytest.raises(errors.UserError, match=r"default_sigmas\(2\)"):
        keypoints.Oks(2, sigmas)


def test_default_sigmas():
    coco = cocoeval.Params("keypoints").kpt_oks_sigmas
    assert keypoints.default_sigmas(17) == tuple(coco)
    assert keypoints.default_sigmas(16) == keypoints.MPII_16
    assert keypoints.default_sigmas(20) == (0.05,) * 20
    for count in (1, 14, 16, 17, 20):
        assert len(keypoints.default_sigmas(count)) == count


REAL = (
    "official_layouts/keypoints/coco/test_coco.json",
    "lsp_extended/annotations/person_keypoints_val.json",
)


@pytest.mark.parametrize("path", REAL)
def test_real_people(real_data, tmp_path, path):
    dataset = json.loads((real_data / path).read_text())
    labelled = [one for one in dataset["annotations"] if one["num_keypoints"]]
    count = len(labelled[0]["keypoints"]) // 3
    metric = keypoints.Oks(count, keypoints.default_sigmas(count))
    perfect = [one | {"score": 0.5} for one in labelled]
    found = values(metric, images_of(dataset, perfect), 8)
    assert found["ap"] == pytest.approx(1, abs=1e-14) and found["ar"] == 1.0

    rng = np.random.default_rng(0)
    results = []
    for one in labelled:
        shift = rng.normal(0, 0.04 * one["area"] ** 0.5, 3 * count)
        guess = (np.array(one["keypoints"]) + shift).tolist()
        kind = {"image_id": one["image_id"], "category_id": one["category_id"]}
        score = float(np.float32(rng.random()))
        results.append(kind | {"keypoints": guess, "score": score})
    run = directly(tmp_path, dataset, results, "keypoints", metric.sigmas)
    found = values(metric, images_of(dataset, results), 8)
    assert found == expected(run) and 0.1 < found["ap"] < 0.95
