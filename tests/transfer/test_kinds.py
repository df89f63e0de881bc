"""`select`, `measure` and `imported` on the shared tiny workdir."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from jaxseg.core import arrays, binding, checkpoint, errors, jsonl, nested, trees
from jaxseg.core import manifest as manifests
from jaxseg.train import hooks
from jaxseg.transfer import artifact, chain, stage, store
from jaxseg.transfer import run as runs
from jaxseg.transfer.running import status, table
from tests import tiny


def run(stages, folder):
    """The store after these stages ran."""
    outcome = runs.run({"study": "more", "stages": stages}, folder)
    assert outcome.ok, outcome.errors
    return store.Store(folder)


def mistake(section, text):
    one = stage.Stage("b", "imported", binding.Spec(), {}, (), {}, "k")
    with pytest.raises(errors.UserError, match=f"(?s){text}"):
        bound = stage.bind("x", section)
        stage.resolve("x", bound, dict.fromkeys(bound.parents, one))


# select


def test_select_takes_the_best_and_says_why(tmp_path):
    folder = tiny.chosen(tmp_path)
    rows = jsonl.read(folder / "rows.jsonl")
    scores = {row["candidate"]: row["value"] for row in rows}
    made = {n: manifests.read(tiny.artifact(n)) for n in scores}
    assert set(scores) == {"target/a", "target/b"}
    for name, manifest in made.items():
        (own,) = [
            m["value"]
            for m in manifest["metrics"]
            if m["evaluation"] == "holdout" and m["name"] == "miou"
        ]
        assert scores[name] == own  # held-out images decide, not the validation set
    best = max(sorted(scores), key=scores.get)
    manifest = manifests.read(folder)
    assert manifest["winner"] == tiny.key(best)
    assert [row["candidate"] for row in rows if row["winner"]] == [best]
    assert {row["lr"] for row in rows} == {0.001, 0.01}
    text = ", best of 2 candidates on this set"
    said = {"validation": "", "holdout": text}
    for row, own in zip(manifest["metrics"], made[best]["metrics"], strict=True):
        more = said[own["evaluation"]]
        changed = {"protocol": own["protocol"] + more, "chosen": more}
        assert row == own | changed
    assert not (folder / "weights").exists()


def score_candidates(values, higher_is_better=True):
    """What select decides between made-up candidates: the winner's role."""
    from jaxseg.transfer.kinds import select

    made = {
        f"/{role}": {
            "name": role,
            "key": role,
            "spec": {"lr": 0.1},
            "steps": 1,
            "classes": [],
            "palette": [],
            "heads": [],
            "data": {},
            "preprocessing": {},
            "metrics": [
                {
                    "name": "m",
                    "evaluation": evaluation,
                    "value": value,
                    "headline": evaluation == "validation",
                    "higher_is_better": higher_is_better,
                }
                for evaluation, value in scores.items()
            ],
        }
        for role, scores in values.items()
    }
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(manifests, "read", lambda folder: made[str(folder)])
        patch.setattr(jsonl, "write", lambda path, rows: None)
        roles = {
            role: stage.Stage(role, "imported", binding.Spec(), {}, (), {}, role)
            for role in values
        }
        one = stage.Stage("x", "select", select.SelectSpec(), roles, (), {}, "00")
        folders = {role: Path(f"/{role}") for role in values}
        nowhere = Path("/nowhere")
        return select.KIND.run(stage.StageContext(one, folders, nowhere, nowhere))


def test_the_evaluation_named_decides():
    scores = {
        "a": {"validation": 0.9, "holdout": 0.1},
        "b": {"validation": 0.1, "holdout": 0.2},
    }
    assert score_candidates(scores)["winner"] == "b"
    assert score_candidates(scores, higher_is_better=False)["winner"] == "a"


def test_of_equals_the_first_by_name_wins():
    equal = {role: {"validation": 0.5, "holdout": 0.5} for role in ("c", "a", "b")}
    assert score_candidates(equal)["winner"] == "a"


@pytest.mark.parametrize("higher", [True, False])
def test_a_score_that_is_not_finite_never_wins(higher):
    nan, inf = float("nan"), float("inf") if higher else -float("inf")
    values = {
        role: {"validation": 0.5, "holdout": value}
        for role, value in (("a", nan), ("b", 0.1), ("c", inf))
    }
    assert score_candidates(values, higher)["winner"] == "b"
    del values["b"]
    with pytest.raises(errors.Diverged, match="no candidate has a finite score"):
        score_candidates(values, higher)


def test_an_evaluation_that_candidates_lack():
    with pytest.raises(errors.UserError, match=r"no evaluation 'holdout'.*validation"):
        score_candidates({"a": {"validation": 0.5}})


def test_select_needs_candidates():
    mistake({"kind": "select"}, "stages/x: select needs candidates as parents.*Fix: ")


def test_the_winner_is_trained_again_on_all_of_its_images():
    folder = tiny.artifact("target")
    manifest, rows = manifests.read(folder), jsonl.read(folder / "rows.jsonl")
    (winner,) = [row for row in rows if row["winner"]]
    candidate = manifests.read(tiny.artifact(winner["candidate"]))
    assert manifest["refit_of"] == winner["key"] and "winner" not in manifest
    assert candidate["data"]["train"]["count"] == 7  # of 8 one was held out
    assert manifest["data"]["train"]["count"] == 8
    assert {m["evaluation"] for m in manifest["metrics"]} == {"validation"}
    assert manifest["spec"]["lr"] == winner["lr"] == candidate["spec"]["lr"]
    assert manifest["spec"]["evaluation"] == "holdout"
    listed = (folder / "subset_train.txt").read_text().splitlines()
    parts = [
        tiny.artifact("target/a") / f"subset_{n}.txt" for n in ("train", "holdout")
    ]
    assert sorted(listed) == sorted(
        line for part in parts for line in part.read_text().splitlines()
    )
    (receipt,) = jsonl.read_json(folder / "receipt.json")
    assert receipt["source_name"] == "source"
    last = jsonl.read(folder / "metrics.jsonl")[-1]
    assert last["final"] and "best of" not in last["protocol"]


def test_a_refit_says_what_its_reported_images_chose(tmp_path):
    stages = tiny.config()["stages"]
    section = {"kind": "select", "evaluation": "validation"}
    section["parents"] = stages["target"]["parents"]
    stages = {n: s | {"columns": []} for n, s in stages.items()} | {"x": section}
    outcome = runs.run({"stages": stages}, tiny.copy(tmp_path), only="x")
    assert outcome.ok, outcome.errors
    key = tiny.plan({"stages": stages}).by_name["x"].key
    folder = tmp_path / "workdir" / "artifacts" / key[:20]
    manifest = manifests.read(folder)
    assert "refit_of" in manifest
    (row,) = (row for row in manifest["metrics"] if row["headline"])
    assert row["protocol"].endswith(", best of 2 candidates on this set")
    logged = jsonl.read(folder / "metrics.jsonl")[-1]
    assert logged["final"] and logged["protocol"] == row["protocol"]


def test_a_refit_that_is_interrupted_ends_the_same(tmp_path):
    box, one = store.Store(tiny.copy(tmp_path)), tiny.plan(tiny.config())
    one = one.by_name["target"]
    box.remove(one.key)
    asked = iter([False, True])  # before the stage, after the first of two steps
    with pytest.raises(hooks.Interrupted, match=r"saved at step 1$"):
        runs.run_stages(
            [one], box, watcher=status.Watcher(), interrupted=asked.__next__
        )
    assert len(list(box.running(one.key).glob("refit_*/checkpoints/step_*"))) == 1
    assert runs.run_stages([one], box, watcher=status.Watcher()).ok
    same(
        artifact.load(box.folder(one.key)).variables,
        artifact.load(tiny.artifact("target")).variables,
    )


def test_a_refit_is_as_long_as_the_winner_was_best_after():
    from jaxseg.transfer.kinds import select

    config = tiny.config()
    section = config["stages"]["target/a"]
    section |= dict(steps=50, eval_every=10, keep="best", patience=2)
    section["schedule"] = {"name": "cosine", "warmup_steps": 20}
    plan = tiny.plan(config)
    spec = select.on_all_images(plan.by_name["target/a"].spec, 10)
    assert (spec.steps, spec.keep, spec.patience) == (10, "last", None)
    assert spec.schedule["warmup_steps"] == 10 and spec.data.part == "all"
    one = plan.by_name["target"]
    cost = select.KIND.describe(one.spec, one.parents)
    assert cost["steps"] == 50  # at most
    config["stages"]["target"]["refit"] = False
    one = tiny.plan(config).by_name["target"]
    assert select.KIND.describe(one.spec, one.parents) == {}
    assert one.key != plan.by_name["target"].key


def test_what_cannot_be_selected_by_is_found_before_anything_runs():
    config = tiny.config()
    config["stages"]["target"]["evaluation"] = "heldout"
    with pytest.raises(errors.UserError, match=r"'heldout'.*mean 'holdout'"):
        tiny.plan(config)
    config = tiny.config()
    config["stages"]["target/b"]["headline"] = "holdout"
    with pytest.raises(errors.UserError, match="is of images that the refit trains on"):
        tiny.plan(config)
    config["stages"]["target"]["refit"] = False
    assert tiny.plan(config)


def test_of_candidates_that_diverged_the_others_are_chosen_from(tmp_path, capsys):
    config = tiny.config()
    config["stages"]["target/b"]["lr"] = 1e30
    workdir = tiny.copy(tmp_path)
    outcome = runs.run(config, workdir)
    assert (
        outcome.states["target/b"] == "diverged" and outcome.states["target"] == "done"
    )
    assert outcome.ok and outcome.errors == {}
    plan, box = tiny.plan(config), store.Store(workdir)
    rows = jsonl.read(box.folder(plan.by_name["target"].key) / "rows.jsonl")
    scores = {row["candidate"]: row for row in rows}
    assert scores["target/a"]["winner"] and scores["target/a"]["diverged"] is None
    lost = scores["target/b"]
    assert lost["lr"] == 1e30 and lost["value"] is None and not lost["winner"]
    assert "finite" in lost["diverged"] or "loss is" in lost["diverged"]
    outcome = runs.run(config, workdir)  # not trained again for nothing
    assert outcome.states["target/b"] == "diverged" and outcome.ok
    table.show(plan.study, plan.stages, workdir)
    out = capsys.readouterr().out
    assert "diverged before" in out and "To run: 0 steps" in out
    with open(workdir / "report" / "results.csv") as file:
        assert "target/a" not in file.read()  # the selection stands for it


def test_where_all_candidates_diverge_the_selection_is_blocked(tmp_path):
    config = tiny.config()
    for name in ("target/a", "target/b"):
        config["stages"][name]["lr"] = 1e30
    outcome = runs.run(config, tiny.copy(tmp_path))
    assert outcome.states["target"] == "blocked" and outcome.exit_code == 1
    assert set(outcome.errors) == {"target/a", "target/b"}
    key = tiny.plan(config).by_name["target"].key
    outcome = runs.run(config, tmp_path / "workdir", stage=key)  # as a worker does
    assert outcome.states["target"] == "blocked" and outcome.exit_code == 1


def test_children_start_from_the_winner(tmp_path):
    workdir = tiny.copy(tmp_path)
    stages = tiny.config()["stages"]
    child = tiny.candidate(0.1) | {"parents": {"start": "target"}}
    box = run(stages | {"child": child}, workdir)
    plan = tiny.plan({"stages": stages | {"child": child}})
    (receipt,) = jsonl.read_json(box.folder(plan.by_name["child"].key) / "receipt.json")
    assert receipt["source_key"] == tiny.key("target")


# measure


def test_distances_between_all_pairs():
    rows = jsonl.read(tiny.artifact("distance") / "rows.jsonl")
    table = {(row["target"], row["source"]): row["value"] for row in rows}
    day, night = "worlds/driving_day", "worlds/driving_night"
    assert set(table) == {(a, b) for a in (day, night) for b in (day, night)}
    assert table[day, day] == table[night, night] == 0.0
    assert table[day, night] > 0 and table[night, day] > 0
    assert {row["analysis"] for row in rows} == {"domain_distance"}
    pairs = {(row["target"], row["source"]): row["one_to_one"] for row in rows}
    assert pairs[day, day] == 0 < table[day, night] <= pairs[day, night]
    assert pairs[day, night] == pytest.approx(pairs[night, day])


def test_a_point_of_the_plane_for_each_image():
    points = arrays.read(tiny.artifact("distance") / arrays.FILE)["embedding"]
    assert points.shape == (2, 150, 2)  # of two sets, with 4 images each
    assert np.isfinite(points[:, :4]).all() and np.isnan(points[:, 4:]).all()


def test_a_distance_against_features_taken_by_hand():
    from jaxseg.data import source as source_lib

    model = artifact.load(tiny.artifact("source"))
    vectors = {}
    for name in ("worlds/driving_day", "worlds/driving_night"):
        source = source_lib.open(name, split="train", count=4)
        facts = source.dataset
        images = np.stack([source[i]["image"] for i in range(4)]).astype(np.float32)
        white = (images - np.float32(facts.mean)) / np.float32(facts.std)
        maps = [np.asarray(m, np.float64) for m in model.features(white)]
        vectors[name] = np.concatenate([m.mean(axis=(1, 2)) for m in maps], axis=-1)
    one, other = vectors.values()
    nearest = [min(np.linalg.norm(t - s) for s in other) for t in one]
    rows = jsonl.read(tiny.artifact("distance") / "rows.jsonl")
    table = {(row["target"], row["source"]): row["value"] for row in rows}
    assert table[tuple(vectors)] == pytest.approx(np.mean(nearest), rel=1e-3)


def test_mistakes_in_a_measure():
    good = {"name": "domain_distance", "datasets": [{"name": "worlds/driving_day"}]}
    base = {"kind": "measure", "parents": {"model": "a"}}
    wrong = good | {"name": "domain_distnce"}
    mistake(base | {"analysis": wrong}, "mean 'domain_distance'")
    wrong = good | {"datasets": [{"name": "worlds/drivng_day"}]}
    mistake(base | {"analysis": wrong}, "mean 'worlds/driving_day'")
    mistake(base | {"analysis": good | {"datasets": 3}}, "found 3")
    twice = good | {"datasets": good["datasets"] * 2}
    mistake(base | {"analysis": twice}, "2 are called 'worlds/driving_day'.*a label")
    mistake(base | {"analysis": good | {"datasets": [{}]}}, "datasets/0/name: missing")
    mistake({"kind": "measure", "analysis": good}, "parent")


# imported


def imported(**changes):
    return {"kind": "imported", "file": str(tiny.artifact("source"))} | changes


def same(one, other):
    one, other = trees.flatten(one), trees.flatten(other)
    assert one.keys() == other.keys()
    for path, leaf in one.items():
        assert leaf.dtype == other[path].dtype
        assert np.asarray(leaf).tobytes() == np.asarray(other[path]).tobytes(), path


def test_an_artifact_of_another_workdir(tmp_path):
    box = run({"weights": imported()}, tmp_path)
    (short,) = box.stored()
    manifest, source = box.manifest(short), artifact.load(tiny.artifact("source"))
    assert manifest["spec"]["content"] == tiny.key("source")
    assert manifest["classes"] == source.manifest["classes"]
    found = artifact.load(box.folder(short))
    same(found.variables, source.variables)
    image = np.zeros((64, 64, 3), np.uint8)
    np.testing.assert_array_equal(found(image), source(image))


@pytest.mark.parametrize("refit", [True, False])
def test_a_selection_is_imported_as_its_winner(tmp_path, refit):
    folder = tiny.artifact("target") if refit else tiny.chosen(tmp_path / "chosen")
    box = run({"weights": imported(file=str(folder))}, tmp_path)
    (short,) = box.stored()
    winner = artifact.load(folder)
    assert box.manifest(short)["spec"]["content"] == winner.manifest["key"]
    same(artifact.load(box.folder(short)).variables, winner.variables)
    mistake(imported(file=str(tiny.artifact("distance"))), "holds no model")


def test_where_it_lies_is_not_in_the_key(tmp_path):
    there = tiny.copy(tmp_path)
    file = str(tiny.artifact("source", inside=there))

    def key(section):
        return stage.resolve("x", stage.bind("x", section), {}).key

    assert key(imported(file=file)) == key(imported())
    other = str(tiny.artifact("target/a"))
    assert key(imported(file=other)) != key(imported())


def test_a_damaged_origin_is_refused(tmp_path):
    there = tiny.artifact("source", inside=tiny.copy(tmp_path))
    (file,) = there.glob("weights/_METADATA")
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes(content)
    outcome = runs.run(
        {"stages": {"weights": imported(file=str(there))}}, tmp_path / "run"
    )
    assert "weights/_METADATA: damaged" in outcome.errors["weights"]
    assert store.Store(tmp_path / "run").stored() == []


def test_a_file_of_weights(tmp_path):
    variables = artifact.load(tiny.artifact("source")).variables
    flat = {k: np.ascontiguousarray(v) for k, v in trees.flatten(variables).items()}
    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file(flat, path)
    section = imported(file=str(path), model=tiny.MODEL)
    child = tiny.candidate(0.1) | {"parents": {"start": "weights"}}
    box = run({"weights": section, "child": child}, tmp_path / "run")
    keys = {box.manifest(key)["name"]: key for key in box.stored()}
    same(artifact.load(box.folder(keys["weights"])).variables, variables)
    (receipt,) = jsonl.read_json(box.folder(keys["child"]) / "receipt.json")
    assert receipt["source_name"] == "weights" and receipt["copied_parameters"] > 1e5


@pytest.mark.parametrize(
    "changes, text",
    [
        (dict(file="/nowhere/x"), "neither a file nor an artifact's folder"),
        (dict(parents={"a": "b"}), "stages/x/parents: found .*, allowed: none. Fix: "),
        (dict(fil="x"), "unknown key 'fil'"),
        (dict(model={"backbone": {"name": "hrnt"}}), "unknown backbone 'hrnt'"),
        (dict(arch="resnet5"), "unknown architecture 'resnet5'.*mean 'resnet50'"),
        (dict(arch="resnet50", model=tiny.MODEL), "found model as well"),
        (dict(arch="resnet50", channels=0), "channels: found 0, allowed: 1 or more"),
    ],
)
def test_mistakes_in_an_imported(changes, text):
    mistake(imported(**changes), text)


def test_files_that_are_no_weights(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"not a tensor in sight")
    mistake(imported(file=str(path)), "needs arch=NAME .* or model=")
    section = imported(file=str(path), model=tiny.MODEL)
    outcome = runs.run({"stages": {"x": section}}, tmp_path / "a")
    assert "not a safetensors file" in outcome.errors["x"]
    safetensors.numpy.save_file({"conv1.weight": np.zeros(3, np.float32)}, path)
    outcome = runs.run({"stages": {"x": section}}, tmp_path / "b")
    assert "'conv1.weight'; allowed are names" in outcome.errors["x"]


def test_weights_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    leaf = np.array([1, np.nan], np.float32)
    safetensors.numpy.save_file({"params/backbone/x": leaf}, path)
    section = imported(file=str(path), model=tiny.MODEL)
    outcome = runs.run({"stages": {"x": section}}, tmp_path / "a")
    text = f"{path}: tensor 'params/backbone/x' holds values that are not finite"
    assert text in outcome.errors["x"]
    assert store.Store(tmp_path / "a").stored() == []


def test_an_artifact_with_a_nan_of_older_code_is_refused(tmp_path, monkeypatch):
    tree = {"params": {"heads_segmentation": {"bad": np.array([np.inf])}}}
    monkeypatch.setattr(checkpoint, "restore_tree", lambda folder: tree)
    outcome = runs.run({"stages": {"x": imported()}}, tmp_path)
    assert "tensor 'params/heads_segmentation/bad'" in outcome.errors["x"]


def test_another_content_is_another_key(tmp_path):
    path = tmp_path / "w.safetensors"
    keys = []
    for value in (0, 1):
        leaf = {"params/backbone/x": np.full(3, value, np.float32)}
        safetensors.numpy.save_file(leaf, path)
        section = imported(file=str(path), model=tiny.MODEL)
        keys.append(stage.resolve("x", stage.bind("x", section), {}).key)
    assert keys[0] != keys[1]


def test_a_checkpoint_of_another_model_is_explained(tmp_path):
    wider = {"backbone": {"name": "hrnet", "variant": "tiny", "width": 16}}
    child = tiny.train(
        model=wider | {"head": {"name": "linear"}},
        parents={"start": "weights"},
        starts=[{"parent": "start", "take": {"backbone": "backbone"}}],
    )
    config = {"stages": {"weights": imported(), "child": child}}
    with pytest.raises(errors.UserError) as refused:  # the plan, before any training
        runs.run(config, tmp_path)
    text = str(refused.value)
    assert "stages/child" in text and "leaves differ" in text
    assert "target (" in text and "source (" in text and "Fix:" in text


def test_all_kinds_plan_to_json():
    plan = chain.plan(chain.bind(tiny.config()))
    for one in plan.stages:
        json.dumps([nested.plain(one.spec), one.columns, one.versions])


# costs


def test_a_plan_estimates_the_flops_that_a_run_counts():
    """The run's are the compiler's, of forward and backward pass and the update."""
    made = tiny.plan(tiny.config()).by_name["source"]
    cost = stage.kind("train").describe(made.spec, made.parents)
    counted = manifests.read(tiny.artifact("source"))["flops"]
    assert cost["flops"] == pytest.approx(counted, rel=0.4)


def test_flops_of_several_parts_are_those_of_their_mean():
    def cost(**section):
        base = {"kind": "train", "steps": 4, "batch_size": 2, "lr": 0.1}
        base |= {"model": tiny.config()["stages"]["source"]["model"]}
        made = tiny.plan({"study": "x", "stages": {"a": base | section}}).by_name["a"]
        return stage.kind("train").describe(made.spec, {})["flops"]

    small, large = ({"name": "worlds/driving_day", "size": [s, s]} for s in (32, 64))
    task = {"name": "segmentation"}
    parts = {"one": {"data": small, "task": task}}
    parts["two"] = {"data": large, "task": task, "weight": 3.0}
    alone = [cost(data=data, task=task) for data in (small, large)]
    both = cost(parts=parts, evaluations={})
    assert alone[1] == pytest.approx(4 * alone[0], rel=0.05)
    assert both == pytest.approx((alone[0] + 3 * alone[1]) / 4, rel=0.01)
