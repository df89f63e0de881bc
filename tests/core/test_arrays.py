import numpy as np
import pytest

from jaxseg.core import arrays


def test_arrays_come_back_as_they_were(tmp_path):
    given = {"a": np.float32([[1, 2]]), "b": np.array(["x", "yz"])}
    for name in ("one.npz", "two.npz"):
        arrays.write(tmp_path / name, given)
    found = arrays.read(tmp_path / "one.npz")
    assert list(found) == ["a", "b"] and found["a"].dtype == np.float32
    np.testing.assert_array_equal(found["a"], given["a"])
    np.testing.assert_array_equal(found["b"], given["b"])
    both = [(tmp_path / name).read_bytes() for name in ("one.npz", "two.npz")]
    assert both[0] == both[1]


def test_objects_are_not_written(tmp_path):
    with pytest.raises(TypeError, match="arrays b hold objects"):
        arrays.write(tmp_path / "x.npz", {"a": np.ones(1), "b": np.array([{}])})
    assert not (tmp_path / "x.npz").exists()
