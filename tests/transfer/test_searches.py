"""Selections that ask for candidates one after another, and skip the others."""

import contextlib
import itertools
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from configs import common
from jaxseg.core import errors, jsonl
from jaxseg.core import manifest as manifests
from jaxseg.report import build
from jaxseg.report import rows as report_rows
from jaxseg.report import workdir as workdirs
from jaxseg.train import hooks
from jaxseg.transfer import chain, stage, store
from jaxseg.transfer import run as runs
from jaxseg.transfer.kinds import _peak as peak
from jaxseg.transfer.running import making, status, table
from tests import tiny
from tests.transfer import searcher
from tests.transfer.scored_kind import scored

ROOT = Path(__file__).parents[2]
LOST = -math.inf


@pytest.fixture(autouse=True)
def kind():
    undo = searcher.install()
    yield
    undo()


# The walk, a pure function.


@pytest.mark.parametrize(
    "values, start, asked",
    [
        ([1, 2, 5, 4, 3], 2, [2, 1, 3]),  # the start is the peak
        ([1, 2, 5, 4, 3], 1, [1, 0, 2, 3]),  # up, past the peak by one
        ([1, 2, 5, 4, 3], 3, [3, 2, 1]),  # down, and the way up is not asked for
        ([1, 2, 3, 4, 5], 2, [2, 1, 3, 4]),  # the peak is the last
        ([5, 4, 3, 2, 1], 2, [2, 1, 0]),  # the first
        ([5, 4, 3], 0, [0, 1]),  # the start is the first, and best
        ([1, 2, 3], 2, [2, 1]),
        ([3], 0, [0]),
        ([1, 3, 3, 3, 2], 2, [2, 1, 0, 3, 4]),  # over equal ones, both ways
        ([2, 2, 2], 1, [1, 0, 2]),  # all equal
        ([2, 2, 1, 1, 3], 3, [3, 2, 1, 0]),  # over an equal one to better ones
        ([1, 2, LOST, LOST, 3], 3, [3, 2, 1, 0]),  # a start that diverged goes down
        ([LOST, LOST, 1, 2], 1, [1, 0, 2, 3]),  # up where all below diverged
        ([1, LOST, 3, LOST, 9], 2, [2, 1, 3]),  # one that diverged ends its side
        ([LOST] * 3, 1, [1, 0, 2]),  # all diverged: each was tried
    ],
)
def test_exactly_these_are_asked_for(values, start, asked):
    order = "01234"[: len(values)]
    known, sequence = {}, [str(start)]
    while sequence[-1] not in known:  # as a run does: one ends, the next is asked for
        known[sequence[-1]] = float(values[int(sequence[-1])])
        further = peak.walk(order, str(start), known.get)
        assert further[: len(sequence)] == sequence  # what was asked for stays so
        sequence = further
    assert sequence == [str(place) for place in asked]
    every = {str(place): float(value) for place, value in enumerate(values)}
    assert peak.walk(order, str(start), every.get) == sequence  # the others do nothing


def test_of_one_peak_it_is_found_from_each_start():
    tried = 0
    for values in itertools.permutations(range(5)):
        top = values.index(4)
        rises, falls = list(values[:top]), list(values[top:])
        if rises == sorted(rises) and falls == sorted(falls, reverse=True):
            tried += 1
            for start in "01234":
                worth = lambda role, values=values: float(values[int(role)])
                asked = peak.walk("01234", start, worth)
                assert str(top) in asked and len(set(asked)) == len(asked)
    assert tried == 16


# Runs of stages whose scores are by hand.


def run(stages, workdir, **options):
    return runs.run({"study": "s", "stages": stages}, workdir, **options)


def made(workdir):
    """Names of the stages that began, in this sequence."""
    path = workdir / scored.MADE
    return path.read_text().split() if path.exists() else []


def rows(workdir, name="x", study="s"):
    plan = jsonl.read_sealed(workdir / "studies" / study / "plan.json", fix="")
    (key,) = (one["key"] for one in plan["stages"] if one["name"] == name)
    folder = store.Store(workdir).folder(key)
    return manifests.read(folder), jsonl.read(folder / "rows.jsonl")


def test_what_is_not_asked_for_is_skipped(tmp_path, capsys):
    outcome = runs.run(searcher.config(), tmp_path)
    assert outcome.exit_code == 0 and not outcome.errors and not outcome.left_out
    skipped = {name for name, state in outcome.states.items() if state == "skipped"}
    assert skipped == {"x/4", "y/0", "y/0/before"}
    assert outcome.states.keys() - skipped == searcher.ASKED
    ran = made(tmp_path)
    assert set(ran) == searcher.ASKED - {"x", "y"} and len(set(ran)) == len(ran)
    assert [name for name in ran if name[:2] == "x/"] == ["x/1", "x/0", "x/2", "x/3"]
    out = capsys.readouterr().out
    assert "2 stages were skipped: no search asks for them" in out
    assert "[ 19/19] done" in out  # skipped ones are counted
    assert "searches: 15 done, 3 skipped, 1 diverged" in out
    outcome = runs.run(searcher.config(), tmp_path)
    assert made(tmp_path) == ran and outcome.exit_code == 0
    assert outcome.states["x/4"] == "skipped" and outcome.states["x"] == "cached"


def test_what_a_search_leaves(tmp_path):
    runs.run(searcher.config(), tmp_path)
    manifest, found = rows(tmp_path, study="searches")
    names = ("candidate", "lr", "value", "asked", "skipped", "winner")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("x/0", 0.001, 0.3, 2, False, False),
        ("x/1", 0.002, 0.4, 1, False, False),
        ("x/2", 0.005, 0.6, 3, False, True),
        ("x/3", 0.01, 0.5, 4, False, False),
        ("x/4", 0.02, None, None, True, False),
    ]
    assert manifest["skipped"] == ["c4"]
    (metric,) = manifest["metrics"]
    assert metric["protocol"] == ", best of up to 5 candidates on this set"
    manifest, found = rows(tmp_path, "y", "searches")
    assert [row["asked"] for row in found] == [None, 3, 2, 1, None]
    assert found[3]["diverged"] == "loss is inf." and found[2]["winner"]
    # y/4 is there, for z, and is the best: a search chooses among what it asked for
    assert found[4]["skipped"] and found[4]["value"] is None
    assert manifest["skipped"] == ["c0", "c4"]


def test_the_report_shows_the_walk(tmp_path):
    best_last = searcher.candidates(0.1, 0.2, 0.3, name="z")
    more = best_last | {"z": searcher.search(best_last, 1)}
    config = searcher.config()
    del config["stages"]["z"]
    runs.run(config | {"stages": config["stages"] | more}, tmp_path)
    report = build.read(tmp_path)
    (study,) = report.studies
    statuses = {stage.name: stage.status for stage in study.stages}
    assert statuses["y/0"] == statuses["y/0/before"] == statuses["y/4"] == "skipped"
    assert study.counts()["skipped"] == 5 and study.counts()["pending"] == 0
    assert study.broken == [] and not report.left_out
    border = {
        row["stage"].name: row["border"]
        for row in report_rows.searches(study)
        if row["winner"]
    }
    assert border == {"x": False, "y": False, "z": True}
    page = report.files["index.html"].read_text()
    assert "0.002: 0.4000, 0.001: 0.3000, 0.005: 0.6000, 0.01: 0.5000</td>" in page
    assert "0.01: diverged, 0.005: 0.7000, 0.002: 0.2000</td>" in page
    assert page.count("a rate beyond the list may be better") == 1


def test_a_candidate_in_a_table_leaves_no_hole(tmp_path):
    label = dict.fromkeys(report_rows.NEEDED.split(), "a")
    label |= {"role": "target", "seed": 0}
    stages = searcher.candidates(0.5, 0.4, 0.3, columns=[label])
    plan = tiny.plan({"stages": stages | {"x": searcher.search(stages, 0)}})
    chain.write(plan, tmp_path)
    runs.run_stages(plan.stages, store.Store(tmp_path), watcher=status.Watcher())
    (study,) = workdirs.load(tmp_path)
    cells = [(row["cell"], row["status"]) for row in report_rows.planned(study)]
    assert len(cells) == 2 and {status for _, status in cells} == {"done"}


def test_lower_is_better(tmp_path):
    stages = searcher.candidates(0.5, 0.4, 0.1, 0.2, 0.3, higher_is_better=False)
    run(stages | {"x": searcher.search(stages, 3)}, tmp_path)
    assert made(tmp_path) == ["x/3", "x/2", "x/1"]
    assert [row["winner"] for row in rows(tmp_path)[1]].index(True) == 2


def test_a_score_that_is_not_finite_is_as_one_that_diverged():
    stages = searcher.candidates(0.1, 0.2, 0.5, 0.7, 0.9)
    plan = tiny.plan({"stages": stages | {"x": searcher.search(stages, 2)}})
    metric = dict(name="m", evaluation="holdout", headline=True, higher_is_better=True)
    scores = {"c2": 0.5, "c1": 0.2, "c3": math.nan, "c4": 0.9}
    ended = {r: {"metrics": [metric | {"value": v}]} for r, v in scores.items()}
    asks = stage.kind("select").asks
    assert asks(plan.by_name["x"], ended.get) == ["c2", "c1", "c3"]
    ended["c3"] = {}  # diverged
    assert asks(plan.by_name["x"], ended.get) == ["c2", "c1", "c3"]
    ended["c3"] = None  # has not ended: no more is known
    assert asks(plan.by_name["x"], ended.get) == ["c2", "c1", "c3"]
    ended["c3"] = {"metrics": [metric | {"value": 0.6}]}
    assert asks(plan.by_name["x"], ended.get) == ["c2", "c1", "c3", "c4"]


def test_where_all_diverge_all_were_tried(tmp_path):
    stages = searcher.candidates(None, None, None)
    outcome = run(stages | {"x": searcher.search(stages, 1)}, tmp_path)
    assert made(tmp_path) == ["x/1", "x/0", "x/2"]
    assert outcome.states["x"] == "blocked" and outcome.exit_code == 1


def test_a_candidate_that_fails_ends_the_search(tmp_path):
    stages = searcher.candidates(0.1, -1, 0.5, 0.9)
    outcome = run(stages | {"x": searcher.search(stages, 2)}, tmp_path)
    assert made(tmp_path) == ["x/2", "x/1"] and outcome.exit_code == 1
    assert outcome.states == {
        "x/0": "early",  # what its search asks for is not known
        "x/1": "failed",
        "x/2": "done",
        "x/3": "early",
        "x": "blocked",
    }
    (study,) = build.read(tmp_path).studies
    assert study.counts()["pending"] == 2 and study.counts()["skipped"] == 0


def test_a_candidate_of_two_searches_and_one_of_equal_content(tmp_path):
    stages = searcher.candidates(0.1, 0.5, 0.3, 0.2, 0.1)
    twin = {"twin": stages["x/4"]}  # the same key under another name
    both = {"x": searcher.search(stages, 1), "other": searcher.search(stages, 3)}
    outcome = run(stages | both | twin, tmp_path)
    assert outcome.ok and sorted(made(tmp_path)) == [
        "twin",
        *(f"x/{n}" for n in range(4)),
    ]
    assert outcome.states["x/4"] in ("cached", "skipped")
    assert rows(tmp_path, "other")[0]["skipped"] == ["c4"]
    (study,) = build.read(tmp_path).studies
    assert study.counts()["skipped"] == 0 == study.counts()["pending"]


def test_only(tmp_path):
    stages = searcher.candidates(0.1, 0.5, 0.3, 0.2)
    whole = stages | {
        "x": searcher.search(stages, 1),
        "more": stages["x/3"] | {"lr": 1},
    }
    outcome = run(whole, tmp_path, only="x")
    assert made(tmp_path) == ["x/1", "x/0", "x/2"] and outcome.ok
    assert "more" not in outcome.states and outcome.states["x/3"] == "skipped"
    assert run(whole, tmp_path, only="x/3").states == {"x/3": "done"}  # by name: runs
    assert rows(tmp_path)[0]["skipped"] == ["c3"]
    assert run(whole, tmp_path, only="x").states["x/3"] == "cached"  # there, not used


def test_an_interruption_goes_on_where_it_was(tmp_path):
    asked = iter([False, False, True])
    box, plan = store.Store(tmp_path), tiny.plan(searcher.config())
    stages = [one for one in plan.stages if one.name[0] == "x"]
    with pytest.raises(hooks.Interrupted, match="before stage x/2"):
        runs.run_stages(
            stages, box, watcher=status.Watcher(), interrupted=asked.__next__
        )
    assert made(tmp_path) == ["x/1", "x/0"]
    assert runs.run_stages(stages, box, watcher=status.Watcher()).ok
    assert made(tmp_path) == ["x/1", "x/0", "x/2", "x/3"]


# Plans.


def states(out):
    """{stage: its state} of a printed plan."""
    lines = [line.split() for line in out.splitlines() if " scored " in line]
    return {line[0]: " ".join(line[2:-2]) for line in lines}


def test_a_plan_shows_the_bound(tmp_path, capsys):
    stages = searcher.candidates(0.1, 0.5, 0.3, 0.2, 0.1)
    config = {"study": "s", "stages": stages | {"x": searcher.search(stages, 1)}}
    plan = tiny.plan(config)
    table.show("s", plan.stages, tmp_path)
    out = capsys.readouterr().out
    free = dict.fromkeys((f"x/{place}" for place in (0, 2, 3, 4)), "if asked")
    assert states(out) == free | {"x/1": "to run"}
    assert "To run: 50 steps" in out
    assert out.endswith(" At most: searches ask for 0 to 4 stages of these.\n")
    for place in (1, 0):
        key = plan.by_name[f"x/{place}"].key
        assert runs.run(config, tmp_path, stage=key).exit_code == 0
    capsys.readouterr()
    table.show("s", plan.stages, tmp_path)
    out = capsys.readouterr().out
    assert states(out)["x/2"] == "to run" and states(out)["x/3"] == "if asked"
    assert "To run: 30 steps" in out and "0 to 2 stages of these" in out
    runs.run(config, tmp_path)
    capsys.readouterr()
    table.show("s", plan.stages, tmp_path)
    out = capsys.readouterr().out
    assert states(out)["x/3"] == states(out)["x/4"] == "skipped"
    assert "To run: 0 steps" in out and "At most" not in out


@pytest.mark.parametrize(
    "change, text",
    [
        ({"start": None}, r"stages/x/start: found None, allowed: the role .* c0, c1"),
        ({"start": "x/1"}, r"stages/x/start: found 'x/1', allowed: the role"),
        ({"search": None}, r"stages/x/start: found 'c1', .*Fix: search='peak'"),
        ({"search": "grid"}, r"stages/x/search: found 'grid', allowed: peak"),
    ],
)
def test_mistakes(change, text):
    stages = searcher.candidates(0.1, 0.5)
    with pytest.raises(errors.UserError, match=text):
        tiny.plan({"stages": stages | {"x": searcher.search(stages, 1) | change}})


def test_rates_must_differ():
    stages = searcher.candidates(0.1, 0.5)
    stages["x/1"]["lr"] = stages["x/0"]["lr"]
    with pytest.raises(errors.UserError, match=r"learning rates \[0.001, 0.001\]"):
        tiny.plan({"stages": stages | {"x": searcher.search(stages, 1)}})


def test_a_choice_without_a_search_has_the_key_of_before():
    stages = searcher.candidates(0.1, 0.5)
    plain = searcher.search(stages, 1) | {"search": None, "start": None}
    one = tiny.plan({"stages": stages | {"x": plain}}).by_name["x"]
    parts = stage.kind("select").key_parts(one.spec)
    assert parts == {"evaluation": "holdout", "refit": False}
    keys = {
        tiny.plan({"stages": stages | {"x": section}}).by_name["x"].key
        for section in (plain, *(searcher.search(stages, n) for n in (0, 1)))
    }
    assert len(keys) == 3


def test_a_config_names_the_candidate_that_a_search_begins_with():
    stages = searcher.candidates(0.1, 0.5, 0.3)
    section = common.select(stages, start="x/2", refit=False)
    assert section["search"] == "peak" and section["start"] == "candidate02"
    one = tiny.plan({"stages": stages | {"x": section}}).by_name["x"]
    assert one.parents[one.spec.start].name == "x/2"
    with pytest.raises(ValueError, match="start: found 'x/3', allowed: x/0, x/1, x/2"):
        common.select(stages, start="x/3")


# Several processes on one workdir, and kills.


def worker(workdir, how, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.transfer.searcher", str(workdir), how],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left(workdir):
    """What searches decided."""
    return {name: rows(workdir, name, "searches")[1] for name in ("x", "y")}


def test_a_worker_honours_the_search(tmp_path):
    config = searcher.config()
    keys = {one.name: one.key for one in tiny.plan(config).stages}

    def work(name):
        return runs.run(config, tmp_path, stage=keys[name]).exit_code

    assert [work(f"x/{place}") for place in (4, 3, 2, 0)] == [4, 4, 4, 4]
    assert work("x") == 4 and made(tmp_path) == []
    assert [work(f"x/{place}") for place in (1, 2, 0, 4, 2, 3)] == [0, 4, 0, 4, 0, 0]
    assert work("x/4") == 0 and work("x") == 0 and work("x/4") == 0
    assert made(tmp_path) == ["x/1", "x/0", "x/2", "x/3"]


def test_two_workers_begin_only_what_is_asked_for(tmp_path):
    processes = [worker(tmp_path, "work", SLOW="0.05") for _ in range(2)]
    for process in processes:
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 0, text
    ran = made(tmp_path)
    assert set(ran) == searcher.ASKED - {"x", "y"} and len(set(ran)) == len(ran)
    assert runs.run(searcher.config(), tmp_path).exit_code == 0
    assert made(tmp_path) == ran


def test_what_diverges_is_known_before_another_process_may_begin_it(
    tmp_path, monkeypatch
):
    (one,) = tiny.plan({"study": "s", "stages": searcher.candidates(None)}).stages
    known, lock = [], store.Store.lock

    @contextlib.contextmanager
    def watched(box, name, doing):
        with lock(box, name, doing):
            try:
                yield
            finally:
                known.append(box.diverged(one.key))

    monkeypatch.setattr(store.Store, "lock", watched)
    for _ in range(2):  # the second began to wait for the lock before the note
        with pytest.raises(errors.Diverged, match="loss is inf"):
            box, watcher = store.Store(tmp_path), status.Watcher()
            making.make(one, box, watcher=watcher)
    assert known == ["loss is inf."] * 2 and made(tmp_path) == ["x/0"]


def test_killed_in_the_middle_it_goes_on_alike(tmp_path):
    runs.run(searcher.config(), tmp_path / "unbroken")
    for name in ("x/2", "y/2"):
        process = worker(tmp_path / "killed", "run", KILL_AT=name)
        text, _ = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, text
    assert runs.run(searcher.config(), tmp_path / "killed").exit_code == 0
    assert left(tmp_path / "killed") == left(tmp_path / "unbroken")
    ran = made(tmp_path / "killed")
    assert [name for name in ran if ran.count(name) > 1] == ["x/2", "x/2", "y/2", "y/2"]
    assert set(ran) == searcher.ASKED - {"x", "y"}


# A real study.


def test_trainings_that_are_not_asked_for_leave_no_artifact(tmp_path):
    """b diverged, so the walk goes down to a; nothing beyond b is trained."""
    config = tiny.config()
    stages = config["stages"]
    stages["target/b"]["lr"] = 1e30
    stages["target/c"] = tiny.candidate(1e31)
    parents = stages["target"]["parents"] | {"c": "target/c"}
    stages["target"] |= dict(parents=parents, search="peak", start="b")
    outcome = runs.run(config, tiny.copy(tmp_path))
    assert outcome.states["target/b"] == "diverged" and outcome.exit_code == 0
    assert outcome.states["target/c"] == "skipped"
    assert outcome.states["target"] == "done" and outcome.errors == {}
    box, plan = store.Store(tmp_path / "workdir"), tiny.plan(config)
    key = plan.by_name["target/c"].key
    assert not box.folder(key).exists() and not box.running(key).exists()
    manifest, found = rows(tmp_path / "workdir", "target", "tiny")
    assert manifest["skipped"] == ["c"] and manifest["metrics"]
    assert [row["asked"] for row in found] == [2, 1, None]
    (study,) = build.read(tmp_path / "workdir").studies
    (cell,) = report_rows.planned(study)
    assert cell["status"] == "done" and len(report_rows.results(study)) == 2
