import types

import pytest

from jaxseg import artifacts
from jaxseg.core import binding, errors, jsonl, lookup, manifest
from jaxseg.report import workdir
from jaxseg.train import hooks
from jaxseg.transfer import chain, stage, store
from jaxseg.transfer import run as run_lib
from jaxseg.transfer.kinds import train
from jaxseg.transfer.running import making, status
from tests import tiny

STARTS = [{"parent": "start", "take": {"backbone": "backbone"}}]


def config(**parents):
    """Stages named by the keys, each with one parent or None."""
    stages = {
        name: tiny.train(seed=place)
        | ({"parents": {"start": p}, "starts": STARTS} if p else {})
        for place, (name, p) in enumerate(parents.items())
    }
    return {"study": "tests", "stages": stages}


def plan(**parents):
    return tiny.plan(config(**parents))


def names(stages):
    return [one.name for one in stages]


def test_the_order_of_the_config_but_parents_first():
    made = plan(c="b", b="a", d=None, a=None, e="d")
    assert names(made.stages) == ["a", "b", "c", "d", "e"]
    assert made.by_name["c"].parent_keys == {"start": made.by_name["b"].key}


def test_parents_of_one_stage_keep_the_order_of_the_config():
    parents = {name: [] for name in ("s0", "s1", "s2", "s3", "s4")}
    parents |= {"s4": ["s1"], "s0": ["s4", "s2"]}
    assert chain._ordered(parents) == ["s1", "s2", "s4", "s0", "s3"]


def test_a_change_in_a_parent_reaches_all_that_descends_from_it():
    before = plan(a=None, b="a", c="b", d=None)
    changed = config(a=None, b="a", c="b", d=None)
    changed["stages"]["a"]["lr"] = 0.5
    after = tiny.plan(changed)
    same = [s.name for s, t in zip(before.stages, after.stages) if s.key == t.key]
    assert same == ["d"]


def test_trainings_alike_but_for_seed_and_starts_are_looked_at_once(monkeypatch):
    decided, looked = train._decided, []
    monkeypatch.setattr(
        train, "_decided", lambda *given: looked.append(1) or decided(*given)
    )
    made = plan(a=None, b="a", c="b", d=None)
    assert len(looked) == 1
    assert [one.spec.seed for one in made.stages] == [0, 1, 2, 3]
    assert [len(one.spec.starts) for one in made.stages] == [0, 1, 1, 0]
    other = config(a=None, b=None)
    other["stages"]["b"]["lr"] = 0.5
    rates = [one.spec.lr for one in tiny.plan(other).stages]
    assert len(looked) == 3 and rates[1] == 0.5 != rates[0]


def test_the_mistake_of_one_of_several_alike_is_placed():
    wrong = config(a=None, b=None)
    wrong["stages"]["b"]["data"] |= {"augment": lambda: 0}
    with pytest.raises(errors.UserError, match=r"^stages/b/data/augment: found <func"):
        tiny.plan(wrong)


def test_a_circle_is_spelt_out():
    with pytest.raises(
        errors.UserError, match=r"from themselves: b -> d -> c -> b. Fix: "
    ):
        plan(a=None, b="d", c="b", d="c")
    with pytest.raises(errors.UserError, match=r"from themselves: a -> a. Fix: drop"):
        plan(a="a")


def test_an_unknown_parent():
    with pytest.raises(errors.UserError) as caught:
        plan(source=None, b="sorce")
    text = "stages/b: unknown parent 'sorce'. Known: source. Did you mean 'source'?"
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "config, text",
    [
        ({"study": "x"}, "stages: found None"),
        ({"study": "x", "stages": {}}, "stages: found {}"),
        ({"stages": 5}, "stages: found 5"),
        ({"stage": {}, "stages": {}}, "the config: unknown key 'stage'.*'stages'"),
        ({"study": "../x", "stages": {"a": tiny.train()}}, "study: found '../x'"),
        ({"study": 3, "stages": {"a": tiny.train()}}, "study: found 3"),
    ],
)
def test_a_config_that_is_none(config, text):
    with pytest.raises(errors.UserError, match=text):
        chain.bind(config)


def test_only_brings_all_ancestors():
    made = plan(a=None, b="a", c="b", d="a", e=None)
    assert names(made.needed("c")) == ["a", "b", "c"]
    assert names(made.needed("[de]")) == ["a", "d", "e"]
    assert names(made.needed(".*")) == ["a", "b", "c", "d", "e"]
    with pytest.raises(errors.UserError, match="--only='z' matches no stage"):
        made.needed("z")
    with pytest.raises(errors.UserError, match=r"--only='\[' is not a regex"):
        made.needed("[")


def test_one_stage_by_its_key():
    made = plan(a=None, b="a")
    key = made.by_name["b"].key
    assert names(made.with_key(key)) == names(made.with_key(key[:20])) == ["b"]
    for given in ("", "zz"):
        with pytest.raises(errors.UserError, match="stages of this config have such"):
            made.with_key(given)


def test_twins_are_one_artifact():
    stages = {"a": tiny.train(), "b": tiny.train(columns=[{"target": "x"}])}
    made = tiny.plan({"stages": stages})
    assert made.stages[0].key == made.stages[1].key
    assert names(made.with_key(made.stages[0].key)) == ["a"]


class Watcher(status.Watcher):
    """Notes what it hears."""

    def __init__(self):
        self.heard = []

    def begin(self, one):
        self.heard.append(f"begin {one.name}")

    def end(self, one, state, text=""):
        self.heard.append(f"{state} {one.name} {text}".strip())


@pytest.fixture
def runs(monkeypatch):
    """Stages do nothing but note their name, or raise what is put here for it."""
    noted = types.SimpleNamespace(ran=[], errors={}, jobs={})

    def run(job):
        noted.ran.append(job.stage.name)
        noted.jobs[job.stage.name] = job
        if job.stage.name in noted.errors:
            raise noted.errors[job.stage.name]
        (job.folder / "file").write_text(job.stage.name)
        return {"metrics": [], "note": job.stage.name}

    class Fake(stage.Kind):
        def run(self, context):
            return run(context)

    class Any(Fake):
        DOES_WITHOUT = True

    kinds = {
        "fake": types.SimpleNamespace(KIND=Fake()),
        "fake any": types.SimpleNamespace(KIND=Any()),
    }
    load = lookup.load
    monkeypatch.setattr(
        lookup,
        "load",
        lambda package, name: kinds.get(name) or load(package, name),
    )
    return noted


def fake(name, *parents, key=None, kind="fake"):
    """A stage of no kind that exists."""
    return stage.Stage(
        name=name,
        kind=kind,
        spec=binding.Spec(),
        parents={f"p{i}": fake(parent) for i, parent in enumerate(parents)},
        columns=(),
        versions={},
        key=key or hexed(name),
    )


def hexed(name):
    return name.encode().hex().ljust(64, "0")


def run(stages, folder, **options):
    watcher = Watcher()
    outcome = run_lib.run_stages(
        stages, store.Store(folder), watcher=watcher, **options
    )
    return outcome, watcher.heard


def test_each_runs_once_and_is_cached_then(runs, tmp_path):
    stages = [fake("a"), fake("b", "a")]
    outcome, heard = run(stages, tmp_path)
    assert outcome.ok and outcome.states == {"a": "done", "b": "done"}
    assert heard == ["begin a", "done a", "begin b", "done b"]
    box = store.Store(tmp_path)
    manifest = box.manifest(hexed("b"))
    assert manifest["note"] == "b" and manifest["parents"] == {"p0": hexed("a")}
    assert manifest["packages"]["jax"] and "revision" in manifest["code"]
    assert runs.jobs["b"].parents == {"p0": box.folder(hexed("a"))}
    outcome, heard = run(stages, tmp_path)
    assert outcome.ok and outcome.states == {"a": "cached", "b": "cached"}
    assert runs.ran == ["a", "b"] and heard == ["cached a", "cached b"]


def test_a_failure_blocks_only_what_descends_from_it(runs, tmp_path):
    stages = [fake("a"), fake("b", "a"), fake("c", "b"), fake("d"), fake("e", "d", "c")]
    runs.errors["a"] = errors.UserError("no such file. Fix: another")
    outcome, heard = run([*stages, fake("f", "d")], tmp_path)
    assert not outcome.ok
    assert outcome.states == {
        "a": "failed",
        "b": "blocked",
        "c": "blocked",
        "d": "done",
        "e": "blocked",
        "f": "done",
    }
    assert outcome.errors == {"a": "no such file. Fix: another"}
    assert "failed a no such file. Fix: another" in heard
    box = store.Store(tmp_path)
    assert box.stored() == [hexed("d")[:20], hexed("f")[:20]]
    assert box.failure(hexed("a"))["error"] == "no such file. Fix: another"
    runs.errors.clear()  # mended: the rest is made, and only the rest
    runs.ran.clear()
    outcome, _ = run(stages, tmp_path)
    assert outcome.ok and runs.ran == ["a", "b", "c", "e"]
    assert box.failure(hexed("a")) is None


def test_a_mistake_of_ours_is_logged_whole(runs, tmp_path, caplog):
    runs.errors["a"] = ZeroDivisionError("ours")
    outcome, _ = run([fake("a"), fake("b")], tmp_path)
    assert outcome.states == {"a": "failed", "b": "done"}
    assert outcome.errors == {"a": "ZeroDivisionError('ours')"}
    assert "Traceback" in caplog.text


def test_twins_run_once(runs, tmp_path):
    outcome, _ = run([fake("a"), fake("b", key=hexed("a"))], tmp_path)
    assert outcome.states == {"a": "done", "b": "cached"} and runs.ran == ["a"]


def test_an_interruption_ends_the_run_and_is_no_failure(runs, tmp_path):
    runs.errors["b"] = hooks.Interrupted("saved at step 3")
    stages = [fake("a"), fake("b"), fake("c")]
    with pytest.raises(hooks.Interrupted, match="step 3"):
        run(stages, tmp_path)
    box = store.Store(tmp_path)
    assert box.failure(hexed("b")) is None and box.stored() == [hexed("a")[:20]]
    with pytest.raises(hooks.Interrupted, match="before stage b"):
        run(stages, tmp_path, interrupted=lambda: True)
    assert runs.ran == ["a", "b"]


def test_a_damaged_artifact_ends_its_branch_alone(runs, tmp_path):
    run([fake("a")], tmp_path)
    path = store.Store(tmp_path).folder(hexed("a")) / "file"
    path.write_text("b")
    outcome, _ = run([fake("a"), fake("b", "a"), fake("c")], tmp_path)
    assert outcome.states == {"a": "failed", "b": "blocked", "c": "done"}
    assert "file: damaged" in outcome.errors["a"] and outcome.exit_code == 1
    assert f"artifacts remove {hexed('a')[:20]}" in outcome.errors["a"]
    assert runs.ran == ["a", "c"]
    store.Store(tmp_path).remove(hexed("a"))
    assert run([fake("a"), fake("b", "a")], tmp_path)[0].ok


def test_what_lost_a_picture_fails_and_keeps_its_numbers(runs, tmp_path):
    made = chain.Plan("tests", (fake("a"), fake("b", "a")))
    chain.write(made, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "PICTURES", ("file",))
        run(made.stages, tmp_path)
        path = store.Store(tmp_path).folder(hexed("a")) / "file"
        path.unlink()
        outcome, _ = run(made.stages, tmp_path)
        assert outcome.states["a"] == "failed" and outcome.exit_code == 1
        assert f"{path}: damaged" in outcome.errors["a"]
        (study,) = workdir.load(tmp_path)
        assert [stage.status for stage in study.stages] == ["done"] * 2
        assert [text for _, text in study.lost] == [outcome.errors["a"]]


def test_what_a_run_refuses_is_failed_in_the_report_as_well(runs, tmp_path):
    made = chain.Plan("tests", (fake("a"), fake("b", "a"), fake("c")))
    chain.write(made, tmp_path)
    run(made.stages, tmp_path)
    path = store.Store(tmp_path).folder(hexed("a")) / "file"
    path.write_text("b")
    outcome, _ = run(made.stages, tmp_path)
    stages = workdir.load(tmp_path)[0].stages
    assert [s.status for s in stages] == ["failed", "blocked", "done"]
    assert stages[0].error == outcome.errors["a"] and stages[0].artifact is None
    assert stages[1].error == "needs a, which failed"
    path.write_text("a")  # mended by hand
    assert run(made.stages, tmp_path)[0].ok
    assert [s.status for s in workdir.load(tmp_path)[0].stages] == ["done"] * 3


def diverging(runs):
    """Of three candidates the first diverges; somebody starts from it as well."""
    runs.errors["a"] = errors.Diverged("loss is nan at step 3.")
    names = ("a", "b", "c")
    return [*map(fake, names), fake("best", *names, kind="fake any")]


def test_a_choice_among_several_does_without_one_that_diverged(runs, tmp_path):
    stages = diverging(runs)
    outcome, heard = run(stages, tmp_path)
    assert list(outcome.states.values()) == ["diverged", "done", "done", "done"]
    assert outcome.ok and outcome.errors == {}
    job = runs.jobs["best"]
    assert set(job.parents) == {"p1", "p2"}
    assert job.lost == {"p0": "loss is nan at step 3."}
    assert "diverged a loss is nan at step 3." in heard


def test_what_diverged_is_not_tried_again_until_it_is_removed(runs, tmp_path):
    stages = diverging(runs)
    run(stages, tmp_path)
    runs.ran.clear()
    outcome, heard = run(stages, tmp_path)
    assert outcome.ok and runs.ran == []
    short = hexed("a")[:20]
    assert "in an earlier run, loss is nan at step 3. To try it again:" in heard[0]
    assert f"artifacts remove {short}" in heard[0]
    assert artifacts.main(["remove", short, f"--workdir={tmp_path}"]) == 0
    runs.errors.clear()
    outcome, _ = run(stages, tmp_path)
    assert outcome.states["a"] == "done" and runs.ran == ["a"]


def test_what_starts_from_one_that_diverged_is_blocked(runs, tmp_path):
    stages = [*diverging(runs), fake("child", "a")]
    outcome, _ = run(stages, tmp_path)
    assert outcome.states["best"] == "done" and outcome.states["child"] == "blocked"
    assert set(outcome.errors) == {"a"} and outcome.exit_code == 1
    only = run([fake("a")], tmp_path)[0]
    assert only.states == {"a": "diverged"} and only.exit_code == 1


def test_a_choice_waits_for_a_candidate_that_failed_for_another_reason(runs, tmp_path):
    stages = diverging(runs)
    runs.errors["a"] = errors.UserError("the disk is full")
    outcome, _ = run(stages, tmp_path)
    assert outcome.states["best"] == "blocked" and outcome.exit_code == 1
    runs.errors.clear()
    assert run(stages, tmp_path)[0].ok


def test_a_choice_among_none_is_blocked(runs, tmp_path):
    stages = diverging(runs)
    runs.errors |= dict.fromkeys("bc", errors.Diverged("loss is inf"))
    outcome, heard = run(stages, tmp_path)
    assert outcome.states["best"] == "blocked" and set(outcome.errors) == set("abc")
    assert heard[-1] == "blocked best needs a, which diverged as did all others"
    chain.write(chain.Plan("tests", tuple(stages)), tmp_path)
    best = workdir.load(tmp_path)[0].stages[-1]
    assert best.status == "blocked" and "needs a, which diverged" in best.error


def test_a_stage_that_another_process_makes_has_not_failed(runs, tmp_path):
    stages = [fake("a"), fake("b", "a"), fake("c", "b"), fake("d")]
    box = store.Store(tmp_path)
    with box.lock(stages[0].short, "stage a"):
        outcome, heard = run(stages, tmp_path)
    states = {"a": "busy", "b": "waiting", "c": "waiting", "d": "done"}
    assert outcome.states == states and outcome.errors == {}
    assert not outcome.ok and outcome.exit_code == 3
    assert box.failure(hexed("a")) is None
    assert heard[1].startswith("busy a") and "stage a is already under way" in heard[1]
    outcome, _ = run(stages, tmp_path)
    assert outcome.exit_code == 0 and runs.ran == ["d", "a", "b", "c"]


def test_a_failure_outweighs_what_is_busy(runs, tmp_path):
    runs.errors["b"] = errors.UserError("no")
    with store.Store(tmp_path).lock(fake("a").short, "stage a"):
        outcome, _ = run([fake("a"), fake("b")], tmp_path)
    assert outcome.exit_code == 1


def worker(runs, folder, *stages):
    """What a process that is to make the last of the stages says of it."""
    runs.ran.clear()
    *_, one = stages
    outcome, _ = run([one], folder)
    return outcome.states[one.name], outcome.exit_code, list(runs.ran)


def test_a_worker_looks_at_what_became_of_the_parents(runs, tmp_path):
    a, b = fake("a"), fake("b", "a")
    box = store.Store(tmp_path)
    assert worker(runs, tmp_path, a, b) == ("early", 4, [])
    assert box.failure(b.key) is None and box.unfinished() == []
    runs.errors["a"] = errors.UserError("no such file")
    assert worker(runs, tmp_path, a) == ("failed", 1, ["a"])
    assert worker(runs, tmp_path, a, b) == ("blocked", 1, [])
    runs.errors.clear()
    assert worker(runs, tmp_path, a) == ("done", 0, ["a"])
    with box.lock(b.short, "stage b"):
        assert worker(runs, tmp_path, a, b) == ("busy", 3, [])
    assert box.failure(b.key) is None
    assert worker(runs, tmp_path, a, b) == ("done", 0, ["b"])
    assert worker(runs, tmp_path, a, b) == ("cached", 0, [])
    box.remove(a.key)
    assert worker(runs, tmp_path, a, b) == ("cached", 0, [])


def test_a_worker_does_not_build_on_a_damaged_parent(runs, tmp_path, caplog):
    run([fake("a")], tmp_path)
    path = store.Store(tmp_path).folder(hexed("a")) / "file"
    path.unlink()
    assert worker(runs, tmp_path, fake("b", "a")) == ("blocked", 1, [])
    assert f"{path}: damaged" in caplog.text and "no such file" in caplog.text


def test_a_worker_chooses_among_those_that_did_not_diverge(runs, tmp_path):
    stages = diverging(runs)
    for one in stages[:3]:
        worker(runs, tmp_path, one)
    assert worker(runs, tmp_path, *stages) == ("done", 0, ["best"])
    assert set(runs.jobs["best"].lost) == {"p0"}


def test_what_damaged_words_of_a_failure_held_is_tried_again(runs, tmp_path):
    runs.errors["a"] = errors.Diverged("loss is nan")
    run([fake("a")], tmp_path)
    path = store.Store(tmp_path).running(hexed("a")) / "error.json"
    path.write_text(path.read_text().replace("nan", "inf"))
    runs.errors.clear()
    assert run([fake("a")], tmp_path)[0].ok and runs.ran == ["a", "a"]


def test_a_full_disk_is_told_once_and_ends_the_run(runs, tmp_path, monkeypatch):
    runs.errors["a"] = OSError(28, "No space left on device")

    def full(box, *arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.Store, "fail", full)
    with pytest.raises(errors.UserError, match="the disk is full"):
        run([fake("a"), fake("b")], tmp_path)
    assert store.Store(tmp_path).stored() == []


def test_a_stage_that_another_process_makes_is_left_to_it(runs, tmp_path):
    one, box = fake("a"), store.Store(tmp_path)
    with (
        box.lock(one.short, "stage a"),
        pytest.raises(errors.Busy, match="stage a is already under way"),
    ):
        making.make(one, box, watcher=Watcher())
    making.make(one, box, watcher=Watcher())
    making.make(one, box, watcher=Watcher())  # there already
    assert runs.ran == ["a"]


def test_the_plan_on_disk(tmp_path):
    made = plan(a=None, b="a")
    chain.write(made, tmp_path)
    value = jsonl.read_json(tmp_path / "studies" / "tests" / "plan.json")
    assert value["study"] == "tests" and value["schema"] == 1
    rows = value["stages"]
    assert [row["name"] for row in rows] == ["a", "b"]
    assert rows[1]["parents"] == {"start": rows[0]["key"]}
    assert rows[1]["parent_names"] == {"start": "a"}


def test_two_entries_of_one_key_both_stand_in_the_plan(tmp_path):
    """A cell that two tables share keeps both its names and both its places."""
    stages = {
        "one": tiny.train(columns=[{"target": "x", "setting": "small"}]),
        "other": tiny.train(
            columns=[{"target": "x", "setting": "full"}, {"target": "y"}]
        ),
    }
    made = tiny.plan({"study": "tests", "stages": stages})
    chain.write(made, tmp_path)
    path = tmp_path / "studies" / "tests" / "plan.json"
    one, other = jsonl.read_json(path)["stages"]
    assert one["key"] == other["key"] and (one["name"], other["name"]) == tuple(stages)
    assert [label["setting"] for label in one["columns"]] == ["small"]
    assert [label["target"] for label in other["columns"]] == ["x", "y"]
    assert [label["cell"] for label in other["columns"]] == ["other", "other"]


def test_a_flipped_byte_in_the_plan_is_noticed_by_name(tmp_path):
    from jaxseg.report import workdir

    chain.write(chain.Plan("s", ()), tmp_path)
    assert [study.name for study in workdir.load(tmp_path)] == ["s"]
    path = tmp_path / "studies" / "s" / "plan.json"
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        (study,) = workdir.load(tmp_path)
        assert f"{path}: damaged" in study.error and not study.stages
