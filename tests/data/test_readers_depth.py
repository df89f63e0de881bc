"""Readers of depth: 7-Scenes and a folder of one's own, whole, broken and real."""

import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import __main__ as command
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.readers import depth_maps
from tests.data import layouts, trees

SCENES, FOLDER = "seven_scenes/depth", "depth/folder"


def opened(name, root, split="train", **options):
    return source_lib.open(name, split=split, root=root, options=options)


def names(source):
    return [source[i]["id"] for i in range(len(source))]


def refused(name, root, text, **options):
    with pytest.raises(errors.UserError, match=text):
        source = opened(name, root, **options)
        names(source)


def test_frames_without_lists(tmp_path):
    layouts.write_frames(tmp_path, range(10), "jpg")
    source = opened(SCENES, tmp_path)
    assert names(source) == [f"frame-{i:06d}" for i in range(8)]
    assert names(opened(SCENES, tmp_path, "validation")) == [
        "frame-000008",
        "frame-000009",
    ]
    assert source.dataset.domain == "indoor"
    depth = source[0]["depth"]
    assert depth.dtype == np.float32 and depth[0, :3].tolist() == [0, 1, 0]


def test_official_lists_of_several_scenes(tmp_path):
    for scene in ("chess", "fire"):
        for number in (1, 2, 12):
            layouts.write_frames(tmp_path / f"{scene}/seq-{number:02d}", range(2))
        (tmp_path / scene / "TrainSplit.txt").write_text("sequence1\nsequence12\n")
        (tmp_path / scene / "TestSplit.txt").write_text("sequence2\n")
    assert len(opened(SCENES, tmp_path)) == 8
    test = opened(SCENES, tmp_path / "fire", "test")
    assert names(test) == ["seq-02/frame-000000", "seq-02/frame-000001"]
    (tmp_path / "fire/TrainSplit.txt").write_text("sequence3\n")
    refused(SCENES, tmp_path, r"'sequence3' has no frames in .*seq-03.*Fix")


def test_broken_frames(tmp_path):
    refused(SCENES, tmp_path, "found no frame-N.depth.png.*Fix")
    layouts.write_frames(tmp_path, range(3))
    refused(SCENES, tmp_path, "found 3 frames in 1 folders; allowed are five")
    (tmp_path / "train.txt").write_text("frame-000000\n")
    assert len(opened(SCENES, tmp_path)) == 1
    (tmp_path / "train.txt").write_text("frame-000009\n")
    refused(SCENES, tmp_path, r"1 of 1 names have no depth map, .*'frame-000009'.*Fix")
    (tmp_path / "frame-000001.color.png").unlink()
    refused(SCENES, tmp_path, r"1 depth maps have no picture, .*000001\.depth\.png")


def write_folder(root, places, split=""):
    for n in places:
        trees.write_image(root / f"images/{split}{n}.jpg", seed=n)
        layouts.write_depth(root / f"depth/{split}{n}.png", (0, 500, 4000, 65535))


def test_a_folder_of_ones_own(tmp_path):
    write_folder(tmp_path, range(10))
    assert len(opened(FOLDER, tmp_path)) == 8
    depth = opened(FOLDER, tmp_path, maximum=10, scale=0.002)[0]["depth"]
    np.testing.assert_allclose(depth[0, :4], [0, 1, 8, 0], rtol=1e-6)
    depth = opened(FOLDER, tmp_path)[0]["depth"]
    np.testing.assert_allclose(depth[0, :4], [0, 0.5, 4, 65.535], rtol=1e-6)
    refused(FOLDER, tmp_path, "option scale is 0", scale=0.0)
    (tmp_path / "depth").rename(tmp_path / "z")
    refused(FOLDER, tmp_path, "depth: folder not found.*Fix")
    assert len(opened(FOLDER, tmp_path, "validation", depth="z")) == 2
    (tmp_path / "z/3.png").unlink()
    refused(FOLDER, tmp_path, "images without depth map: 1, .*3.*Fix", depth="z")


def test_split_folders(tmp_path):
    write_folder(tmp_path, range(3), "train/")
    write_folder(tmp_path, range(2), "val/")
    facts = catalogue.describe(FOLDER, root=tmp_path)
    assert dict(facts.splits) == {"train": 3, "validation": 2}


@pytest.mark.parametrize(
    ("dtype", "size", "text"),
    [
        (np.uint8, (12, 16), "found L pixels of 8 bits.*allowed for depth are 16.*Fix"),
        (np.uint16, (6, 8), "depth is 6 x 8 .* its image is 12 x 16"),
    ],
)
def test_broken_depth_maps(tmp_path, dtype, size, text):
    write_folder(tmp_path, range(4))
    for n in range(4):
        layouts.write_depth(tmp_path / f"depth/{n}.png", (0, 9), size, dtype)
    refused(FOLDER, tmp_path, text)


def test_real_frames(real_data, capsys):
    root = real_data / "rgbd_7scenes"
    for split, count in (("train", 48), ("validation", 15)):
        assert len(opened(SCENES, root, split)) == count
    example = opened(SCENES, root)[0]
    known = example["depth"][example["depth"] > 0]
    assert example["id"] == "frame-000000" and example["depth"].shape == (480, 640)
    assert known.min() == pytest.approx(0.801) and known.max() == pytest.approx(3.493)
    assert command.main(["check", SCENES, "--root", str(root)]) == 0
    assert "0 problems" in capsys.readouterr().out


def test_a_real_map_of_a_folder(real_data):
    root = real_data / "official_layouts/segmentation/pseudo_nyu_dataset"
    refused(FOLDER, root, "found one image", depth="annotations")


def test_a_depth_in_other_units_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0, 2.5e6]], np.float64))
    with pytest.raises(errors.UserError, match=r"a\.npy: found a depth of 2\.5e\+06 m"):
        depth_maps.read(tmp_path / "a.npy", None)
    near = depth_maps.read(tmp_path / "a.npy", 1e-6)
    assert near.dtype == np.float32 and near.tolist() == [[0, 2.5]]
    assert not depth_maps.read(tmp_path / "a.npy", None, maximum=100.0).any()
