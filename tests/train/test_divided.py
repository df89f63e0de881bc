"""One network on four layouts of devices: losses, memory and what devices exchange."""

import json

import pytest

from tests.hosts import processes

DIVIDED = ("2x2", "1x4")
LAYOUTS = ("4x1", *DIVIDED)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    path = tmp_path_factory.mktemp("divided") / "seen.json"
    started = processes.start([path], devices=8, module="tests.train.divided")
    ((code, text),) = processes.ended(started)
    assert code == 0, text
    return json.loads(path.read_text())


def parts(layout):
    return int(layout[-1])


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_losses(seen, layout):
    """Of the first step, and after three, whose updates are 1e-3 of a loss."""
    alone, found = seen["1x1"], seen[layout]
    assert alone["losses"][0] - alone["losses"][2] > 1e-3
    assert found["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert found["norm"] == pytest.approx(alone["norm"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_of_one_device(seen, layout):
    """The state that a step takes and gives, by the compiler and by the arrays."""
    alone, found, share = seen["1x1"], seen[layout], parts(layout)
    before, after = found["held"]
    assert before == after == pytest.approx(alone["held"][0] / share, rel=1e-3)
    assert found["arguments"] == before + 4  # the learning rate
    assert found["results"] == pytest.approx(alone["results"] / share, rel=2e-3)
    assert alone["held"][0] > 4 * alone["parameters"]  # two moments and the average


@pytest.mark.slow
def test_only_gradients_are_exchanged_where_the_state_is_whole(seen):
    """And batch statistics and a few numbers."""
    found, least = seen["4x1"], seen["4x1"]["parameters"] + seen["4x1"]["statistics"]
    assert [*found["collectives"]] == ["all-reduce"] and seen["1x1"][
        "collectives"
    ] == {}
    assert least <= found["collectives"]["all-reduce"] <= least + 64


@pytest.mark.slow
@pytest.mark.parametrize("layout", DIVIDED)
def test_a_divided_state_is_gathered_once_and_no_image_moves(seen, layout):
    """Gradients are added up within the `fsdp` axis, and their parts along `data`: an
    all-reduce both, since the compiler for CPU makes no reduce-scatter.
    """
    found = seen[layout]
    exchanged, whole = found["collectives"], found["parameters"] + found["statistics"]
    assert sorted(exchanged) == ["all-gather", "all-reduce"]
    assert whole <= exchanged["all-gather"] <= 1.005 * whole
    added = {"1x4": 1.0, "2x2": 1.5}[layout] * found["parameters"]
    assert exchanged["all-reduce"] == pytest.approx(added, rel=0.005)
