"""Draws examples with their labels onto one sheet."""

from collections.abc import Iterator

import numpy as np

from jaxseg.core import draw, images
from jaxseg.core.types import Example
from jaxseg.data import recipes, transforms
from jaxseg.data.dataset import Dataset
from jaxseg.data.source import Source

SIDE = 240  # small images are enlarged, large ones reduced, to about this


def sheet(source: Source, count: int, recipe: str | None) -> np.ndarray:
    """uint8 [H, W, 3]: `count` examples, spread over the source, and the legend.

    recipe: draws each a second time, as a training with this augmentation may see it.
    """
    chosen = np.linspace(0, len(source) - 1, min(count, len(source))).astype(int)
    facts, pictures = source.dataset, []
    for index in chosen:
        example = source[int(index)]
        pictures.append(draw_example(example, facts))
        if recipe is not None:
            example = augment(example, facts, recipe, seed=int(index))
            pictures.append(draw_example(example, facts))
    drawn = draw.contact_sheet(pictures, columns=4)
    palette = draw.full_palette(facts.palette, facts.num_classes)
    return draw.stack([drawn, draw.legend(facts.classes, palette, drawn.shape[1])])


def draw_example(example: Example, facts: Dataset) -> np.ndarray:
    """uint8 [H, W, 3]: the image, its labels and its depth side by side, named."""
    side = max(example["image"].shape[:2])
    if side > SIDE:
        size = images.scaled_size(example["image"].shape[:2], SIDE / side)
        example = transforms.scale_to(example, size)
    factor = max(1, SIDE // max(example["image"].shape[:2]))
    image = draw.enlarge(draw.displayable(example["image"]), factor)
    panels = [image, *_label_panels(example, facts, image, factor)]
    text = str(example["id"])
    if "label" in example:
        text = f"{facts.classes[int(example['label'])]}  {text}"
    if "depth" in example:
        near, far = draw.depth_limits(example["depth"])
        text += f"  {near:.1f} m to {far:.1f} m"
    picture = np.concatenate(panels, axis=1)
    return draw.stack([picture, draw.caption(text, picture.shape[1])])


def augment(example: Example, facts: Dataset, recipe: str, seed: int) -> Example:
    """The example as training may see it, at its own size if the facts have none."""
    size = facts.size or example["image"].shape[:2]
    rng = np.random.default_rng(seed)
    for section in recipes.sized(recipe, *size):
        example = transforms.build(section).for_dataset(facts)(example, rng)
    return example


def _label_panels(
    example: Example, facts: Dataset, image: np.ndarray, factor: int
) -> Iterator[np.ndarray]:
    palette = draw.full_palette(facts.palette, facts.num_classes)
    labelled = image
    if "segmentation" in example:
        ids = draw.enlarge(example["segmentation"], factor)
        labelled = draw.overlay(labelled, ids, palette)
    if "boxes" in example:
        labels = example.get("box_labels", np.zeros(len(example["boxes"]), np.int32))
        labelled = draw.boxes(labelled, example["boxes"], labels, palette)
    if "keypoints" in example:
        labelled = draw.keypoints(labelled, example["keypoints"], facts.skeleton)
    if labelled is not image:
        yield labelled
    if "depth" in example:
        depth = draw.enlarge(example["depth"], factor)
        yield draw.color_depth(depth)
