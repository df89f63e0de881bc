"""Drawings have the right size and put the right colour in the right place."""

import itertools

import numpy as np

from jaxseg.core import draw

GREY = np.full((40, 60, 3), 100, np.uint8)
PALETTE = ((255, 0, 0), (0, 255, 0))


def test_default_palette_is_distinct_and_grows_without_changing():
    palette = draw.default_palette(40)
    assert len(set(palette)) == 40 and palette[:10] == draw.default_palette(10)
    near = [np.abs(np.subtract(a, b)).sum() for a, b in itertools.pairwise(palette)]
    assert min(near) > 60
    assert draw.full_palette(PALETTE, 2) == PALETTE
    assert draw.full_palette(PALETTE, 3) == draw.default_palette(3)


def test_overlay_mixes_and_ignored_pixels_are_dark():
    ids = np.zeros((40, 60), np.int32)
    ids[:, 30:] = 1
    ids[0] = 255
    picture = draw.overlay(GREY, ids, PALETTE, alpha=0.5)
    assert picture[20, 10].tolist() == [178, 50, 50]
    assert picture[20, 40].tolist() == [50, 178, 50]
    assert picture[0, 0].tolist() == [50, 50, 50]


def test_ignored_pixels_are_black_with_any_number_of_classes():
    for count in (1, 255, 256, 1001):
        palette = draw.default_palette(count)
        ids = np.array([[0, count - 1, count, 65535]], np.int32)
        colors = draw.color_ids(ids, palette)
        expected = [palette[0], palette[-1], draw.IGNORE_COLOR, draw.IGNORE_COLOR]
        assert colors[0].tolist() == list(map(list, expected))


def test_boxes_and_keypoints_land_where_they_belong():
    corners = np.array([[0.25, 0.5, 0.75, 1.0]], np.float32)
    picture = draw.boxes(GREY, corners, np.array([1]), PALETTE, names=("a", "b"))
    assert picture[10, 40].tolist() == [0, 255, 0]
    assert (picture[:10] == 100).all() and (picture[:, :30] == 100).all()
    points = np.array([[[0.5, 0.5, 2], [0.25, 0.25, 0]]], np.float32)
    picture = draw.keypoints(GREY, points, bones=((0, 1),))
    assert picture[20, 30].tolist() == list(draw.default_palette(2)[0])
    assert (picture[:15] == 100).all()
    assert (GREY == 100).all()


def test_depth_colours_are_ordered_and_unknown_is_black():
    depth = np.array([[0.0, 1.0, 3.0, 10.0]], np.float32)
    colors = draw.color_depth(depth).astype(int).sum(axis=-1)[0]
    assert colors[0] == 0 and (np.diff(colors) > 0).all()
    assert (draw.color_depth(np.zeros((2, 2), np.float32)) == 0).all()
    assert draw.depth_bar((1.0, 10.0), 50).shape[1:] == (50, 3)


def test_sheets_legends_and_stacks_have_room_for_all():
    small = np.zeros((10, 20, 3), np.uint8)
    sheet = draw.contact_sheet([GREY, small, small], columns=2)
    assert sheet.shape == (2 * 44 + 4, 2 * 64 + 4, 3)
    key = draw.legend(("road", "sky"), PALETTE, 200)
    assert key.shape[1] == 200 and (key == PALETTE[1]).all(axis=-1).any()
    assert draw.stack([sheet, key]).shape[1] == 200
    assert draw.enlarge(small, 3).shape == (30, 60, 3)
