"""The command that measures an artifact on any data set."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxseg
from jaxseg import evaluate
from jaxseg.core import jsonl
from jaxseg.core import manifest as manifests
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.metrics import segmentation
from jaxseg.transfer import run as runs
from tests import tiny

DAY = ("--data=worlds/driving_day", "--count=3")


@pytest.fixture
def command(capsys):
    def run(*arguments, name="source"):
        given = [f"--artifact={tiny.artifact(name)}", *map(str, arguments)]
        capsys.readouterr()  # what making the artifact printed
        code = evaluate.main(given)
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two images with masks of worlds/driving_day, as a user's folder."""
    root = tmp_path_factory.mktemp("own")
    source = source_lib.open("worlds/driving_day", split="validation", count=2)
    for number in range(2):
        for kind, field in (("images", "image"), ("masks", "segmentation")):
            path = root / kind / "val" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(source[number][field].astype(np.uint8)).save(path)
    return root


def stored(name, evaluation="validation"):
    metrics = manifests.read(tiny.artifact(name))["metrics"]
    return {m["name"]: m["value"] for m in metrics if m["evaluation"] == evaluation}


def test_an_artifact_on_its_own_data_gives_its_own_digits(command, tmp_path):
    path = tmp_path / "found.json"
    code, _, err = command(*DAY, f"--output={path}")
    assert (code, err) == (0, "")
    found, manifest = (
        jsonl.read_json(path),
        manifests.read(tiny.artifact("source")),
    )
    assert found["metrics"] == stored("source")
    assert found["protocol"] == manifest["metrics"][0]["protocol"]
    (headline,) = (m for m in manifest["metrics"] if m["headline"])
    assert 0 < found["floor"] < 0.2 and found["floor"] == headline["floor"]
    assert found["artifact"] == manifest["key"]
    data = manifest["data"]["validation"]
    assert found["data"] == data | {"seed": 0, "part": "all"}


def test_a_part_of_the_training_split_too(command, tmp_path):
    path = tmp_path / "found.json"
    data = ("--data=worlds/driving_night", "--count=8", "--split=train")
    code, _, err = command(*data, "--part=holdout", f"--output={path}", name="target/a")
    assert (code, err) == (0, "")
    assert jsonl.read_json(path)["metrics"] == stored("target/a", "holdout")


def test_images_that_chose_are_named(tmp_path, capsys):
    folder = tiny.chosen(tmp_path)  # by the held-out part
    night = ["--data=worlds/driving_night", "--seed=0", f"--artifact={folder}"]
    text = ", best of 2 candidates on this set"
    said = {}
    for part in ("holdout", "train", "all"):
        given = ["--split=train", "--count=8", f"--part={part}"]
        assert evaluate.main([*night, *given]) == 0
        said[part] = text in capsys.readouterr().out
    assert evaluate.main([*night, "--count=3"]) == 0
    said["validation"] = text in capsys.readouterr().out
    expected = {"holdout": True, "train": False, "all": True, "validation": False}
    assert said == expected


def test_the_table_is_aligned_and_begins_with_the_headline(command):
    code, out, _ = command("--data=worlds/driving_night", "--count=2")
    lines = out.splitlines()
    names = [line.split()[0] for line in lines]
    assert code == 0 and names[:4] == ["artifact", "data", "protocol", "miou"]
    assert "pixel_accuracy" in names
    assert "  (learning nothing gives 0." in lines[3]
    assert len({line.index(line.split()[1]) for line in lines}) == 1
    assert lines[1].endswith("worlds/driving_night, validation, 2 examples")
    assert lines[2].endswith("one scale 64x64, labels at original size")


def test_windows_scales_and_flips_are_said_and_done(command, tmp_path):
    path = tmp_path / "found.json"
    how = ("--mode=sliding", "--scales=0.5,1", "--flip", "--size=32x48", "--batch=3")
    code, out, err = command("--data=worlds/driving_day", "--count=2", *how)
    assert (code, err) == (0, "")
    assert "sliding windows 32x48, overlap 0.5, scales 0.5 1, flip" in out
    code, out, err = command(*DAY, "--scales=1,1", f"--output={path}")
    assert (code, err) == (0, "")
    twice = jsonl.read_json(path)["metrics"]  # the same view twice: itself
    assert twice["miou"] == pytest.approx(stored("source")["miou"], abs=1e-3)


def test_a_folder_of_images_and_masks(command, folder, tmp_path):
    classes = list(catalogue.find("worlds/driving_day").classes)
    path, options = tmp_path / "found.json", json.dumps({"classes": classes})
    data = (f"--data={folder}", f"--options={options}")
    code, _, err = command(*data, f"--output={path}")
    assert (code, err) == (0, "")
    found = jsonl.read_json(path)
    assert found["data"]["name"] == "folder/segmentation"
    assert found["data"]["count"] == 2
    assert found["data"]["fingerprint"].startswith("folder/segmentation@3:")


@pytest.mark.slow
def test_a_folder_is_read_as_that_of_training_was(folder, tmp_path, capsys):
    """Masks of a binary model, without a word about them."""
    masks = tmp_path / "own" / "masks"
    shutil.copytree(folder, tmp_path / "own")
    for path in masks.glob("*/*.png"):
        Image.fromarray(255 * (np.asarray(Image.open(path)) > 2).astype(np.uint8)).save(
            path
        )
    section = {"name": "folder/segmentation", "root": str(tmp_path / "own")}
    section |= {"options": {"binary": True}, "size": [64, 64], "split": "validation"}
    stage = tiny.train(data=section, task={"name": "segmentation", "binary": True})
    stage |= {"batch_size": 2, "evaluations": {"validation": {}}}
    config = {"study": "own", "stages": {"own": stage}}
    assert runs.run(config, tmp_path / "w").ok
    made = tmp_path / "w" / "artifacts" / tiny.plan(config).by_name["own"].short
    data = [f"--artifact={made}", f"--data={tmp_path / 'own'}"]
    capsys.readouterr()
    assert evaluate.main(data) == 0
    assert "2 examples" in capsys.readouterr().out
    assert evaluate.main([*data, "--options={}"]) == 2  # said otherwise


def test_images_are_normalized_as_in_training(command, tmp_path):
    """A brighter set gives the digits of the loaded model."""
    model = jaxseg.load(tiny.artifact("source"))
    source = source_lib.open("worlds/driving_day", split="validation", count=2)
    counts = segmentation.Confusion(6)
    state = counts.zeros()
    for number in range(2):
        for kind in ("images", "masks"):
            (tmp_path / kind / "val").mkdir(parents=True, exist_ok=True)
        bright = 155 + source[number]["image"] // 4
        truth = source[number]["segmentation"].astype(np.uint8)
        Image.fromarray(bright).save(tmp_path / "images" / "val" / f"{number}.png")
        Image.fromarray(truth).save(tmp_path / "masks" / "val" / f"{number}.png")
        labels, found = jnp.asarray(truth, jnp.int32), jnp.asarray(model(bright))
        state = counts.merge(state, counts.update(found, labels, labels < 6))
    options = json.dumps({"classes": list(source.dataset.classes)})
    data, path = (f"--data={tmp_path}", f"--options={options}"), tmp_path / "found.json"
    assert command(*data, f"--output={path}", "--batch=3")[0] == 0
    wanted, found = counts.compute(state, source.dataset.classes), path.read_text()
    assert json.loads(found)["metrics"] == wanted
    code, out, _ = command(*data, "--normalization=target")
    assert code == 0 and "normalized by the target's own mean and std" in out


def test_other_names_are_matched_by_number_and_that_is_said(command, folder):
    options = json.dumps({"classes": [f"c{n}" for n in range(6)]})
    code, _, err = command(f"--data={folder}", f"--options={options}")
    assert code == 0
    assert err.startswith("jaxseg: careful") and "c0, c1" in err


def test_another_number_of_classes_is_refused(command, folder):
    options = json.dumps({"classes": [f"c{n}" for n in range(7)]})
    code, out, err = command(f"--data={folder}", f"--options={options}")
    assert (code, out) == (2, "")
    assert "needs a head of 7 outputs (classes: c0, c1" in err
    assert "this one has 6 (classes: " in err and err.startswith("jaxseg: --data: ")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            ("--data=worlds/driving_dya",),
            ["--data: worlds/driving_dya: no such", "worlds/driving_day"],
        ),
        (("--data=nowhere",), ["--data: nowhere: no such folder", "unknown dataset"]),
        (("--data=/tmp/nosuch/x",), ["--data: /tmp/nosuch/x: no such folder"]),
        (("--data=worlds/websearch",), ["needs segmentation"]),
        (
            (*DAY, "--split=tset"),
            ["driving_day: unknown split 'tset'", "train, validation"],
        ),
        ((*DAY, "--part=half"), ["part: found", "holdout"]),
        ((*DAY, "--size=64"), ["--size: found '64'", "HxW"]),
        ((*DAY, "--mode=slidng"), ["--mode: unknown mode", "Did you mean 'sliding'"]),
        (
            (*DAY, "--normalization=own"),
            ["--normalization: unknown", "target, training"],
        ),
        ((*DAY, "--overlap=0.2"), ["--overlap: found 0.2", "mode"]),
        ((*DAY, "--mode=sliding", "--overlap=1"), ["--overlap: found 1.0", "[0, 1)"]),
        ((*DAY, "--scales=0"), ["--scales: found [0.0]"]),
        ((*DAY, "--options={"), ["--options: found '{'"]),
        ((*DAY, "--options=[1]"), ["--options", "JSON object"]),
        (("--data=worlds/driving_day", "--count=99999999"), ["count=99999999"]),
    ],
)
def test_a_mistake_is_one_message(command, arguments, words):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and "Traceback" not in err
    for word in words:
        assert word in err


def test_scales_that_are_no_numbers(command, capsys):
    with pytest.raises(SystemExit) as stop:
        command(*DAY, "--scales=1,x")
    assert stop.value.code == 2
    assert "--scales: found '1,x', allowed: numbers such as" in capsys.readouterr().err


def test_an_output_that_cannot_be_written(command, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "found.json"
    with pytest.raises(SystemExit) as stop:
        command(*DAY, f"--output={path}")  # before the time is spent
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and f"--output: '{path}'" in err and "Fix" in err
    assert "miou" not in out


def test_what_is_no_artifact_with_a_head(command, tmp_path, capsys):
    assert evaluate.main([f"--artifact={tmp_path}", *DAY]) == 2
    assert "not an artifact" in capsys.readouterr().err
    code, _, err = command(*DAY, name="distance")
    assert code == 2 and "holds no model" in err
    headless = shutil.copytree(tiny.artifact("source"), tmp_path / "headless")
    manifest = manifests.read(headless)
    kept = {key: manifest[key] for key in manifest if key != "self"}
    jsonl.write_sealed(headless / manifests.FILE, kept | {"outputs": {}})
    assert evaluate.main([f"--artifact={headless}", *DAY]) == 2
    assert "no trained head" in capsys.readouterr().err
    unknown = shutil.copytree(tiny.artifact("source"), tmp_path / "unknown")
    jsonl.write_sealed(unknown / manifests.FILE, kept | {"preprocessing": None})
    assert evaluate.main([f"--artifact={unknown}", *DAY]) == 2
    assert "--normalization=target" in capsys.readouterr().err
