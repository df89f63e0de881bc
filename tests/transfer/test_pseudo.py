"""Pseudo labels of classifiers, as a data set that other stages read."""

import numpy as np
import pytest

from jaxseg import artifacts
from jaxseg.analysis import consensus, tools
from jaxseg.core import errors, jsonl
from jaxseg.core import manifest as manifests
from jaxseg.data import published
from jaxseg.data import source as source_lib
from jaxseg.train import hooks
from jaxseg.transfer import run as runs
from jaxseg.transfer import stage, store
from tests import tiny

pytestmark = pytest.mark.slow  # trains three models and explains images
IMAGES, PER_SHARD = 10, 4
SET, MASKED = "worlds/websearch", "worlds/websearch_masks"


def classifier(seed):
    return tiny.train(
        data={"name": SET, "count": 8},
        task={"name": "classification"},
        model=tiny.MODEL | {"head": {"name": "pooled"}},
        seed=seed,
        samples=0,
    )


def stages(**changes):
    pseudo = dict(kind="pseudo", parents={"a": "one", "b": "other"})
    pseudo |= dict(data={"name": SET, "count": IMAGES}, per_shard=PER_SHARD)
    pseudo |= dict(method={"samples": 2}, batch_size=4) | changes
    split = {"split": "train", "part": "rest"}
    return {
        "one": classifier(0),
        "other": classifier(1),
        "painter": tiny.train(),
        "pseudo": pseudo,
        "segmenter": tiny.train(
            data={"of": "labels", "count": 6},
            evaluations={"rest": split},
            headline="rest",
            parents={"labels": "pseudo"},
            samples=0,
        ),
        "found": dict(
            kind="measure",
            parents={"a": "one", "b": "other"},
            analysis=dict(
                name="consensus",
                data=dict(name=MASKED, count=IMAGES),
                method={"samples": 2},
                count=6,
                pictures=2,
            ),
        ),
    }


def run(workdir, only=".*", **changes):
    config = {"study": "own", "stages": stages(**changes)}
    return runs.run(config, workdir, only=only)


def planned(**changes):
    return tiny.plan({"stages": stages(**changes)}).by_name


def folder(workdir, name="pseudo", **changes):
    return workdir / "artifacts" / planned(**changes)[name].short


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("made")
    outcome = run(workdir)
    assert outcome.ok, outcome.errors
    return workdir


def test_the_set_is_one_of_the_catalogue(made):
    root = published.folder(folder(made))
    source = source_lib.open("deciles/shards", split="train", root=root)
    given = source_lib.open(SET, split="train", count=IMAGES)
    assert len(source) == IMAGES
    assert source.dataset.classes == ("background", *given.dataset.classes)
    for one, other in zip(source, given):
        np.testing.assert_array_equal(one["image"], other["image"])
        mask, label = one["segmentation"], int(other["label"]) + 1
        assert set(np.unique(mask)) == {0, label}
        assert 0 < (mask == label).sum() <= mask.size // 10 + 1
        assert one["id"] == other["id"]
    wide = {"foreground": [8, 9], "ignored": [7]}
    more = source_lib.open("deciles/shards", split="train", root=root, options=wide)
    for one, other in zip(source, more):
        assert (one["segmentation"] > 0).sum() < np.isin(
            other["segmentation"], (0, 255), invert=True
        ).sum()


def test_a_plan_knows_it_and_a_training_reads_it(made):
    plan = planned()
    facts = stage.kind("pseudo").publishes(plan["pseudo"].spec).facts
    assert dict(facts.splits) == {"train": IMAGES} and len(facts.classes) == 17
    manifest = manifests.read(folder(made, "segmenter"))
    assert manifest["data"]["train"]["of"] == "pseudo"
    assert manifest["outputs"] == {"segmentation": 17}
    pseudo = manifests.read(folder(made))
    assert pseudo["constant"] == {} and pseudo["without_top"] == 0
    assert [*pseudo["parents"]] == ["a", "b"]
    artifacts.main(["list", f"--workdir={made}", "--verify"])


def test_rows_and_pictures_of_the_consensus(made):
    found = folder(made, "found")
    rows = jsonl.read(found / "rows.jsonl")
    assert [row["map"] for row in rows[:3]] == ["a", "b", "consensus"]
    assert len(rows) == 18 and {row["image"] for row in rows} == {*range(6)}
    for row in rows:
        assert 0 <= row["iou"] <= 1 and 0 <= row["disc"] <= 1
    by_image = {row["image"]: row["disc"] for row in rows}
    assert all(row["disc"] == by_image[row["image"]] for row in rows)  # equal areas
    arrays = np.load(found / "arrays.npz")
    assert arrays["images"].shape == (2, 64, 64, 3)
    assert arrays["maps"].shape == (2, 5, 64, 64)
    np.testing.assert_allclose(
        arrays["maps"][:, 2], arrays["maps"][:, :2].mean(1), atol=1e-6
    )
    top = arrays["maps"][:, 4] == 1
    np.testing.assert_array_equal(arrays["maps"][:, 3] == 1, top)


def sums(workdir):
    files = manifests.read(folder(workdir))["files"]
    return {name: own for name, own in files.items() if "array_record" in name}


def test_a_stage_that_was_killed_goes_on(made, tmp_path, monkeypatch):
    from jaxseg.transfer.kinds import pseudo

    workdir = tiny.shutil.copytree(made, tmp_path / "again")
    tiny.shutil.rmtree(folder(workdir))
    written = pseudo._Shards.write

    def killed(self, shard, records):
        if shard == 2:
            raise KeyboardInterrupt
        written(self, shard, records)

    monkeypatch.setattr(pseudo._Shards, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        run(workdir, only="pseudo")
    running = store.Store(workdir).running(planned()["pseudo"].key)
    _, second = sorted(running.glob("artifact/dataset/*.array_record"))
    second.write_bytes(second.read_bytes()[:-1] + b"?")  # damaged: made again
    log = running / "shards.jsonl"
    log.write_bytes(log.read_bytes()[:-20])  # in the middle of its last line
    seen = []

    def noted(self, shard, records):
        seen.append(shard)
        written(self, shard, records)

    monkeypatch.setattr(pseudo._Shards, "write", noted)
    assert run(workdir, only="pseudo").ok
    assert seen == [1, 2] and sums(workdir) == sums(made) and len(sums(made)) == 3


def test_a_request_to_stop_keeps_whole_shards(made, tmp_path):
    workdir = tiny.shutil.copytree(made, tmp_path / "again")
    tiny.shutil.rmtree(folder(workdir))
    own = planned()["pseudo"]
    asked = iter([False, True])
    context = stage.StageContext(
        stage=own,
        parents={r: folder(workdir, n) for r, n in own.parent_names.items()},
        folder=tmp_path / "artifact",
        scratch=tmp_path / "scratch",
        interrupted=lambda: next(asked),
    )
    for path in (context.folder, context.scratch):
        path.mkdir()
    with pytest.raises(hooks.Interrupted, match="saved 1 of 3"):
        stage.kind("pseudo").run(context)
    assert len([*context.folder.glob("dataset/*.array_record")]) == 1


@pytest.mark.parametrize(
    "changes, why",
    [
        (dict(data={"name": "worlds/driving_day"}), "needed is label"),
        (dict(parents={}), "found none; needed is a classifier"),
        (dict(parents={"a": "painter"}), "a: painter is trained for segmentation"),
        (dict(method={"name": "lime"}), "method/name"),
        (dict(method={"noise": -1}), "noise"),
        (dict(stored="gif"), "png, jpeg"),
    ],
)
def test_what_cannot_work_is_refused(changes, why):
    with pytest.raises(errors.UserError, match=why):
        planned(**changes)


def test_other_ways_to_store_and_explain(made, tmp_path):
    workdir = tiny.shutil.copytree(made, tmp_path / "jpeg")
    for name in ("grad_cam", "gradient"):
        changes = dict(stored="jpeg", method={"name": name})
        outcome = run(workdir, only="pseudo", **changes)
        assert outcome.ok, outcome.errors
        root = published.folder(folder(workdir, **changes))
        source = source_lib.open("deciles/shards", split="train", root=root)
        given = source_lib.open(SET, split="train", count=IMAGES)
        for one, other in zip(source, given):
            away = np.abs(one["image"].astype(int) - other["image"])
            assert 0 < away.mean() < 6


def test_grey_images_are_stored():
    from jaxseg.transfer.kinds import pseudo

    grey = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    for stored in ("png", "jpeg"):
        assert pseudo._encoded(grey, stored)


def test_no_model_is_called_as_the_mean(made):
    spec = planned()["found"].spec.analysis
    source = source_lib.open(MASKED, split="train", count=2)
    with pytest.raises(errors.UserError, match="found the role 'consensus'"):
        consensus.run({"consensus": None}, spec, tools.Tools({"data": source}))
