import numpy as np
import pytest

from jaxseg.analysis import parameter_distance, tools
from jaxseg.core import errors

A = {
    "backbone": {"level0": {"conv1": {"conv": {"kernel": np.array([[1.0, 2.0]])}}}},
    "heads_x": {"output": {"kernel": np.array([3.0, 0.0]), "bias": np.array([2.0])}},
}
B = {
    "backbone": {"level0": {"conv1": {"conv": {"kernel": np.array([[1.0, 0.0]])}}}},
    "heads_x": {"output": {"kernel": np.array([0.0, 4.0]), "bias": np.array([14.0])}},
}


class Model:
    def __init__(self, params, stats):
        self.variables = {"params": params, "batch_stats": {"norm": {"mean": stats}}}


def test_distances_by_hand():
    # (0, 2) in the backbone; (3, -4) and -12 in the head: 13. 4 + 169 = 173.
    found = parameter_distance.distances(A, B, 3, what="x")
    expected = {"total": 173**0.5, "backbone/level0/conv1": 2.0, "heads_x/output": 13.0}
    assert found == pytest.approx(expected, rel=1e-15)
    coarse = parameter_distance.distances(A, B, 1, what="x")
    assert list(coarse) == ["total", "backbone", "heads_x"]
    assert coarse["total"] == found["total"]
    assert set(parameter_distance.distances(A, A, 3, what="x").values()) == {0.0}


def test_each_pair_of_models_has_its_rows_and_batch_statistics_do_not_count():
    models = {"P": Model(A, 0.0), "Ft0": Model(A, 9.0), "Ri0": Model(B, 5.0)}
    spec = parameter_distance.Spec(name="parameter_distance")
    rows = parameter_distance.run(models, spec, tools.Tools({}))
    total = {(r["a"], r["b"]): r["distance"] for r in rows if r["layer"] == "total"}
    far = pytest.approx(173**0.5)
    assert total == {("P", "Ft0"): 0.0, ("P", "Ri0"): far, ("Ft0", "Ri0"): far}
    assert len(rows) == 3 * 3


def test_sums_are_of_64_bits():
    """A million steps of 1e-4 beside one of 1: in 32 bits the sum would be off."""
    a = {"conv": {"kernel": np.full(10**6, 1e-4, np.float32), "bias": np.ones(1)}}
    b = {"conv": {"kernel": np.zeros(10**6, np.float32), "bias": np.zeros(1)}}
    found = parameter_distance.distances(a, b, 1, what="x")
    assert found["total"] == pytest.approx(1.01**0.5, rel=1e-7)


@pytest.mark.parametrize(
    "other",
    [
        {"backbone": A["backbone"]},
        A | {"heads_x": {"output": {"kernel": np.zeros(3), "bias": np.zeros(1)}}},
    ],
)
def test_other_parameters_are_refused(other):
    with pytest.raises(errors.UserError, match=r"P and Q: heads_x/output/.* Fix"):
        parameter_distance.distances(A, other, 1, what="P and Q")
