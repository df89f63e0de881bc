"""Trainings of several parts: one backbone, a head and a task for each data set."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from jaxseg import evaluate
from jaxseg.core import errors, jsonl, nested, trees
from jaxseg.data import catalogue, mixing, pipeline, transforms
from jaxseg.tasks import build
from jaxseg.train import hooks, loop
from jaxseg.train import state as states
from jaxseg.transfer import artifact, stage, store
from jaxseg.transfer import run as runs
from jaxseg.transfer.kinds import select
from jaxseg.transfer.running import status
from jaxseg.transfer.training import parts, training
from tests import tiny

DAY = {"name": "worlds/driving_day", "count": 6}
NIGHT = {"name": "worlds/driving_night", "count": 5}
PARTS = {  # in the order of their names, as every config has them
    "day": {"data": DAY, "task": {"name": "segmentation"}, "weight": 2},
    "far": {"data": NIGHT | {"seed": 1}, "task": {"name": "depth"}},
    "night": {"data": NIGHT, "task": {"name": "segmentation"}},
}
FCN = {"name": "fcn", "width": 3}  # with batch statistics of its own
HEADS = {"day": FCN, "night": FCN, "far": {"name": "depth"}}
BACKBONE = {"name": "unet", "variant": "tiny"}
SEED = 3  # the first steps train all parts
STEPS = 6


def section(names=tuple(PARTS), **changes):
    """A training of these parts with decay, momentum and an average of the weights, all
    of which would move a head that rests.
    """
    own = tiny.train(
        parts={name: PARTS[name] for name in names},
        model={"backbone": BACKBONE, "heads": {name: HEADS[name] for name in names}},
        evaluations={f"{name}/validation": {"count": 2} for name in names},
        optimizer={"name": "adamw", "weight_decay": 0.1},
        ema=0.9,
        steps=STEPS,
        batch_size=2,
        seed=SEED,
        run={"log_every": 1},
    )
    del own["data"], own["task"]
    return own | changes


def resolved(**changes):
    return stage.resolve("x", stage.bind("x", section(**changes)), {}).spec


def mistake(text, **changes):
    with pytest.raises(errors.UserError, match=f"(?s){text}"):
        resolved(**changes)


def run(stages, workdir, interrupted=lambda: False):
    """{stage: its folder} of a finished run."""
    plan, box = tiny.plan({"stages": stages}).stages, store.Store(workdir)
    watch = status.Watcher()
    outcome = runs.run_stages(plan, box, watcher=watch, interrupted=interrupted)
    assert outcome.ok, outcome.errors
    return {one.name: box.folder(one.key) for one in plan}


HEADED = {"x": section(headline="night/validation")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training of three parts, the bits of its state after 0, 1, ...
    steps, and the ids of each batch.
    """
    history, ids, fit = [], [], loop.fit

    def note(one):
        flat = jax.device_get(states.to_flat(one))
        history.append({k: np.asarray(x).tobytes() for k, x in flat.items()})

    def heard(event):
        note(event.state)
        ids.append(event.ids)

    def spied(state, *arguments, hooks, **options):
        note(state)
        return fit(state, *arguments, hooks=(*hooks, heard), **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.loop, "fit", spied)
        folder = run(HEADED, tmp_path_factory.mktemp("parts"))["x"]
    return folder, history, ids


def order(steps=STEPS):
    opened = parts.Parts(resolved())
    return [opened.at(index) for index in range(steps)]


def head_of(path):
    """The head that a leaf of the state belongs to; None: another leaf."""
    names = [name for name in path.split(":") if name.startswith("heads_")]
    return names[0].removeprefix("heads_") if names else None


def test_a_step_leaves_the_other_heads_as_they_are_to_the_bit(trained):
    """Parameters, the state of AdamW with its count, averages and batch statistics."""
    _, history, _ = trained
    assert len(set(order())) == 3
    for part, before, after in zip(order(), history[:-1], history[1:], strict=True):
        moved = {path for path in before if before[path] != after[path]}
        assert {head_of(path) for path in moved} == {part, None}
        kinds = {path.split(":")[0] for path in moved if head_of(path) == part}
        stats = set() if part == "far" else {"collections"}  # depth has no BatchNorm
        assert kinds == {"params", "opt_state", "ema", "ema_steps", *stats}
        assert any(path.startswith("collections:batch_stats:back") for path in moved)


def test_a_head_counts_its_own_steps(trained):
    """Adam divides by 1 - b ** count: a head's first step is as long as any first."""
    _, history, _ = trained
    last = {k: x for k, x in history[-1].items() if k.endswith(":count")}
    counts = {
        head_of(path): int(np.frombuffer(x, np.int32)[0]) for path, x in last.items()
    }
    taken = {name: order().count(name) for name in PARTS}
    assert counts == {None: STEPS} | taken


def test_parts_are_drawn_by_weight_whatever_came_before():
    opened = parts.Parts(resolved())
    every = [opened.at(index) for index in range(mixing.BLOCK)]
    shares = {name: every.count(name) for name in PARTS}
    assert shares == {"day": 500, "night": 250, "far": 250}
    assert opened.taken(mixing.BLOCK) == shares
    assert opened.taken(7) == {name: every[:7].count(name) for name in PARTS}
    other = parts.Parts(resolved(seed=SEED + 1))
    assert [other.at(index) for index in range(20)] != every[:20]


def test_each_part_has_the_batches_of_a_training_of_its_own(trained):
    _, _, ids = trained
    spec = resolved()
    opened = parts.Parts(spec)
    alone = {}
    for name, part in opened.by_name.items():
        augment = [transforms.build(step) for step in part.spec.data.augment]
        options = dict(transforms=augment, batch_size=2, seed=SEED)
        fields = ("image", *part.task.fields)
        alone[name] = pipeline.train_batches(part.sources[0], fields=fields, **options)
    made = opened.batches((0, 1))
    for index, name in enumerate(order()):
        batch, own = next(alone[name])
        assert own == ids[index] == made(index)[1]
        for field, values in made(index)[0].items():
            np.testing.assert_array_equal(values, batch[field])
    for stream in alone.values():
        stream.close()


def results(folder):
    manifest = jsonl.read_json(folder / "manifest.json")
    values = {(m["evaluation"], m["name"]): m["value"] for m in manifest["metrics"]}
    rows = jsonl.read(folder / "metrics.jsonl")
    losses = [
        {k: x for k, x in row.items() if k != "examples_per_second"}
        for row in rows
        if row["kind"] == "train"
    ]
    return manifest["weights"], values, losses


def test_a_resume_in_the_middle_gives_the_same_digits(trained, tmp_path):
    asked = itertools.chain([False] * 3, itertools.repeat(True))
    with pytest.raises(hooks.Interrupted):
        run(HEADED, tmp_path, interrupted=asked.__next__)
    folder = run(HEADED, tmp_path)["x"]
    assert results(folder) == results(trained[0])


def test_each_part_logs_its_own_losses(trained):
    rows = results(trained[0])[2]
    for part, row in zip(order(), rows, strict=True):
        assert row["loss"] == row[f"{part}/loss"]
        others = [n for n in row if n.split("/")[0] in set(PARTS) - {part}]
        assert not others


@pytest.mark.slow
def test_one_part_equals_the_short_form_but_for_the_name_of_its_head(tmp_path):
    part = {"segmentation": PARTS["day"]}
    model = {"backbone": BACKBONE, "head": FCN}
    evaluations = {"segmentation/validation": {"count": 2}}
    one = section((), parts=part, model=model, evaluations=evaluations)
    short = one | {"data": DAY, "task": {"name": "segmentation"}, "parts": None}
    short |= {"evaluations": {"validation": {"count": 2}}}
    found = run({"one": one, "short": short}, tmp_path)
    digits = [results(found[name]) for name in ("one", "short")]
    assert digits[0][0] == digits[1][0]  # of the weights
    assert list(digits[0][1].values()) == list(digits[1][1].values())


def test_the_artifact_predicts_with_each_head(trained):
    folder, _, _ = trained
    image = np.full((64, 64, 3), 120, np.uint8)
    first = artifact.load(folder)
    assert first.head == "night"  # of the headline
    assert first.manifest["heads"] == ["night", "day", "far"]
    for name, part in parts.Parts(resolved()).by_name.items():
        model = artifact.load(folder, head=name)
        assert model.task_section == part.spec.task
        assert model.manifest["classes"] == list(part.facts.classes)
        assert model.preprocessing["mean"] == list(part.facts.mean)
        assert model.data_section["name"] == part.spec.data.name
        built = build.task(part.spec.task, part.task.num_outputs)
        batch = (image[None] - np.float32(part.facts.mean)) / np.float32(part.facts.std)
        expected = built.decode(built.scores(model.logits(np.float32(batch))))
        np.testing.assert_allclose(model(image), expected[0], rtol=1e-5)
    outputs = {"night": 6, "day": 6, "far": 1}
    assert first.manifest["outputs"] == outputs
    assert (artifact.load(folder, "far")(image)).dtype == np.float32
    with pytest.raises(errors.UserError, match="Known: day, far, night"):
        artifact.load(folder, head="dusk")


def test_evaluations_of_each_head_are_those_of_the_command(trained, tmp_path):
    folder, _, _ = trained
    during = results(folder)[1]
    path = tmp_path / "found.json"
    arguments = [f"--artifact={folder}", "--head=day", f"--data={DAY['name']}"]
    arguments += ["--count=2", "--batch=2", f"--output={path}"]
    assert evaluate.main(arguments) == 0
    found = jsonl.read_json(path)["metrics"]
    assert found == {n: x for (e, n), x in during.items() if e == "day/validation"}
    rows = jsonl.read_json(folder / "manifest.json")["metrics"]
    assert {r["evaluation"] for r in rows if r["headline"]} == {"night/validation"}


def test_backbone_and_heads_travel(trained, tmp_path):
    folder, _, _ = trained
    target = tiny.train(
        data=NIGHT,
        model={"backbone": BACKBONE, "head": FCN},
        parents={"start": "x"},
        evaluations={},
        steps=1,
        lr=0.0,
        batch_size=2,
    )
    take = {"backbone": "backbone", "heads_segmentation": "heads_day"}
    stages = HEADED | {
        "target": target | {"starts": [{"parent": "start", "take": take}]}
    }
    made = artifact.load(run(stages, folder.parents[1])["target"]).variables
    source = artifact.load(folder).variables
    for to, frm in take.items():
        for path, leaf in trees.flatten(made["params"][to]).items():
            there = trees.flatten(source["params"][frm])[path]
            np.testing.assert_array_equal(leaf, there)


def test_columns_of_a_source_of_several_parts():
    target = tiny.train(
        model={"backbone": BACKBONE, "head": FCN},
        parents={"start": "x"},
        starts=[{"parent": "start", "take": {"backbone": "backbone"}}],
        columns=[tiny.LABEL],
    )
    plan = tiny.plan({"stages": HEADED | {"target": target}})
    (row,) = plan.by_name["target"].columns
    assert row["source"] == "x"
    assert row["source_dataset"] == "worlds/driving_day + worlds/driving_night"
    assert row["source_task"] == "segmentation + depth"
    assert row["source_domain"] == "driving"
    assert row["source_images"] == 6 + 5 + 5
    x = plan.by_name["x"]
    costs = stage.kind("train").describe(x.spec, {})
    assert costs["evaluated"] == 3 * 2 and costs["steps"] == STEPS
    assert costs["parameters"] == trees.num_parameters(
        x.spec.network.shapes()["params"]
    )
    names = {f"{part}/{of}" for part in PARTS for of in ("train", "validation")}
    assert set(stage.kind("train").reads(x.spec)) == names


def test_trainings_of_one_data_set_keep_their_keys():
    spec = tiny.plan(tiny.config()).by_name["source"].spec
    key_parts = stage.kind("train").key_parts
    assert "parts" not in key_parts(spec) and "part" not in spec.task
    assert set(key_parts(resolved())["parts"]) == set(PARTS)


def test_defaults():
    own = section()
    del own["evaluations"]
    spec = stage.bind("x", own).spec
    assert list(spec.evaluations) == [f"{name}/validation" for name in PARTS]
    assert spec.headline is None
    assert spec.evaluations["night/validation"].name == NIGHT["name"]
    again = stage.bind("x", stage.bind("x", own).plain()).spec
    assert nested.plain(again) == nested.plain(spec)


def test_mistakes():
    mistake(
        "headline: unknown evaluation 'dusk/validation'", headline="dusk/validation"
    )
    mistake("evaluations: unknown evaluation 'dusk/x'", evaluations={"dusk/x": {}})
    mistake("beside them data and task", data=DAY, task={"name": "segmentation"})
    mistake("parts: found none", parts={}, evaluations={})
    named = {"a b": PARTS["day"]}
    mistake("parts: found the name 'a b'", parts=named, evaluations={})
    heads = {"backbone": BACKBONE, "heads": {"day": FCN}}
    mistake("model/heads: found day; the task asks for day, ", model=heads)
    wrong = PARTS | {"far": PARTS["far"] | {"task": {"name": "classification"}}}
    mistake("stages/x/parts/far: task 'classification' needs label", parts=wrong)
    wrong = PARTS | {"far": PARTS["far"] | {"weight": 0}}
    mistake("parts/far/weight", parts=wrong)
    wrong = PARTS | {"far": PARTS["far"] | {"data": {"name": "worlds/nope"}}}
    mistake("stages/x/parts/far/data.*unknown dataset", parts=wrong)
    mistake("data, task: found None", data=None, task=None, parts=None, evaluations={})


def test_parts_have_images_of_as_many_channels(monkeypatch):
    find = catalogue.find
    grey = dataclasses.replace(find(NIGHT["name"]), mean=(9.0,), std=(9.0,))
    own = lambda name: grey if name == NIGHT["name"] else find(name)
    monkeypatch.setattr(catalogue, "find", own)
    text = r"parts/(far|night)/data: images \(64, 64, 1\) .* first part, \(64, 64, 3\)"
    mistake(text)


def test_a_refit_trains_all_images_of_each_part():
    held = {"split": "train", "part": "holdout"}
    data = NIGHT | {"part": "train"}
    spec = resolved(
        parts=PARTS | {"night": PARTS["night"] | {"data": data}},
        evaluations={"night/holdout": held, "day/validation": {"count": 2}},
    )
    whole = select.on_all_images(spec, 4)
    assert whole.parts["night"].data.part == "all" and whole.steps == 4
    assert list(whole.evaluations) == ["day/validation"]
    assert whole.parts["day"] == dataclasses.replace(spec.parts["day"])
