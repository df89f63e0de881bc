import types

import numpy as np
import pytest

from jaxseg.analysis import reconstructions, tools
from jaxseg.core import binding, errors
from jaxseg.data import source as source_lib
from jaxseg.data.normalization import Normalize
from jaxseg.models import model as models
from jaxseg.tasks import build, conrec

NAME = "worlds/driving_day"
BACKBONE = {"name": "unet", "variant": "tiny"}
HEADS = {
    "reconstruction": {"reconstruction": {"name": "reconstruction", "targets": 1}},
    "conrec": {
        "projection": {"name": "projection", "hidden": [6]},
        "reconstruction": {"name": "reconstruction"},
    },
    "segmentation": {"segmentation": {"name": "linear"}},
}
AUGMENT = [
    {"name": "flip"},
    {"name": "random_resized_crop", "height": 32, "width": 32},
    {"name": "jitter"},
]
NORMALIZE = Normalize((110.0, 100.0, 90.0), (60.0, 50.0, 40.0))


def untrained(name):
    """What an analysis asks of an artifact; the weights are random."""
    section, task = {"backbone": BACKBONE, "heads": HEADS[name]}, {"name": name}
    network, objective = build.network(section, task, 3)
    return types.SimpleNamespace(
        folder="artifacts/x",
        head=next(iter(objective.heads)),
        manifest={"outputs": objective.heads},
        preprocessing={},
        objective=objective,
        data_section={"augment": AUGMENT},
        variables=models.init(network, (32, 32, 3), seed=0),
        prediction={
            "model": section,
            "task": task,
            "num_outputs": 3,
            "size": (32, 32),
            "normalize": NORMALIZE,
        },
    )


def given(count):
    return tools.Tools({"data": source_lib.open(NAME, split="train", count=count)})


def run(model, own, **fields):
    spec = {"name": "reconstructions", "data": {"name": NAME}, **fields}
    spec = binding.bind(reconstructions.Spec, section=spec, where="")
    return reconstructions.run({"model": model}, spec, own)


def of(rows, target, field):
    return [row[field] for row in rows if row["target"] == target]


def test_moments_by_hand():
    target = np.array([[0.0, 1.0], [2.0, 1.0], [9.0, 9.0]])
    made = target + np.array([[1.0, 0.0], [2.0, 1.0], [7.0, 7.0]])
    found = reconstructions.moments(made, target, np.array([True, True, False]))
    assert found.error == 6 / 4
    assert found.mean.tolist() == [1, 1] and found.square.tolist() == [2, 1]
    # against the colour (1, 3): 1 and 4 of both pixels
    assert found.filled(np.array([1.0, 3.0])) == (1 + 4 + 1 + 4) / 4
    assert reconstructions.moments(made, target, np.zeros(3, bool)) is None


@pytest.mark.parametrize("name", ["reconstruction", "conrec"])
def test_errors_are_those_of_the_loss(name):
    """20 images in two batches; one colour of their own beats that of the set."""
    model, own = untrained(name), given(20)
    rows, found = run(model, own, count=64, pictures=2)
    logs = own.mean_loss(model, "data", tools.BATCH)(model.variables)
    if name == "reconstruction":
        assert np.mean(of(rows, "whole", "error")) == pytest.approx(logs["loss"])
        assert np.mean(of(rows, "whole", "filled")) < logs["mean_color"]
        targets = ["whole"]
    else:
        targets = ["whole", "colors", "mask", "blackened"]
        for target in targets:
            mean = np.mean(of(rows, target, "error"))
            assert mean == pytest.approx(logs[f"reconstruction_{target}"], rel=1e-5)
    assert [row["target"] for row in rows] == targets * 20
    assert found["images"].shape == (2, 1 + 2 * len(targets), 32, 32, 3)
    assert found["images"].dtype == np.uint8
    assert run(model, own, count=64, pictures=2)[0] == rows


class Perfect:
    """Every output is its target, of the objective of ConRec."""

    def pairs(self, outputs, batch):
        return {n: (target, target) for n, target in conrec.targets(batch).items()}


def test_pictures_and_colours_by_hand():
    """Two views of two images, the second is a filler; a block in the first view."""
    whole = np.zeros((2, 2, 4, 4, 3), np.float32)
    whole[0, 0], whole[0, 1], mask = 1.0, -1.0, np.zeros((2, 2, 4, 4), bool)
    mask[0, 0, :2] = True
    batch = {"image": np.where(mask[..., None], np.float32(0.5), whole), "whole": whole}
    batch |= {"mask": mask, "clean": 0 * whole, "valid": np.array([True, False])}
    judged = iter([(batch, None)])
    (one,) = reconstructions._ones(Perfect(), judged, NORMALIZE)
    shown = one.pictures
    assert shown.shape == (9, 4, 4, 3)
    np.testing.assert_array_equal(shown[1:5], shown[5:])
    assert shown[0, 0, 0].tolist() == [140, 125, 110]  # mean + std / 2
    assert shown[0, 3, 0].tolist() == shown[1, 0, 0].tolist() == [170, 150, 130]
    assert shown[2, 0, 0].tolist() == [110, 100, 90]
    assert shown[3, 0, 0].tolist() == [255] * 3 and not shown[3, 3].any()
    assert shown[4, 0, 0].tolist() == [0, 0, 10]  # mean - 2 std, cut at 0
    rows = list(reconstructions._rows([one]))
    assert of(rows, "whole", "error") == of(rows, "whole", "error_masked") == [0]
    assert of(rows, "whole", "filled") == [1]  # 1 and -1 around a mean of 0
    assert of(rows, "whole", "filled_masked") == [1]
    assert of(rows, "colors", "filled") == [0]
    assert of(rows, "mask", "filled") == [pytest.approx(0.25 * 0.75)]
    assert of(rows, "mask", "filled_masked") == [None]


def test_what_it_is_not_for():
    with pytest.raises(errors.UserError, match="trained for segmentation; allowed"):
        run(untrained("segmentation"), given(2))
