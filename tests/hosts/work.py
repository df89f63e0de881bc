"""What two processes do together, one check after another; run by test_together.

python -m tests.hosts.work CASE FOLDER --coordinator=... --process=I --processes=2
"""

import argparse
import contextlib
import sys
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.core import checkpoint, cluster, errors, hosts, jsonl
from jaxseg.data import source
from jaxseg.data.normalization import Normalize
from jaxseg.evals import evaluator, loss, predictor, protocol
from jaxseg.models import model as models
from jaxseg.tasks import build
from jaxseg.train import every, hooks, loop, mesh
from jaxseg.train import state as states
from jaxseg.transfer.spec import TrainSpec
from jaxseg.transfer.training import parts
from tests.hosts import five, judged


@contextlib.contextmanager
def refused(kind, text):
    """As pytest.raises."""
    try:
        yield
    except kind as error:
        assert text in str(error), str(error)
    else:
        raise AssertionError(f"nothing raised, wanted {text}")


def messages(folder):
    """Values and errors of one are those of all; alone nothing is exchanged."""
    me = hosts.place()
    assert hosts.shard() == (0, 1) and hosts.every(me) == [me]
    assert hosts.first(lambda: me) == me
    with hosts.together():
        assert hosts.shard() == (me, 2)
        assert hosts.every({"place": me}) == [{"place": 0}, {"place": 1}]
        value = {"a": [1, None, "x", 0.1], "b": np.arange(3)}
        got = hosts.first(lambda: value if me == 0 else 1 / 0)
        assert got["a"] == value["a"] and got["b"].tolist() == [0, 1, 2]
        with refused(errors.Diverged, "lost"):
            hosts.first(lambda: _raise(errors.Diverged("lost")))
        rows = {"x": np.full((2, 3), me), "valid": np.array([True, me == 0])}
        joined = hosts.gathered(rows)
        assert joined["x"][:, 0].tolist() == ([0, 0, 1, 1] if me == 0 else [1, 1])
        assert joined["valid"].dtype == bool
        assert hosts.own(np.arange(4)).tolist() == [2 * me, 2 * me + 1]
    for number in range(2):  # each of them fails once, and nobody waits afterwards
        theirs = f"process {number}: no data" if me != number else "no data"
        with refused(errors.UserError, theirs), hosts.agreeing():
            if me == number:
                raise errors.UserError("no data")
    with refused(RuntimeError, "KeyError"), hosts.together():
        if me == 1:
            raise RuntimeError("KeyError of mine")
    if me == 0:
        hosts.call({"stage": "a"})
        assert hosts.led(lambda: 3) == 3
    else:
        assert hosts.called() == {"stage": "a"} and hosts.called() == {"code": 3}


def one_fails(folder):
    """What one raises on its way to an exchange, the others raise from the exchange."""
    me, rows = hosts.place(), {"x": np.zeros(2)}
    exchanges = (
        lambda: hosts.every({"label": [8]}),
        lambda: hosts.first(lambda: {"value": 1}),
        lambda: hosts.gathered(rows),
    )
    for number in range(2):
        theirs = f"process {number}: x.png" if me != number else "x.png: damaged"
        for exchange in exchanges:
            inner = hosts.agreeing() if me != number else contextlib.nullcontext()
            with refused(errors.Damaged, theirs), hosts.together(), inner:
                if me == number:
                    raise errors.Damaged("x.png: damaged")
                exchange()
        with refused(OSError if me == 1 else errors.Damaged, ""), hosts.together():
            try:
                with hosts.agreeing():
                    if me == number:
                        raise errors.Damaged("x.png: damaged")
            finally:
                if me == 1:
                    raise OSError("no space")  # the others do not wait for it
        with refused((OSError, RuntimeError), "no space"), hosts.together():
            try:
                hosts.first(lambda: _raise(errors.Diverged("lost")))
            except errors.Diverged:  # handled by all, so this is another error
                with hosts.agreeing():
                    if me == number:
                        raise OSError("no space") from None
    with hosts.together():
        assert hosts.every(me) == [0, 1]


def damaged(folder):
    """A picture that one process cannot read ends the evaluation of both, by name."""
    get = source.Source.__getitem__
    for bad in (4, 6):  # of the second batch, each with another process

        def item(self, index, bad=bad):
            if index == bad:
                raise errors.Damaged(f"{bad}.png: damaged")
            return get(self, index)

        with mock.patch.object(source.Source, "__getitem__", item):
            try:
                with hosts.together():
                    judged.measured("detection")
                text = "nothing raised"
            except errors.UserError as error:
                text = str(error)
        with hosts.together():
            reader, told = (0, 1) if bad == 4 else (1, 0)
            texts = hosts.every(text)
        assert texts[reader] == f"{bad}.png: damaged", texts
        assert texts[told] == f"process {reader}: {bad}.png: damaged", texts


def arrays(folder):
    """Bits of process 0 everywhere; split arrays whole again; NumPy is of process 0."""
    me = hosts.place()
    with hosts.together():
        devices = mesh.create()
        assert devices.size == 4
        assert [one.process_index for one in devices.devices.flat] == [0, 0, 1, 1]
        mine = {"w": np.float32([-0.0, np.nan, 1 + me]), "n": np.int32(me - 1)}
        copies = mesh.put_state(mine, devices)
        there = jax.tree.map(np.asarray, copies)
        assert there["w"].tobytes() == np.float32([-0.0, np.nan, 1]).tobytes()
        assert there["n"] == -1 and copies["w"].is_fully_replicated
        batch = mesh.put_batch({"x": np.arange(4.0) + 4 * me}, devices)
        assert hosts.whole(batch)["x"].tolist() == list(range(8))
        checkpoint.save_tree(folder / "weights", {"w": np.full(3, float(me))})
        box = checkpoint.Checkpoints(folder / "steps")
        box.save(3, {"w": np.ones(2)}, {"value": me})
        box.wait()
        assert checkpoint.restore_tree(folder / "weights")["w"].tolist() == [0, 0, 0]
        tree, meta = box.restore()
        assert tree["w"].tolist() == [1, 1] and meta["value"] == 0
    alone = mesh.create()
    assert alone.size == 2 and alone.devices[0, 0].process_index == me


def divided(folder):
    """Parts of a state on the devices of both are whole again on each."""
    me = hosts.place()
    with hosts.together():
        devices = mesh.create(fsdp=4)
        mine = {"w": np.arange(8, dtype=np.float32) + me, "n": np.int32(me)}
        state = mesh.put_state(mine, devices)
        parts = [shard.data.tolist() for shard in state["w"].addressable_shards]
        assert parts == ([[0, 1], [2, 3]] if me == 0 else [[4, 5], [6, 7]])
        for whole in (mesh.replicated(state), hosts.whole(state)):
            assert np.asarray(whole["w"]).tolist() == list(range(8))
            assert int(whole["n"]) == 0


def checkpoints(folder):
    """Each writes and sums its parts; they are read on other devices, and by one."""
    me, box = hosts.place(), checkpoint.Checkpoints(folder / "own" / str(hosts.place()))
    with hosts.together():
        devices = mesh.create(fsdp=4)
        save, zeros = _save(box), lambda tree: jax.tree.map(jnp.zeros_like, tree)
        spend = jax.jit(zeros, donate_argnums=0)
        for step in (3, 6):
            w = np.arange(8, dtype=np.float32) + step
            state = mesh.put_state(_state({"w": w, "n": np.int32(step)}), devices)
            save(loop.Event(step, state, {}, 0.1, []))
            state = spend(state)  # while it is written
        box.wait()
        for shape in ({"fsdp": 4}, {"fsdp": 2}, {"fsdp": 1}):
            like = mesh.layout(states.to_flat(state), mesh.create(**shape))
            flat, meta = box.restore(like)
            assert flat["params:w"].sharding == like["params:w"].sharding
            found = hosts.whole(flat)
            assert found["params:w"].tolist() == list(range(6, 14))
            assert (found["params:n"], meta["step"]) == (6, 6)
        written = folder / "own" / "0" / "step_00000006"
        assert not any((folder / "own").glob("1/*"))
        files = [*written.glob("state/ocdbt.process_1/d/*")]
        sums = jsonl.read_json(written / "meta.json")["files"]
        assert files and {str(p.relative_to(written)) for p in files} < sums.keys()
        _damage_together(max(files, key=lambda path: path.stat().st_size))
        flat, meta = box.restore(like)
        assert hosts.whole(flat)["params:w"].tolist() == list(range(3, 11))
        assert meta["step"] == 3
        large = np.random.default_rng(0).normal(size=2**20).astype(np.float32)
        equal = mesh.put_state({"x": large, "few": large[:8]}, mesh.create())
        checkpoint.save_tree(folder / "large", equal)
    for number in range(2):  # equal parts are written once, and half by each
        size = sum(p.stat().st_size for p in (folder / "large").glob(f"*_{number}/d/*"))
        assert 0.4 < size / large.nbytes < 0.6, size
    alone = checkpoint.restore_tree(folder / "large")
    assert type(alone["x"]) is np.ndarray and alone["x"].tobytes() == large.tobytes()
    if me == 0:
        checkpoint.save_tree(folder / "by_one", {"x": large[:8]})
    with hosts.together():
        hosts.every(None)  # process 0 has written
        like = mesh.layout({"x": large[:8]}, devices)
        found = checkpoint.restore_tree(folder / "by_one", like)
        assert hosts.whole(found)["x"].tolist() == large[:8].tolist()


def spoilt(folder):
    """What is not finite on the devices of one is an error of both, and not saved."""
    with hosts.together():
        w = np.arange(8, dtype=np.float32)
        w[7] = np.nan
        state = mesh.put_state(_state({"w": w}), mesh.create(fsdp=4))
        save = _save(checkpoint.Checkpoints(folder / "spoilt"))
        with refused(errors.Diverged, "params:w is not finite after step 3"):
            save(loop.Event(3, state, {}, 0.1, []))
    assert not (folder / "spoilt").exists()


def stop(folder):
    """Both stop after the same step, whichever is asked, two steps later."""
    me = hosts.place()
    with hosts.together():
        devices = mesh.create()
        add = jax.jit(lambda total, batch: total + batch["x"].sum())
        for asked in (0, 1):
            now, total, last = [False], mesh.put_state(np.float32(0), devices), None
            until = hosts.Stop(lambda now=now: now[0])
            for step in range(1, 20):
                batch = mesh.put_batch({"x": np.ones(4, np.float32)}, devices)
                jax.block_until_ready(last)  # as in train.loop
                last = total = add(total, batch)
                now[0] = me == asked and step >= 5
                if until(step):
                    break
            assert hosts.every(step) == [7, 7], step
        never = hosts.Stop(lambda: False)
        assert not any(never(step) for step in range(3))


def fails(folder):
    """Process 1 raises; process 0 waits for its devices."""
    with hosts.together():
        devices = mesh.create()
        batch = mesh.put_batch({"x": np.ones(4, np.float32)}, devices)
        if hosts.place() == 1:
            raise errors.UserError("a.png: damaged")
        jax.block_until_ready(jax.jit(jnp.sum)(batch["x"]))


def unwritten(folder):
    """The disk refuses what process 1 writes; process 0 waits for it in a thread."""

    def full(writing):
        raise OSError(28, "No space left on device")

    with hosts.together():
        if hosts.place() == 1:
            checkpoint.finish = full
        box = checkpoint.Checkpoints(folder)
        box.save(3, mesh.put_state({"w": np.ones(4)}, mesh.create(fsdp=4)), {})
        box.wait()


def order(folder):
    """Each batch holds, example by example, what one process reads; MixUp as well."""
    for mixup in (0.0, 0.4):
        data = {"name": "worlds/websearch", "count": 12}
        section = five.train("classification", data, {"name": "classifier"})
        one = _parts(section | {"mixup": mixup})
        with hosts.together():
            devices, shard = mesh.create(), hosts.shard()
            alone, shared = one.batches((0, 1)), one.batches(shard)
            for number in range(4):
                (wanted, ids), (batch, own) = alone(number), shared(number)
                found = hosts.whole(mesh.put_batch(batch, devices))
                assert found.keys() == wanted.keys()
                for name, array in wanted.items():
                    np.testing.assert_array_equal(found[name], array)
                assert [one for part in hosts.every(own) for one in part] == ids


def metrics(folder):
    """Of every task the same numbers, and neither 0 nor 1."""
    for name in judged.TASKS:
        alone = judged.measured(name)
        with hosts.together():
            shared = judged.measured(name)
        assert shared.protocol == alone.protocol, (name, shared, alone)
        assert shared.values.keys() == alone.values.keys()
        for metric, value in alone.values.items():
            assert abs(shared.values[metric] - value) < 1e-4, (name, metric)
        first = next(iter(alone.values.values()))
        assert 0 < first < 1, (name, alone.values)


def losses(folder):
    """The mean loss of a network, and of its predictions the metrics, at two scales."""
    data = source.open("worlds/driving_day", split="validation", count=5)
    model = {"backbone": {"name": "unet", "variant": "tiny"}, "head": five.LINEAR}
    task, outputs = {"name": "segmentation"}, data.dataset.num_classes
    network, _ = build.network(model, task, outputs)
    variables = models.init(network, (64, 64, 3), seed=0)
    how = protocol.build(scales=(0.5, 1.0), flip=True)

    def measured():
        devices = mesh.create()
        given = dict(
            model=model,
            task=task,
            num_outputs=outputs,
            size=(64, 64),
            normalize=Normalize.of(data.dataset),
            batch_size=4,
            put=lambda batch: mesh.put_batch(batch, devices),
        )
        weights = mesh.put_state(variables, devices)
        mean = loss.LossEvaluator(source=data, **given).measure(weights)
        predict = predictor.Predictor(how=how, **given)
        judge = evaluator.Evaluator(predict, data)
        drawn = judge.predictions(weights, 3)
        maps = np.stack([one["prediction"]["segmentation"] for one in drawn])
        return mean.values | judge.measure(weights).values, maps

    alone, maps = measured()
    with hosts.together():
        shared, same = measured()
    assert shared.keys() == alone.keys() and 1 < alone["loss"] < 3
    for name, value in alone.items():
        assert abs(shared[name] - value) < 1e-4 * abs(value) + 1e-6, name
    assert (maps == same).mean() > 0.99 and len(np.unique(maps)) > 1


def _state(params):
    start = dict(collections={}, opt_state=(), ema=None, ema_steps=None)
    return states.TrainState(
        step=np.int32(3), rng=np.zeros(2, np.uint32), params=params, **start
    )


def _save(box):
    return hooks.Save(
        when=every.Every(3, 9),
        checkpoints=box,
        interrupted=lambda step: False,
        states=dict,
        about=dict,
        last=None,
    )


def _damage_together(path):
    """Process 0 changes a byte, and the others wait."""
    if hosts.leads():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    hosts.every(None)


def _parts(section):
    from jaxseg.transfer import chain

    plan = chain.plan(chain.bind({"study": "s", "stages": {"one": section}}))
    spec = plan.stages[0].spec
    assert isinstance(spec, TrainSpec)
    return parts.Parts(spec)


def _raise(error):
    raise error


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--coordinator")
    parser.add_argument("--process", type=int)
    parser.add_argument("--processes", type=int)
    given = parser.parse_args()
    cluster.join(given.coordinator, given.process, given.processes)
    for case in given.cases.split("+"):
        globals()[case](given.folder)
        print("passed", case, flush=True)


if __name__ == "__main__":
    sys.exit(main())
