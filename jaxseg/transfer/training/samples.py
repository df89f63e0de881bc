"""Pictures of a model's first predictions, for the report and TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorboardX
from PIL import Image

from jaxseg.core import draw
from jaxseg.data import dataset
from jaxseg.tasks import task as tasks


def write(
    predictions: Sequence[Mapping[str, Any]],
    task: tasks.Task,
    facts: dataset.Dataset,
    folder: Path,
    step: int,
) -> None:
    """Image, truth and prediction of each of `Evaluator.predictions`, in
    `folder/samples` and in its events.
    """
    (folder / "samples").mkdir(exist_ok=True)
    style: dict[str, Any] = {"names": facts.classes, "bones": facts.skeleton}
    style["palette"] = draw.full_palette(facts.palette, facts.num_classes)
    events = str(folder / "events")
    with tensorboardX.SummaryWriter(events, filename_suffix=".samples") as writer:
        for index, entry in enumerate(predictions):
            pictures = _pictures(entry, task, style)
            for name, picture in pictures.items():
                path = folder / "samples" / f"{index:03d}_{name}.png"
                Image.fromarray(picture).save(path)
            row = draw.contact_sheet(list(pictures.values()), columns=len(pictures))
            writer.add_image(f"samples/{index:03d}", row, step, dataformats="HWC")


def _pictures(
    entry: Mapping[str, Any], task: tasks.Task, style: dict[str, Any]
) -> dict[str, Any]:
    image, truth = entry["example"]["image"], task.truth(entry["example"])
    if "depth" in truth:  # on one scale, or they could not be compared
        style = style | {"limits": draw.depth_limits(truth["depth"])}
    return {
        "image": draw.displayable(image),
        "truth": draw.labels(image, truth, **style),
        "prediction": draw.labels(image, entry["prediction"], **style),
    }
