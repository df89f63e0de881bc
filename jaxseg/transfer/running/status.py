"""What a run shows: bars on a terminal, plain lines in a log file."""

import collections
import contextlib
import sys
import time
from typing import Any

from rich import console, markup, progress

from jaxseg.core import manifest as manifests
from jaxseg.core import text as texts
from jaxseg.transfer import store as stores
from jaxseg.transfer.stage import Stage

COLORS = {"done": "green", "cached": "dim", "failed": "red", "blocked": "yellow"}
COLORS |= {"diverged": "yellow", "busy": "cyan", "waiting": "cyan", "early": "cyan"}
QUIET = {"cached": "done already", "skipped": "skipped: no search asks for them"}


class Watcher:
    """Is called as each stage begins, moves on and ends."""

    def begin(self, one: Stage) -> None:
        """A stage starts to run."""

    def progress(self, one: Stage, done: int, of: int, text: str) -> None:
        """`done` of `of` steps."""

    def note(self, one: Stage, text: str) -> None:
        """Something a reader of the log should know of the stage that runs."""

    def end(self, one: Stage, state: str, text: str = "") -> None:
        """A stage has ended in one of the states of an Outcome."""


class Status(Watcher):
    """One line for each stage that ends; on a terminal also where the present one is.

    A finished stage shows its headline metric, and what learning nothing gives where
    that is not beaten. Gains are the report's: one run of a cell decides none.
    """

    def __init__(self, stages: list[Stage], store: stores.Store):
        self.store, self.total, self.ended = store, len(stages), 0
        self.console = console.Console(
            file=texts.raw(sys.stdout), highlight=False, soft_wrap=True
        )
        self.bars = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[text]}"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self.all = self.bars.add_task("stages", total=self.total, rate="", text="")
        self.running: dict[str, tuple[progress.TaskID, float]] = {}  # bar, start
        self.quiet: collections.Counter[str] = collections.Counter()
        self.noted: set[str] = set()
        self.streams = contextlib.ExitStack()

    def __enter__(self) -> "Status":
        self.bars.start()
        self.streams.enter_context(texts.escaped())  # the bars have taken both over
        return self

    def __exit__(self, *exception: Any) -> None:
        self.streams.close()
        self._say_quiet()
        self.bars.stop()

    def begin(self, one: Stage) -> None:
        """A bar of its own."""
        bar = self.bars.add_task(_shown(one.name), total=None, rate="", text="")
        self.running[one.name] = bar, time.perf_counter()

    def progress(self, one: Stage, done: int, of: int, text: str) -> None:
        """Moves the bar."""
        bar, began = self.running[one.name]
        rate = done / max(time.perf_counter() - began, 1e-9)
        shown = f"{rate:.1f}/s" if done else ""
        self.bars.update(bar, completed=done, total=of, text=_shown(text), rate=shown)

    def note(self, one: Stage, text: str) -> None:
        """A line for the log, above the bars; the same words only once a run."""
        if text in self.noted:
            return
        self.noted.add(text)
        self._say_quiet()
        place = " " * len(self._place())
        self.console.print(f"{place} note     {_shown(f'{one.name}  {text}')}")

    def end(self, one: Stage, state: str, text: str = "") -> None:
        """A line for the log."""
        self.ended += 1
        self.bars.update(self.all, completed=self.ended)
        bar, began = self.running.pop(one.name, (None, 0.0))
        if bar is not None:
            self.bars.remove_task(bar)
        result = self._result(one) if state in ("done", "cached") else text
        if state in QUIET:
            self.quiet[state] += 1
            return
        self._say_quiet()
        spent = f"{time.perf_counter() - began:6.1f} s" if state == "done" else ""
        color = COLORS[state]
        line = _shown(f"{one.name}  {result}  {spent}".rstrip())
        self.console.print(f"{self._place()} [{color}]{state:8}[/] {line}", markup=True)

    def _place(self) -> str:
        return f"[{self.ended:>3}/{self.total}]"

    def _say_quiet(self) -> None:
        """Stages that were there already or that nothing needs, in a line each."""
        for state, words in QUIET.items():
            if count := self.quiet[state]:
                self.console.print(f"{count} stages were {words}")
        self.quiet.clear()

    def _result(self, one: Stage) -> str:
        """'miou 0.412', or 'miou 0.037 (learning nothing gives 0.057)'."""
        from jaxseg.report import gains  # loads scipy: a plan does without

        headline = manifests.headline(self.store.manifest(one.key))
        if headline is None:
            return ""
        floor = headline.get("floor")
        text = f"{headline['name']} {headline['value']:.3f}"
        if floor is None or gains.learned(headline):
            return text
        return f"{text} (learning nothing gives {floor:.3f})"


def _shown(text: str) -> str:
    """Text of configs and data for the console: no markup, no hidden characters."""
    return markup.escape(texts.visible(text))
