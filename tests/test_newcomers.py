"""Three folders as a newcomer has them: `init`, `check`, the run to its end and an
evaluation; or a stop before training with the file named.
"""

import shutil

import numpy as np
import pytest
from PIL import Image

from jaxseg import evaluate, main
from jaxseg.core import manifest as manifests
from jaxseg.data import __main__ as data

pytestmark = pytest.mark.slow
STEPS = [
    "--set",
    ".*/steps=2",
    "--set",
    ".*/data/size=[64, 64]",
    "--set",
    ".*/samples=0",
]


@pytest.fixture
def newcomer(tmp_path, monkeypatch, capsys):
    """`newcomer(command, ...)` -> exit code and all that was printed."""
    monkeypatch.chdir(tmp_path)

    def run(command, *arguments):
        code = command([*map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def trained(newcomer, folder):
    """Follows what `init` says; the folder of the artifact."""
    code, text = newcomer(data.main, "init", folder)
    assert code == 0, text
    assert newcomer(data.main, "check", folder)[0] == 0
    code, text = newcomer(main.main, "--config=config.py:batch=4", *STEPS)
    assert code == 0, text
    (made,) = (folder.parent / f"runs/{folder.name}/artifacts").iterdir()
    return made


def place(source, target, names):
    target.mkdir(parents=True)
    for name in names:
        shutil.copyfile(source / name, target / name)


def test_masks_of_two_values_with_one_stray_id(real_data, tmp_path, newcomer):
    source, folder = real_data / "human_segmentation", tmp_path / "people"
    numbers = range(1, 13)
    place(source / "Training_Images", folder / "images", [f"{n}.jpg" for n in numbers])
    place(source / "Ground_Truth", folder / "masks", [f"{n}.png" for n in numbers])
    whole = (folder / "masks/7.png").read_bytes()
    mask = np.array(Image.open(folder / "masks/7.png"))
    mask[:4, :4] = 7
    Image.fromarray(mask).save(folder / "masks/7.png")
    code, text = newcomer(data.main, "init", folder)
    assert code == 2 and "masks/7.png: holds the ids 0, 7, 255" in text
    code, text = newcomer(data.main, "check", folder)
    assert code == 1 and text.count("bad: ") == 1 and "masks/7.png" in text
    assert not (tmp_path / "config.py").exists()
    (folder / "masks/7.png").write_bytes(whole)
    assert newcomer(data.main, "init", folder)[0] == 0
    assert newcomer(data.main, "check", folder)[0] == 0
    section = main.load_config(tmp_path / "config.py", "").stages.model
    assert section["task"]["binary"]
    assert newcomer(main.main, "--config=config.py", "--plan")[0] == 0


@pytest.mark.release  # beside that of ids, and of VOC's reader
def test_voc_with_annotations_in_lower_case(real_data, tmp_path, newcomer):
    source, folder = real_data / "bccd", tmp_path / "cells"
    names = sorted(path.stem for path in (source / "JPEGImages").iterdir())[:10]
    place(source / "JPEGImages", folder / "images", [f"{n}.jpg" for n in names])
    place(source / "Annotations", folder / "annotations", [f"{n}.xml" for n in names])
    made = trained(newcomer, folder)
    assert manifests.read(made)["classes"] == ["Platelets", "RBC", "WBC"]
    for path in (folder / "annotations").iterdir():  # of two classes alone
        path.write_text(path.read_text().replace("Platelets", "WBC"))
    code, text = newcomer(evaluate.main, f"--artifact={made}", f"--data={folder}")
    assert code == 0 and "voc/boxes, validation" in text and "careful" not in text


def test_an_id_that_only_validation_masks_hold(real_data, tmp_path, newcomer):
    source, folder = real_data / "camvid", tmp_path / "roads"
    for split, count in (("train", 6), ("val", 2)):
        names = sorted(path.stem for path in (source / split).iterdir())[:count]
        place(source / split, folder / "images" / split, [f"{n}.jpg" for n in names])
        masks = folder / "masks" / split
        place(source / f"{split}annot", masks, [f"{n}.png" for n in names])
        for path in masks.iterdir():
            ids = np.array(Image.open(path))
            ids[(ids == 10) & (split == "train")] = 11  # no bicyclist in training
            ids[:8, :8] = 10 if split == "val" else 0
            Image.fromarray(ids).save(path)
    lines = (source / "classes.txt").read_text().splitlines()
    shutil.copyfile(source / "classes.txt", folder / "classes.txt")
    made = trained(newcomer, folder)
    names = [line.split()[1] for line in lines if line[0].isdigit()]
    assert manifests.read(made)["classes"] == names and len(names) == 12
    (folder / "classes.txt").write_text("\n".join(names[:10]))
    (tmp_path / "config.py").unlink()
    code, text = newcomer(data.main, "init", folder)
    assert code == 2 and "masks/train/" in text and "holds the ids 11; " in text
