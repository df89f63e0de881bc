"""Two processes with two devices each: one pair for all that is quick."""

import pytest

from tests.hosts import processes, work

CASES = (
    "messages",
    "one_fails",
    "damaged",
    "arrays",
    "divided",
    "checkpoints",
    "spoilt",
    "stop",
    "order",
    "metrics",
    "losses",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, user_cache):
    folder = tmp_path_factory.mktemp("together")
    arguments = ["+".join(CASES), folder]
    started = processes.start(arguments, 2, processes=2, module="tests.hosts.work")
    return processes.ended(started)


@pytest.mark.parametrize("case", CASES)
def test_two_processes(outputs, case):
    """What each case checks is in `work`."""
    assert callable(getattr(work, case))
    for _, text in outputs:
        assert f"passed {case}\n" in text, text


def test_both_end(outputs):
    assert [code for code, _ in outputs] == [0, 0]
