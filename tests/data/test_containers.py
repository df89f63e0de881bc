"""Tables of files, prepared sets of TFDS, shards of encoded images."""

import io
import json
import pickle
import sys
import types

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.datasets import shards, table
from jaxseg.data.datasets import tfds as reader
from jaxseg.data.readers import csv_tables, file_cache
from tests.data import layouts, trees

SHAPE = (12, 16)


def opened(name, root, split="train", /, **options):
    return source_lib.open(name, split=split, root=root, options=options)


def examples(source):
    return [source[i] for i in range(len(source))]


def refused(name, root, text, split="train", /, **options):
    with pytest.raises(errors.UserError, match=text):
        examples(opened(name, root, split, **options))


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def picture(value, shape=(*SHAPE, 3)):
    return np.full(shape, value, np.uint8)


# Tables


def write_table(root, lines, header="image,mask,label,depth", name="train.csv"):
    for i in range(3):
        trees.write_image(root / f"a b/{i}.jpg", seed=i)
        trees.write_mask(root / f"masks/{i}.png", values=(0, 1, 255))
        layouts.write_depth(root / f"depth/{i}.png", (0, 500, 65535))
    root.joinpath(name).write_text("\n".join([header, *lines]) + "\n")


def line(i, label):
    return f"a b/{i}.jpg,masks/{i}.png,{label},depth/{i}.png"


LINES = [line(0, "dog"), "", line(1, "cat"), line(2, "dog")]


def test_a_table_of_labels(tmp_path):
    write_table(tmp_path, LINES)
    source = opened("table/classification", tmp_path)
    assert source.dataset.classes == ("cat", "dog")
    assert [int(e["label"]) for e in examples(source)] == [1, 0, 1]
    assert source[1]["id"] == "a b/1.jpg" and source[0]["label"].dtype == np.int32
    named = opened("table/classification", tmp_path, classes=["dog", "cat", "cow"])
    assert [int(e["label"]) for e in examples(named)] == [0, 1, 0]
    (tmp_path / "classes.txt").write_text("cow\ncat\ndog\n")
    assert opened("table/classification", tmp_path).dataset.classes[0] == "cow"


def test_a_table_of_numbers(tmp_path):
    write_table(tmp_path, [line(0, 2), line(1, 0)])
    source = opened("table/classification", tmp_path)
    assert source.dataset.classes == ("class_0", "class_1", "class_2")
    assert [int(e["label"]) for e in examples(source)] == [2, 0]
    text = r"train\.csv:2: label is '2'; allowed are a, b or 0 to 1.*Fix"
    refused("table/classification", tmp_path, text, classes=["a", "b"])


@pytest.mark.parametrize(
    "labels, text",
    [
        ((1, "cat", 2), r"train\.csv:3: found the label 'cat' beside 1, 2; .*Fix"),
        ((-1, 0, 1), r"train\.csv:2: found the label '-1' beside 0, 1"),
        (("1.0", "0.0"), r"train\.csv:3: found the label '0\.0' beside such numbers"),
        ((1, 32000), r"train\.csv:3: found the label 32000 among 2 different ones"),
        ((65535, 0), r"train\.csv:2: found the label 65535 .* from 0 to 65534"),
    ],
)
def test_labels_that_are_no_numbers_of_classes(labels, text, tmp_path):
    write_table(tmp_path, [line(i, label) for i, label in enumerate(labels)])
    refused("table/classification", tmp_path, text)
    named = [str(label) for label in dict.fromkeys(labels)]
    source = opened("table/classification", tmp_path, classes=named)
    assert [int(e["label"]) for e in examples(source)] == [0, 1, 2][: len(labels)]


def test_names_may_begin_with_digits(tmp_path):
    write_table(tmp_path, [line(0, "7up"), line(1, "2 cats")])
    source = opened("table/classification", tmp_path)
    assert source.dataset.classes == ("2 cats", "7up")


def test_a_table_of_masks_and_depth(tmp_path):
    write_table(tmp_path, LINES)
    refused("table/segmentation", tmp_path, r"0 names of classes; .*classes\.txt")
    source = opened("table/segmentation", tmp_path, classes=["a", "b"])
    assert source[0]["segmentation"][0, :3].tolist() == [0, 1, IGNORE]
    mapped = opened("table/segmentation", tmp_path, classes=["a", "b"], ids={"1": 0})
    assert set(np.unique(mapped[0]["segmentation"])) == {0, IGNORE}
    depth = opened("table/depth", tmp_path, scale=0.01, invalid=[65535])[0]["depth"]
    np.testing.assert_allclose(depth[0, :3], [0, 5, 0])


def test_splits_of_tables(tmp_path):
    write_table(tmp_path, LINES)
    write_table(tmp_path, LINES[:1], name="val.csv")
    facts = catalogue.describe("table/depth", root=tmp_path)
    assert dict(facts.splits) == {"train": 3, "validation": 1}
    (tmp_path / "lists").mkdir()
    below = [f"../{each}" for each in (line(0, 0).replace(",", ",../"),)]
    header = "image,mask,label,depth"
    (tmp_path / "lists/x.csv").write_text("\n".join([header, *below]))
    tables = {"train": "lists/x.csv"}
    source = opened("table/depth", tmp_path, tables=tables)
    assert len(source) == 1 and source[0]["image"].shape == (*SHAPE, 3)
    for name in ("val.csv", "train.csv"):
        (tmp_path / name).rename(tmp_path / f"my_{name}")
    refused("table/depth", tmp_path, r"found the tables .*my_train.csv.*Fix")
    (tmp_path / "my_val.csv").unlink()
    facts = catalogue.describe("table/depth", root=tmp_path)
    assert dict(facts.splits) == {"train": 2, "validation": 1}


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["a b/0.jpg,masks/0.png,dog"], r"train\.csv:2: found 3 values .* are 4"),
        ([line(0, 1), ",x,1,y"], r"train\.csv:3: .*image and depth not empty"),
        ([line(0, 1), "", line(7, 1)], r"train\.csv:4: .*7\.jpg: file not found"),
        (["a b/0.jpg,m,1,masks/0.png"], r"train\.csv:2: .* allowed for depth are 16"),
        ([line(0, '"a"b')], r"train\.csv:2: not CSV .*Fix: correct the line"),
    ],
)
def test_broken_lines_are_named(tmp_path, lines, text):
    write_table(tmp_path, lines)
    refused("table/depth", tmp_path, text)


def test_a_header_is_required(tmp_path):
    write_table(tmp_path, [], header=line(0, "dog"))
    refused(
        "table/depth", tmp_path, r"train\.csv:1: found the columns a b/0\.jpg, .*Fix"
    )
    write_table(tmp_path, [], header="")
    refused("table/depth", tmp_path, r"train\.csv:1: found the columns none")
    write_table(tmp_path, LINES, header="image,mask,label,label")
    refused("table/classification", tmp_path, "allowed is a header .*, each once")


def test_the_digest_of_a_table_follows_its_files(tmp_path):
    write_table(tmp_path, LINES)
    before = catalogue.fingerprint("table/depth", root=tmp_path)
    layouts.write_depth(tmp_path / "depth/1.png", (7, 8))
    after = catalogue.fingerprint("table/depth", root=tmp_path)
    assert after != before
    write_table(tmp_path, LINES[:1])
    assert catalogue.fingerprint("table/depth", root=tmp_path) != after


# TensorFlow Datasets


def write_tfds(root, name="tiny", version="1.0.0", kind="array_record", count=3):
    """A prepared set, written without TensorFlow."""
    import tensorflow_datasets as tfds
    from array_record.python import array_record_module

    folder = root / name / version
    folder.mkdir(parents=True)
    classes = tfds.features.ClassLabel(names=["cat", "dog"])
    flags = dict(is_crowd=np.bool_)
    features = dict(
        image=tfds.features.Image(shape=(None, None, 3)),
        segmentation_mask=tfds.features.Image(shape=(None, None, 1)),
        label=classes,
        objects=tfds.features.Sequence(
            dict(bbox=tfds.features.BBoxFeature(), label=classes, **flags)
        ),
    )
    tfds.features.FeaturesDict(features).save_config(folder)
    short = name.split("/")[0]
    split = dict(name="train", shardLengths=[str(count)], numBytes="100")
    split |= dict(filepathTemplate="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}")
    info = dict(name=short, version=version, fileFormat=kind, splits=[split])
    (folder / "dataset_info.json").write_text(json.dumps(info))
    path = folder / f"{short}-train.array_record-00000-of-00001"
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    for i in range(count):
        writer.write(tf_example(i))
    writer.close()
    return path


def tf_example(i):
    from tensorflow_datasets.proto import tf_example_pb2

    example = tf_example_pb2.Example()
    features = example.features.feature
    features["image"].bytes_list.value.append(png(picture(i)))
    features["segmentation_mask"].bytes_list.value.append(png(picture(i, SHAPE)))
    features["label"].int64_list.value.append(i % 2)
    boxes = [0, 0, 0.5, 0.25] + [0.5, 0.5, 0.5, 0.75]  # the second has no area
    features["objects/bbox"].float_list.value.extend(boxes * (i > 0))
    for name in ("label", "is_crowd"):
        features[f"objects/{name}"].int64_list.value.extend([1, 0] * (i > 0))
    return example.SerializeToString()


def test_tfds_without_tensorflow(tmp_path):
    write_tfds(tmp_path)
    source = opened("tfds/classification", tmp_path, name="tiny")
    assert source.dataset.classes == ("cat", "dog")
    assert dict(source.dataset.splits) == {"train": 3}
    assert [int(e["label"]) for e in examples(source)] == [0, 1, 0]
    assert source[2]["image"].shape == (*SHAPE, 3) and source[2]["image"].max() == 2
    assert source[2]["id"] == "tiny/train/2" and "tensorflow" not in sys.modules
    assert len(pickle.loads(pickle.dumps(source))) == 3


def test_tfds_masks(tmp_path):
    write_tfds(tmp_path)
    options = dict(name="tiny", classes=["a", "b"], ids={"2": 255})
    source = opened("tfds/segmentation", tmp_path, **options)
    found = [int(e["segmentation"].max()) for e in examples(source)]
    assert found == [0, 1, IGNORE] and source[0]["segmentation"].shape == SHAPE
    refused("tfds/segmentation", tmp_path, "names of classes", name="tiny")
    text = r"image is \[12, 16, 3\]; allowed are masks of ids"
    refused("tfds/segmentation", tmp_path, text, **options, label="image")


def test_tfds_boxes(tmp_path):
    write_tfds(tmp_path)
    source = opened("tfds/detection", tmp_path, name="tiny")
    assert source[0]["boxes"].shape == (0, 4) and source.dataset.num_classes == 2
    assert source[1]["boxes"].tolist() == [[0, 0, 0.5, 0.25]]
    assert source[1]["box_labels"].tolist() == [1]
    assert source[1]["crowd"].tolist() == [True]
    assert source[1]["difficult"].tolist() == [False]


def test_tfds_versions_and_configurations(tmp_path):
    for version in ("1.9.0", "1.10.0"):
        write_tfds(tmp_path, version=version)
    assert reader.find_folder(tmp_path, "tiny").name == "1.10.0"
    assert reader.find_folder(tmp_path, "tiny:1.9.0").name == "1.9.0"
    write_tfds(tmp_path, name="other/big", count=2)
    refused(
        "tfds/detection", tmp_path, "has the configurations other/big", name="other"
    )
    assert len(opened("tfds/detection", tmp_path, name="other/big")) == 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "no data set named.*Fix: give the option name"),
        ({"name": "tny"}, "tny is not prepared here; found tiny.*install tensorflow"),
        ({"name": "tiny:2.0.0"}, "tiny:2.0.0 is not prepared here"),
        ({"name": "tiny", "image": "img"}, "'img' is missing; found .*image=NAME"),
        ({"name": "tiny", "label": "image"}, "'image' has no named classes; .*Fix"),
    ],
)
def test_tfds_errors(tmp_path, options, text):
    write_tfds(tmp_path)
    refused("tfds/classification", tmp_path, text, **options)


def test_tfds_of_another_format_or_broken(tmp_path):
    write_tfds(tmp_path, kind="tfrecord")
    text = "file format tfrecord; allowed is array_record.*Fix"
    refused("tfds/classification", tmp_path, text, name="tiny")
    write_tfds(tmp_path, name="broken").write_bytes(b"nothing")
    text = "broken/train/0: cannot be read.*Fix"
    refused("tfds/classification", tmp_path, text, name="broken")


def test_tensorflow_sees_no_accelerator(monkeypatch):
    hidden = []
    config = types.SimpleNamespace(
        set_visible_devices=lambda devices, kind: hidden.append((devices, kind))
    )
    stub = types.SimpleNamespace(config=config)
    monkeypatch.setitem(sys.modules, "tensorflow", stub)
    reader._hide_accelerators()
    assert hidden == [([], "GPU"), ([], "TPU")]


# Shards


def rows(count, **changed):
    return [
        dict(image=png(picture(i)), mask=png(picture(i % 3, SHAPE)), label=i % 3)
        | changed
        for i in range(count)
    ]


KINDS = [shards.ARRAY_RECORD, shards.PARQUET]


@pytest.mark.parametrize("kind", KINDS)
def test_shards(tmp_path, kind):
    shards.write(tmp_path, "train", rows(7), shards=3, kind=kind)
    shards.write(tmp_path, "val", rows(2, id="x"), kind=kind)
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    source = opened("shards/classification", tmp_path)
    assert dict(source.dataset.splits) == {"train": 7, "validation": 2}
    assert [int(e["label"]) for e in examples(source)] == [0, 1, 2, 0, 1, 2, 0]
    assert [int(e["image"].max()) for e in examples(source)] == list(range(7))
    assert source[2]["id"] == f"train-00001-of-00003.{kind}:0"
    assert opened("shards/classification", tmp_path, "validation")[0]["id"] == "x"
    masks = opened("shards/segmentation", tmp_path, ids={2: 255})
    assert int(masks[5]["segmentation"].max()) == IGNORE
    assert masks[4]["segmentation"].shape == SHAPE and masks.dataset.num_classes == 3
    assert examples(pickle.loads(pickle.dumps(masks)))[1]["segmentation"].max() == 1


def test_parquet_of_many_groups_and_structs(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    values = [row | {"image": {"bytes": row["image"], "path": "x"}} for row in rows(9)]
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(values), tmp_path / "train.parquet", row_group_size=2
    )
    source = opened("shards/classification", tmp_path, classes=["a", "b", "c"])
    assert [int(e["image"].max()) for e in examples(source)] == list(range(9))


def test_large_groups_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "GROUP_BYTES", 10)
    shards.write(tmp_path, "train", rows(3), kind=shards.PARQUET)
    refused("shards/segmentation", tmp_path, "found a row group of .*row_group_size")


def test_parquet_needs_its_package(tmp_path, monkeypatch):
    shards.write(tmp_path, "train", rows(3), kind=shards.PARQUET)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused("shards/segmentation", tmp_path, "need the package pyarrow.*pip install")


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"image": None}, "_record:0: image is missing; found image, mask, label"),
        ({"image": "a.jpg"}, "image is str; allowed are the bytes"),
        ({"image": b"none"}, "train-00000-of-00001.array_record:0: image is not a rea"),
        (
            {"mask": png(picture(1))},
            "found PNG with RGB pixels, allowed is one channel",
        ),
        ({"mask": png(picture(9, SHAPE))}, "holds ids 9; allowed are 0 to 1"),
        ({"mask": png(picture(1, (6, 8)))}, "segmentation is 6 x 8 "),
    ],
)
def test_broken_records(tmp_path, changed, text):
    shards.write(tmp_path, "train", rows(2, **changed))
    refused("shards/segmentation", tmp_path, text, classes=["a", "b"])


def test_broken_shards(tmp_path):
    name, given = "shards/classification", dict(classes=["a", "b", "c"])
    refused(name, tmp_path, "found no shards; allowed are files such as", **given)
    shards.write(tmp_path, "train", rows(3, label="cat"), shards=3)
    refused(name, tmp_path, "0: label is 'cat'; allowed is the number", **given)
    refused(name, tmp_path, "found 0 names of classes")
    path = tmp_path / "train-00001-of-00003.array_record"
    for content in (b"", b"nothing", path.read_bytes()[:-100]):
        path.write_bytes(content)
        refused(name, tmp_path, "00001-of-00003.array_record: cannot be read", **given)
    path.unlink()
    refused(
        name, tmp_path, r"train lies in 2 files, .*numbered from 00000.*Fix", **given
    )


def test_names_of_classes(tmp_path):
    with pytest.raises(errors.UserError, match=r"\['a'\] more than once"):
        table.named_classes(tmp_path, ["a", "a"])


def read_csv(folder, text):
    path = folder / "t.csv"
    path.write_bytes(text.encode())
    return csv_tables.read(file_cache.stamp(path))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block", [1, 2, 1 << 16])
def test_lines_are_split_as_csv_does(tmp_path, monkeypatch, newline, block):
    monkeypatch.setattr(csv_tables, "BLOCK", block)
    lines = ["image, label", " a b.jpg ,dog", "", '"x, y.jpg", "c""t"', "ü.jpg,cat"]
    found = read_csv(tmp_path, "\ufeff" + newline.join(lines))
    found = pickle.loads(pickle.dumps(found))
    assert found.columns == ["image", "label"] and len(found) == 3
    rows = [found.row(i) for i in range(3)]
    assert rows == [["a b.jpg", "dog"], ["x, y.jpg", 'c"t'], ["ü.jpg", "cat"]]
    found.check(("image", "label"))
    assert found.codes("label")[1] == ["dog", 'c"t', "cat"]
    assert found.codes("label")[0].tolist() == [0, 1, 2]
    assert found.where(2).endswith("t.csv:5")


@pytest.mark.parametrize("block", [1, 2, 1 << 16])
@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("x.jpg, ", r"t\.csv:4: found 2 values .*image and label not empty"),
        (",cat", r"t\.csv:4: found 2 values .*not empty"),
        ("x.jpg", r"t\.csv:4: found 1 values .*allowed are 2"),
        ("x.jpg,a,b", r"t\.csv:4: found 3 values"),
        ('"x.jpg,a', r"t\.csv:4: not CSV .*a quote ends on the line"),
    ],
)
def test_the_first_wrong_line_is_named(tmp_path, monkeypatch, block, line, text):
    monkeypatch.setattr(csv_tables, "BLOCK", block)
    found = read_csv(tmp_path, f"image,label\na,1\n\n{line}\nb,2\n,\n")
    with pytest.raises(errors.UserError, match=text):
        found.check(("image", "label"))


def test_a_table_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "train.csv").write_bytes(b"image,label\na\xff.jpg,1\n")
    refused("table/classification", tmp_path, r"train\.csv: cannot be read as UTF-8")
