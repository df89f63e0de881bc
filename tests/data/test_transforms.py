"""A marked object stays together: its pixels, class, box, keypoints and depth."""

import dataclasses

import numpy as np
import pytest

from jaxseg.core import errors, images
from jaxseg.data import colors, geometry, transforms
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.normalization import Normalize

RED, METRES, OBJECT = (250, 10, 20), 7.0, 2
FACTS = Dataset(
    fields=("image", "segmentation", "boxes", "box_labels", "keypoints", "depth"),
    domain="synthetic",
    splits={"train": 1},
    version=1,
    size=(24, 32),
    classes=("a", "b", "c"),
    mean=(90.0, 91.0, 92.0),
    std=(10.0, 20.0, 30.0),
    flip_pairs=((0, 1),),
)


def marked(size=(40, 60), box=(10, 20, 22, 36)):
    """One object: red, class 2, 7 m away, two keypoints inside and one unknown."""
    top, left, bottom, right = box
    image = np.full((*size, 3), 100, np.uint8)
    segmentation, depth = np.zeros(size, np.int32), np.full(size, 30, np.float32)
    for array, value in ((image, RED), (segmentation, OBJECT), (depth, METRES)):
        array[top:bottom, left:right] = value
    points = np.array([[top + 3, left + 3, 2], [bottom - 3, right - 3, 1], [0, 0, 0]])
    return {
        "id": "marked",
        "image": image,
        "segmentation": segmentation,
        "depth": depth,
        "boxes": np.array([box], np.float32) / np.float32([*size, *size]),
        "box_labels": np.array([OBJECT], np.int32),
        "keypoints": (points[None] / [*size, 1]).astype(np.float32),
    }


def within(example, slack):
    """bool [H, W]: pixel centres in the boxes made larger by `slack` pixels."""
    height, width = example["image"].shape[:2]
    rows, cols = np.mgrid[:height, :width] + 0.5
    inside = np.zeros((height, width), bool)
    for box in example["boxes"]:
        row0, col0, row1, col1 = box * [height, width, height, width]
        inside |= (
            (rows > row0 - slack)
            & (rows < row1 + slack)
            & (cols > col0 - slack)
            & (cols < col1 + slack)
        )
    return inside


def assert_together(example):
    """All fields agree on where the object is, to a pixel."""
    height, width = example["image"].shape[:2]
    assert example["segmentation"].shape == example["depth"].shape == (height, width)
    core, far = within(example, -1), ~within(example, 1)
    known = example["segmentation"] != IGNORE
    assert (example["segmentation"][core] == OBJECT).all()
    assert (example["depth"][core] == METRES).all()
    assert (np.abs(example["image"][within(example, -2)] - np.float32(RED)) < 2).all()
    assert (example["segmentation"][far & known] == 0).all()
    assert (example["depth"][far & known] == 30).all()
    assert (example["depth"][~known] == 0).all()
    for row, col, visibility in example["keypoints"].reshape(-1, 3):
        if visibility:
            assert within(example, 0)[int(row * height), int(col * width)]


STEPS = {
    "flip": transforms.Flip(pairs=((0, 1),)),
    "rescale": transforms.Rescale(),
    "rescale to a size": transforms.Rescale(0.7, 1.3, height=24, width=24),
    "crop": transforms.Crop(24, 32),
    "crop of a larger canvas": transforms.Crop(64, 64),
    "letterbox": transforms.Letterbox(32, 32),
    "random resized crop, padded": transforms.RandomResizedCrop(24, 32),
    "random resized crop, stretched": transforms.RandomResizedCrop(40, 40, pad=False),
    "small turn": transforms.Rotate(0.0),
    "rescaled crop": transforms.RescaledCrop(
        transforms.Rescale(), transforms.Crop(24, 32)
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_all_fields_move_together(name):
    for seed in range(20):
        example = marked()
        before = {key: np.copy(value) for key, value in example.items()}
        assert_together(STEPS[name](example, np.random.default_rng(seed)))
        for key, value in before.items():  # what came in is never written to
            np.testing.assert_array_equal(example[key], value)


def test_flip_mirrors_and_swaps_pairs():
    flipped = transforms.Flip(pairs=((0, 1),))(marked())
    np.testing.assert_array_equal(flipped["image"], marked()["image"][:, ::-1])
    left, right, unknown = flipped["keypoints"][0]
    np.testing.assert_allclose(left, [19 / 40, 1 - 33 / 60, 1], atol=1e-6)
    np.testing.assert_allclose(right, [13 / 40, 1 - 23 / 60, 2], atol=1e-6)
    np.testing.assert_array_equal(unknown, 0)


def test_flip_twice_is_the_identity():
    flip, example = transforms.Flip(pairs=((0, 1),)), marked()
    twice = flip(flip(example))
    for name, value in example.items():
        if name != "id":
            np.testing.assert_allclose(twice[name], value, atol=1e-6)


def test_flip_happens_as_often_as_asked():
    rng, flip = np.random.default_rng(0), transforms.Flip(0.25)
    example = marked()
    count = sum(flip(example, rng) is not example for _ in range(400))
    assert 70 < count < 130


def test_rescale_stays_in_its_range():
    rng = np.random.default_rng(0)
    step = transforms.Rescale(0.5, 2.0)
    heights = [step(marked(), rng)["image"].shape[0] for _ in range(200)]
    assert min(heights) >= 20 and max(heights) <= 80
    assert min(heights) < 26 and max(heights) > 72
    fitting = transforms.Rescale(height=20, width=20)(marked())
    assert fitting["image"].shape == (13, 20, 3)  # 40 x 60 just fits


def test_crop_holds_the_object_whole():
    crop = transforms.Crop(16, 20)
    for seed in range(30):
        example = crop(marked(), np.random.default_rng(seed))
        assert (example["image"].shape[:2]) == (16, 20)
        assert (example["segmentation"] == OBJECT).sum() == 12 * 16
        np.testing.assert_array_equal(example["keypoints"][0, :2, 2], [2, 1])


def test_crop_holds_the_keypoints_of_an_object_without_a_box():
    example = marked()
    for name in ("boxes", "box_labels"):
        del example[name]
    for seed in range(30):
        cropped = transforms.Crop(12, 20)(example, np.random.default_rng(seed))
        np.testing.assert_array_equal(cropped["keypoints"][0, :2, 2], [2, 1])


def test_crop_drops_what_is_hardly_left_from_all_fields():
    example = marked(box=(0, 0, 30, 30))
    example["boxes"] = np.float32([[0, 0, 0.25, 0.25], [0.2, 0.2, 1, 1]])
    example["box_labels"] = np.int32([1, 2])
    example["area"] = np.float32([50, 60])
    example["keypoints"] = np.float32([[[0.1, 0.1, 2]], [[0.9, 0.9, 2]]])
    cropped = transforms.Crop(10, 15)(example)  # only the first box fits: it is chosen
    assert cropped["box_labels"].tolist() == [1]
    assert cropped["area"].tolist() == [50]  # of the whole object, as it was
    np.testing.assert_allclose(cropped["boxes"], [[0, 0, 1, 1]], atol=1e-6)
    np.testing.assert_allclose(cropped["keypoints"], [[[0.4, 0.4, 2]]], atol=1e-6)


def test_crop_reaches_every_corner_without_objects():
    image = np.arange(100, dtype=np.uint8).reshape(10, 10, 1)
    rng = np.random.default_rng(0)
    crops = (transforms.Crop(9, 9)({"image": image}, rng) for _ in range(60))
    assert {int(c["image"][0, 0, 0]) for c in crops} == {0, 1, 10, 11}


def test_crop_pads_with_what_means_nothing():
    crop = transforms.Crop(50, 70).for_dataset(FACTS)
    example = crop(marked())
    image = Normalize.of(FACTS)(example["image"])
    assert (image[40:] == 0).all() and (image[:, 60:] == 0).all()
    assert (example["segmentation"][40:] == IGNORE).all()
    assert (example["depth"][:, 60:] == 0).all()
    np.testing.assert_allclose(
        example["boxes"], [[10 / 50, 20 / 70, 22 / 50, 36 / 70]], atol=1e-6
    )


def test_crop_takes_the_training_resolution_of_the_dataset():
    crop = transforms.build({"name": "crop"}).for_dataset(FACTS)
    assert (crop.height, crop.width) == FACTS.size
    with pytest.raises(errors.UserError, match="height and width are not set"):
        transforms.Crop().for_dataset(Dataset(("image",), "own", {}, 1))


def test_letterbox_says_where_the_content_is():
    example = transforms.Letterbox(32, 32)(marked(size=(20, 80), box=(2, 3, 14, 20)))
    assert example["scaled"].tolist() == [8, 32]
    assert (example["segmentation"][8:] == IGNORE).all()
    assert (example["segmentation"][:8] != IGNORE).all()
    same = transforms.Letterbox(40, 60)(marked())
    np.testing.assert_array_equal(same["image"], marked()["image"])
    assert same["scaled"].tolist() == [40, 60]


def test_merged_rescale_and_crop_equal_the_two_steps():
    steps = [transforms.Flip(), transforms.Rescale(), transforms.Crop(24, 32)]
    fused = transforms.fuse(steps)
    assert [type(s).__name__ for s in fused] == ["Flip", "RescaledCrop"]
    for seed in range(20):
        one, other = np.random.default_rng(seed), np.random.default_rng(seed)
        slow, fast = marked(), marked()
        for step in steps:
            slow = step(slow, one)
        for step in fused:
            fast = step(fast, other)
        difference = slow["image"].astype(int) - fast["image"]
        assert np.abs(difference).max() <= 1
        for name in ("segmentation", "depth", "boxes", "keypoints"):
            np.testing.assert_array_equal(slow[name], fast[name])


def test_normalization_gives_mean_0_and_deviation_1():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    mean, std = image.mean((0, 1)), image.std((0, 1))
    step = Normalize(tuple(mean.tolist()), tuple(std.tolist()))
    normalized = step(image)
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized.mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(normalized.std((0, 1)), 1, atol=1e-4)
    with pytest.raises(errors.UserError, match="a has 1 channels, mean and std have 3"):
        step(image[..., :1], name="a")


def test_sections():
    built = transforms.build({"name": "rescale", "low": 1, "high": 1.5})
    assert built == transforms.Rescale(1.0, 1.5)
    assert transforms.bind({"name": "flip"}) == {"name": "flip", "probability": 0.5}
    with pytest.raises(errors.UserError, match="Did you mean 'rescale'"):
        transforms.build({"name": "rescal"})
    with pytest.raises(errors.UserError, match="Did you mean 'probability'"):
        transforms.build({"name": "flip", "probabilty": 0.5})
    with pytest.raises(errors.UserError, match="0 < low <= high"):
        transforms.build({"name": "rescale", "low": 3.0})


def test_a_turned_object_stays_under_its_box_and_keypoints():
    step = transforms.Rotate(30.0, visible=0.0)
    for seed in range(20):
        turned = step(marked((60, 60), (20, 22, 36, 40)), np.random.default_rng(seed))
        rows, cols = np.nonzero(turned["segmentation"] == OBJECT)
        hull = [rows.min(), cols.min(), rows.max() + 1, cols.max() + 1]
        np.testing.assert_allclose(turned["boxes"][0] * 60, hull, atol=1.6)
        assert (turned["depth"][turned["segmentation"] == OBJECT] == METRES).all()
        for row, col, visibility in turned["keypoints"][0, :2]:
            place = int(row * 60), int(col * 60)
            assert visibility and turned["segmentation"][place] == OBJECT
            assert np.abs(turned["image"][place] - np.float32(RED)).max() < 60


def test_a_quarter_turn_is_exact():
    example = marked((40, 40), (4, 10, 12, 30))
    turned = geometry.rotate(example, 90.0, (0.0,), 0.0)
    for name in ("segmentation", "depth"):
        np.testing.assert_array_equal(turned[name], np.rot90(example[name]))
    np.testing.assert_allclose(turned["boxes"] * 40, [[10, 4, 30, 12]], atol=1e-4)
    left = turned["keypoints"][0, 0]  # it was at row 7, column 13
    np.testing.assert_allclose(left, [27 / 40, 7 / 40, 2], atol=1e-6)


def test_turning_reveals_what_means_nothing():
    step = transforms.Rotate(45.0).for_dataset(FACTS)
    example = marked((40, 40), (15, 15, 25, 25))
    turned = geometry.rotate(example, 45.0, step.fill, step.visible)
    corner = turned["segmentation"][0, 0]
    assert corner == IGNORE and turned["depth"][0, 0] == 0
    np.testing.assert_array_equal(turned["image"][0, 0], np.rint(FACTS.mean))


def test_random_resized_crops_move_the_pixels_under_the_box():
    step = transforms.RandomResizedCrop(30, 40)
    for seed in range(30):
        cropped = step(marked(), np.random.default_rng(seed))
        assert cropped["image"].shape == (30, 40, 3)
        for box in cropped["boxes"]:
            row, col = (box[:2] + box[2:]) / 2 * (30, 40)
            assert cropped["segmentation"][int(row), int(col)] == OBJECT


def test_a_random_resized_crop_that_cannot_fit_shows_the_whole_image():
    step = transforms.RandomResizedCrop(8, 8)
    window = step.draw_window((10, 100), np.random.default_rng(0))
    assert window == (0, 0, 10, 100)
    example = step(marked((20, 80), (2, 3, 14, 20)), np.random.default_rng(0))
    assert (example["segmentation"][2:] == IGNORE).all()  # padded below
    with pytest.raises(errors.UserError, match="low <= high"):
        transforms.RandomResizedCrop(8, 8, area_low=0.9, area_high=0.5)


@pytest.mark.parametrize("step", [colors.Blur(1.0, 3.0), colors.Jitter()])
def test_photometric_steps_touch_only_the_image(step):
    example = marked()
    before = {key: np.copy(value) for key, value in example.items()}
    changed = step(example, np.random.default_rng(0))
    assert changed["image"].dtype == np.uint8
    assert (changed["image"] != before["image"]).any()
    for name, value in before.items():
        np.testing.assert_array_equal(example[name], value)
        if name != "image":
            assert changed[name] is example[name]


def test_blur_spreads_a_point_and_keeps_its_sum():
    image = np.zeros((21, 21, 1), np.uint16)
    image[10, 10] = 60000
    blurred = colors.Blur(1.0, 4.0)({"image": image}, np.random.default_rng(1))
    assert blurred["image"].dtype == np.uint16 and blurred["image"].max() < 60000
    np.testing.assert_allclose(blurred["image"].sum(dtype=float), 60000, rtol=0.02)


def test_jitter_scales_brightness_contrast_and_saturation():
    image = np.array([[[100, 50, 30], [20, 40, 60]]], np.uint8)
    bright = images.jitter(image, 2.0, 1.0, 1.0)
    np.testing.assert_array_equal(bright, image * 2)
    flat = images.jitter(image, 1.0, 0.0, 1.0)
    assert (flat == 50).all()  # the mean of all
    grey = images.jitter(image, 1.0, 1.0, 0.0)
    np.testing.assert_array_equal(grey[0, :, 0], [60, 40])
    assert images.jitter(image, 9.0, 1.0, 1.0).max() == 255  # cut, not wrapped


def test_jitter_turns_hues():
    image = np.array([[[100, 50, 30], [20, 40, 60], [7, 7, 7]]], np.uint8)
    turned = images.jitter(image, 1.0, 1.0, 1.0, 1 / 3)
    np.testing.assert_array_equal(turned, image[..., [2, 0, 1]])
    np.testing.assert_array_equal(images.jitter(image, 1.0, 1.0, 1.0, 1.0), image)
    half = images.jitter(image, 1.0, 1.0, 1.0, 0.5).astype(int)  # mirrored at grey
    np.testing.assert_array_equal(half, [[[20, 70, 90], [60, 40, 20], [7, 7, 7]]])


@pytest.mark.parametrize("channels", [1, 4])
def test_hues_of_images_without_three_channels_are_refused(channels):
    facts = dataclasses.replace(FACTS, mean=(9.0,) * channels)
    assert colors.Jitter().for_dataset(facts) == colors.Jitter()
    with pytest.raises(errors.UserError, match=f"with {channels} channels.*hue=0"):
        colors.Jitter(hue=0.1).for_dataset(facts)


def test_jitter_and_grey_happen_as_often_as_said():
    image = np.array([[[100, 50, 30], [20, 40, 60]]], np.uint8)
    rng, example = np.random.default_rng(0), {"image": image}
    jitter = colors.Jitter(0.0, 0.0, 0.0, hue=0.5, probability=0.3)
    grey, found = colors.Grey(), {}
    for name, step in (("jitter", jitter), ("grey", grey)):
        made = [step(example, rng)["image"] for _ in range(1000)]
        found[name] = np.mean([not np.array_equal(one, image) for one in made])
    assert found == pytest.approx({"jitter": 0.3, "grey": 0.2}, abs=0.04)
    only = colors.Grey(probability=1.0)(example, rng)["image"]
    np.testing.assert_array_equal(only, [[[60] * 3, [40] * 3]])


def test_normalization_into_a_batch_is_normalization():
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    step = Normalize((90.0, 91.0, 92.0), (10.0, 20.0, 30.0))
    for seen in (image, image[:, ::-1], image[1:5, 2:6]):
        out = np.empty((2, *seen.shape), np.float32)
        step(seen, out[1])
        wanted = (seen.astype(np.float32) - np.float32(step.mean)) / step.std
        np.testing.assert_allclose(out[1], wanted, atol=1e-5)


def test_a_window_of_a_mirrored_image_is_the_mirrored_window():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    for size in ((60, 75), (20, 25), (40, 50)):
        window = (5, 6, 12, 10)
        view, copy = (
            images.resize(each, size, window) for each in (image[:, ::-1], mirrored)
        )
        np.testing.assert_array_equal(view, copy)
        np.testing.assert_array_equal(images.packed(view), view)


def crowded(kind):
    """A crowd (or what counts as little) at the left, an object at the right."""
    example = marked(size=(40, 120), box=(10, 96, 22, 112))
    crowd = np.float32([[0, 0, 1, 0.5]])
    example["boxes"] = np.concatenate([crowd, example["boxes"]])
    example["box_labels"] = np.int32([OBJECT, OBJECT])
    example["keypoints"] = np.repeat(example["keypoints"], 2, axis=0)
    for name in ("crowd", "difficult"):
        example[name] = np.array([kind == name, False])
    if kind == "unknown":
        example["box_labels"][0] = IGNORE
    return example


CROPS = {
    "crop": transforms.Crop(40, 60),
    "rescaled crop": transforms.RescaledCrop(
        transforms.Rescale(1.0, 1.0), transforms.Crop(40, 60)
    ),
}


@pytest.mark.parametrize("kind", ["crowd", "difficult", "unknown"])
@pytest.mark.parametrize("crop", CROPS)
def test_crops_hold_an_object_whole_not_a_crowd(crop, kind):
    for seed in range(20):
        cropped = CROPS[crop](crowded(kind), np.random.default_rng(seed))
        boxes = cropped["boxes"] * [40, 60, 40, 60]
        sides = boxes[-1, 2:] - boxes[-1, :2]  # of the object
        np.testing.assert_allclose(sides, [12, 16], atol=1e-3)


@pytest.mark.parametrize("kind", ["crowd", "difficult", "unknown"])
def test_crops_without_objects_fall_anywhere(kind):
    example = crowded(kind)
    for name in ("boxes", "box_labels", "keypoints", "crowd", "difficult"):
        example[name] = example[name][:1]
    shown = [
        len(transforms.Crop(40, 60)(example, np.random.default_rng(seed))["boxes"])
        for seed in range(40)
    ]
    assert (0 in shown) == (kind == "difficult")  # of a crowd any part is left


@pytest.mark.parametrize("kind", ["crowd", "difficult", "unknown"])
def test_a_sliver_of_a_crowd_is_still_a_crowd(kind):
    example, region = crowded(kind), kind != "difficult"
    example["boxes"][1] = [0.25, 0.45, 0.75, 0.9]  # 54 of 120 columns
    example["area"] = np.float32([7, 8])
    cut = transforms.Crop(40, 65)(example, np.random.default_rng(4))
    assert len(cut["boxes"]) == 1 + region and cut["area"][-1] == 8
    if region:
        left = cut["boxes"][0] * [40, 65, 40, 65]
        assert 0 < left[3] - left[1] < 15 and cut["area"][0] == 7
        assert cut["crowd"].tolist() == [kind == "crowd", False]
        assert len(cut["keypoints"]) == len(cut["box_labels"]) == 2


@pytest.mark.parametrize("kind", ["crowd", "unknown"])
def test_random_resized_crops_and_turns_keep_slivers_of_crowds(kind):
    step = transforms.RandomResizedCrop(40, 40, area_low=0.1, area_high=0.2)
    kept = 0
    for seed in range(40):
        cut = step(crowded(kind), np.random.default_rng(seed))
        _, left, height, width = step.draw_window(
            (40, 120), np.random.default_rng(seed)
        )
        visible = max(0, min(60, left + width) - left) * height
        region = cut["crowd"] | (cut["box_labels"] == IGNORE)
        assert region.sum() == (visible > 0)
        kept += 0 < visible < 0.25 * 60 * 40
    assert kept
    example = crowded(kind)
    example["boxes"] = np.float32([[0.9, 0, 1, 0.02], [0.4, 0.4, 0.6, 0.6]])
    turned = geometry.rotate(example, 8.0, (0.0,), visible=0.9)
    back = geometry.rotate(example, -8.0, (0.0,), visible=0.9)
    assert {len(turned["boxes"]), len(back["boxes"])} == {1, 2}
