"""One stage of a run: made, or looked at where it is there."""

import dataclasses
import logging
import traceback
from collections.abc import Callable

from jaxseg.core import errors
from jaxseg.core import manifest as manifests
from jaxseg.data import spec as data_spec
from jaxseg.train import hooks
from jaxseg.transfer import store as stores
from jaxseg.transfer.running import demand, everywhere, record, status, unchanged
from jaxseg.transfer.stage import Stage, StageContext, kind


def checked(
    one: Stage, store: stores.Store, digests: unchanged.Known
) -> tuple[str, str]:
    """(state, text) of a stage that is there: cached, or failed where it is wrong."""
    try:
        store.verify(one.key)
        unchanged.check(one, store.manifest(one.key), digests)
    except errors.DamagedPicture as error:  # the report has its numbers
        return "failed", str(error)
    except errors.UserError as error:
        with stores.writable(store.workdir):
            store.fail(one.key, str(error))  # the report leaves it out, and says why
        return "failed", str(error)
    store.accept(one.key)
    return "cached", ""


def attempt(
    one: Stage,
    store: stores.Store,
    watcher: status.Watcher,
    interrupted: Callable[[], bool],
    again: bool,
) -> tuple[str, str]:
    """(state, text) of a stage after a try to make it."""
    try:
        make(one, store, watcher=watcher, interrupted=interrupted, again=again)
    except hooks.Interrupted:
        raise
    except errors.Busy as error:
        return "busy", str(error)
    except Exception as error:  # one branch; the others go on, and the exit code is 1
        if errors.traced() or not isinstance(error, errors.UserError):
            logging.error("%s", traceback.format_exc())
        text = str(error) if isinstance(error, errors.UserError) else repr(error)
        if isinstance(error, errors.Diverged):  # noted by `make`
            return "diverged", text
        with stores.writable(store.workdir):
            store.fail(one.key, text)
        return "failed", text
    return "done", ""


def make(
    one: Stage,
    store: stores.Store,
    *,
    watcher: status.Watcher,
    interrupted: Callable[[], bool] = lambda: False,
    again: bool = False,
) -> None:
    """Makes one artifact whose parents are there; nobody else makes it meanwhile.

    Diverged where it does so now or did since this run looked; the store knows before
    another process may begin it.
    again: also where it is there; the new one takes its place once it is whole.
    """
    with store.lock(one.short, f"stage {one.name}"), stores.writable(store.workdir):
        if store.done(one.key) and not (again and store.dropped(one.key)):
            return
        if (reason := store.diverged(one.key)) is not None:
            raise errors.Diverged(reason)
        keys = {r: one.parent_keys[r] for r in demand.Demand([one], store).asked(one)}
        lost = {r: why for r, k in keys.items() if (why := store.diverged(k))}
        lost = lost if kind(one.kind).DOES_WITHOUT else {}
        folders = {r: store.folder(k) for r, k in keys.items() if r not in lost}
        context = StageContext(
            stage=dataclasses.replace(one, spec=data_spec.placed(one.spec, folders)),
            parents=folders,
            lost=lost,
            folder=store.start(one.key),
            scratch=store.running(one.key),
            progress=lambda done, of, text: watcher.progress(one, done, of, text),
            note=lambda text: watcher.note(one, text),
            interrupted=interrupted,
        )
        parents = {role: manifests.read(f) for role, f in context.parents.items()}
        try:
            facts = everywhere.run(one, context)
        except errors.Diverged as error:
            store.fail(one.key, str(error), "diverged")
            raise
        store.finish(one.key, record.manifest(one, facts, parents))
