"""python -m jaxseg.artifacts on the shared tiny workdir."""

import json

import pytest

from jaxseg import artifacts
from jaxseg.core import errors, jsonl
from jaxseg.core import manifest as manifests
from jaxseg.transfer import store
from tests import tiny


@pytest.fixture
def command(capsys):
    """Runs a command line: (exit code, output, errors)."""

    def run(*arguments, workdir=None):
        where = f"--workdir={workdir or tiny.workdir()}"
        code = artifacts.main([*map(str, arguments), where])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def short(name):
    return tiny.key(name)[:20]


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_list(command):
    code, out, _ = command("list")
    assert code == 0 and "5 artifacts" in out
    for name in ("source", "target/a", "target/b", "target", "distance"):
        (line,) = [line for line in out.splitlines() if line.endswith(f"  {name}")]
        assert line.startswith(short(name))
    manifest = manifests.read(tiny.artifact("source"))
    (value,) = [m["value"] for m in manifest["metrics"] if m["headline"]]
    assert f"miou {value:.4f}" in out


def test_list_compares_all_files(command, tmp_path):
    code, out, _ = command("list", "--verify")
    assert code == 0 and out.count("  ok") == 5
    workdir = tiny.copy(tmp_path)
    path = tiny.artifact("target/a", inside=workdir) / "receipt.json"
    damage(path)
    code, out, _ = command("list", "--verify", workdir=workdir)
    assert code == 1 and "5 artifacts, 1 damaged" in out
    assert f"DAMAGED {path}" in out and out.count("  ok") == 4


def test_list_goes_on_after_a_damaged_manifest(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    path = tiny.artifact("target/a", inside=workdir) / "manifest.json"
    damage(path)
    code, out, _ = command("list", "--verify", workdir=workdir)
    assert code == 1 and str(path) in out and out.count("  ok") == 4


def test_list_names_what_is_gone(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    gone = tiny.artifact("target/a", inside=workdir) / "receipt.json"
    gone.unlink()
    headless = tiny.artifact("distance", inside=workdir)
    (headless / "manifest.json").unlink()
    code, out, _ = command("list", "--verify", workdir=workdir)
    assert code == 1 and "5 artifacts, 2 damaged" in out and out.count("  ok") == 3
    assert f"DAMAGED {gone}: damaged" in out and "found no such file" in out
    assert f"DAMAGED {headless}: not an artifact, it has no manifest.json" in out
    assert command("list", workdir=workdir)[1].count(short("distance")) == 1
    assert command("remove", short("distance"), workdir=workdir)[0] == 0
    assert not headless.exists()


def test_list_tells_folders_that_were_swapped_or_renamed(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    a, b = (tiny.artifact(f"target/{x}", inside=workdir) for x in "ab")
    a.rename(tmp_path / "a")
    b.rename(a)
    (tmp_path / "a").rename(b)
    other = tiny.artifact("distance", inside=workdir).rename(a.with_name("mine"))
    code, out, _ = command("list", "--verify", workdir=workdir)
    assert code == 1 and "5 artifacts, 3 damaged" in out
    for folder, found in ((a, b), (b, a), (other, tiny.artifact("distance"))):
        text = "the manifest of another artifact, expected key"
        found = f"{text} {folder.name}, found {found.name}"
        assert f"DAMAGED {folder}/manifest.json: {found}" in out
    with pytest.raises(errors.Damaged, match="manifest of another artifact"):
        manifests.read(a)


def test_list_names_files_of_nobody(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    extra = tiny.artifact("target/a", inside=workdir) / "weights" / "more"
    extra.write_text("")
    code, out, _ = command("list", "--verify", workdir=workdir)
    assert code == 1 and "5 artifacts, 1 with extra files" in out
    assert f"EXTRA {extra}: not of this artifact. Fix: delete it" in out
    extra.unlink()
    assert command("list", "--verify", workdir=workdir)[0] == 0


def test_list_tells_a_parent_that_was_built_again(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    path = tiny.artifact("source", inside=workdir) / "manifest.json"
    value = jsonl.read_json(path)
    value.pop("self")
    jsonl.write_sealed(path, value | {"weights": "other"})
    code, out, _ = command("list", "--verify", workdir=workdir)
    assert code == 1 and "made from parents that were built again" in out
    told = [line for line in out.splitlines() if "PARENT BUILT AGAIN: source" in line]
    keys = {short(name) for name in ("target/a", "target/b", "target", "distance")}
    assert {line[:20] for line in told} == keys
    with_no_parent = tiny.copy(tmp_path / "gone")
    store.Store(with_no_parent).remove(tiny.key("source"))
    assert command("list", "--verify", workdir=with_no_parent)[0] == 0


def test_show(command):
    code, out, _ = command("show", short("target/a")[:6])
    assert code == 0
    text, _, receipt = out.partition("\n}\n")
    manifest = json.loads(text + "}")
    assert manifest["name"] == "target/a" and manifest["spec"]["lr"] == 0.001
    assert "files" not in manifest
    assert receipt.startswith("transplant from source: {'backbone': 'backbone'}")


def test_show_checks_what_it_shows(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    path = tiny.artifact("source", inside=workdir) / "metrics.jsonl"
    damage(path)
    code, _, err = command("show", short("source"), workdir=workdir)
    assert code == 1 and f"{path}: damaged" in err


def test_diff(command):
    code, out, _ = command("diff", short("target/a"), short("target/b"))
    assert code == 0 and "spec/lr: 0.001 | 0.01" in out.splitlines()
    assert "spec/steps" not in out and "packages" not in out
    assert command("diff", short("source"), short("source"))[1] == "no difference\n"


def test_an_unknown_key(command):
    code, _, err = command("show", "zz")
    assert code == 2 and ": unknown artifact 'zz'" in err and short("source") in err
    wrong = short("source")[:-1] + "x"
    assert f"Did you mean '{short('source')}'?" in command("show", wrong)[2]


def test_a_beginning_of_several(command):
    code, _, err = command("show", "")
    assert code == 2 and "is the beginning of 5" in err


def test_no_such_workdir(command, tmp_path):
    code, _, err = command("list", workdir=tmp_path / "none")
    assert code == 2 and "no such folder" in err


def test_remove(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    damage(tiny.artifact("target/a", inside=workdir) / "manifest.json")
    keys = [short("target/a"), short("distance")]
    code, out, _ = command("remove", *keys, workdir=workdir)
    assert code == 0 and f"removed {keys[1]} distance" in out
    box = store.Store(workdir)
    assert set(box.stored()) == {short(n) for n in ("source", "target/b", "target")}


def test_remove_waits_for_no_run(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    with store.Store(workdir).lock("main", "a run"):
        code, _, err = command("remove", short("distance"), workdir=workdir)
    assert code == 3 and "already under way" in err
    assert short("distance") in store.Store(workdir).stored()


def test_gc_removes_what_no_plan_names(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    plan = workdir / "studies" / "tiny" / "plan.json"
    value = jsonl.read_json(plan)
    gone = ("distance", "target")
    value["stages"] = [s for s in value["stages"] if s["name"] not in gone]
    value.pop("self")
    jsonl.write_sealed(plan, value)
    box = store.Store(workdir)
    unfinished = box.start("ef" * 32)
    code, out, _ = command("gc", workdir=workdir)
    assert code == 0 and "3 not named by any plan" in out and "--yes" in out
    assert len(box.stored()) == 5 and unfinished.exists()
    code, out, _ = command("gc", "--yes", workdir=workdir)
    assert code == 0 and "freed" in out and not unfinished.exists()
    assert set(box.stored()) == {short(n) for n in ("source", "target/a", "target/b")}


def test_gc_touches_nothing_where_a_plan_is_damaged(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    plan = workdir / "studies" / "tiny" / "plan.json"
    damage(plan)
    store.Store(workdir).start("ef" * 32)
    code, _, err = command("gc", "--yes", workdir=workdir)
    assert code == 1 and f"{plan}: damaged" in err
    assert (workdir / "running" / ("ef" * 10)).exists()


def test_gc_looks_again_under_the_lock_of_each_stage(command, tmp_path, monkeypatch):
    """A worker that begins and ends between the look at the plans and the lock."""
    workdir, key = tiny.copy(tmp_path), tiny.key("distance")[:20]
    plan = workdir / "studies" / "tiny" / "plan.json"
    whole = plan.read_text()
    value = jsonl.read_json(plan)
    value["stages"] = [s for s in value["stages"] if s["name"] != "distance"]
    value.pop("self")
    jsonl.write_sealed(plan, value)
    lock = store.Store.lock

    def after_a_worker(box, name, doing):
        if name == key:
            plan.write_text(whole)
        return lock(box, name, doing)

    monkeypatch.setattr(store.Store, "lock", after_a_worker)
    code, out, _ = command("gc", "--yes", workdir=workdir)
    assert code == 0 and "0 not named by any plan" in out
    assert key in store.Store(workdir).stored()


@pytest.mark.parametrize("work", ["gc", "remove"])
def test_a_stage_at_work_is_left_alone(command, tmp_path, work):
    workdir, key = tiny.copy(tmp_path), "ef" * 32
    box = store.Store(workdir)
    folder = box.start(key)
    arguments = ["gc", "--yes"] if work == "gc" else ["remove", key[:20]]
    with box.lock(key[:20], "stage x"):
        code, out, err = command(*arguments, workdir=workdir)
    assert folder.exists() and code == (0 if work == "gc" else 3)
    assert "is already under way (process" in out + err
    assert command(*arguments, workdir=workdir)[0] == 0 and not folder.exists()
