import csv
import io
import re

import pytest

from jaxseg.core import errors, jsonl
from jaxseg.report import rows, workdir
from tests.report import workdirs

OLD = (  # in their places: other programs read them
    "study, cell, setting, target, target_dataset, target_task, target_domain, "
    "target_images, source, source_dataset, source_task, source_domain, source_images, "
    "backbone, start, resolution, variant, seed, lr, selected, metric, protocol, "
    "value, steps, seconds, artifact"
)


def load(folder):
    (study,) = workdir.load(folder)
    return study


def test_new_columns_come_after_the_old_ones():
    new = ["target_set_images", "source_set_images", "overlap"]
    assert list(rows.COLUMNS) == [*OLD.split(", "), *new]


def test_two_plan_entries_with_one_key_both_appear(tmp_path):
    """A cell that two tables share, each with its own columns."""
    made = workdirs.Workdir(tmp_path)
    one = workdirs.target("night", "day")
    key = made.done("table4/night", 0.5, [one])
    made.stage("table7/night", [one | {"setting": "full"}], key=key)
    study = load(made.plan())
    assert [stage.name for stage in study.stages] == ["table4/night", "table7/night"]
    found = rows.results(study)
    assert [row["setting"] for row in found] == ["full", "small"]
    assert {row["artifact"] for row in found} == {key[:20]}
    assert study.counts()["done"] == len(rows.planned(study)) == 2


def test_a_floor_is_read_where_there_is_one(tmp_path):
    made = workdirs.Workdir(tmp_path)
    made.done("a", 0.5, [workdirs.target("night", "day")], floor=0.25)
    made.done("b", 0.5, [workdirs.target("night", "home")])
    made.done("c", None, [workdirs.target("night", "reef")])
    found = rows.results(load(made.plan()))
    assert [row["floor"] for row in found] == [0.25, None]  # and no value, no result


def test_one_row_per_finished_stage_and_label_set(tmp_path):
    made = workdirs.Workdir(tmp_path)
    one = workdirs.target("night", "websearch")
    two = one | {"setting": "full", "cell": "full/night/websearch"}
    key = made.done("shared", 0.5, [two, one])
    made.done("candidate", 0.4, [one | {"role": "candidate"}])
    made.stage("not run", [workdirs.target("night", "day")])
    found = rows.results(load(made.plan()))
    assert [row["setting"] for row in found] == ["full", "small"]
    assert {row["artifact"] for row in found} == {key[:20]}
    assert found[0]["value"] == 0.5 and found[0]["metric"] == "miou"


def test_csv_reads_back_to_the_same_bits(tmp_path):
    made = workdirs.Workdir(tmp_path)
    made.cell(workdirs.target("night", "websearch"), 0.1 + 0.2)
    text = rows.write_csv(rows.results(load(made.plan())), rows.COLUMNS)
    (row,) = csv.DictReader(io.StringIO(text))
    assert list(row) == rows.COLUMNS
    assert float(row["value"]) == 0.1 + 0.2 and row["variant"] == ""


def test_a_cell_with_select_is_its_winner(tmp_path):
    made = workdirs.Workdir(tmp_path)
    label = workdirs.target("night", "day")
    made.done("lr0.1", 0.3, lr=0.1)
    best = made.done("lr0.01", 0.4, lr=0.01)
    made.done("chosen", 0.0, [label | {"lr": None}], kind="select", winner=best)
    (row,) = rows.results(load(made.plan()))
    assert (row["value"], row["lr"], row["artifact"]) == (0.4, 0.01, best[:20])


def test_what_diverged_has_a_status_of_its_own(tmp_path):
    made = workdirs.Workdir(tmp_path)
    lost = made.failed("lost", error="loss is nan", state="diverged")
    other = made.stage("other")
    made.stage("best", kind="select", parents=[lost, other])  # may do without it
    made.stage("none", kind="select", parents=[lost])
    made.stage("child", parents=[lost])
    study = load(made.plan())
    stages = {stage.name: (stage.status, stage.error) for stage in study.stages}
    assert stages["lost"] == ("diverged", "loss is nan")
    assert stages["best"] == ("pending", "")
    assert stages["none"] == ("blocked", "needs lost, which diverged")
    assert stages["child"] == ("blocked", "needs lost, which diverged")
    assert study.counts()["diverged"] == 1 and study.counts()["failed"] == 0


def test_statuses_and_why(tmp_path):
    made = workdirs.Workdir(tmp_path)
    done = made.done("done", 0.5)
    failed = made.failed("failed", error="ValueError: loss is NaN", parents=[done])
    blocked = made.stage("blocked", parents=[failed])
    made.stage("blocked too", parents=[done, blocked])
    made.stage("pending", parents=[done])
    stages = {stage.name: stage for stage in load(made.plan()).stages}
    assert {name: stage.status for name, stage in stages.items()} == {
        "done": "done",
        "failed": "failed",
        "blocked": "blocked",
        "blocked too": "blocked",
        "pending": "pending",
    }
    assert stages["failed"].error == "ValueError: loss is NaN"
    assert stages["blocked too"].error == "needs blocked, which is blocked"


@pytest.mark.parametrize("name", ["manifest.json", "metrics.jsonl", "receipt.json"])
def test_a_flipped_byte_is_named(tmp_path, name):
    made = workdirs.Workdir(tmp_path)
    key = made.cell(workdirs.target("night", "websearch"), 0.5)
    path = made.plan() / "artifacts" / key[:20] / name
    workdirs.flip_byte(path)
    (stage,) = load(tmp_path).stages
    assert stage.status == "failed" and stage.artifact is None and stage.refused
    remedy = f"python -m jaxseg.artifacts remove {key[:20]} --workdir={tmp_path}"
    assert f"{path}: damaged" in stage.error and remedy in stage.error


def test_a_changed_file_says_expected_and_found(tmp_path):
    made = workdirs.Workdir(tmp_path)
    key = made.cell(workdirs.target("night", "websearch"), 0.5)
    (made.plan() / "artifacts" / key[:20] / "metrics.jsonl").write_text("{}\n")
    text = r"expected \w{16}\.\.\., found ca3d163b"
    assert re.search(text, load(tmp_path).stages[0].error)


def test_what_changes_after_the_first_look_is_not_read(tmp_path):
    made = workdirs.Workdir(tmp_path)
    key = made.cell(workdirs.target("night", "websearch"), 0.5)
    artifact = load(made.plan()).stages[0].artifact
    path = tmp_path / "artifacts" / key[:20] / "metrics.jsonl"
    path.write_text("{}\n")
    with pytest.raises(errors.Damaged, match=r"expected \w{16}\.\.\., found ca3d163b"):
        artifact.lines("metrics.jsonl")
    path.unlink()
    with pytest.raises(errors.Damaged, match=r"found no such file.*artifacts remove"):
        artifact.lines("metrics.jsonl")
    assert artifact.value("no.json") is None


def test_a_manifest_in_the_wrong_folder_is_refused(tmp_path):
    made = workdirs.Workdir(tmp_path)
    one, two = (made.done(name, 0.5) for name in ("one", "two"))
    text = (tmp_path / "artifacts" / one[:20] / "manifest.json").read_text()
    (tmp_path / "artifacts" / two[:20] / "manifest.json").write_text(text)
    first, second = load(made.plan()).stages
    assert first.status == "done"
    assert second.status == "failed" and "manifest of another" in second.error


@pytest.mark.parametrize("name", ["metrics.jsonl", "manifest.json", "weights/w"])
def test_a_file_that_is_gone_is_named(tmp_path, name):
    made = workdirs.Workdir(tmp_path)
    label = workdirs.target("night", "websearch")
    key = made.cell(label, 0.5, files={"weights/w": b"1234"})
    child = workdirs.target("night", "day")
    made.cell(child, 0.6, parents=[key])
    made.cell(workdirs.target("night", "random"), 0.7)
    (made.plan() / "artifacts" / key[:20] / name).unlink()
    first, blocked, other = load(tmp_path).stages
    assert first.refused and f"{tmp_path}/artifacts/{key[:20]}" in first.error
    assert name in first.error and f"artifacts remove {key[:20]}" in first.error
    assert (blocked.status, blocked.artifact) == ("blocked", None)
    assert other.status == "done"


def test_why_a_stage_failed_is_sealed(tmp_path):
    made = workdirs.Workdir(tmp_path)
    key = made.failed("lost", state="diverged")
    path = made.plan() / "running" / key[:20] / "error.json"
    workdirs.flip_byte(path)
    (stage,) = load(tmp_path).stages
    assert stage.status == "failed" and stage.refused
    assert f"{path}: damaged" in stage.error and "run the same command" in stage.error


def test_errors_name_file_and_fix(tmp_path):
    with pytest.raises(errors.UserError, match=r"nothing to report.*jaxseg\.main"):
        workdir.load(tmp_path)
    path = tmp_path / "studies" / "factors" / "plan.json"
    jsonl.write_sealed(path, {"schema": 2})
    assert f"{path}: field 'schema' is 2" in load(tmp_path).error
    jsonl.write_sealed(path, {"schema": 1, "study": "factors"})
    assert f"{path}: not a plan of this version" in load(tmp_path).error
    made = workdirs.Workdir(tmp_path)
    made.done("short", 0.5, [{"role": "target", "target": "night"}])
    with pytest.raises(errors.UserError, match="stage 'short' lack cell, setting"):
        rows.results(load(made.plan()))


def test_embedded_data_is_told_apart():
    assert rows.embedded("worlds/driving_day") and rows.embedded("chairs/64")
    assert not rows.embedded("camvid/11") and not rows.embedded("folder/segmentation")
