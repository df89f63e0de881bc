import pytest

from jaxseg.core import errors
from jaxseg.report import build
from jaxseg.transfer import chain, overrides
from jaxseg.transfer import run as runs
from tests import tiny


def bound(**changes):
    return chain.bind({"study": "s", "stages": {"a/b": tiny.train(**changes)}})


def change(*changes):
    return overrides.override(bound(), changes).stages["a/b"].plain()


def test_one_key_and_many():
    assert change(("stages/a/b/lr", 0.5))["lr"] == 0.5
    assert change((".*/steps", 7))["steps"] == 7
    assert change((".*/data/count", 5))["data"]["count"] == 5
    assert change(("stages/a/b/optimizer/b1", 0.5))["optimizer"]["b1"] == 0.5


def test_in_order_and_the_last_wins():
    assert change((".*/lr", 0.5), ("stages/a/b/lr", 0.25))["lr"] == 0.25


def test_values_are_checked_as_in_a_config():
    with pytest.raises(errors.UserError, match="stages/a/b/steps: found 'x'"):
        change((".*/steps", "x"))


def test_what_matches_nothing():
    with pytest.raises(errors.UserError) as caught:
        change(("stages/a/b/stpes", 1))
    text = str(caught.value)
    assert "'stages/a/b/stpes' matches no key of the config." in text
    assert "Did you mean 'stages/a/b/steps=1'?" in text and "--print" in text
    with pytest.raises(errors.UserError, match="matches no key"):
        change(("steps", 1))  # in full, not somewhere inside
    with pytest.raises(errors.UserError, match="not a regex"):
        change(("(", 1))


def test_the_config_given_is_not_changed():
    before = bound()
    overrides.override(before, [(".*/lr", 0.5)])
    assert before == bound()


def test_plain():
    import ml_collections

    config = ml_collections.ConfigDict({"a": {"b": (1, 2)}, "c": [{"d": 1}]})
    found = chain.plain(config)
    assert found == {"a": {"b": [1, 2]}, "c": [{"d": 1}]}
    assert type(found["a"]) is dict and type(found["a"]["b"]) is list


def test_sections_have_sorted_keys_stages_their_order():
    """Keys of stages do not know an order, so nothing that is made may."""
    section = {"parts": {"b": {}, "a": {"y": 1, "x": 2}}}
    found = chain.plain({"study": "s", "stages": {"z": section, "a": {}}})
    assert list(found) == ["study", "stages"] and list(found["stages"]) == ["z", "a"]
    parts = found["stages"]["z"]["parts"]
    assert list(parts) == ["a", "b"] and list(parts["a"]) == ["x", "y"]


def test_only_one_stage_for_a_worker(tmp_path):
    workdir = tiny.copy(tmp_path)
    key = tiny.key("target/b")
    (workdir / "artifacts" / key[:20] / "manifest.json").unlink()
    (workdir / "report" / "results.csv").unlink()
    outcome = runs.run(tiny.config(), workdir, stage=key)
    assert outcome.states == {"target/b": "done"}
    assert not (workdir / "report" / "results.csv").exists()  # no report


def test_a_worker_that_is_early_leaves_the_plan_and_nothing_else(tmp_path):
    outcome = runs.run(tiny.config(), tmp_path, stage=tiny.key("target"))
    assert outcome.states == {"target": "early"} and outcome.exit_code == 4
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert files == [tmp_path / "studies" / "tiny" / "plan.json"]
    found = build.build(tmp_path)  # a report needs no run of the whole
    assert found.text() == "tiny: 5 pending" and not found.left_out
