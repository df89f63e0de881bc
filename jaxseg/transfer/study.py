"""A config from beginning to end: bind, plan, run what is missing, report."""

import contextlib
import difflib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import compiled, errors, signals, user_cache
from jaxseg.transfer import chain, status, store
from jaxseg.transfer import stage as stages

Overrides = Sequence[tuple[str, Any]]


def run(
    config: Any,
    workdir: Path | str,
    *,
    only: str = ".*",
    stage: str | None = None,
    max_hours: float | None = None,
    config_file: str = "",
    argument: str = "",
) -> chain.Outcome:
    """What `python -m jaxseg.main` does: every stage of `config` that is not done yet,
    then the report. The same call continues what a kill or an interruption left.

    config: a ConfigDict or plain dicts. only: regex of the stages to run; what they
    descend from runs as well. stage: the key of one stage whose parents are done, for
    workers: no report, and no lock but the stage's own.
    """
    user_cache.check()
    compiled.use_cache()
    plan = chain.plan(chain.bind(plain(config)), config_file, argument)
    stages = plan.needed(only) if stage is None else plan.with_key(stage)
    box = store.Store(workdir)
    lock = box.lock("main", "a run") if stage is None else contextlib.nullcontext()
    with lock, signals.interruptible(max_hours) as interrupted:
        with store.writable(box.workdir):
            chain.write(plan, box.workdir)  # before any lock of a stage: see `gc`
        outcome = _run(stages, box, interrupted)
    if stage is None:
        report = build_report(box.workdir)
        show(report)
        outcome.left_out = report.left_out
    return outcome


def build_report(workdir: Path) -> Any:
    """WORKDIR/report from what is there."""
    from jaxseg.report import build  # draws: slow to import, and a plan needs none

    with store.writable(workdir):
        return build.build(workdir)


def _run(
    stages: Sequence[stages.Stage], box: store.Store, interrupted: Callable[[], bool]
) -> chain.Outcome:
    with status.Status(stages, box) as watcher:
        return chain.run(stages, box, watcher=watcher, interrupted=interrupted)


def show(report: Any) -> None:
    """The gain table, and where the report is."""
    print(report.text(shutil.get_terminal_size((100, 24)).columns))
    print(f"Report: {report.files['index.html']}")


def override(config: Any, changes: Overrides) -> dict[str, Any]:
    """The config bound, after values of it were replaced.

    changes: (regex, value); the regex is matched in full on the paths of the bound
    config, such as stages/NAME/optimizer/momentum, so that defaults can be replaced as
    well. UserError where it matches nothing. The value goes into the config as it was
    before binding: what follows from it by default then does.
    """
    config = plain(config)
    for pattern, value in changes:
        paths = list(_paths(chain.bind(config)))
        try:
            found = [path for path in paths if re.fullmatch(pattern, "/".join(path))]
        except re.error as error:
            raise errors.UserError(f"--set {pattern!r}: not a regex: {error}") from None
        if not found:
            raise _no_key(pattern, value, paths)
        for *sections, key in found:
            section = config
            for name in sections:
                if not isinstance(section.get(name), dict):  # left to its default
                    section[name] = {}
                section = section[name]
            section[key] = value
    return chain.bind(config)


def _no_key(
    pattern: str, value: Any, paths: Sequence[Sequence[str]]
) -> errors.UserError:
    """What is said of a pattern that matches nothing: one that does, if one is near."""
    known = ["/".join(path) for path in paths]
    *front, last = pattern.split("/")
    ends = difflib.get_close_matches(last, {path[-1] for path in paths})
    tries = ["/".join([*front, end]) for end in (last, *ends)]
    tries = [start + text for text in tries for start in ("", ".*/")]
    near = [text for text in tries if any(re.fullmatch(text, key) for key in known)]
    near += difflib.get_close_matches(pattern, known, n=1)
    given = value if isinstance(value, str) else json.dumps(value)
    hint = f" Did you mean '{near[0]}={given}'?" if near else ""
    return errors.UserError(
        f"{pattern!r} matches no key of the config.{hint} `--print` shows all."
    )


def _paths(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of all keys, inner ones as well."""
    for key, value in tree.items():
        yield (*path, key)
        if isinstance(value, Mapping):
            yield from _paths(value, (*path, key))


def plain(value: Any) -> Any:
    """Dicts and lists all the way down, of a ConfigDict as of anything else."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
