import pytest

from jaxseg.train import every


@pytest.mark.parametrize(
    "period, last, times",
    [
        (0, 5, [5]),
        (1, 3, [1, 2, 3]),
        (2, 6, [2, 4, 6]),
        (2, 5, [2, 4, 5]),
        (5, 5, [5]),
        (9, 5, [5]),
        (1, 1, [1]),
        (0, 1, [1]),
    ],
)
def test_every(period, last, times):
    when = every.Every(period, last)
    assert [step for step in range(1, last + 1) if when(step)] == times
