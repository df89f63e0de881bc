"""What a segmenter makes of images of another data set, in its own classes."""

import numpy as np
import pytest

from jaxseg.analysis import predictions, tools
from jaxseg.core import binding, errors
from jaxseg.data import source as source_lib
from jaxseg.tasks import build

SET = "worlds/consumer_everyday"


class Model:
    """Says class 2 in the upper half, 1 in the next quarter, background below."""

    folder, preprocessing, head = "artifacts/x", {}, "segmentation"

    def __init__(self, task="segmentation"):
        self.objective = build.task({"name": task}, 3)
        self.manifest = {"outputs": {"segmentation": 3}}
        self.manifest["classes"] = ["background", "mug", "star"]
        self.manifest["palette"] = [[0, 0, 0], [10, 20, 30], [200, 100, 50]]

    def __call__(self, image):
        said = np.zeros(image.shape[:2], np.int32)
        rows = len(said)
        said[: rows // 2], said[rows // 2 : rows * 3 // 4] = 2, 1
        return said


def made(model=None, dataset=SET, count=2, **changes):
    source = source_lib.open(dataset, split="validation")
    section = {"name": "predictions", "data": {"name": dataset}, "count": count}
    spec = binding.bind(predictions.Spec, section=section | changes, where="x")
    model = model or Model()
    found = predictions.run({"model": model}, spec, tools.Tools({"data": source}))
    return source, list(found.rows), found.arrays["pictures"]


def test_rows_and_pictures():
    source, rows, pictures = made()
    assert [row["image"] for row in rows] == [0, 1]
    assert rows[0]["classes"] == ["star", "background", "mug"]
    assert rows[0]["shares"] == [0.5, 0.25, 0.25]
    height, width = source[0]["image"].shape[:2]
    assert pictures.shape == (2, 3, height, width, 3)
    np.testing.assert_array_equal(pictures[1, 0], source[1]["image"])
    assert pictures[0, 2, 0, 0].tolist() == [200, 100, 50]
    assert pictures[0, 2, -1, 0].tolist() == [0, 0, 0]


def test_the_first_image_with_a_class_is_added_once():
    source, rows, _ = made(count=1, also="person")
    wanted = source.dataset.classes.index("person")
    first = next(
        n for n, one in enumerate(source) if (one["segmentation"] == wanted).any()
    )
    assert [row["image"] for row in rows] == list(dict.fromkeys([0, first]))
    _, rows, _ = made(count=first + 1, also="person")
    assert [row["image"] for row in rows] == [*range(first + 1)]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"also": "persn"}, "predictions/also: unknown class 'persn'.*mean 'person'"),
        ({"model": Model("classification")}, "trained for classification; allowed is"),
        ({"dataset": "worlds/websearch"}, "predictions/data: found image, label; need"),
    ],
)
def test_what_it_needs(changes, words):
    with pytest.raises(errors.UserError, match=words):
        made(**changes)
