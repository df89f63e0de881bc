import csv
import io

import pytest

from jaxseg.core import errors, records
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
    new = ["target_set_images", "source_set_images"]
    assert list(rows.COLUMNS) == [*OLD.split(", "), *new]


def test_two_plan_entries_with_one_key_both_appear(tmp_path):
    """A cell that two tables share, each with its own labels."""
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
    with pytest.raises(errors.Damaged) as caught:
        load(tmp_path).stages[0].artifact.read(name)
    text = str(caught.value)
    assert str(path) in text and key[:20] in text
    assert f"python -m jaxseg.artifacts remove {key[:20]} --workdir={tmp_path}" in text


def test_a_changed_file_says_expected_and_found(tmp_path):
    made = workdirs.Workdir(tmp_path)
    key = made.cell(workdirs.target("night", "websearch"), 0.5)
    (made.plan() / "artifacts" / key[:20] / "metrics.jsonl").write_text("{}\n")
    artifact = load(tmp_path).stages[0].artifact
    with pytest.raises(errors.Damaged, match=r"expected \w{64}, found ca3d163b"):
        artifact.lines("metrics.jsonl")


def test_a_manifest_in_the_wrong_folder_is_refused(tmp_path):
    made = workdirs.Workdir(tmp_path)
    one, two = (made.done(name, 0.5) for name in ("one", "two"))
    text = (tmp_path / "artifacts" / one[:20] / "manifest.json").read_text()
    (tmp_path / "artifacts" / two[:20] / "manifest.json").write_text(text)
    with pytest.raises(errors.Damaged, match="manifest of another artifact"):
        workdir.load(made.plan())


def test_a_missing_file_is_a_hole(tmp_path):
    made = workdirs.Workdir(tmp_path)
    key = made.cell(workdirs.target("night", "websearch"), 0.5)
    (made.plan() / "artifacts" / key[:20] / "metrics.jsonl").unlink()
    artifact = load(tmp_path).stages[0].artifact
    assert artifact.lines("metrics.jsonl") == [] and artifact.value("no.json") is None


def test_errors_name_file_and_fix(tmp_path):
    with pytest.raises(errors.UserError, match=r"nothing to report.*jaxseg\.main"):
        workdir.load(tmp_path)
    path = tmp_path / "studies" / "factors" / "plan.json"
    records.write_sealed(path, {"schema": 2})
    with pytest.raises(errors.UserError, match=r"plan\.json: field 'schema' is 2"):
        workdir.load(tmp_path)
    records.write_sealed(path, {"schema": 1, "study": "factors"})
    with pytest.raises(errors.UserError, match=r"plan\.json: not a plan.*stages"):
        workdir.load(tmp_path)
    made = workdirs.Workdir(tmp_path)
    made.done("short", 0.5, [{"role": "target", "target": "night"}])
    with pytest.raises(errors.UserError, match="stage 'short' lack cell, setting"):
        rows.results(load(made.plan()))


def test_embedded_data_is_told_apart():
    assert rows.embedded("worlds/driving_day") and rows.embedded("chairs/64")
    assert not rows.embedded("camvid/11") and not rows.embedded("folder/segmentation")
