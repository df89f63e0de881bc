"""Own masks in colours: tables of classes as people have them."""

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.readers import mask_files
from jaxseg.data.tools import guess
from tests.data import trees

FOLDER = "folder/segmentation"
TABLE = {"sky": (0, 0, 255), "road": (128, 64, 128), "void": (0, 0, 0)}
COLORS = [[name, *color] for name, color in TABLE.items()]


@pytest.fixture
def root(tmp_path):
    """Three images, each with a mask of three stripes."""
    for number in range(3):
        trees.write_image(tmp_path / f"images/{number}.jpg", (6, 9))
        stripes = np.repeat(np.array([*TABLE.values()], np.uint8), 3, axis=0)
        mask = np.broadcast_to(stripes, (6, 9, 3))
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / f"masks/{number}.png")
    return tmp_path


def opened(root, **options):
    return source_lib.open(FOLDER, split="train", root=root, options=options)


def refused(text, root, **options):
    with pytest.raises(errors.UserError, match=f"(?s){text}"):
        opened(root, **options)[0]


def test_colours_become_classes_in_order(root):
    source = opened(root, colors=COLORS)
    assert source.dataset.classes == tuple(TABLE)
    assert source.dataset.palette == tuple(TABLE.values())
    assert source[0]["segmentation"][5].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_ids_join_and_ignore_places_of_the_table(root):
    source = opened(root, colors=COLORS, ids={2: 255})
    assert source.dataset.classes == ("sky", "road")
    assert source[0]["segmentation"][0, ::4].tolist() == [0, 1, IGNORE]
    joined = opened(root, colors=COLORS, ids={1: 0, 2: 1})
    assert joined.dataset.classes == ("sky", "void")
    refused("without a gap", root, colors=COLORS, ids={1: 3})


@pytest.mark.parametrize(
    "text",
    [
        "0 sky 0 0 255\n1 road 128 64 128\n2 void 0 0 0\n",
        "0 0 255\tsky\n128 64 128\troad\n0 0 0\tvoid\n",
        "name,r,g,b\nsky,0,0,255\nroad,128,64,128\n\nvoid,0,0,0\n",
        "# label:color:parts\nsky:0,0,255::\nroad:128,64,128::\nvoid:0,0,0::",
    ],
    ids=["camvid", "label_colors", "class_dict", "labelmap"],
)
def test_tables_in_files(root, text):
    (root / "table.txt").write_text(text)
    assert mask_files.color_table("table.txt", root) == TABLE
    before = catalogue.fingerprint(FOLDER, root=root, options={"colors": "table.txt"})
    (best, *_) = guess.guess(root)
    assert best.name == FOLDER and best.options == {"colors": "table.txt"}
    (root / "table.txt").write_text(text.replace("sky", "air"))
    after = catalogue.fingerprint(FOLDER, root=root, options={"colors": "table.txt"})
    assert before != after


def test_a_name_of_several_words(tmp_path):
    (tmp_path / "t.txt").write_text("traffic light 1 2 3\n7 9 7 8 9\n")
    found = mask_files.color_table("t.txt", tmp_path)
    assert found == {"traffic light": (1, 2, 3), "9": (7, 8, 9)}


@pytest.mark.parametrize(
    "text, message",
    [
        ("sky 0 0\nroad 1 1 1\n", r"t.txt:1: found 'sky 0 0'; allowed"),
        ("sky 0 0 256\nroad 1 1 1\n", "t.txt: found .*256.*0 to 255"),
        ("sky 1 1 1\nroad 1 1 1\n", "colour of its own"),
        ("sky 1 1 1\nsky 2 2 2\n", "a name and a colour of its own"),
        ("nothing\n", "found nothing; allowed are two or more"),
    ],
)
def test_wrong_tables(root, text, message):
    (root / "t.txt").write_text(text)
    refused(message, root, colors="t.txt")


def test_what_contradicts_itself(root):
    refused("t.txt: file not found", root, colors="t.txt")
    refused("binary and colors both", root, colors=COLORS, binary=True)
    refused("colors and classes both", root, colors=COLORS, classes=["a", "b"])
    text = r"0.png: found the colour \[0, 0, 0\] at row 0, column 6.*or the colours"
    refused(text, root, colors=COLORS[:2])
    refused("one channel.*colors=", root)
