"""A stage that all processes make together: process 0 calls, the others follow.

The others need no more of it than its spec. Logs and reports they write to a folder of
their own, which is deleted; parts of checkpoints and weights to that of process 0,
which all must see.
"""

import dataclasses
import logging
import os
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import errors, hosts, signals
from jaxseg.data import spec as data_spec
from jaxseg.train import hooks
from jaxseg.transfer import store as stores
from jaxseg.transfer.stage import Stage, StageContext, kind


def run(one: Stage, context: StageContext) -> dict[str, Any]:
    """What the kind of a stage makes of it: with all processes, or alone."""
    own = kind(one.kind)
    if hosts.count() == 1 or not own.TOGETHER:
        return own.run(context)
    call = {"stage": one.name, "key": one.key, "roles": list(context.parents)}
    marker = tempfile.mkdtemp(dir=context.scratch.absolute())
    hosts.call(call | {"lost": dict(context.lost), "marker": marker})
    with hosts.together():
        try:
            with hosts.agreeing():
                pass  # the others compare their plans with this one, see `_context`
        finally:
            os.rmdir(marker)
        return own.run(context)


def follow(stages: Sequence[Stage], workdir: Path) -> int:
    """Takes part in each stage that process 0 calls; its exit code at the end."""
    names, store = {one.name: one for one in stages}, stores.Store(workdir)
    with signals.interruptible(None) as interrupted:
        while "code" not in (call := hosts.called()):
            with tempfile.TemporaryDirectory() as folder:
                _follow(names, store, call, Path(folder), interrupted)
        return call["code"]


def _follow(
    names: Mapping[str, Stage],
    store: stores.Store,
    call: Mapping[str, Any],
    folder: Path,
    interrupted: Callable[[], bool],
) -> None:
    try:
        with hosts.together():
            with hosts.agreeing():
                context = _context(names, store, call, folder, interrupted)
            kind(context.stage.kind).run(context)
    except Exception as error:  # raised by all: process 0 reports it, and goes on
        if not isinstance(error, errors.UserError | hooks.Interrupted):
            logging.error("%s", traceback.format_exc())


def _context(
    names: Mapping[str, Stage],
    store: stores.Store,
    call: Mapping[str, Any],
    folder: Path,
    interrupted: Callable[[], bool],
) -> StageContext:
    """As that of process 0; UserError where this process plans something else."""
    one = names.get(call["stage"])
    if one is None or one.key != call["key"]:
        found = "no such stage" if one is None else f"key {one.short}"
        raise errors.UserError(
            f"stage {call['stage']}: has key {call['key'][:20]} on process 0, here "
            f"{found}. Fix: the same command, files and versions for all processes"
        )
    if not Path(call["marker"]).is_dir():
        where = Path(call["marker"]).parents[2]
        raise errors.UserError(
            f"{where}: process {hosts.place()} does not find there what process 0 "
            "writes. Fix: a --workdir that all hosts share, under the same path"
        )
    folders = {role: store.folder(one.parent_keys[role]) for role in call["roles"]}
    (folder / "artifact").mkdir()
    return StageContext(
        stage=dataclasses.replace(one, spec=data_spec.placed(one.spec, folders)),
        parents=folders,
        lost=call["lost"],
        folder=folder / "artifact",
        scratch=folder,
        interrupted=interrupted,
    )
