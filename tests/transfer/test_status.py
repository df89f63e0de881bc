import io
import re
import sys

import pytest
from rich import console

from jaxseg.core import text as texts
from jaxseg.transfer import run as runs
from jaxseg.transfer import store
from jaxseg.transfer.running import status
from tests import tiny
from tests.transfer import test_chain as chains


def line(monkeypatch, capsys, tmp_path, **headline):
    """What a run prints of a finished stage with this headline metric."""
    label = {"target": "x", "source": "y", "baseline": "x", "seed": 0}
    one = chains.fake("a")
    metric = {"name": "miou", "headline": True, "higher_is_better": True, **headline}
    monkeypatch.setattr(store.Store, "manifest", lambda *_: {"metrics": [metric]})
    with status.Status([one], store.Store(tmp_path)) as watcher:
        for source in ("x", "y"):  # the baseline first
            labelled = chains.fake("a")
            object.__setattr__(labelled, "columns", (label | {"source": source},))
            watcher.end(labelled, "done")
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    "value, floor, higher, words",
    [
        (0.412, 0.05, True, "miou 0.412 "),
        (0.412, None, True, "miou 0.412 "),
        (0.037, 0.057, True, "miou 0.037 (learning nothing gives 0.057) "),
        (0.9, 0.8, False, "miou 0.900 (learning nothing gives 0.800) "),
        (0.7, 0.8, False, "miou 0.700 "),
    ],
)
def test_a_value_its_floor_and_no_gain(
    value, floor, higher, words, monkeypatch, capsys, tmp_path
):
    facts = {"value": value, "floor": floor, "higher_is_better": higher}
    text = line(monkeypatch, capsys, tmp_path, **facts)
    assert words in text and "%" not in text


@pytest.mark.slow
def test_what_a_section_does_not_say_stands_in_the_log(tmp_path, capsys):
    """No terminal: no bar that would show it."""
    stages = {"source": tiny.config()["stages"]["source"]}
    task = {"name": "segmentation", "class_weights": "auto"}
    start = {"parent": "start", "take": {"backbone": "backbone"}}
    stages["child"] = tiny.train(
        task=task, accumulate=2, parents={"start": "source"}, starts=[start]
    )
    workdir = tiny.copy(tmp_path)
    capsys.readouterr()  # what making it printed
    assert runs.run({"study": "said", "stages": stages}, workdir).ok
    lines = [line for line in capsys.readouterr().out.splitlines() if " note " in line]
    notes = [line.split("child  ")[1] for line in lines]
    assert notes[0].startswith("class_weights measured: ")
    assert notes[1] == "accumulate 2: batch statistics are of each microbatch"
    assert notes[2].startswith("copied 265 leaves (") and len(notes) == 3


def test_on_a_terminal_a_note_stays_above_the_bars(tmp_path, monkeypatch, capsys):
    made = console.Console
    monkeypatch.setattr(
        status.console, "Console", lambda **how: made(**how, force_terminal=True)
    )
    one = chains.fake("a")
    with status.Status([one], store.Store(tmp_path)) as watcher:
        watcher.begin(one)
        watcher.note(one, "one [b]line[/] of text")
        watcher.progress(one, 1, 2, "loss 1")
    text = capsys.readouterr().out
    assert text.count("note     a  one [b]line[/] of text") == 1


def test_bars_move_and_names_do_not(tmp_path, monkeypatch):
    """On a terminal: sequences of the bars are none of those that names bring."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    one = chains.fake("a")
    with texts.escaped(), status.Status([one], store.Store(tmp_path)) as watcher:
        watcher.begin(one)
        watcher.note(one, "cat\x1b[31m")
        print("dog\u202e")
        watcher.progress(one, 1, 2, "loss 1")
        watcher.end(one, "failed", "no \x9b")
    shown = terminal.getvalue()
    assert "\x1b[" in shown and "\r" in shown
    assert "\x1b[31mcat" not in shown and "\u202e" not in shown
    found = set(re.findall(r"\\x..(?:\[31m)?|\\u....", shown))
    assert found == {r"\x1b[31m", r"\u202e", r"\x9b"}


def test_the_same_words_are_said_once(tmp_path, capsys):
    stages = [chains.fake("a"), chains.fake("b")]
    with status.Status(stages, store.Store(tmp_path)) as watcher:
        for one in stages:
            watcher.note(one, "copied 2 leaves")
            watcher.note(one, f"measured for {one.name}")
    text = capsys.readouterr().out
    assert text.count("copied 2 leaves") == 1 and text.count("measured for") == 2
