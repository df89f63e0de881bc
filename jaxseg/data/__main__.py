r"""What data there are, how they look, and whether they are whole.

python -m jaxseg.data list
python -m jaxseg.data show camvid/11
python -m jaxseg.data preview worlds/driving_day --output sheet.png --augment
python -m jaxseg.data preview folder/segmentation --root DIR --options '{"binary":true}'
python -m jaxseg.data check camvid/11 --root DIR
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import draw, errors, images
from jaxseg.core.types import Example
from jaxseg.data import dataset, sources, transforms

AUGMENTATION = ("flip", "rescale", "crop")
PREVIEW_SIDE = 240  # small images are enlarged, large ones reduced, to about this


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        return args.run(args)
    except errors.UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def list_datasets(args: argparse.Namespace) -> int:
    """One line per dataset: what it is and whether it can be opened here."""
    row = "{:32} {:11} {:8} {:>9} {:>9}  {}".format
    print(row("name", "domain", "classes", "size", "images", "here"))
    for name in sources.names():
        facts = sources.find(name)
        size = "x".join(map(str, facts.size)) if facts.size else "any"
        images_ = sum(facts.splits.values()) or "any"
        classes = facts.num_classes or "any"
        print(row(name, facts.domain, classes, size, images_, _is_here(name)))
    return 0


def show(args: argparse.Namespace) -> int:
    """The fact sheet, and where to get the data."""
    facts = sources.find(args.name)
    splits = ", ".join(f"{split} {count}" for split, count in facts.splits.items())
    lines = {
        "name": f"{args.name} (version {facts.version})",
        "domain": facts.domain,
        "fields": ", ".join(facts.fields),
        "splits": splits or "as found in the folder",
        "size": "x".join(map(str, facts.size)) if facts.size else "as found",
        "classes": ", ".join(facts.classes) or "as found, or set by options",
        "keypoints": ", ".join(facts.keypoints),
        "licence": facts.licence,
        "from": facts.obtain if facts.on_disk else "rendered here, nothing to get",
        "here": _is_here(args.name),
    }
    for key, value in lines.items():
        if value:
            print(f"{key:10} {value}")
    for option, default in sources.bind_options(args.name, None).items():
        print(f"{'option':10} {option} = {default!r}")
    return 0


def preview(args: argparse.Namespace) -> int:
    """A contact sheet with the labels drawn onto the images."""
    source = _open(args, args.split)
    chosen = np.linspace(0, len(source) - 1, min(args.count, len(source))).astype(int)
    pictures = []
    for index in chosen:
        example = source[int(index)]
        pictures.append(draw_example(example, source.dataset))
        if args.augment:
            example = augment(example, source.dataset, seed=int(index))
            pictures.append(draw_example(example, source.dataset))
    sheet = draw.contact_sheet(pictures, columns=4)
    facts = source.dataset
    palette = draw.full_palette(facts.palette, facts.num_classes)
    key = draw.legend(facts.classes, palette, sheet.shape[1])
    output = Path(args.output or f"{args.name.replace('/', '_')}.png")
    output.write_bytes(images.encode_png(draw.stack([sheet, key])))
    print(f"{output}: {len(chosen)} of {len(source)} examples of {args.name}")
    return 0


def check(args: argparse.Namespace) -> int:
    """Reads every record; one line per bad one, exit code 1 if there are any."""
    official = sources.find(args.name).splits
    sources.find_root(args.name, args.root)
    try:
        facts = sources.describe(args.name, root=args.root, options=_options(args))
    except errors.UserError as error:
        print("\n".join(f"bad: {line}" for line in str(error).splitlines()))
        return 1
    bad = 0
    for split in [args.split] if args.split else facts.splits:
        problems = list(_problems(args, split, official.get(split)))
        for problem in problems:
            print(f"bad: {problem}")
        print(f"{args.name} {split}: {len(problems)} problems")
        bad += len(problems)
    return 1 if bad else 0


def draw_example(example: Example, facts: dataset.Dataset) -> np.ndarray:
    """uint8 [H, W, 3]: the image, its labels and its depth side by side, named."""
    side = max(example["image"].shape[:2])
    if side > PREVIEW_SIDE:
        size = transforms.scaled_size(example["image"].shape[:2], PREVIEW_SIDE / side)
        example = transforms.scale_to(example, size)
    factor = max(1, PREVIEW_SIDE // max(example["image"].shape[:2]))
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


def augment(example: Example, facts: dataset.Dataset, seed: int) -> Example:
    """The example as training might see it, at its own size if there is no other."""
    size = facts.size or example["image"].shape[:2]
    steps = (
        transforms.Flip(),
        transforms.Rescale(height=size[0], width=size[1]),
        transforms.Crop(*size),
    )
    rng = np.random.default_rng(seed)
    for step in steps:
        example = step.for_dataset(facts)(example, rng)
    return example


def _label_panels(
    example: Example, facts: dataset.Dataset, image: np.ndarray, factor: int
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
        labelled = draw.keypoints(labelled, example["keypoints"])
    if labelled is not image:
        yield labelled
    if "depth" in example:
        depth = draw.enlarge(example["depth"], factor)
        yield draw.color_depth(depth)


def _problems(
    args: argparse.Namespace, split: str, official: int | None
) -> Iterator[str]:
    try:
        source = _open(args, split)
    except errors.UserError as error:
        yield str(error)
        return
    if official is not None and len(source) != official:
        yield f"{split}: found {len(source)} records, the official set has {official}"
    for index in range(len(source)):
        try:
            source[index]
        except errors.UserError as error:
            yield str(error)


def _open(args: argparse.Namespace, split: str) -> sources.Source:
    return sources.open(
        args.name, split=split, root=args.root, options=_options(args), cache="none"
    )


def _options(args: argparse.Namespace) -> dict[str, Any]:
    try:
        return json.loads(args.options)
    except json.JSONDecodeError as error:
        raise errors.UserError(
            f"--options {args.options!r} is not JSON ({error}). Fix: write it like "
            "'{\"binary\": true}'."
        ) from None


def _is_here(name: str) -> str:
    if not sources.find(name).on_disk:
        return "rendered"
    try:
        return str(sources.find_root(name, None))
    except errors.UserError:
        return "no"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        sub.set_defaults(run=run)
        return sub

    command("list", list_datasets)
    command("show", show).add_argument("name", help="such as camvid/11")
    for name, run, split in (("preview", preview, "train"), ("check", check, None)):
        sub = command(name, run)
        sub.add_argument("name", help="such as camvid/11")
        sub.add_argument("--root", help="folder; default $JAXSEG_DATA/<file>")
        sub.add_argument("--split", default=split, help=f"default {split or 'all'}")
        sub.add_argument("--options", default="{}", help="options of the reader, JSON")
        if run is preview:
            sub.add_argument("--output", help="PNG file; default NAME.png")
            sub.add_argument("--augment", action="store_true", help="beside each image")
            sub.add_argument("--count", type=int, default=12, help="default 12")
    return parser


if __name__ == "__main__":
    sys.exit(main())
