"""Draws labels onto images: masks, boxes, skeletons, depth, legends, sheets."""

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxseg.core.text import visible

Color = tuple[int, int, int]
IGNORE_COLOR: Color = (0, 0, 0)
PAPER: Color = (255, 255, 255)
INK: Color = (20, 20, 20)
# Dark blue to yellow, monotone in lightness: grey prints still show near and far.
DEPTH_STOPS = (
    (13, 8, 85),
    (76, 44, 146),
    (33, 144, 141),
    (122, 209, 81),
    (253, 231, 37),
)
LEGIBLE = 256  # pixels of the longer side, below which names cannot be read
LINE = 12  # height of a line of text in pixels


def default_palette(count: int) -> tuple[Color, ...]:
    """`count` RGB colours, different in hue, then in lightness; always the same.

    >>> default_palette(2)
    ((61, 122, 242), (102, 153, 15))
    """
    colors = []
    for index in range(count):
        hue = (0.61 + index * 0.618034) % 1.0  # golden ratio: no two neighbours alike
        value, saturation = ((0.95, 0.75), (0.6, 0.9), (0.85, 0.4))[index % 3]
        rgb = colorsys.hsv_to_rgb(hue, saturation, value)
        colors.append(tuple(round(255 * channel) for channel in rgb))
    return tuple(colors)


def full_palette(palette: Sequence[Sequence[int]], count: int) -> tuple[Color, ...]:
    """The palette if it has `count` colours, else the default one."""
    if len(palette) >= count:
        return tuple((int(r), int(g), int(b)) for r, g, b in palette)
    return default_palette(count)


def color_ids(ids: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """uint8 [H, W, 3] of class ids [H, W]; black where an id has no colour.

    >>> color_ids(np.array([[0, 255]]), [(200, 30, 30)]).tolist()
    [[[200, 30, 30], [0, 0, 0]]]
    """
    table = np.array([*palette, IGNORE_COLOR], np.uint8)
    return table[np.clip(ids, 0, len(palette))]


def overlay(
    image: np.ndarray,
    ids: np.ndarray,
    palette: Sequence[Sequence[int]],
    alpha: float = 0.6,
) -> np.ndarray:
    """uint8 [H, W, 3]: class colours over the image; ignored pixels are darker."""
    colors = color_ids(ids, palette).astype(np.float32)
    return np.rint(colors * alpha + image * (1 - alpha)).astype(np.uint8)


def boxes(
    image: np.ndarray,
    corners: np.ndarray,
    labels: np.ndarray,
    palette: Sequence[Sequence[int]],
    names: Sequence[str] = (),
    scores: np.ndarray | None = None,
) -> np.ndarray:
    """uint8 [H, W, 3]: outlines of boxes [N, 4] with class names and scores.

    corners: (row0, col0, row1, col1) in [0, 1].
    """
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    height, width = image.shape[:2]
    shares = [""] * len(corners) if scores is None else [f" {s:.2f}" for s in scores]
    rows = zip(corners.tolist(), labels.tolist(), shares)
    for (row0, col0, row1, col1), label, share in rows:
        color = tuple(palette[label % len(palette)])
        left, top = col0 * width, row0 * height
        right, bottom = max(left, col1 * width - 1), max(top, row1 * height - 1)
        pen.rectangle((left, top, right, bottom), outline=color)
        if label < len(names):
            name = visible(names[label], keep="") + share
            pen.text((left + 2, top + 1), name, color, font=_font())
    return np.asarray(canvas)


def keypoints(
    image: np.ndarray,
    points: np.ndarray,
    bones: Sequence[tuple[int, int]] = (),
) -> np.ndarray:
    """uint8 [H, W, 3]: skeletons [N, K, 3] of (row, column, visibility).

    Visible points are filled, occluded ones are circles; bones join points by index.
    """
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    colors = default_palette(points.shape[1])
    radius = max(1, min(image.shape[:2]) // 70)
    for person in points * [image.shape[0], image.shape[1], 1]:
        for a, b in bones:
            if person[a, 2] > 0 and person[b, 2] > 0:
                ends = (person[a, 1], person[a, 0], person[b, 1], person[b, 0])
                pen.line(ends, fill=PAPER)
        for color, (row, col, visibility) in zip(colors, person.tolist()):
            spot = (col - radius, row - radius, col + radius, row + radius)
            if visibility > 0:
                pen.ellipse(spot, fill=color if visibility > 1 else None, outline=color)
    return np.asarray(canvas)


def displayable(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] of an image with any depth and number of channels."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    return image[..., :3] if image.shape[-1] >= 3 else image[..., :1].repeat(3, axis=-1)


def labels(
    image: np.ndarray,
    fields: Mapping[str, np.ndarray],
    palette: Sequence[Sequence[int]],
    names: Sequence[str] = (),
    limits: tuple[float, float] | None = None,
    bones: Sequence[tuple[int, int]] = (),
) -> np.ndarray:
    """uint8 [H, W, 3]: the image with all labels of an example or a prediction.

    Depth replaces the image and has its scale below it, from `limits` in metres or its
    own range. `bones` join keypoints. Box `scores` follow the class names. A small
    image with objects is enlarged so that names do not cover it.

    >>> image = np.zeros((2, 2, 3), np.uint8)
    >>> ids = np.array([[0, 1], [1, 0]])
    >>> labels(image, {"segmentation": ids}, [(100, 0, 0), (0, 100, 0)])[0].tolist()
    [[60, 0, 0], [0, 60, 0]]
    """
    picture = displayable(image)
    if {"boxes", "keypoints"} & fields.keys():
        picture = enlarge(picture, max(1, LEGIBLE // max(picture.shape[:2])))
    if "segmentation" in fields:
        picture = overlay(picture, fields["segmentation"], palette)
    if "boxes" in fields:
        classes = fields.get("box_labels", np.zeros(len(fields["boxes"]), np.int32))
        scores = fields.get("scores")
        picture = boxes(picture, fields["boxes"], classes, palette, names, scores)
    if "keypoints" in fields:
        picture = keypoints(picture, fields["keypoints"], bones)
    if "depth" in fields:
        limits = limits or depth_limits(fields["depth"])
        bar = depth_bar(limits, picture.shape[1])
        picture = np.concatenate([color_depth(fields["depth"], limits), bar])
    return picture


def color_depth(
    depth: np.ndarray, limits: tuple[float, float] | None = None
) -> np.ndarray:
    """uint8 [H, W, 3] of metres [H, W]: near dark, far bright, 0 (unknown) black.

    The scale is logarithmic, since a scene has most detail nearby.
    """
    low, high = np.log(limits or depth_limits(depth))
    metres = np.log(np.maximum(depth, np.exp(low)))
    share = np.clip((metres - low) / max(high - low, 1e-6), 0, 1)
    stops = np.linspace(0, 1, len(DEPTH_STOPS))
    channels = [np.interp(share, stops, values) for values in zip(*DEPTH_STOPS)]
    colors = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return np.where((depth > 0)[..., None], colors, np.uint8(0))


def depth_limits(depth: np.ndarray) -> tuple[float, float]:
    """Smallest and largest known depth in metres; (1, 1) where none is known."""
    known = depth[depth > 0]
    return (float(known.min()), float(known.max())) if known.size else (1.0, 1.0)


def depth_bar(limits: tuple[float, float], width: int) -> np.ndarray:
    """uint8 [H, width, 3]: the scale of depth colours with the metres at both ends."""
    ramp = np.geomspace(*limits, width)[None].repeat(LINE // 2, axis=0)
    text = f"{limits[0]:.1f} m to {limits[1]:.1f} m"
    return np.concatenate([color_depth(ramp, limits), caption(text, width)])


def caption(text: str, width: int) -> np.ndarray:
    """uint8 [LINE, width, 3]: one line of text, cut at the width."""
    canvas = Image.new("RGB", (width, LINE), PAPER)
    line = visible(text, keep="")
    ImageDraw.Draw(canvas).text((2, 0), line, INK, font=_font())
    return np.asarray(canvas)


def legend(
    names: Sequence[str], palette: Sequence[Sequence[int]], width: int
) -> np.ndarray:
    """uint8 [H, width, 3]: a coloured square and a name for each class, in columns."""
    font, names = _font(), [visible(name, keep="") for name in names]
    column = int(max((font.getlength(name) for name in names), default=0)) + 2 * LINE
    columns = max(1, width // column)
    rows = -(-len(names) // columns)
    canvas = Image.new("RGB", (width, max(1, rows) * (LINE + 2)), PAPER)
    pen = ImageDraw.Draw(canvas)
    for index, (name, color) in enumerate(zip(names, palette)):
        left, top = index % columns * column, index // columns * (LINE + 2)
        square = (left + 2, top + 2, left + LINE - 2, top + LINE - 2)
        pen.rectangle(square, fill=tuple(color), outline=INK)
        pen.text((left + LINE + 2, top), name, INK, font=font)
    return np.asarray(canvas)


def contact_sheet(
    pictures: Sequence[np.ndarray], columns: int, gap: int = 4
) -> np.ndarray:
    """uint8 [H, W, 3]: pictures row by row, in cells of the size of the largest one."""
    height = max((picture.shape[0] for picture in pictures), default=1) + gap
    width = max((picture.shape[1] for picture in pictures), default=1) + gap
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * height + gap, columns * width + gap, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = index // columns * height + gap, index % columns * width + gap
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def stack(parts: Sequence[np.ndarray]) -> np.ndarray:
    """uint8 [H, W, 3]: parts below one another, narrower ones filled with white."""
    width = max(part.shape[1] for part in parts)
    padded = []
    for part in parts:
        missing = ((0, 0), (0, width - part.shape[1]), (0, 0))
        padded.append(np.pad(part, missing, constant_values=255))
    return np.concatenate(padded)


def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
    """The image with each pixel repeated `factor` times along both sides."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=10)
