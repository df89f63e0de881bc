"""What a run shows: bars on a terminal, plain lines in a log file."""

import time
from typing import Any

from rich import console, markup, progress

from jaxseg.transfer import chain, stage, store

COLORS = {"done": "green", "cached": "dim", "failed": "red", "blocked": "yellow"}
COLORS |= {"diverged": "yellow", "busy": "cyan", "waiting": "cyan"}


class Status(chain.Watcher):
    """One line for each stage that ends; on a terminal also where the present one is.

    A finished target shows its headline metric and its gain over the baseline of the
    same seed, so that the table can be watched as it grows.
    """

    def __init__(self, stages: list[stage.Stage], box: store.Store):
        self.box, self.total, self.ended = box, len(stages), 0
        self.console = console.Console(highlight=False, soft_wrap=True)
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
        self.one: progress.TaskID | None = None
        self.began = 0.0
        self.values: dict[tuple, float] = {}
        self.cached = 0

    def __enter__(self) -> "Status":
        self.bars.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._say_cached()
        self.bars.stop()

    def begin(self, one: stage.Stage) -> None:
        """A bar of its own."""
        self.began = time.perf_counter()
        self.one = self.bars.add_task(one.name, total=None, rate="", text="")

    def progress(self, one: stage.Stage, done: int, of: int, text: str) -> None:
        """Moves the bar."""
        rate = done / max(time.perf_counter() - self.began, 1e-9)
        shown = f"{rate:.1f}/s" if done else ""
        if self.one is not None:
            self.bars.update(self.one, completed=done, total=of, text=text, rate=shown)

    def end(self, one: stage.Stage, state: str, text: str = "") -> None:
        """A line for the log."""
        self.ended += 1
        self.bars.update(self.all, completed=self.ended)
        if self.one is not None:
            self.bars.remove_task(self.one)
            self.one = None
        result = self._result(one) if state in ("done", "cached") else text
        if state == "cached":
            self.cached += 1
            return
        self._say_cached()
        spent = f"{time.perf_counter() - self.began:6.1f} s" if state == "done" else ""
        color = COLORS[state]
        told = markup.escape(f"{one.name}  {result}  {spent}".rstrip())
        self.console.print(
            f"[{self.ended:>3}/{self.total}] [{color}]{state:8}[/] {told}", markup=True
        )

    def _say_cached(self) -> None:
        """Stages that were there already, in one line."""
        if self.cached:
            self.console.print(f"{self.cached} stages were done already")
        self.cached = 0

    def _result(self, one: stage.Stage) -> str:
        """'miou 0.412 (+12.3 % over websearch)' of a finished stage."""
        metrics = self.box.manifest(one.key).get("metrics", [])
        headline = next((m for m in metrics if m["headline"]), None)
        if headline is None:
            return ""
        text = f"{headline['name']} {headline['value']:.3f}"
        for label in one.labels:
            cell = tuple(label.get(k) for k in ("setting", "target", "variant", "seed"))
            self.values[(*cell, label.get("source"))] = headline["value"]
            base = self.values.get((*cell, label.get("baseline")))
            if base and label.get("source") != label.get("baseline"):
                sign = 1 if headline["higher_is_better"] else -1
                gain = sign * 100 * (headline["value"] / base - 1)
                text += f" ({gain:+.1f} % over {label['baseline']})"
        return text
