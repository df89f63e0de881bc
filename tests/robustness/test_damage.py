"""Every file of a workdir is damaged in turn, and looked at by every command.

`artifacts list --verify`, a report and a main run follow, then what the message says
should be done. Damage is survived where the file is named or the results are those of
the sound workdir; never with a traceback, never with other results.
"""

import csv
import itertools
import json
import random
import re
import shutil

import pytest

from jaxseg import artifacts, main
from jaxseg.report import __main__ as report
from jaxseg.train import hooks
from jaxseg.transfer import chain, store
from jaxseg.transfer import run as runs
from jaxseg.transfer.running import status
from tests import tiny

DOZEN = 12  # damages of a finished study in the full tier


def flipped(path, others):
    """One bit in the middle. All ways return the paths that they changed."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    return [path]


def halved(path, others):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return [path]


def emptied(path, others):
    path.write_bytes(b"")
    return [path]


def deleted(path, others):
    path.unlink()
    return [path]


def swapped(path, others):
    """With the file of the same name of another artifact."""
    mine, (other, *_) = path.read_bytes(), others
    path.write_bytes(other.read_bytes())
    other.write_bytes(mine)
    return [path, other]


WAYS = (flipped, halved, emptied, deleted, swapped)


def damages(workdir, way):
    """Paths below `workdir` that this way changes at all."""
    files = sorted(path for path in workdir.rglob("*") if path.is_file())
    chosen = [p for p in files if way is deleted or p.stat().st_size]
    if way is swapped:
        chosen = [p for p in chosen if namesakes(workdir, p)]
    return [path.relative_to(workdir) for path in chosen]


def namesakes(workdir, path):
    """Files of the same name and other content in folders beside that of `path`."""
    top, *parts = path.relative_to(workdir).parts
    same = sorted(workdir.glob("/".join([top, "*", *parts[1:]]))) if parts[1:] else []
    return [p for p in same if p.read_bytes() != path.read_bytes()]


def write(path, config):
    text = json.dumps(json.dumps(config))
    path.write_text(
        f"import json\n\n\ndef get_config(arg=''):\n    return json.loads({text})\n"
    )
    return f"--config={path}"


def results(workdir):
    """Rows of results.csv without what making them again may change."""
    path = workdir / "report" / "results.csv"
    if not path.is_file():
        return None
    with open(path, newline="") as file:
        return [
            {k: v for k, v in row.items() if k != "seconds"}
            for row in csv.DictReader(file)
        ]


def page(workdir):
    return (workdir / "report" / "index.html").read_bytes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(--config, workdir) of a study that is done, one candidate having diverged."""
    folder = tmp_path_factory.mktemp("finished")
    stages = tiny.config()["stages"]
    stages["target/lost"] = tiny.candidate(1e30)
    parents = stages["target"]["parents"] | {"lost": "target/lost"}
    stages["target"] = stages["target"] | {"parents": parents}
    config = write(folder / "c.py", {"study": "damaged", "stages": stages})
    workdir = tiny.copy(folder)
    shutil.rmtree(workdir / "studies")
    store.Store(workdir).remove(tiny.key("target"))
    assert main.main([config, f"--workdir={workdir}"]) == 0
    assert list(workdir.glob("running/*/error.json"))
    return config, workdir


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """(--config, workdir, expected results) of a study stopped after checkpoints."""
    folder = tmp_path_factory.mktemp("unfinished")
    run = {"log_every": 2, "checkpoint_every": 3}
    label = tiny.LABEL | {"target": "day"}
    stage = tiny.train(steps=9, run=run, eval_every=3, columns=[label])
    config = {"study": "stopped", "stages": {"x": stage}}
    plan, workdir, asked = tiny.plan(config), folder / "workdir", itertools.count()
    chain.write(plan, workdir)
    with pytest.raises(hooks.Interrupted):
        runs.run_stages(
            plan.stages,
            store.Store(workdir),
            watcher=status.Watcher(),
            interrupted=lambda: next(asked) > 7,
        )
    assert len(list(workdir.glob("running/*/checkpoints/*/meta.json"))) == 2
    given, whole = (
        write(folder / "c.py", config),
        shutil.copytree(workdir, folder / "whole"),
    )
    assert main.main([given, f"--workdir={whole}"]) == 0
    return given, workdir, results(whole)


class Commands:
    """Runs commands in one workdir and notes what none of them may do."""

    def __init__(self, config, workdir, capsys, caplog):
        self.where, self.config = f"--workdir={workdir}", config
        self.capsys, self.caplog, self.wrong = capsys, caplog, []

    def __call__(self, command, *arguments):
        """(exit code, what was printed)."""
        self.caplog.clear()
        try:
            code = command.main([*arguments, self.where])
        except Exception as error:
            self.wrong.append(f"{command.__name__} raised {error!r}")
            code = -1
        text = "".join(self.capsys.readouterr()) + self.caplog.text
        if "Traceback" in text:
            self.wrong.append(f"{command.__name__} printed a traceback: {text[-500:]}")
        return code, text

    def look(self):
        """Of `list --verify`."""
        return self(artifacts, "list", "--verify")

    def report(self):
        return self(report)

    def main(self):
        return self(main, self.config)


def named(path):
    """Matches a message of the file, or of its folder."""
    return f"{re.escape(str(path))}|{re.escape(str(path.parent))}:"


def failure(run, workdir, changed, whole):
    """What went wrong after these files were damaged, which the workdir `whole` has as
    they were; None where it was survived.
    """
    expected = results(whole)
    names = re.compile("|".join(map(named, changed)))
    code, text = run.look()
    stored = [path for path in changed if path.is_relative_to(workdir / "artifacts")]
    for path in stored:
        if code != 1 or not re.search(named(path), text):
            run.wrong.append(f"list --verify does not name {path}: {code}, {text}")
    code, text = run.report()
    same = results(workdir) == expected
    seen = re.compile(r"artifacts/\w+/(samples|events)/.*")
    costless = all(seen.fullmatch(str(p.relative_to(workdir))) for p in changed)
    if costless and not same:
        run.wrong.append("a picture costs numbers")
    same = same and not (stored and page(workdir) != page(whole))
    if not same and (code != 1 or not names.search(text)):
        run.wrong.append(f"the report is another and does not name it: {code}, {text}")
    code, text = run.main()
    if costless and results(workdir) != expected:
        run.wrong.append("a picture costs numbers after main")
    if code != 0 and not names.search(text):
        run.wrong.append(f"main fails and does not name it: {code}, {text}")
    for _ in range(2):  # of two swapped files the second is told after the first
        for key in dict.fromkeys(re.findall(r"Fix: `.* remove (\w+)", text)):
            run(artifacts, "remove", key)
            code, text = run.main()
    if code != 0 or results(workdir) != expected:
        run.wrong.append(f"not the same in the end: {code}, {text}")
    code, text = run.look()
    if code != 0:
        run.wrong.append(f"main ends well, and all is not: {text}")
    return "; ".join(run.wrong) or None


def damage_each(cases, config, whole, row, folder, capsys, caplog):
    """Damages one copy of the workdir `whole` for each (way, name)."""
    for way, name in cases:
        # A name of its own: weights are cached by their folder.
        workdir = shutil.copytree(whole, folder / f"workdir{row.tried}")
        changed = way(workdir / name, namesakes(workdir, workdir / name))
        run = Commands(config, workdir, capsys, caplog)
        text = failure(run, workdir, changed, whole)
        row.add(text and f"{way.__name__} {name}: {text}")
        shutil.rmtree(workdir)


@pytest.mark.slow
def test_a_dozen_damages_of_a_finished_study(finished, tally, tmp_path, capsys, caplog):
    config, whole = finished
    cases = [(way, name) for way in WAYS for name in damages(whole, way)]
    chosen = random.Random(6).sample(cases, DOZEN)
    row = tally("damage: a finished study, a dozen")
    damage_each(chosen, config, whole, row, tmp_path, capsys, caplog)
    row.check(at_least=DOZEN)


@pytest.mark.release
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_file_of_a_finished_study(finished, way, tally, tmp_path, capsys, caplog):
    config, whole = finished
    cases = [(way, name) for name in damages(whole, way)]
    row = tally(f"damage: a finished study, {way.__name__}")
    damage_each(cases, config, whole, row, tmp_path, capsys, caplog)
    row.check(at_least=5)


@pytest.mark.release
@pytest.mark.parametrize("way", WAYS[:4], ids=lambda way: way.__name__)
def test_every_file_of_a_stopped_study(
    unfinished, way, tally, tmp_path, capsys, caplog
):
    config, whole, expected = unfinished
    cases = [(way, name) for name in damages(whole, way)]
    row = tally(f"damage: a stopped study, {way.__name__}")
    for way, name in cases:
        workdir = shutil.copytree(whole, tmp_path / f"workdir{row.tried}")
        way(workdir / name, [])
        run = Commands(config, workdir, capsys, caplog)
        run.look(), run.report()
        code, text = run.main()
        if code != 0 or results(workdir) != expected:
            run.wrong.append(f"not the same in the end: {code}, {text[-500:]}")
        row.add(
            "; ".join([f"{way.__name__} {name}", *run.wrong]) if run.wrong else None
        )
        shutil.rmtree(workdir)
    row.check(at_least=5)
