"""Plans need no data of catalogue sets; results of other data are not reused."""

import re

import pytest

from jaxseg import main
from jaxseg.data import catalogue
from jaxseg.transfer import overrides, stage, store
from jaxseg.transfer import run as runs
from jaxseg.transfer.kinds import train
from jaxseg.transfer.running import status
from tests import tiny
from tests.data import trees

TASKS = {"keypoints": "keypoints", "boxes": "centernet", "segmentation": "linear"}
TASKS |= {"depth": "depth", "label": "classifier", "labels": "classifier"}
NAMES = {"boxes": "detection", "label": "classification", "labels": "classification"}


def official():
    """Every set that is not somebody's own folder."""
    return [name for name in catalogue.names() if not catalogue.find(name).own]


def section(name):
    """A `train` section of the task that the set is for."""
    facts = catalogue.find(name)
    field, head = next(pair for pair in TASKS.items() if pair[0] in facts.fields)
    task = {"name": NAMES.get(field, field)}
    model = tiny.MODEL | {"head": {"name": head}}
    first, *_, last = [*facts.splits] * 2
    return tiny.train(
        data={"name": name, "split": first},
        evaluations={"validation": {"split": last}},
        task=task | ({"multilabel": True} if field == "labels" else {}),
        model=model,
        columns=[{"role": "target"}],
    )


@pytest.mark.slow
def test_all_official_sets_are_planned_without_data(monkeypatch):
    monkeypatch.setenv("JAXSEG_DATA", "/nowhere")
    stages = {name.replace("/", "_"): section(name) for name in official()}
    made = tiny.plan({"study": "all", "stages": stages})
    assert len(made.stages) == len(official()) > 90
    assert len({one.key for one in made.stages}) == len(made.stages)
    for one in made.stages:
        name = one.spec.data.name
        assert one.spec.data.fingerprint == f"{name}@{catalogue.find(name).version}"


def camvid(root, **data):
    data = {"name": "camvid/11", "root": str(root), "size": [32, 32]} | data
    return tiny.plan({"stages": {"x": tiny.train(data=data, batch_size=2)}}).stages


def run(stages, workdir):
    return runs.run_stages(stages, store.Store(workdir), watcher=status.Watcher())


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Two copies of CamVid that differ in a picture, a third like the first; a workdir
    with the stage of the first. Stages say what they read, and train nothing.
    """

    def read(job):
        made = {n: d.described(d.open()) for n, d in job.stage.spec.reads.items()}
        return {"metrics": [], "data": made}

    monkeypatch.setattr(train.KIND, "run", read)
    folder = tmp_path
    for name in ("one", "two", "three"):
        trees.write_camvid(folder / name)
    trees.write_image(folder / "two/val/1.png", seed=9)
    outcome = run(camvid(folder / "one"), folder / "workdir")
    assert outcome.ok, outcome.errors
    return folder


def test_another_copy_of_a_set_is_not_given_the_results_of_the_first(trained):
    one, two = (camvid(trained / name) for name in ("one", "two"))
    assert one[0].key == two[0].key  # plans need no data
    assert run(one, trained / "workdir").states == {"x": "cached"}
    outcome = run(two, trained / "workdir")
    assert outcome.states == {"x": "failed"}
    manifest = store.Store(trained / "workdir").manifest(one[0].key)
    then = manifest["data"]["validation"]["digest"]
    now = two[0].spec.evaluations["validation"].open().digest()
    text = outcome.errors["x"]
    for part in (now.split(":")[1][:16], then.split(":")[1][:16], "camvid/11 validat"):
        assert part in text
    assert str(trained / "one") in text and str(trained / "two") in text
    change = re.search(r"--set '(.*)=(.*)'", text).groups()
    assert not text.startswith("stages/")  # the line it stands in names the stage
    config = {"stages": {"x": section("camvid/11")}}
    config = overrides.override(config, [(change[0], main.value_of(change[1]))])
    assert config.stages["x"].spec.data.copy == "NAME"
    assert run(camvid(trained / "three"), trained / "workdir").states["x"] == "cached"


def test_copies_with_names_live_side_by_side(trained):
    named = camvid(trained / "two", copy="b")
    assert named[0].spec.evaluations["validation"].copy == "b"
    assert run(named, trained / "workdir").states == {"x": "done"}
    assert run(named, trained / "workdir").states == {"x": "cached"}
    assert run(camvid(trained / "one"), trained / "workdir").states == {"x": "cached"}


def test_what_is_not_here_is_not_compared(trained, monkeypatch, caplog):
    elsewhere = camvid(trained / "nowhere")
    assert run(elsewhere, trained / "workdir").states == {"x": "cached"}
    assert not caplog.records
    (trained / "empty").mkdir()
    assert run(camvid(trained / "empty"), trained / "workdir").states["x"] == "cached"
    assert "not compared" in caplog.records[0].message


def test_own_data_that_change_after_the_plan_stop_the_run(tmp_path):
    trees.write_folder(tmp_path / "data", "abcdef", values=(0, 1))
    data = {"name": "folder/segmentation", "root": str(tmp_path / "data")}
    data |= {"size": [32, 32], "options": {"binary": True}}
    evaluations = {"validation": {"count": 1}}
    made = tiny.train(data=data, batch_size=2, evaluations=evaluations)
    (one,) = tiny.plan({"stages": {"x": made}}).stages
    trees.write_mask(tmp_path / "data/masks/c.png", values=(1, 0))
    outcome = run([one], tmp_path / "workdir")
    assert outcome.states == {"x": "failed"} and "have changed" in outcome.errors["x"]


def test_whole_images_are_looked_at_where_asked_for(tmp_path):
    trees.write_folder(tmp_path, "abcdef", values=(0, 1))
    data = {"name": "folder/segmentation", "root": str(tmp_path), "size": [32, 32]}
    data |= {"options": {"binary": True}}
    changed = tmp_path / "images/f.jpg"
    changed.write_bytes(changed.read_bytes() + bytes(300_000))
    found = {False: [], True: []}
    for middle in (0, 1):
        with open(changed, "r+b") as file:
            file.seek(150_000)
            file.write(bytes([middle]))
        for full, keys in found.items():
            given = data | {"full_digest": full}
            section = tiny.train(data=given, evaluations={"validation": {}})
            keys.append(stage.resolve("x", stage.bind("x", section), {}).key)
    assert found[False][0] == found[False][1] and found[True][0] != found[True][1]


@pytest.mark.parametrize("name, reads", [
    ("source", ["train", "validation"]),
    ("distance", ["worlds/driving_day", "worlds/driving_night"]),
])  # fmt: skip
def test_manifests_say_what_was_read(name, reads):
    found = store.Store(tiny.workdir()).manifest(tiny.key(name))["data"]
    assert list(found) == reads
    for each in found.values():  # rendered: nothing to take a digest of
        assert each["digest"] == each["fingerprint"] and each["root"] is None
