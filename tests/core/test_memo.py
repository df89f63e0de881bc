"""Equal arguments are computed once, unequal ones never share."""

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
