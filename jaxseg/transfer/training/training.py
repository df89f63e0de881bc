"""One `train` stage from open data to a folder full of results."""

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import tensorboardX

from jaxseg.core import checkpoint, errors, hosts, jsonl, licences, trees
from jaxseg.core.types import Batch, Variables
from jaxseg.data import parallel, pipeline
from jaxseg.data.source import Source
from jaxseg.data.spec import DataSpec
from jaxseg.data.tools import checks
from jaxseg.models import initial, stacking
from jaxseg.models import model as models
from jaxseg.train import every, hooks, loop, mesh, optim, programs, step
from jaxseg.train import state as states
from jaxseg.transfer import artifact, store, stored, transplant
from jaxseg.transfer.spec import TrainSpec
from jaxseg.transfer.stage import StageContext
from jaxseg.transfer.training import parts, receipts, sizes, starts
from jaxseg.transfer.training.evaluations import Evaluations


def run(context: StageContext, spec: TrainSpec) -> dict[str, Any]:
    """What the manifest says of a training, into `context.folder`."""
    with hosts.agreeing():
        training = Training(context, spec)
    return training.run()


class Training:
    """A stage's parts, built once; `run` trains, evaluates and writes."""

    def __init__(self, context: StageContext, spec: TrainSpec):
        self.context, self.spec = context, spec
        self.mesh = mesh.create(spec.run.mesh.data, spec.run.mesh.fsdp)
        mesh.check_batch(self.spec.batch_size, self.mesh, self.spec.accumulate)
        self.parts = parts.Parts(spec)
        self.spec = self.parts.spec
        self.model = models.build_model(self.spec.model, head_outputs=self.spec.heads)
        self.programs = {
            name: programs.train_program(
                self.spec, one.spec.task, one.task.num_outputs, self.mesh
            )
            for name, one in self.parts.by_name.items()
        }
        self.metrics = context.folder / "metrics.jsonl"
        self.evaluations = Evaluations(
            self.parts, self.mesh, self.metrics, context.chosen
        )
        self.described = self._describe_sources()
        self.read: dict[str, dict[str, Any]] = {}  # of the manifest, as they begin
        self.checkpoints = checkpoint.Checkpoints(context.scratch / "checkpoints")
        self.best = checkpoint.Checkpoints(context.scratch / "best")
        self.receipts: list[dict[str, Any]] = []
        devices = mesh.described(self.mesh)
        self.environments = [{"step": 0, **store.environment(devices)}]
        self.begin = time.perf_counter()
        self.clock = loop.Clock()
        self.prepare = 0.0  # seconds

    def run(self) -> dict[str, Any]:
        """Start, train, evaluate, write; returns what the manifest says of it."""
        with hosts.agreeing():
            for name, (data, source) in self.described.items():
                self.read[name] = data.described(source)
                source.prepare()
                checks.once(source)
        self._note_differences()
        self.prepare = self._elapsed()
        state, watch = self._fit(*self._restore_or_start())
        stacked, best_step = self._final_variables(state, watch)
        states.check_finite(stacked, int(state.step))
        start, whole = time.perf_counter(), mesh.replicated(stacked)
        metrics = self.evaluations.at_the_end(whole, int(state.step))
        self.evaluations.draw(whole, self.context.folder, int(state.step))
        evaluation = time.perf_counter() - start + watch.seconds
        variables = jax.jit(stacking.unstack)(stacked)
        weights = stored.save(self.context.folder, variables)
        self._write_subsets()
        seconds = self._elapsed()
        timing = self._timing() | {"evaluation": evaluation}
        timing["other"] = seconds - sum(timing.values())
        return (
            self._facts()
            | weights
            | {
                "metrics": metrics,
                "steps": int(state.step),
                "best_step": best_step,
                "seconds": round(seconds, 3),
                "timing": {name: round(value, 3) for name, value in timing.items()},
                "flops": self._flops(int(state.step)),
                "peak_bytes": self._peak_bytes(),
                "parameters": trees.num_parameters(variables["params"]),
            }
        )

    def _note_differences(self) -> None:
        """Notes what training does that its section does not say."""
        for name, part in self.parts.by_name.items():
            texts = [f"{key} measured: {x}" for key, x in part.measured.items()]
            if self.spec.accumulate > 1:
                unsplit = part.task.unsplit
                texts.append(step.microbatches(self.spec.accumulate, unsplit))
            texts.append(sizes.note(self.spec, part.spec.data, part.facts))
            for text in filter(None, texts):
                self.context.note(f"{name}: {text}" if name else text)

    def _describe_sources(self) -> dict[str, tuple[DataSpec, Source]]:
        """{name: (data section, its examples)} of all that is read."""
        opened = (*self.parts.sources, *self.evaluations.sources)
        reads = self.spec.reads
        return dict(zip(reads, zip(reads.values(), opened, strict=True)))

    def _write_subsets(self) -> None:
        """The records of each subset, a line each, so that others can use the same."""
        for name, (data, source) in self.described.items():
            if data.only or data.count or data.fraction or data.part != "all":
                path = self.context.folder / f"subset_{name}.txt"
                path.parent.mkdir(exist_ok=True)  # names of a part have a slash
                path.write_text("\n".join([*source.listing(), ""]))

    def _restore_or_start(self) -> tuple[states.TrainState, int, dict[str, Any]]:
        """State, finished steps, states of hooks: of the newest checkpoint if any."""
        tx = programs.optimizer(self.spec.optimizer)
        averaged, fresh = self.spec.ema is not None, {"step": 0, "hooks": {}}
        with hosts.agreeing():
            variables = self._stacked(self._initial_variables())
            state = states.create(variables, tx, seed=self.spec.seed, ema=averaged)
        like = mesh.layout(states.to_flat(state), self.mesh)
        flat, meta = self.checkpoints.restore(like) or (None, fresh)
        with hosts.agreeing():
            for saved in (self.checkpoints, self.best):
                saved.forget(after=meta["step"])
            if flat is not None and hosts.leads():
                self._go_on(meta)
        if flat is None:
            shutil.rmtree(self.context.folder)  # what an unfinished try left
            self.context.folder.mkdir()
            self.metrics.touch()
            state = mesh.put_state(state, self.mesh)
            receipts.check(self.receipts, hosts.whole(state))
        else:
            state = states.from_flat(state, flat)
        jsonl.write_json(self.context.folder / receipts.FILE, self.receipts)
        return state, meta["step"], meta["hooks"]

    def _go_on(self, meta: Mapping[str, Any]) -> None:
        """Takes over what a checkpoint says of the run; says where it goes on."""
        receipts.compare(meta["receipts"], self.receipts, self.context.scratch)
        jsonl.rewind(self.metrics, meta["log"])
        self.begin -= meta["seconds"]
        spent = dict(meta["timing"])
        self.prepare += spent.pop("prepare")
        self.clock = loop.Clock(**spent)
        now = self.environments[-1] | {"step": meta["step"]}
        self.environments = meta["environments"]
        before = self.environments[-1] | {"step": meta["step"]}
        if now != before:
            self.environments.append(now)
            logging.warning(
                "stage %s goes on after step %d with %s: the last digits may differ",
                self.context.stage.name,
                meta["step"],
                store.changes(before, now),
            )

    def _about(self) -> dict[str, Any]:
        """What a checkpoint says of the run: a resume trusts no file beside it."""
        return {
            "seconds": self._elapsed(),
            "timing": self._timing(),
            "environments": self.environments,
            "receipts": self.receipts,
            "log": self.metrics.read_text(encoding="utf-8"),
        }

    def _timing(self) -> dict[str, float]:
        """Seconds by activity, without evaluation; those before an interruption too."""
        names = ("steps", "data_wait", "compile")
        return {"prepare": self.prepare} | {n: getattr(self.clock, n) for n in names}

    def _initial_variables(self) -> Variables:
        """Fresh values, then each start transplanted in order, which is done by process
        0: the state that it begins with is that of all.
        """
        shape = self.spec.network.image_shape
        fresh = initial.variables(self.model, shape, self.spec.seed)
        variables = jax.device_get(fresh)
        for start in self.spec.starts if hosts.leads() else ():
            parent = artifact.load(self.context.parents[start.parent])
            try:
                variables, receipt = starts.transplanted(
                    variables,
                    parent.variables,
                    start,
                    self.spec.model,
                    parent.model_section,
                    shape,
                )
            except transplant.TransplantError as error:
                where = f"stages/{self.context.stage.name}/starts, from {parent.folder}"
                raise transplant.TransplantError(f"{where}: {error}") from None
            self.context.note(receipt.summary())
            self.receipts.append(receipts.row(start.parent, parent, receipt))
        return variables

    def _stacked(self, variables: Variables) -> Variables:
        """Leaves of equal modules as one."""
        spec, params = self.spec, variables["params"]
        known = initial.loops(self.model, spec.network.image_shape)
        decay = spec.optimizer.get("decay_multipliers", ())
        loops = optim.loops(known, params, spec.lr_multipliers, decay)
        return stacking.stack(variables, loops)

    def _fit(
        self, state: states.TrainState, first: int, restored: Mapping[str, Any]
    ) -> tuple[states.TrainState, hooks.Evaluate]:
        spec, steps = self.spec, self.spec.steps
        with tensorboardX.SummaryWriter(
            str(self.context.folder / "events"), purge_step=first + 1 if first else None
        ) as writer:
            called = hooks.build(
                log=dict(
                    when=every.Every(spec.run.log_every, steps),
                    metrics=self.metrics,
                    writer=writer,
                    batch_size=spec.batch_size,
                    progress=self._progress,
                ),
                evaluate=self.evaluations.between_steps(writer.add_scalar)
                | {"best": self.best if spec.keep == "best" else None},
                save=dict(
                    when=every.Every(spec.run.checkpoint_every, steps),
                    checkpoints=self.checkpoints,
                    interrupted=hosts.Stop(self.context.interrupted),
                    about=self._about,
                    last=first or None,
                ),
                restored=restored,
            )
            watch = called[1]
            curve = optim.schedule(steps=steps, **spec.schedule)
            batches = self._batches(first)
            try:
                state, self.clock = loop.fit(
                    state,
                    batches,
                    lambda index: self.programs[self.parts.at(index)],
                    lambda index: spec.lr * curve(index),
                    first=first,
                    steps=steps if watch.going_on() else first,
                    mesh=self.mesh,
                    hooks=called,
                    clock=self.clock,
                )
            except (errors.Diverged, hooks.Interrupted):
                with hosts.agreeing(limit=hosts.GRACE):  # raised on all; some may write
                    self._wait()
                raise
            finally:
                batches.close()
                self._wait()
        return state, watch

    def _wait(self) -> None:
        """Until all checkpoints are on disk."""
        self.checkpoints.wait()
        self.best.wait()

    def _batches(self, first: int) -> Iterator[tuple[Batch, list[str]]]:
        run, what = self.spec.run, (source.name for source in self.parts.sources)
        return parallel.ahead(
            self.parts.batches(hosts.shard()),
            first,
            " and ".join(what),
            threads=run.threads,
            workers=run.workers,
            prefetch=pipeline.PREFETCH,
        )

    def _progress(self, step: int, row: Mapping[str, float]) -> None:
        self.context.progress(step, self.spec.steps, f"loss {row['loss']:.3f}")

    def _final_variables(
        self, state: states.TrainState, watch: hooks.Evaluate
    ) -> tuple[Variables, int | None]:
        """The last weights, or the best that an evaluation saw, and their step; on the
        devices as those of the state.
        """
        last, step = state.variables(), watch.kept["step"]
        if self.spec.keep == "last" or step is None:
            return last, None
        best = self.best.restore(mesh.layout(last, self.mesh))
        if best is None or best[1]["step"] != step:
            raise errors.UserError(
                f"{self.best.folder}: the best weights, of step {step}, are damaged or "
                f"gone. Fix: delete {self.context.scratch} and run again."
            )
        return best[0], step

    def _flops(self, steps: int) -> int | None:
        """Of all steps; None where the cost of one was not seen since a resume."""
        taken = self.parts.taken(steps).items()
        costs = [(count, self._cost(part, "flops")) for part, count in taken if count]
        if any(cost is None for _, cost in costs):
            return None
        return sum(count * cost for count, cost in costs)

    def _peak_bytes(self) -> int | None:
        """Of one device, in the steps of the largest part."""
        found = [self._cost(part, "bytes") for part in self.parts.names]
        return max((cost for cost in found if cost is not None), default=None)

    def _cost(self, part: str, name: str) -> int | None:
        return self.clock.costs.get(self.programs[part], {}).get(name)

    def _elapsed(self) -> float:
        """Seconds spent on this stage, those before an interruption included."""
        return time.perf_counter() - self.begin

    def _facts(self) -> dict[str, Any]:
        return self.parts.described() | {
            "data": self.read,
            "licences": [
                licences.row(data.called, source.dataset.licence)
                for data, source in zip(self.spec.trained_on, self.parts.sources)
            ],
            "model": self.spec.model,
            "devices": self.environments[-1]["devices"],
            "cores": self.environments[-1]["cores"],
            # Where it was trained, from which step on: more than one after a resume
            # on other cores, devices or versions.
            "environments": self.environments,
        }
