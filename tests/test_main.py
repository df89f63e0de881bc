"""python -m jaxseg.main: flags, messages, and runs that are stopped from outside."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxseg import artifacts, main
from jaxseg.core import jsonl
from jaxseg.report import __main__ as report
from jaxseg.transfer import store
from tests import tiny

ROOT = Path(__file__).parent.parent
SINGLE = f"--config={ROOT}/configs/single.py"


@pytest.fixture
def command(capsys, tmp_path):
    """Runs a command line in a workdir of its own: (exit code, output, errors)."""

    def run(*arguments):
        where = [] if any("--workdir" in a for a in arguments) else [workdir]
        try:
            code = main.main([*arguments, *where])
        except SystemExit as stop:  # how argparse ends
            code = stop.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    workdir = f"--workdir={tmp_path / 'workdir'}"
    return run


def write(path, config):
    """A config file that says exactly this."""
    text = json.dumps(json.dumps(config))
    path.write_text(
        f"import json\n\n\ndef get_config(arg=''):\n    return json.loads({text})\n"
    )
    return f"--config={path}"


def test_plan_lists_stages_and_runs_nothing(command, tmp_path):
    code, out, _ = command(write(tmp_path / "c.py", tiny.config()), "--plan")
    assert code == 0 and not (tmp_path / "workdir").exists()
    for name in tiny.config()["stages"]:
        assert re.search(rf"^{name} .* to run .*{tiny.key(name)[:20]}$", out, re.M)
    assert "5 stages, 1 table cell; 5 artifacts, 0 cached. To run: 8 steps" in out
    code, out, _ = command(
        write(tmp_path / "c.py", tiny.config()),
        "--plan",
        "--only=target/a",
        f"--workdir={tiny.workdir()}",
    )
    assert "2 stages, 0 table cells; 2 artifacts, 2 cached. To run: 0 steps" in out


def test_print_is_json_with_all_defaults(command, tmp_path):
    code, out, _ = command(SINGLE, "--print")
    stage = json.loads(out)["stages"]["model"]
    assert code == 0 and stage["optimizer"]["b1"] == 0.9 and stage["lr"] == 0.003
    again = write(tmp_path / "c.py", json.loads(out))  # and is a config itself
    assert command(again, "--print")[1] == out


def printed(command, *arguments):
    code, out, err = command(SINGLE, "--print", *arguments)
    assert code == 0, err
    return json.loads(out)["stages"]["model"]


def test_overrides(command):
    assert printed(command, "--config.stages.model.steps=7")["steps"] == 7
    assert printed(command, "--set", "stages/model/lr=0.5")["lr"] == 0.5
    found = printed(command, "--set", ".*/(lr|ema)=0.25", "--set=.*/seed=3")
    assert (found["lr"], found["ema"], found["seed"]) == (0.25, 0.25, 3)
    found = printed(
        command, "--set", 'stages/model/lr_multipliers=[["backbone/.*", 0]]'
    )
    assert found["lr_multipliers"] == [["backbone/.*", 0]]
    assert printed(command, "--set", "stages/model/ema=null")["ema"] is None
    assert printed(command, "--set", ".*/keep=best")["keep"] == "best"  # not JSON


def test_arguments_of_a_config(command):
    code, out, _ = command(f"{SINGLE}:steps=12,batch=4", "--print")
    stage = json.loads(out)["stages"]["model"]
    assert code == 0 and (stage["steps"], stage["batch_size"]) == (12, 4)
    code, _, err = command(f"{SINGLE}:stps=12", "--print")
    assert code == 2 and "unknown argument 'stps'" in err and "mean 'steps'" in err


def test_what_follows_from_a_replaced_value_follows(command):
    """A default that was written in must not survive what it was derived from."""
    found = printed(command, "--set", "stages/model/data/name=worlds/indoor_home")
    assert found["evaluations"]["validation"]["name"] == "worlds/indoor_home"
    found = printed(command, "--set", "stages/model/data/size=[96, 96]")
    assert found["evaluations"]["validation"]["size"] == [96, 96]
    found = printed(command, "--set", "stages/model/optimizer/name=sgd")
    assert found["optimizer"]["momentum"] == 0.9 and "b1" not in found["optimizer"]
    found = printed(command, "--set", "stages/model/model/backbone/variant=w48")
    assert found["model"]["backbone"]["width"] == 48


def test_a_value_that_replaces_a_key_inside_itself_ends_in_a_message(command):
    """The stage is called `model`, as a key of its section is."""
    value = '.*/model={"kind": "train", "model": {}}'
    code, _, err = command(SINGLE, "--print", "--set", value)
    assert code == 2 and "stages/model: key 'data' is missing" in err


MISTAKES = [
    ("lr=x", r"stages/model/lr: found 'x' \(str\), allowed: float"),
    ("lr=NaN", r"stages/model/lr: found nan"),
    ("data=3", r"stages/model/data: found 3, allowed: a section"),
    ("starts=3", r"stages/model/starts: found 3 .int., allowed: a list"),
    ("starts=[3]", r"stages/model/starts/0: found 3, allowed: a section"),
    ("evaluations=3", r"stages/model/evaluations: found 3 \(int\)"),
    ('evaluations={"validation": 3}', r"stages/model/evaluations"),
    ("columns=3", r"stages/model/columns: found 3"),
    (
        "data/size=64",
        r"stages/model/data/size: found 64 \(int\), allowed: None, a list",
    ),
    ("data/size=[64]", r"stages/model/data.*size"),
    ('data/augment=["flip"]', r"stages/model/data/augment/0: found 'flip'"),
    ('data/augment=[{"name": "flp"}]', r"unknown transform 'flp'.*mean 'flip'"),
    ("data/name=worlds/drving_day", r"unknown dataset.*mean 'worlds/driving_day'"),
    ("data/name=world/driving_day", r"unknown dataset 'world'.*mean 'worlds'"),
    ("data/split=trian", r"data: unknown split of worlds/driv.*'trian'.*mean 'train'"),
    ("evaluations/validation/split=tst", r"/validation: unknown split of worlds/"),
    ("data/part=x", r"data/part: found 'x', allowed: all"),
    ("data/unit=x", r"data/unit: found 'x', allowed: batch"),
    ("data/name=[0]", r"data/name: found .0., allowed: a text"),
    ("data/seed=-1", r"data/seed: found -1, allowed: 0 or more"),
    ("data/size=[]", r"data/size: found \[\], allowed: \[height, width\]"),
    (
        'data/augment=[{"name": "flip", "probability": 3}]',
        r"found 3.0, allowed: 0 to 1",
    ),
    ('data/augment=[{"name": "crop", "height": -32}]', r"found -32, allowed: 1 or"),
    ("model/backbone/width=0", r"backbone/width: found 0, allowed: 1 to 10000"),
    ("model/backbone/width=-1", r"backbone/width: found -1, allowed: 1 to 10000"),
    ("model/backbone/blocks=1000000000000", r"backbone/blocks: found 10+, allowed: 1"),
    ("model/backbone/modules=[1]", r"modules: found \[1\], allowed: a list of 3"),
    ("model/backbone/stem=[16]", r"stem: found \[16\], allowed: a list of 2"),
    ("lr=1" + 400 * "0", r"lr: found 10+ \(int\), allowed: float"),
    ("model/dtype=[3]", r"unknown dtype \[3\]"),
    ("optimizer/b1=2", r"optimizer/b1: found 2.0, allowed: from 0, below 1"),
    ("optimizer/eps=0", r"optimizer/eps: found 0.0, allowed: more than 0"),
    ("optimizer/weight_decay=-1", r"optimizer/weight_decay: found -1.0"),
    ('optimizer/decay_multipliers=[["x", 0]]', r"pattern 'x' matches no leaf"),
    ("schedule/final=-3", r"schedule/final: found -3.0, allowed: 0 to 1"),
    ('lr_multipliers=[[".*", -1]]', r"allowed: \[regex, number from 0\]"),
    ('lr_multipliers=[[".*", NaN]]', r"lr_multipliers/0/1: found nan"),
    ("run/log_every=-1", r"run/log_every: found -1, allowed: 0 or more"),
    ("run/workers=-1", r"run/workers: found -1, allowed: 0 or more"),
    ('run={"name": "x"}', r"run: unknown key 'name'"),
    ('evaluations/validation/protocol={"name": "x"}', r"protocol: unknown key 'name'"),
    ('columns=[{"target": ["a"]}]', r"columns/0/target: found \['a'\]"),
    ("data/size=[1000000000, 1000000000]", r"no network for images \(1000000000,"),
    ("data/count=99999999", r"count=99999999; allowed are 1 to"),
    ("task/name=segmentatin", r"unknown task 'segmentatin'.*mean 'segmentation'"),
    ("model/backbone=hrnet", r"stages/model/model/backbone: found 'hrnet'"),
    ("model/backbone/name=hrnt", r"unknown backbone 'hrnt'.*mean 'hrnet'"),
    ("model/backbone/variant=tny", r"unknown hrnet variant 'tny'.*mean 'tiny'"),
    ("model/head/name=liner", r"unknown head 'liner'.*mean 'linear'"),
    ("model/dtype=float16", r"stages/model/model: unknown dtype 'float16'.*bfloat16"),
    ("optimizer/name=adm", r"unknown optimizer 'adm'.*mean 'adam"),
    ("schedule/name=cosin", r"unknown schedule 'cosin'.*mean 'cosine'"),
    ("lr_multipliers=[[0]]", r"lr_multipliers/0: found \[0\], allowed: a list of 2"),
    ('lr_multipliers=[["backbon/.*", 0]]', r"pattern 'backbon/\.\*' matches no leaf"),
    ("steps=0", r"stages/model/steps: found 0, allowed: 1 or more"),
    ("seed=-1", r"stages/model/seed: found -1, allowed: 0 or more"),
    ("seed=99999999999999999999999", r"model/seed: found a number of 77 bits"),
    ("seed=4294967296", r"model/seed: found 4294967296, allowed: at most 4294967295"),
    ("data/seed=4294967296", r"data/seed: found 4294967296, allowed: at most"),
    ("data/seed=99999999999999999999999", r"data/seed: found a number of 77 bits"),
    ("steps=999999999999", r"model/steps: found 999999999999, allowed: at most"),
    ("batch_size=1000000000000", r"model/batch_size: found 1000000000000, allowed: at"),
    ("run/threads=1000000000000", r"run/threads: found 10+, allowed: at most 1024"),
    ("ema=3", r"stages/model/ema: found 3.0, allowed: between 0 and 1"),
    ("optimizer/clip=0", r"model/optimizer/clip: found 0.0, allowed: more than 0"),
    ("kind=trian", r"unknown kind 'trian'.*mean 'train'"),
]


@pytest.mark.parametrize("change, text", MISTAKES, ids=[m[0][:60] for m in MISTAKES])
def test_a_mistake_is_one_message(command, change, text):
    code, _, err = command(SINGLE, "--plan", "--set", f"stages/model/{change}")
    if code == 0:  # what only the data know is found when the stage runs
        code, out, err = command(SINGLE, "--set", f"stages/model/{change}")
        err += out
    assert code in (1, 2) and re.search(text, err, re.S), err


@pytest.mark.parametrize(
    "arguments, text",
    [
        (
            ["--set", "stages/model/stpes=1"],
            r"matches no key.*mean 'stages/model/steps=1'",
        ),
        (["--set", "[=1"], r"not a regex"),
        (["--set", "stages/model/lr"], r"write PATTERN=VALUE"),
        (
            ["--config.stages.model.stpes=1"],
            r"matches no key.*mean 'stages/model/steps=1'",
        ),
        (["--confg.x=1"], r"unknown argument '--confg\.x=1'"),
        (["--workdr=x"], r"unknown argument '--workdr=x'"),
        (["--only=modl"], r"--only='modl' matches no stage.*mean 'model'"),
        (["--only=["], r"--only='\[' is not a regex"),
    ],
)
def test_a_flag_that_fits_nothing(command, arguments, text):
    code, _, err = command(SINGLE, "--plan", *arguments)
    assert code == 2 and re.search(text, err, re.S), err


def test_files_that_are_no_config(command, tmp_path):
    code, _, err = command(f"--config={tmp_path}/none.py", "--plan")
    assert code == 2 and f"no such file {tmp_path}/none.py" in err
    (tmp_path / "text.txt").write_text("hello")
    code, _, err = command(f"--config={tmp_path}/text.txt", "--plan")
    assert code == 2 and "is not a Python file" in err
    (tmp_path / "empty.py").write_text("")
    code, _, err = command(f"--config={tmp_path}/empty.py", "--plan")
    assert code == 2 and "defines no get_config(arg)" in err
    code, _, err = command("--plan")
    assert code == 2 and "--config" in err


def test_a_config_finds_its_neighbours(command, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "checkout" / "mine"
    folder.mkdir(parents=True)
    (folder / "shared_part.py").write_text(f"CONFIG = {tiny.config()!r}\n")
    text = (
        "from mine.shared_part import CONFIG\ndef get_config(arg):\n    return CONFIG\n"
    )
    (folder / "study.py").write_text(text)
    assert command(f"--config={folder}/study.py", "--print")[0] == 0


def test_a_second_run_finds_all_done(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    config = write(tmp_path / "c.py", tiny.config())
    code, out, _ = command(config, f"--workdir={workdir}")
    assert code == 0 and "5 stages were done already" in out


def test_a_failed_stage_is_exit_code_1(command, tmp_path):
    config = tiny.config()
    weights = {"kind": "imported", "file": str(tmp_path / "w"), "model": tiny.MODEL}
    (tmp_path / "w").write_text("no weights")
    config = {"study": "s", "stages": {"weights": weights}}
    code, out, _ = command(write(tmp_path / "c.py", config))
    assert code == 1 and "not a safetensors file" in out
    assert store.Store(tmp_path / "workdir").stored() == []


def test_a_damaged_file_is_named(command, tmp_path):
    workdir = tiny.copy(tmp_path)
    path = tiny.artifact("source", inside=workdir) / "receipt.json"
    path.write_bytes(path.read_bytes() + b" ")
    config = write(tmp_path / "c.py", tiny.config())
    code, out, _ = command(config, f"--workdir={workdir}")
    assert code == 1 and f"{path}: damaged" in out and "artifacts remove" in out


def test_a_workdir_that_is_a_file(command, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = command(SINGLE, f"--workdir={tmp_path}/file")
    assert code == 2 and "another --workdir" in err


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}


SMALL_FILES = """
import resource, sys
from jaxseg import main
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
sys.exit(main.main(sys.argv[1:]))
"""


def test_files_that_may_not_grow_leave_no_artifact(command, tmp_path):
    """A real refusal of the system, in the middle of writing weights."""
    section = {"kind": "imported", "file": str(tiny.artifact("source"))}
    config = write(tmp_path / "c.py", {"study": "s", "stages": {"weights": section}})
    arguments = [config, f"--workdir={tmp_path / 'workdir'}"]
    done = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, *arguments],
        capture_output=True,
        text=True,
        env=environment(),
    )
    text = done.stdout + done.stderr
    assert done.returncode in (1, 2), text
    assert "Traceback" not in text and "allowed size" in text
    assert store.Store(tmp_path / "workdir").stored() == []
    assert command(*arguments)[0] == 0  # mended, the same command goes on
    assert len(store.Store(tmp_path / "workdir").stored()) == 1


# Runs that are stopped from outside.

STEPS = 60


def long_run(tmp_path):
    """A config of one stage that takes some seconds, and its command line."""
    run = {"log_every": 2, "checkpoint_every": 10}
    label = {"role": "target", "setting": "small", "target": "day"}
    stage = tiny.train(steps=STEPS, run=run, columns=[label])
    return write(tmp_path / "c.py", {"study": "long", "stages": {"x": stage}})


def start(config, workdir, *more):
    code = [sys.executable, "-m", "jaxseg.main", config, f"--workdir={workdir}", *more]
    pipes = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(code, env=environment(), cwd=ROOT, **pipes)


def wait_for_step(process, workdir, step):
    """Until the log of the running stage has that step."""
    for _ in range(3000):
        assert process.poll() is None, process.stderr.read()
        logs = list(workdir.glob("running/*/artifact/metrics.jsonl"))
        if logs and any(row["step"] >= step for row in jsonl.read(logs[0])):
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that step")


def table(workdir):
    """Rows of results.csv without what a restart may change."""
    with open(workdir / "report" / "results.csv", newline="") as file:
        return [
            {k: v for k, v in row.items() if k != "seconds"}
            for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    assert main.main([long_run(folder), f"--workdir={folder / 'run'}"]) == 0
    return table(folder / "run")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_saves_and_the_same_command_continues(
    unbroken, command, tmp_path, number
):
    config, workdir = long_run(tmp_path), tmp_path / "run"
    process = start(config, workdir)
    wait_for_step(process, workdir, 4)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    saved = re.search(r"stopped, saved at step (\d+)\. The same command continues", err)
    assert saved and 4 <= int(saved[1]) < STEPS
    (folder,) = workdir.glob("running/*/checkpoints/step_*")
    assert int(folder.name[5:]) == int(saved[1]) or int(saved[1]) > 10
    assert command(config, f"--workdir={workdir}")[0] == 0
    assert table(workdir) == unbroken


@pytest.mark.slow
def test_killed_in_the_middle_it_ends_the_same(unbroken, command, tmp_path):
    config, workdir = long_run(tmp_path), tmp_path / "run"
    process = start(config, workdir)
    wait_for_step(process, workdir, 14)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert list(workdir.glob("running/*/checkpoints/step_*"))
    assert store.Store(workdir).stored() == []
    assert command(config, f"--workdir={workdir}")[0] == 0
    assert table(workdir) == unbroken


@pytest.mark.slow
def test_two_runs_in_one_workdir(command, tmp_path):
    config, workdir = long_run(tmp_path), tmp_path / "run"
    process = start(config, workdir)
    try:
        wait_for_step(process, workdir, 2)
        code, _, err = command(config, f"--workdir={workdir}")
        assert code == 3 and "a run is already under way" in err
        assert f"process {process.pid}" in err and "another --workdir" in err
    finally:
        process.kill()
        process.communicate(timeout=60)


# Workers: processes that make one stage each, without a main run.


def two_stages(tmp_path):
    """The config of a long stage and of one that starts from it; {name: --stage}."""
    run = {"log_every": 2, "checkpoint_every": 10}
    stages = {"x": tiny.train(steps=STEPS, run=run)}
    stages["y"] = tiny.train(
        parents={"start": "x"},
        starts=[{"parent": "start", "take": {"backbone": "backbone"}}],
        columns=[{"role": "target", "setting": "small", "target": "day"}],
    )
    config = {"study": "workers", "stages": stages}
    keys = {one.name: one.key for one in tiny.plan(config).stages}
    given = {name: f"--stage={key}" for name, key in keys.items()}
    return write(tmp_path / "c.py", config), given


@pytest.mark.slow
def test_a_study_made_by_workers_alone(command, tmp_path, capsys):
    config, stage = two_stages(tmp_path)
    workdir = tmp_path / "run"
    where = f"--workdir={workdir}"
    code, out, _ = command(config, where, stage["y"])
    assert code == 4 and "parent x is not done" in out
    process = start(config, workdir, stage["x"])
    try:
        wait_for_step(process, workdir, 4)
        code, out, _ = command(config, where, stage["x"])  # a duplicate
        assert code == 3 and f"process {process.pid}" in out
        code, out, _ = command(config, where, stage["y"])
        assert code == 4 and "parent x is not done" in out
        assert not list(workdir.rglob("error.json"))
        assert artifacts.main(["gc", "--yes", where]) == 0
        assert "0 not named by any plan" in capsys.readouterr().out
        (plan,) = workdir.glob("studies/*/plan.json")
        plan.unlink()  # as if another study of this name had taken its place
        assert artifacts.main(["gc", "--yes", where]) == 0
        assert f"left alone: {workdir}: stage" in capsys.readouterr().out
        assert process.poll() is None
        process.communicate(timeout=120)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate(timeout=60)
    assert command(config, where, stage["y"])[0] == 0
    assert command(config, where, stage["y"])[0] == 0  # done already
    assert report.main([where]) == 0
    assert "workers: 2 done" in capsys.readouterr().out
    assert len(table(workdir)) == 1
    code, out, _ = command(config, where)
    assert code == 0 and "2 stages were done already" in out


def test_help_says_what_a_config_is(command, tmp_path):
    path = tmp_path / "own.py"
    path.write_text('"""Mine: 5 % of it.\n\nArguments: none.\n"""\n')
    _, out, _ = command(f"--config={path}:seeds=3", "--help")
    assert f"{path}: Mine: 5 % of it.\n\nArguments: none.\n" in out
    path.write_text("def (")
    code, out, _ = command(f"--config={path}", "--help")
    assert code == 0 and "--workdir" in out


def test_help_says_what_exit_codes_mean(command):
    code, out, _ = command("--help")
    assert code == 0 and "exit codes:" in out
    for number in (0, 1, 2, 3, 4, 130):
        assert re.search(rf"^  {number} +\w", out, re.M)
