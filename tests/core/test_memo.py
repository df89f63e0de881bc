"""Equal arguments are computed once, unequal ones never share."""

import dataclasses

import numpy as np
import pytest

from jaxseg.core import errors, memo


def test_equal_content_is_computed_once_and_types_count():
    calls = []

    @memo.by_content
    def remembered(section, more=()):
        calls.append(section)
        return [section]

    assert remembered({"a": 1}) is remembered({"a": 1})
    for other in ({"a": 1.0}, {"a": True}, {"a": "1"}, {1: 1}, {"1": 1}, [("a", 1)]):
        assert remembered(other) == [other]
        assert type(next(iter(remembered(other)[0]))) is type(next(iter(other)))
    assert len(calls) == 7
    assert remembered({"a": 1}, more=[2]) is not remembered({"a": 1})
    remembered.cache_clear()
    remembered({"a": 1})
    assert len(calls) == 9


def test_errors_are_not_remembered():
    answers = iter([ValueError("first"), 5])

    @memo.by_content
    def remembered(section):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ValueError, match="first"):
        remembered({})
    assert remembered({}) == 5


def test_what_cannot_be_pickled_is_computed_each_time():
    calls = []

    @memo.by_content
    def remembered(value):
        calls.append(value)
        return value

    value = lambda: 0
    assert memo.content({"a": value}) is None
    assert remembered(value) is remembered(value) is value
    assert len(calls) == 2


def test_a_place_is_no_part_of_the_content_but_of_the_message():
    calls = []

    @memo.placed
    def remembered(section, where):
        calls.append(where)
        if section["a"] < 0:
            raise errors.UserError(f"{where}/a: below 0")
        return section["a"]

    assert remembered({"a": 1}, where="x") == remembered({"a": 1}, where="y") == 1
    assert calls == [""]
    for where in "xy":
        with pytest.raises(errors.UserError, match=f"^{where}/a: below 0"):
            remembered({"a": -1}, where=where)


@dataclasses.dataclass(frozen=True)
class Box:
    size: tuple[int, int]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The folder of results on disk, an empty one."""
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path))
    return tmp_path / "results"


def counted():
    """A function kept on disk as in a new process, and the calls of this process."""
    calls = []

    @memo.on_disk
    def area(box, scale=1):
        calls.append(box)
        if scale < 0:
            raise ValueError("scale")
        return {"area": np.prod(box.size) * scale}

    return area, calls


def test_results_on_disk_are_of_equal_arguments_and_of_this_code(results, monkeypatch):
    for expected in (1, 0):  # calls of the first process, and of the second
        area, calls = counted()
        assert area(Box((2, 3))) == area(Box((2, 3))) == {"area": 6}
        assert len(calls) == expected
    assert area(Box((2, 3)), scale=2) == {"area": 12}
    assert area(Box((3, 2))) == {"area": 6}
    assert len(calls) == 2
    assert len(list(results.iterdir())) == 3
    monkeypatch.setattr(memo, "code", lambda: "changed")
    area(Box((2, 3)))
    assert len(calls) == 3


def test_errors_are_not_kept_on_disk(results):
    area, calls = counted()
    for _ in range(2):
        with pytest.raises(ValueError, match="scale"):
            area(Box((2, 3)), scale=-1)
    assert len(calls) == 2
    assert not results.exists()


@pytest.mark.parametrize("damage", ["empty", "short", "one byte"])
def test_a_damaged_result_is_made_again(results, damage):
    area, calls = counted()
    area(Box((2, 3)))
    (file,) = results.iterdir()
    whole = file.read_bytes()
    changed = whole[:-1] + bytes([whole[-1] ^ 1])
    file.write_bytes({"empty": b"", "short": whole[:-1], "one byte": changed}[damage])
    assert area(Box((2, 3))) == {"area": 6}
    assert len(calls) == 2
    assert file.read_bytes() == whole


def test_no_cache_is_no_error(results):
    results.write_text("a file where the folder should be")
    area, calls = counted()
    assert area(Box((2, 3))) == area(Box((2, 3))) == {"area": 6}
    assert len(calls) == 2
