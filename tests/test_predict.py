"""The command that predicts for images without labels."""

import csv

import numpy as np
import pytest
from PIL import Image

import jaxseg
from jaxseg import predict
from jaxseg.core import jsonl
from jaxseg.data import source as source_lib
from jaxseg.evals import evaluator
from jaxseg.transfer import run as runs
from tests import tiny

pytestmark = pytest.mark.slow  # a training of each of five tasks

SET = "worlds/driving_day"
HEADS = {
    "segmentation": ("linear", SET),
    "detection": ("centernet", SET),
    "keypoints": ("keypoints", "worlds/closeups_dogs"),
    "depth": ("depth", "worlds/indoor_home"),
    "classification": ("classifier", "worlds/websearch"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """{task: folder of an artifact}: two steps of each."""
    workdir = tmp_path_factory.mktemp("models")
    stages = {
        task: tiny.train(
            name,
            data={"name": name, "count": 8},
            task={"name": task},
            model=tiny.MODEL | {"head": {"name": head}},
        )
        for task, (head, name) in HEADS.items()
    }
    outcome = runs.run({"study": "predict", "stages": stages}, workdir)
    assert outcome.ok, outcome.errors
    plan = tiny.plan({"stages": stages}).by_name
    return {task: workdir / "artifacts" / plan[task].short for task in HEADS}


@pytest.fixture
def images(tmp_path):
    """Three images, one of them below a folder, and a note."""
    source = source_lib.open(SET, split="validation", count=3)
    (tmp_path / "in" / "more").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "more/c.png")):
        Image.fromarray(source[number]["image"]).save(tmp_path / "in" / name)
    (tmp_path / "in" / "note.txt").write_text("no image")
    return tmp_path / "in"


def run(artifact, images, output, *more):
    return predict.main(
        [f"--artifact={artifact}", f"--input={images}", f"--output={output}", *more]
    )


@pytest.mark.parametrize("task", HEADS)
def test_files_have_the_predictions_of_evaluation(models, task, images, tmp_path):
    out = tmp_path / "out"
    assert run(models[task], images, out) == 0
    index = jsonl.read_json(out / "predictions.json")
    files = [row["file_name"] for row in index["images"]]
    assert files == ["a.png", "b.png", "more/c.png"]
    assert index["task"] == task
    model = jaxseg.load(models[task])
    source = source_lib.open(SET, split="validation", count=3)
    evaluate = evaluator.Evaluator(model.predictor(), source)
    expected = [one["prediction"] for one in evaluate.predictions(model.variables, 3)]
    for number, (row, image) in enumerate(zip(index["images"], source)):
        said = model(image["image"])
        if task == "classification":
            assert row["files"] == {}
        else:
            overlay = np.asarray(Image.open(out / row["files"]["overlays"]))
            assert overlay.shape[2] == 3 and overlay.dtype == np.uint8
        written = row["files"].get("predictions")
        if task == "segmentation":
            found = np.asarray(Image.open(out / written))
            np.testing.assert_array_equal(found, expected[number]["segmentation"])
            np.testing.assert_array_equal(found, said)
        elif task == "depth":
            found = np.asarray(Image.open(out / written))
            assert found.dtype == np.uint16
            np.testing.assert_allclose(found / 1000, said, atol=0.00051)
            np.testing.assert_array_equal(said, expected[number]["depth"])
        elif task == "classification":
            with open(out / "predictions.csv") as file:
                line = list(csv.DictReader(file))[number]
            assert line["class"] == model.classes[int(said)]
            shares = [float(line[f"p({name})"]) for name in model.classes]
            assert abs(sum(shares) - 1) < 1e-5
            assert int(np.argmax(shares)) == int(said)
        else:
            every = jsonl.read_json(out / "coco.json")
            own = [one for one in every if one["image_id"] == number + 1]
            there = said["box_labels"] >= 0
            assert len(own) == there.sum() > 0
            row0, col0, row1, col1 = said["boxes"][there][0].tolist()
            expect = [col0, row0, col1 - col0, row1 - row0]
            assert own[0]["bbox"] == pytest.approx(expect, abs=1e-4)
            if task == "keypoints":
                point = said["keypoints"][there][0, 0].tolist()
                assert own[0]["keypoints"][:2] == pytest.approx(point[1::-1], abs=1e-4)


def test_the_same_call_goes_on(models, images, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(models["segmentation"], images, out) == 0
    first = (out / "predictions.json").read_text()
    lines = (out / "images.jsonl").read_text().splitlines(keepends=True)
    (out / "images.jsonl").write_text("".join(lines[:2]) + lines[2][:20])  # killed
    (out / "overlays" / "a.png").unlink()
    Image.new("RGB", (64, 64), (9, 200, 9)).save(images / "b.png")  # another image
    capsys.readouterr()
    assert run(models["segmentation"], images, out) == 0
    assert "3 images, 0 of them done before" in capsys.readouterr().out
    assert run(models["segmentation"], images, out) == 0
    assert "3 images, 3 of them done before" in capsys.readouterr().out
    assert (out / "predictions.json").read_text() == first
    assert run(models["depth"], images, out) == 2
    assert "holds predictions made otherwise (artifact" in capsys.readouterr().err


def test_what_cannot_be_read_is_named_and_the_rest_is_predicted(
    models, images, tmp_path, capsys
):
    (images / "bad.jpg").write_bytes(b"no image")
    assert run(models["segmentation"], images, tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert "bad.jpg: not a readable image" in err
    assert "1 of 4 images have no prediction" in err
    index = jsonl.read_json(tmp_path / "out" / "predictions.json")
    assert len(index["images"]) == 3


def test_much_larger_images_are_named_and_can_be_cut(models, tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 300, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    word = "1 images have a side over 4 times"
    for mode, said in (("whole", True), ("sliding", False)):
        path, out = tmp_path / "wide.png", tmp_path / mode
        assert run(models["segmentation"], path, out, f"--mode={mode}") == 0
        assert (word in capsys.readouterr().err) == said
        index = jsonl.read_json(out / "predictions.json")
        assert index["protocol"].startswith(mode)
        (row,) = index["images"]
        found = np.asarray(Image.open(out / row["files"]["predictions"]))
        assert found.shape == (64, 300)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--size=3"), r"--size: found '3', allowed: HxW"),
        (("--mode=tiled"), r"unknown mode 'tiled'"),
        (("--overlap=2"), r"--overlap: found 2.0"),
    ],
)
def test_mistakes_are_named(models, images, tmp_path, change, message, capsys):
    given = (change, "--mode=sliding") if "overlap" in change else (change,)
    assert run(models["segmentation"], images, tmp_path / "out", *given) == 2
    assert message in capsys.readouterr().err


def test_inputs_that_do_not_serve(models, tmp_path, capsys):
    assert run(models["segmentation"], tmp_path / "none", tmp_path / "out") == 2
    assert "no images there. Fix:" in capsys.readouterr().err
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.txt").write_text("mine")
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    assert run(models["segmentation"], tmp_path / "a.png", own) == 2
    assert "holds files that are no predictions" in capsys.readouterr().err


def test_two_images_of_one_name_keep_their_suffixes(tmp_path):
    for name in ("a.png", "a.jpg", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    names = {one.file: one.name for one in predict.inputs([str(tmp_path)])}
    assert names == {"a.png": "a.png", "a.jpg": "a.jpg", "b.png": "b"}
    assert len(predict.inputs([str(tmp_path), str(tmp_path / "a.png")])) == 3
    assert len(predict.inputs([str(tmp_path / "*.png")])) == 2


def test_a_loaded_model(models):
    source = source_lib.open(SET, split="validation", count=2)
    image = source[0]["image"]
    model = jaxseg.load(models["segmentation"])
    shares = model.probabilities(image)
    assert shares.shape == (*image.shape[:2], len(model.classes))
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(shares.argmax(-1), model(image))
    several = model([image, image[:40]])
    np.testing.assert_array_equal(several[0], model(image))
    assert several[1].shape == (40, image.shape[1])
    assert model(image, size=(32, 32)).shape == image.shape[:2]
    assert model.overlay(image, model(image)).shape == image.shape
    with pytest.raises(jaxseg.core.errors.UserError, match="size: found"):
        model(image, size=(0, 3))
    boxes = jaxseg.load(models["detection"])
    rows, columns = (boxes(image, boxes=order)["boxes"] for order in ("yxyx", "xyxy"))
    np.testing.assert_array_equal(rows[:, [1, 0, 3, 2]], columns)
    with pytest.raises(jaxseg.core.errors.UserError, match="found task 'detection'"):
        boxes.probabilities(image)
