"""Every command, told something wrong: one message, an exit code, no traceback."""

import errno
import importlib
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jaxseg.core import command, errors
from tests import tiny

ROOT = Path(__file__).parent.parent
SINGLE = f"--config={ROOT}/configs/single.py"
COMMANDS = {
    "main": "jaxseg.main",
    "data": "jaxseg.data.__main__",
    "models": "jaxseg.models.__main__",
    "weights": "jaxseg.weights",
    "artifacts": "jaxseg.artifacts",
    "report": "jaxseg.report.__main__",
    "evaluate": "jaxseg.evaluate",
    "predict": "jaxseg.predict",
}
DAY = "--data=worlds/driving_day"
# What is typed and what is said; {tmp} has a file `file` and no `none`, {artifact} is
# one of {workdir}. /proc refuses new files even to root.
MISTAKES = [
    (f"main {SINGLE} --workdir=/proc/none", r"/proc.*Fix:"),
    (f"main {SINGLE} --workdir={{tmp}}/file", r"another --workdir"),
    (f"main {SINGLE} --workdir={{tmp}}/file/deeper", r"another --workdir"),
    (f"main {SINGLE} --workdir=/dev/null", r"another --workdir"),
    (f"main {SINGLE} --plan --workdir={{long}}", r"aaa.*too long"),
    (f"main {SINGLE}:steps=abc --plan", r"steps='abc': allowed is a whole number"),
    (f"main {SINGLE}:steps= --plan", r"steps='': allowed is a whole number"),
    (f"main {SINGLE}:lr=x --plan", r"lr='x': allowed is a number"),
    (f"main {SINGLE}:steps --plan", r"'steps' needs a value"),
    (f"main {SINGLE}:task=bogus --plan", r"unknown task 'bogus'. Known: .*depth"),
    (f"main {SINGLE}:task=detectoin --plan", r"mean 'detection'"),
    (f"main --config={ROOT}/configs --plan", r"no such file"),
    (f"main --config={ROOT}/configs/common.py --plan", r"defines no get_config"),
    ("main --config={tmp}/wrong.py --plan", r"wrong.py.*line 2.*'\(' was never closed"),
    ("main --config={tmp}/bug.py --plan", r"bug.py.*line 2.*KeyError: 'x'"),
    ("main --config={tmp}/latin.py --plan", r"latin.py"),
    (f"main {SINGLE} --plan --max_hours=x", r"max_hours: invalid float"),
    (f"main {SINGLE} --plan --set=steps=60", r"no key.*mean '\.\*/steps=60'"),
    (f"main {SINGLE} --plan --set=lr=0.1", r"mean '\.\*/lr=0.1'"),
    (f"main {SINGLE} --plan --set=model/steps=6", r"mean '\.\*/model/steps=6'"),
    (f"main {SINGLE} --plan --set=.*/stepz=6", r"mean '.*steps=6'"),
    (f"main {SINGLE} --plan --set=.*/data/size=[]", r"data/size: found \[\]"),
    ("data preview worlds/driving_day --output={tmp}/none/x.png", r"no such folder"),
    ("data preview worlds/driving_day --output={tmp}", r"is a folder"),
    ("data preview worlds/driving_day --output={tmp}/p.jpgx", r"allowed .*\.png"),
    ("data preview worlds/driving_day --count=0", r"--count.*1 or more"),
    ("data preview worlds/driving_day --count=-3", r"--count.*1 or more"),
    ("data preview worlds/driving_day --split=tran", r"mean 'train'"),
    ("data preview {tmp}/none", r"no such folder|unknown dataset"),
    ("data preview camvid/11 --root={tmp} --options=[]", r"--options"),
    ("data preview worlds/driving_day --options=3", r"--options"),
    ("data stats worlds/driving_day --json={tmp}/none/x.json", r"no such folder"),
    ("data check worlds/driving_day --json={tmp}/none/x.json", r"no such folder"),
    ("data check", r"found no name"),
    ("data show", r"required: name"),
    ("data show worlds", r"unknown dataset"),
    ("data init {tmp} --output={tmp}/none/c.py", r"no such folder"),
    ("data init {tmp} --output={tmp}", r"is a folder"),
    ("data init {tmp} --output={tmp}/file", r"exists already"),
    ("data init {tmp}/none --output={tmp}/c.py", r"none"),
    ("data init {tmp}/file --output={tmp}/c.py", r"file"),
    ("data chek worlds/driving_day", r"invalid choice: 'chek'"),
    ("models resnt", r"mean 'resnet'"),
    ("models resnet/5", r"unknown resnet variant"),
    ("models hrnet/tiny --size=0x0", r"--size.*HEIGHTxWIDTH"),
    ("models hrnet/tiny --size=64", r"--size.*HEIGHTxWIDTH"),
    ("models hrnet/tiny --size=64x", r"--size.*HEIGHTxWIDTH"),
    ("models --heads --backbone=hrnet", r"--backbone.*NAME/VARIANT"),
    ("models --heads --backbone=hrnt/w48", r"mean 'hrnet'"),
    ("models --backbone=hrnet/w48", r"--backbone.*only with --heads"),
    ("models --outputs=3", r"--outputs.*only with --heads"),
    ("models hrnet --heads", r"NAME: found .*hrnet.*without --heads"),
    ("models --heads --outputs=0", r"--outputs.*1 or more"),
    ("weights", r"--arch=... is missing"),
    ("weights --arch=hrnet_w18 --file={tmp}/none --output={tmp}/w", r"tmp.*none"),
    ("weights --arch=hrnet_w18 --file={tmp}/file --output=/proc/w/x", r"/proc.*Fix"),
    ("weights --arch=hrnet_w18 --file={tmp}/file --output={tmp}/file", r"file"),
    ("weights --arch=hrnet --file={tmp}/file --output={tmp}/w", r"unknown.*hrnet"),
    ("weights --arch=hrnet_w18 --file=x --output=y --channels=0", r"1 or more"),
    ("artifacts list --workdir={tmp}/none", r"none: no such folder"),
    ("artifacts list --workdir={tmp}/file", r"file: no such folder"),
    ("artifacts list", r"required: --workdir"),
    ("artifacts lst --workdir={workdir}", r"invalid choice: 'lst'"),
    ("artifacts show --workdir={workdir} 000", r"unknown artifact '000'"),
    ("artifacts show --workdir={workdir}", r"required: KEY"),
    ("artifacts diff --workdir={workdir} 000 111", r"unknown artifact '000'"),
    ("artifacts remove --workdir={workdir} nope", r"unknown artifact 'nope'"),
    ("report --workdir={tmp}/none", r"none.*"),
    ("report --workdir={tmp}/file", r"file.*"),
    ("report --workdir={tmp}", r"tmp"),
    (f"evaluate --artifact={{tmp}} {DAY}", r"not an artifact"),
    (f"evaluate --artifact={{tmp}}/none {DAY}", r"not an artifact"),
    (f"evaluate --artifact={{artifact}} {DAY} --split=tst", r"unknown split 'tst'"),
    (f"evaluate --artifact={{artifact}} {DAY} --count=0", r"1 or more"),
    (f"evaluate --artifact={{artifact}} {DAY} --seed=-1", r"--seed.*0 or more"),
    (f"evaluate --artifact={{artifact}} {DAY} --part=x", r"part: found 'x'"),
    (f"evaluate --artifact={{artifact}} {DAY} --size=0x5", r"--size"),
    (f"evaluate --artifact={{artifact}} {DAY} --scales=", r"--scales"),
    (f"evaluate --artifact={{artifact}} {DAY} --scales=nan", r"scales"),
    (f"evaluate --artifact={{artifact}} {DAY} --overlap=nan", r"overlap"),
    (f"evaluate --artifact={{artifact}} {DAY} --options=[]", r"--options"),
    (f"evaluate --artifact={{artifact}} {DAY} --output={{tmp}}/none/x", r"no such f"),
    ("evaluate --artifact={artifact} --data=worlds/drivingday", r"mean 'worlds/dri"),
]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs a command line: (exit code, output and errors)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "file").write_text("text")
    head = "def get_config(arg):\n    "
    (tmp_path / "wrong.py").write_text(head + "return (\n")
    (tmp_path / "bug.py").write_text(head + "return {}['x']\n")
    (tmp_path / "latin.py").write_bytes(b"x = '\xff'\n")
    places = {
        "tmp": tmp_path,
        "long": tmp_path / ("a" * 300),
        "workdir": tiny.workdir(),
        "artifact": tiny.artifact("source"),
    }

    def started(line):
        name, *arguments = (word.format(**places) for word in line.split())
        try:
            code = importlib.import_module(COMMANDS[name]).main(arguments)
        except SystemExit as stop:  # how argparse ends
            code = stop.code
        out, err = capsys.readouterr()
        return code, out + err

    return started


@pytest.mark.parametrize("line, text", MISTAKES, ids=[m[0][:60] for m in MISTAKES])
def test_a_mistake_is_one_message_and_exit_code_2(run, line, text):
    code, said = run(line)
    assert code == 2 and re.search(text, said, re.S), said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(run, name):
    code, said = run(f"{name} --help")
    assert code == 0 and f"python -m jaxseg.{name}" in said


def module(name):
    return COMMANDS[name].removesuffix(".__main__")


@pytest.mark.parametrize("line", ["data list", "models --help", "weights --list"])
def test_a_closed_pipe_ends_it_in_silence(line):
    name, *arguments = line.split()
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", module(name), *arguments],
            stdout=pipe,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
    assert done.stderr == b""  # argparse ends with 0 where it cannot print its help
    assert done.returncode in (command.PIPE_CLOSED, 0 if "--help" in line else None)


def test_a_full_disk_behind_the_output_is_said():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jaxseg.data", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
    text = b"jaxseg: No space left on device. Fix: free space there, or give another "
    assert done.returncode == 2 and done.stderr == text + b"path\n"


def test_every_command_starts_at_the_boundary():
    for name in COMMANDS.values():
        main = importlib.import_module(name).main
        assert main.__code__ is command.entry(main).__code__, name
    found = {p.parent.name for p in (ROOT / "jaxseg").glob("*/__main__.py")}
    found |= {p.stem for p in (ROOT / "jaxseg").glob("[!_]*.py")}
    assert found == set(COMMANDS)


def ends(error):
    """How a command ends in which this is raised."""

    @command.entry
    def main(argv):
        raise error

    return main([])


def test_what_a_user_can_mend_is_a_message(capsys):
    assert ends(errors.UserError("a.png: no")) == 2
    assert capsys.readouterr().err == "jaxseg: a.png: no\n"
    assert ends(PermissionError(errno.EACCES, "denied", "/data/a.png")) == 2
    err = capsys.readouterr().err
    assert "'/data/a.png': denied. Fix: change its permissions" in err
    assert ends(OSError(errno.ENOSPC, "full")) == 2
    assert ends(KeyboardInterrupt()) == 130
    assert command.entry(lambda argv: None)([]) == 0
    assert command.entry(lambda argv: len(argv))(["a", "b", "c"]) == 3


def test_every_command_logs_in_one_form(monkeypatch, capsys):
    @command.entry
    def main(argv):
        logging.getLogger("jaxseg.data").warning("a file is left out")
        logging.warning("another")

    monkeypatch.setattr(logging.root, "handlers", [])
    assert main([]) == 0
    err = capsys.readouterr().err
    assert err == "WARNING: a file is left out\nWARNING: another\n"


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        ValueError("x"),
        OSError("no number"),
        FileNotFoundError(errno.ENOENT, "gone", f"{ROOT}/jaxseg/report/gone.html"),
        FileNotFoundError(errno.ENOENT, "gone", f"{sys.prefix}/lib/gone"),
        OSError(errno.ENOENT, "which one"),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
    ],
    ids=repr,
)
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        ends(error)


def test_a_name_that_is_no_text_can_be_printed(capsysbinary):
    @command.entry
    def main(argv):
        print("a\udcff.png")

    assert main([]) == 0
    assert capsysbinary.readouterr().out == b"a\\udcff.png\n"
