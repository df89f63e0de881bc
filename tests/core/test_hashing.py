import json

import numpy as np
import pytest

from jaxseg.core import errors, hashing


def test_equal_meaning_equal_key():
    one = {"b": (1, 2), "a": {"y": None, "x": True}}
    other = {"a": {"x": True, "y": None}, "b": [1, 2]}
    assert hashing.key(one) == hashing.key(other)
    assert hashing.canonical(one) == '{"a":{"x":true,"y":null},"b":[1,2]}'


@pytest.mark.parametrize(
    "one, other", [(1, 1.0), (1, True), (0, None), ("1", 1), ([], {}), ([1], [[1]])]
)
def test_other_values_other_keys(one, other):
    assert hashing.key({"v": one}) != hashing.key({"v": other})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_not_a_number_is_refused(value):
    with pytest.raises(errors.UserError, match="allowed: finite numbers"):
        hashing.key({"lr": [value]})


@pytest.mark.parametrize("value", [np.float32(1), np.zeros(2), {1, 2}, object()])
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(TypeError, match="not plain data"):
        hashing.canonical({"x": value})


def test_plain_makes_what_json_gives_back():
    value = {"a": (1, (2.5, "x")), 3: None}
    assert hashing.plain(value) == json.loads(json.dumps(value))


def test_known_sums(tmp_path):
    # sha256 of "abc" and of the empty string, as FIPS 180-2 prints them.
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_bytes(b"abc")
    (tmp_path / "z").write_bytes(b"")
    assert hashing.file_sum(tmp_path / "z") == empty
    assert hashing.folder_sums(tmp_path) == {"deep/a.txt": abc, "z": empty}
    assert hashing.key("abc") != abc  # JSON has quotes
