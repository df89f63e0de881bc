"""Published weights as our variables; every tensor that does not fit is listed."""

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxseg.core import errors, lookup, trees
from jaxseg.models import initial
from jaxseg.models import model as models
from jaxseg.models.pretrained import architecture

FAMILIES = "jaxseg.models.pretrained"  # a file each, with ARCHITECTURES
DILATED = re.compile(r"(.+)_os(8|16)")
SHOWN = 40  # tensors named in an error


@dataclasses.dataclass(frozen=True)
class Imported:
    """The content of a file."""

    model: dict[str, Any]  # section
    variables: dict[str, Any]
    outputs: dict[str, int]  # {head: channels or classes}, {} for a backbone alone
    naming: str
    left: tuple[str, ...]  # tensors that are not used


@functools.cache
def architectures() -> dict[str, architecture.Architecture]:
    """{timm's or torchvision's name: architecture}."""
    known: dict[str, architecture.Architecture] = {}
    for family in lookup.names(FAMILIES):
        known |= lookup.load(FAMILIES, family).ARCHITECTURES
    return known


def find(name: str) -> architecture.Architecture:
    """The architecture of a name; "_os8" or "_os16" behind it dilates a ResNet."""
    known = architectures()
    dilated = DILATED.fullmatch(name)
    if not dilated or name in known:
        return lookup.pick(known, name, kind="architecture")
    arch = lookup.pick(known, dilated[1], kind="architecture")
    if arch.model["backbone"]["name"] not in ("resnet", "resnest"):
        raise errors.UserError(f"{name}: only ResNet and ResNeSt have dilated variants")
    return _with_backbone(arch, {"output_stride": int(dilated[2])})


def convert(
    tensors: Mapping[str, np.ndarray], name: str, *, channels: int = 3
) -> Imported:
    """Tensors by their published names -> variables of architecture `name`.

    UserError listing every tensor that is missing, extra or of another shape. channels:
    of the images; a stem for RGB becomes one for others as `adapted` says.
    """
    arch = find(name)
    tensors = {
        key: x
        for key, x in tensors.items()
        if not re.fullmatch(architecture.COUNTERS, key)
    }
    naming = max(arch.namings, key=lambda n: _likeness(arch, n, tensors))
    arch = _with_backbone(arch, arch.overrides.get(naming, {}))
    left = re.compile(arch.left.get(naming, r"(?!)"))
    outputs = _outputs(arch, naming, tensors)
    shapes = _shapes(arch, outputs, channels)
    leaves, problems, used = {}, [], set()
    for path, shape in shapes.items():
        theirs = arch.name(path, naming)
        used.add(theirs)
        if theirs not in tensors:
            problems.append(f"- missing {theirs} {shape}")
            continue
        value = arch.value(path, np.asarray(tensors[theirs]))
        if path == f"params/{arch.stem}" and channels != 3:
            value = adapted(value, channels)
        if value.shape == shape:
            leaves[path] = np.ascontiguousarray(value, np.float32)
        else:
            shown = f"{value.shape}, needed {shape} (as stored here)"
            problems.append(f"- reshaped {theirs}: found {shown}")
    extra = sorted(tensors.keys() - used)
    problems += [
        f"- extra {key} {tensors[key].shape}" for key in extra if not left.match(key)
    ]
    if problems:
        raise errors.UserError(_explain(name, problems, tensors))
    model = dict(arch.model)
    return Imported(model, trees.unflatten(leaves), outputs, naming, tuple(extra))


def adapted(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A stem's RGB kernel [.., 3, D] for images of other channels, timm's rule.

    One channel: the sum over RGB, so a grey image gives what its RGB copy gave. More:
    RGB repeated in turn, scaled by 3 / channels.
    """
    if channels == 1:
        return kernel.sum(axis=-2, keepdims=True)
    return kernel[..., np.arange(channels) % 3, :] * (3 / channels)


def preprocessing(arch: architecture.Architecture, channels: int) -> dict[str, Any]:
    """Mean and std of its pixels, from 0 to 255; size and channels of its images."""
    turns = np.arange(channels) % 3

    def spread(values: Iterable[float]) -> list[float]:
        scaled = 255 * np.array(list(values))
        return [float(scaled.mean())] if channels == 1 else scaled[turns].tolist()

    return {
        "mean": spread(arch.mean),
        "std": spread(arch.std),
        "size": list(arch.size),
        "channels": channels,
    }


def _with_backbone(
    arch: architecture.Architecture, fields: Mapping[str, Any]
) -> architecture.Architecture:
    backbone = dict(arch.model["backbone"]) | dict(fields)
    return dataclasses.replace(arch, model=dict(arch.model) | {"backbone": backbone})


def _shapes(
    arch: architecture.Architecture, outputs: Mapping[str, int], channels: int
) -> dict[str, tuple[int, ...]]:
    """{path: shape} of the network, without a head where `outputs` is empty."""
    model = models.build_model(arch.model, head_outputs=dict(outputs) or {arch.task: 1})
    flat = trees.flatten(initial.shapes(model, (64, 64, channels)))
    return {
        path: tuple(leaf.shape)
        for path, leaf in flat.items()
        if outputs or path.split("/")[1] == "backbone"
    }


def _outputs(
    arch: architecture.Architecture, naming: str, tensors: Mapping[str, np.ndarray]
) -> dict[str, int]:
    """{head: its outputs} by the bias of its last layer; {} where the file has none."""
    for layer in ("classifier", "output"):
        bias = arch.name(f"params/heads_{arch.task}/{layer}/bias", naming)
        if bias in tensors:
            return {arch.task: len(tensors[bias])}
    return {}


def _likeness(
    arch: architecture.Architecture, naming: str, tensors: Mapping[str, np.ndarray]
) -> tuple[int, int]:
    """How many of a naming's tensors are there, and of those it would leave behind."""
    paths = _shapes(arch, {arch.task: 1}, 3)
    named = sum(arch.name(path, naming) in tensors for path in paths)
    left = re.compile(arch.left.get(naming, r"(?!)"))
    return named, sum(bool(left.match(name)) for name in tensors)


def _explain(name: str, problems: list[str], tensors: Mapping[str, np.ndarray]) -> str:
    shown = problems[:SHOWN]
    if len(problems) > SHOWN:
        shown.append(f"  ... and {len(problems) - SHOWN} more")
    text = f"this is not {name}: {len(problems)} tensors differ.\n" + "\n".join(shown)
    like = looks_like(tensors)
    return f"{text}\nIt looks like {like}." if like else text


def looks_like(tensors: Mapping[str, np.ndarray]) -> str | None:
    """The architecture that shares most names and shapes with a file; None: few."""
    best, share = None, 0.5
    for name, arch in architectures().items():
        if arch.mark not in tensors:
            continue
        for naming in arch.namings:
            shapes = _shapes(arch, _outputs(arch, naming, tensors), 3)
            same = sum(_fits(arch, naming, p, s, tensors) for p, s in shapes.items())
            if same / max(len(shapes), len(tensors)) > share:
                best, share = name, same / max(len(shapes), len(tensors))
    return best


def _fits(
    arch: architecture.Architecture,
    naming: str,
    path: str,
    shape: tuple[int, ...],
    tensors: Mapping[str, np.ndarray],
) -> bool:
    theirs = arch.name(path, naming)
    return theirs in tensors and arch.value(path, tensors[theirs]).shape == shape
