"""SUN RGB-D, ScanNet, NYU Depth v2, depth files of any kind, MATLAB files."""

import sys
import types

import numpy as np
import pytest
import scipy.io
from PIL import Image

from jaxseg.core import errors
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.datasets import nyu, scannet, sun_rgbd
from jaxseg.data.readers import mat_files
from tests.data import layouts, trees

SHAPE = (12, 16)


def opened(name, root, split="train", **options):
    return source_lib.open(name, split=split, root=root, options=options)


def examples(source):
    return [source[i] for i in range(len(source))]


def refused(name, root, text, split="train", **options):
    with pytest.raises(errors.UserError, match=text):
        examples(opened(name, root, split, **options))


def write_ids(path, values, size=SHAPE, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.resize(np.array(values, dtype), size)).save(path)


# SUN RGB-D


def turned(millimetres):
    """As the files of SUN RGB-D hold them."""
    return [((value << 3) | (value >> 13)) & 0xFFFF for value in millimetres]


def write_sun(root, count=24, labels="label37"):
    for split, number in (("train", 3), ("test", count)):
        for i in range(1, number + 1):
            trees.write_image(root / f"image/{split}/img-{i:06d}.jpg", seed=i)
            write_ids(root / f"{labels}/{split}/img37labels-{i:06d}.png", (0, 1, 37))
            layouts.write_depth(
                root / f"depth/{split}/{i:08d}.png", turned([0, 1234, 9000])
            )


@pytest.mark.parametrize("labels", ["label37", "label38"])
def test_sun_segmentation(tmp_path, labels):
    write_sun(tmp_path, labels=labels)
    source = opened("sun_rgbd/segmentation", tmp_path)
    first, facts = source[0], source.dataset
    assert facts.num_classes == 37 and facts.classes[36] == "bag"
    assert first["segmentation"][0, :3].tolist() == [IGNORE, 0, 36]
    assert first["id"] == "image/train/img-000001" and len(source) == 3
    assert dict(facts.splits) == {"train": 5285, "validation": 425, "test": 5050}


def test_sun_depth_is_turned_back(tmp_path):
    write_sun(tmp_path)
    depth = opened("sun_rgbd/depth", tmp_path, "test")[0]["depth"]
    np.testing.assert_allclose(depth[0, :3], [0, 1.234, 8], rtol=1e-6)
    layouts.write_depth(tmp_path / "depth/train/00000001.png", (0, 9), (6, 8))
    refused("sun_rgbd/depth", tmp_path, "depth is 6 x 8 .* its image is 12 x 16")


def test_sun_validation_is_drawn_from_the_test_split(tmp_path):
    write_sun(tmp_path)
    names = [e["id"] for e in examples(opened("sun_rgbd/depth", tmp_path, "test"))]
    drawn = opened("sun_rgbd/segmentation", tmp_path, "validation")
    assert [e["id"] for e in examples(drawn)] == [
        e["id"] for e in examples(opened("sun_rgbd/depth", tmp_path, "validation"))
    ]
    assert len(drawn) == 2 and {drawn[0]["id"], drawn[1]["id"]} < set(names)
    assert len(sun_rgbd._drawn([("", "")] * 5050)) == 425


def test_sun_as_published(tmp_path):
    folder = "SUNRGBD/kv1/NYUdata/NYU{:04d}"
    for i in range(3):
        trees.write_image(tmp_path / folder.format(i) / f"image/{i}.jpg", seed=i)
        layouts.write_depth(tmp_path / folder.format(i) / f"depth/{i}.png", [8])
    path = tmp_path / sun_rgbd.ALL_SPLITS
    path.parent.mkdir(parents=True)
    names = np.array(["/n/fs/sun3d/data/" + folder.format(i) for i in (2, 0)], object)
    scipy.io.savemat(path, {"alltrain": names, "alltest": names[:1]})
    found = examples(opened("sun_rgbd/depth", tmp_path))
    assert [e["id"][-1] for e in found] == ["2", "0"]
    assert found[0]["depth"].max() == np.float32(0.001)
    (tmp_path / folder.format(0) / "depth/0.png").unlink()
    refused("sun_rgbd/depth", tmp_path, "NYU0000/depth: found 0 images; allowed is one")


def test_sun_broken(tmp_path):
    write_sun(tmp_path)
    (tmp_path / "label37/train/img37labels-000002.png").unlink()
    text = "1 numbers are in only one of image/train and label37/train, .* 2.*Fix"
    refused("sun_rgbd/segmentation", tmp_path, text)
    write_ids(tmp_path / "label37/train/img37labels-000002.png", (38,))
    refused("sun_rgbd/segmentation", tmp_path, "holds ids 38; allowed are 0 to 36")
    (tmp_path / "label37").rename(tmp_path / "labels")
    refused("sun_rgbd/segmentation", tmp_path, "found none of label37/train, label38/")


# ScanNet


def write_scannet(root, label="label", values=(0, 1, 39, 40), size=SHAPE):
    for split, scenes in (("train", ("scene0001_00", "scene0000_00")), ("val", ())):
        (root / f"scannetv2_{split}.txt").write_text("".join(f"{s}\n" for s in scenes))
        for scene in scenes:
            folder = root / "scannet_frames_25k" / scene
            for name in ("000000", "000100"):
                trees.write_image(folder / f"color/{name}.jpg", (24, 32))
                write_ids(folder / f"{label}/{name}.png", values, size, np.uint16)
                layouts.write_depth(folder / f"depth/{name}.png", size=size)


def test_scannet_classes(tmp_path):
    write_scannet(tmp_path)
    expected = {
        "segmentation": [0, 1, 39, 40],
        "40": [IGNORE, 0, 38, 39],
        "20": [IGNORE, 0, 19, IGNORE],
    }
    for variant, ids in expected.items():
        source = opened(f"scannet/{variant}", tmp_path)
        assert source[0]["segmentation"][0, :4].tolist() == ids
        assert source[0]["image"].shape == (*SHAPE, 3)
        assert len(source.dataset.palette) == source.dataset.num_classes
    assert [e["id"] for e in examples(source)] == [
        "scene0001_00/000000",
        "scene0001_00/000100",
        "scene0000_00/000000",
        "scene0000_00/000100",
    ]
    facts = catalogue.find("scannet/segmentation")
    assert facts.num_classes == 41 and facts.background == 0
    assert catalogue.find("scannet/20").classes[-1] == "other furniture"
    assert facts.splits["train"] + facts.splits["validation"] == 19466 + 5436


def test_scannet_labels_of_whole_scans(tmp_path):
    write_scannet(tmp_path, label="label-filt", values=(0, 2, 1163))
    refused("scannet/40", tmp_path, "combined.tsv: file not found")
    table = tmp_path / scannet.TABLE
    table.write_text("id\traw_category\tnyu40id\n2\tdoor\t8\n1163\tthing\t40\n")
    label = opened("scannet/40", tmp_path)[0]["segmentation"]
    assert label[0, :3].tolist() == [IGNORE, 7, 39]
    table.write_text("id\traw_category\tnyu40id\n2\tdoor\t8\n")
    refused("scannet/40", tmp_path, "found the id 1163, which .* does not list")
    table.write_text("id\tcategory\n2\tdoor\n")
    refused("scannet/40", tmp_path, "KeyError.*allowed are whole numbers in the col")


def test_scannet_depth(tmp_path):
    write_scannet(tmp_path)
    example = opened("scannet/depth", tmp_path)[1]
    assert example["image"].shape == (*SHAPE, 3) and example["depth"].shape == SHAPE
    np.testing.assert_allclose(example["depth"][0, :3], [0, 1, 65.535], rtol=1e-6)


def test_scannet_broken(tmp_path):
    write_scannet(tmp_path, size=(12, 24))
    refused("scannet/segmentation", tmp_path, "12 x 24 .* another aspect ratio")
    folder = tmp_path / "scannet_frames_25k/scene0000_00"
    (folder / "label/000100.png").unlink()
    refused("scannet/40", tmp_path, r"images without label: 1, .*000100\.jpg")
    refused("scannet/40", tmp_path, "'validation' holds no records", "validation")
    (tmp_path / "scannetv2_train.txt").write_text("scene0009_00\n")
    refused("scannet/40", tmp_path, "'scene0009_00' is not in .*frames_25k.*Fix")


# NYU


@pytest.fixture
def hdf5(monkeypatch):
    """Writes a file of HDF5 arrays; without h5py a stand-in reads it back."""

    def write_real(path, arrays):
        with sys.modules["h5py"].File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array

    def write_stub(path, arrays):
        with path.open("wb") as file:
            np.savez(file, **arrays)

    try:
        import h5py

        assert h5py
        return write_real
    except ImportError:
        stub = types.ModuleType("h5py")
        stub.File = lambda path, mode: dict(np.load(path))
        monkeypatch.setitem(sys.modules, "h5py", stub)
        return write_stub


def write_nyu(root, write, count=3):
    images = np.arange(count * 3 * 16 * 12, dtype=np.uint8).reshape(count, 3, 16, 12)
    labels = np.tile(np.array([0, 1, 894], np.uint16), (count, 16, 4))
    depths = np.full((count, 16, 12), 2.5, np.float32)
    write(root / nyu.LABELED, dict(images=images, depths=depths, labels=labels))
    splits = {"trainNdxs": [[3], [1]], "testNdxs": [[2]]}
    scipy.io.savemat(root / nyu.SPLITS, splits)
    mapped = np.full((1, 894), 40)
    mapped[0, 0] = 8
    scipy.io.savemat(root / nyu.MAPPING, {"mapClass": mapped})
    return images


def test_nyu_of_the_mat_file(tmp_path, hdf5):
    images = write_nyu(tmp_path, hdf5)
    source = opened("nyu/depth", tmp_path)
    assert [e["id"] for e in examples(source)] == ["0003", "0001"]
    assert dict(source.dataset.splits) == {"train": 795, "test": 654}
    np.testing.assert_array_equal(source[0]["image"], images[2].transpose(2, 1, 0))
    assert source[0]["depth"].shape == SHAPE and source[0]["depth"][0, 0] == 2.5
    example = opened("nyu/segmentation", tmp_path, "test")[0]
    assert example["segmentation"][:3, 0].tolist() == [IGNORE, 7, 39]
    assert len(nyu.CLASSES) == 40


def test_nyu_broken(tmp_path, hdf5):
    write_nyu(tmp_path, hdf5, count=2)
    refused("nyu/depth", tmp_path, "names picture 3, nyu_.* holds 2")
    scipy.io.savemat(tmp_path / nyu.MAPPING, {"mapClass": [[1]]})
    refused("nyu/segmentation", tmp_path, "hold 894; allowed are 0 to 1", "test")
    scipy.io.savemat(tmp_path / nyu.SPLITS, {"other": [1]})
    refused("nyu/depth", tmp_path, "found the variables other; trainNdxs are missing")


def test_nyu_in_files(tmp_path):
    refused("nyu/depth", tmp_path, "found neither nyu_depth_v2_labeled.mat nor images")
    for split, count in (("train", 2), ("test", 1)):
        for i in range(count):
            trees.write_image(tmp_path / f"images/{split}/{i}.jpg", seed=i)
            layouts.write_depth(tmp_path / f"annotations/{split}/{i}.png")
    source = opened("nyu/depth", tmp_path)
    assert dict(source.dataset.splits) == {"train": 2, "test": 1}
    np.testing.assert_allclose(source[1]["depth"][0, :2], [0, 1])
    (tmp_path / "annotations/test/0.png").unlink()
    refused("nyu/depth", tmp_path, "images without depth map: 1, .*test/0.jpg.*Fix")


def test_a_real_picture_of_nyu(real_data):
    root = real_data / "official_layouts/segmentation/pseudo_nyu_dataset"
    example = opened("nyu/depth", root)[0]
    assert example["id"] == "bookstore_0001d_00001"
    assert example["depth"].max() == 10 and example["depth"].shape == (120, 160)


# MATLAB files


def test_mat_files_of_old_versions(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"a": {"b": [1, 2]}, "c": "text", "d": 3})
    found = mat_files.read(path)
    assert found["a"]["b"].tolist() == [1, 2] and found["c"] == "text"
    assert mat_files.read(path, ("d",)) == {"d": 3}
    with pytest.raises(errors.UserError, match=r"found the variables a, c, d; e are"):
        mat_files.read(path, ("d", "e"))
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(errors.UserError, match=r"a\.mat: not a readable MATLAB file"):
        mat_files.read(path)
    with pytest.raises(errors.UserError, match=r"b\.mat: file not found"):
        mat_files.read(tmp_path / "b.mat")


def test_mat_files_of_version_73_need_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + mat_files.HDF5)
    with pytest.raises(errors.UserError, match=r"pip install jaxseg\[mat\]"):
        mat_files.read(path)
    path.write_bytes(b"".ljust(512) + mat_files.HDF5)
    assert mat_files.is_73(path)


def test_mat_files_of_version_73(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(6.0).reshape(3, 2)  # MATLAB's is 2 x 3
        file["text"] = np.array([[ord(c)] for c in "text"], np.uint16)
        file["text"].attrs["MATLAB_class"] = np.bytes_(b"char")
        file["one/two"] = np.array([[7.0]])
        cells = file.create_dataset("cells", (2, 1), h5py.ref_dtype)
        cells[:, 0] = [file["text"].ref, file["one/two"].ref]
    found = mat_files.read(path)
    assert found["numbers"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert found["text"] == "text" and found["one"] == {"two": 7}
    assert found["cells"] == ["text", 7]
    assert mat_files.read(path, ("text",)) == {"text": "text"}


# Depth files of any kind


def write_arrays(root, value=None):
    for i in range(5):
        trees.write_image(root / f"images/{i}.jpg", seed=i)
        (root / "depth").mkdir(exist_ok=True)
        depth = np.full(SHAPE, 2.0, np.float32)
        depth[0, :4] = [np.nan, np.inf, 0, -1] if value is None else value
        np.save(root / f"depth/{i}.npy", depth)


def test_depth_of_arrays(tmp_path):
    write_arrays(tmp_path)
    source = opened("depth/folder", tmp_path, invalid=[-1])
    assert len(source) == 4
    assert source[0]["depth"][0, :5].tolist() == [0, 0, 0, 0, 2]
    refused("depth/folder", tmp_path, "found the depth -1; allowed are 0 .*invalid")
    scaled = opened("depth/folder", tmp_path, invalid=[-1], scale=0.5)
    assert scaled[0]["depth"][0, 4] == 1
    far = opened("depth/folder", tmp_path, invalid=[-1], maximum=1.5)
    assert not far[0]["depth"].any()
    glob = opened("depth/folder", tmp_path, invalid=[-1], depth="depth/*.npy")
    assert len(glob) == 4


def test_depth_of_whole_numbers_is_in_millimetres(tmp_path):
    write_arrays(tmp_path, 1)
    for i in range(5):
        np.save(tmp_path / f"depth/{i}.npy", np.full(SHAPE, 1500, np.uint16))
    depth = opened("depth/folder", tmp_path)[0]["depth"]
    np.testing.assert_allclose(depth, 1.5, rtol=1e-6)
    refused("depth/folder", tmp_path, r"option scale is -1\.0", scale=-1)


def test_split_folders_of_arrays(tmp_path):
    for split in ("train", "val"):
        trees.write_image(tmp_path / f"rgb/{split}/a.jpg")
        (tmp_path / f"depth/{split}").mkdir(parents=True)
        np.save(tmp_path / f"depth/{split}/a.npy", np.ones((*SHAPE, 1), np.float32))
    source = opened("depth/folder", tmp_path, "validation")
    assert source[0]["id"] == "rgb/val/a.jpg" and source[0]["depth"].min() == 1
    (tmp_path / "depth/val/a.npy").unlink()
    refused("depth/folder", tmp_path, r"without depth map: 1.* rgb/val/a\.jpg")


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.ones((*SHAPE, 3), np.float32), r"found float32 \[12, 16, 3\]; allowed"),
        (np.ones(SHAPE, bool), r"found bool \[12, 16\]"),
        (np.ones((6, 8), np.float32), "depth is 6 x 8 "),
        (np.array([{}]), r"not a readable array .*Fix"),
    ],
)
def test_broken_arrays(tmp_path, array, text):
    write_arrays(tmp_path, 1)
    for i in range(5):
        np.save(tmp_path / f"depth/{i}.npy", array)
    refused("depth/folder", tmp_path, text)


def write_exr(root):
    write_arrays(root, 1)
    for i in range(5):
        (root / f"depth/{i}.npy").rename(root / f"depth/{i}.exr")


def test_exr_needs_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    write_exr(tmp_path)
    refused("depth/folder", tmp_path, r"\.exr: .* needs the package OpenEXR.*Fix: pip")


@pytest.mark.parametrize(
    ("channels", "found"),
    [
        ({"Z": 3.0}, 3),
        ({"R": 3.0, "G": 3.0, "B": 3.0}, 3),
        ({"R": 1.0, "G": 2.0, "B": 3.0}, "found the channels B, G, R; allowed for d"),
        ({"A": 1.0, "Z": 2.0}, 2),
    ],
)
def test_exr_channels(tmp_path, monkeypatch, channels, found):
    planes = {
        name: types.SimpleNamespace(pixels=np.full(SHAPE, value, np.float32))
        for name, value in channels.items()
    }
    monkeypatch.setitem(
        sys.modules, "OpenEXR", types.SimpleNamespace(File=Exr(planes).opened)
    )
    write_exr(tmp_path)
    if isinstance(found, str):
        refused("depth/folder", tmp_path, found)
    else:
        assert opened("depth/folder", tmp_path)[0]["depth"].max() == found


def test_real_exr(tmp_path):
    package = pytest.importorskip("OpenEXR")
    write_exr(tmp_path)
    planes = {"Z": np.full(SHAPE, 3, np.float32)}
    for i in range(5):
        with package.File({}, planes) as file:
            file.write(str(tmp_path / f"depth/{i}.exr"))
    assert opened("depth/folder", tmp_path)[0]["depth"].max() == 3


class Exr:
    """What is used of the package OpenEXR."""

    def __init__(self, planes):
        self.channels = lambda: planes

    def opened(self, path, separate_channels):
        assert separate_channels and path.endswith(".exr")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False
