"""Weights from elsewhere: published, of another workdir, or a file of our own."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from jaxseg.core import (
    binding,
    checkpoint,
    errors,
    hashing,
    licences,
    rules,
    trees,
    types,
)
from jaxseg.core import manifest as manifests
from jaxseg.data import catalogue
from jaxseg.models import model as models
from jaxseg.models.pretrained import convert, torch_file
from jaxseg.tasks import build
from jaxseg.transfer import artifact, stored
from jaxseg.transfer import stage as stages

UNKNOWN = "unknown"  # counts as neither the target's own domain or task nor another
COLLECTIONS = ("params", "batch_stats")


class Stored(NamedTuple):
    """Weights in the folder of an artifact. content: its key."""

    folder: Path
    content: str

    def shapes(self) -> types.Variables:
        """As the folder's index says."""
        return checkpoint.shapes(self.folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportedSpec(binding.Spec):
    """Weights from elsewhere.

    file: an artifact's folder; published weights, .safetensors or (with torch) .pth, or
    "hf:OWNER/NAME"; or a .safetensors file whose names are jaxseg's own paths,
    "params/backbone/..." and "batch_stats/backbone/...".
    arch: of published weights, by timm's or torchvision's name (`jaxseg.weights
    --list`). channels: of images; an RGB stem is adapted.
    model: the model section a file of jaxseg's paths belongs to; of an architecture,
    its own. licence: of the weights, for the manifests of all that starts from them;
    None: what the file says of itself, an artifact's own list.
    task, content: the task of the weights' head, and the sum of the file.
    """

    file: str = binding.local()
    arch: str | None = None
    channels: Annotated[int, rules.at_least(1)] = 3
    model: Mapping[str, Any] | None = None
    licence: str | None = None
    task: Mapping[str, Any] | None = binding.resolved()
    content: str | None = binding.resolved()


class Imported(stages.Kind):
    """Copies weights into an artifact, so that trainings start from it."""

    Spec = ImportedSpec
    VERSION = 2

    def bind(self, section: Mapping[str, Any], where: str) -> ImportedSpec:
        """The model section with its defaults: of an architecture, its own."""
        spec = super().bind(section, where)
        if spec.arch is not None and spec.model is not None:
            raise errors.UserError(
                f"{where}: arch names the model; found model as well"
            )
        model = spec.model if spec.arch is None else convert.find(spec.arch).model
        if model is not None:
            model = models.bind_model(model, where=f"{where}/model")
        return dataclasses.replace(spec, model=model)

    def resolve(self, spec: ImportedSpec, where: str) -> ImportedSpec:
        """The model of a folder, and the content of the file as a sum."""
        path = torch_file.locate(spec.file)
        if manifests.exists(path):
            origin = artifact.load(path)  # of a selection: its winner
            return dataclasses.replace(
                spec,
                model=origin.model_section,
                task=origin.task_section,
                content=origin.manifest["key"],
            )
        if not path.is_file():
            raise errors.UserError(
                f"{where}/file: {path} is neither a file nor an artifact's folder"
            )
        if spec.model is None:
            raise errors.UserError(
                f"{where}: a file of weights needs arch=NAME (published names) or "
                "model={backbone, head} (jaxseg's own paths), found neither"
            )
        task = None
        if spec.arch is not None:
            task = build.bind({"name": convert.find(spec.arch).task}, where)
        content = hashing.file_sum(path)
        return dataclasses.replace(spec, task=task, content=content)

    def weights(self, spec: ImportedSpec) -> Stored | None:
        """None of a file, which is read when the stage runs, and of an artifact kept
        without weights.
        """
        path = torch_file.locate(spec.file)
        if not manifests.exists(path):
            return None
        weights = artifact.load(path).folder / "weights"
        return Stored(weights, spec.content) if weights.is_dir() else None

    def modelled(self, stage: stages.Stage) -> stages.Stage | None:
        """Itself, where its model is known."""
        return stage if stage.spec.model else None

    def origin(self, spec: ImportedSpec) -> dict[str, Any]:
        """Of what the weights were trained on; "unknown" or None where neither the
        artifact nor the architecture says it.
        """
        task = (spec.task or {}).get("name", UNKNOWN)
        known = {"dataset": UNKNOWN, "task": task, "domain": UNKNOWN}
        known |= {"images": None, "set_images": None}
        path = torch_file.locate(spec.file)
        manifest = artifact.load(path).manifest if path.is_dir() else {}
        read = manifest.get("data", {}).items()
        data = [one for name, one in read if re.fullmatch(r"train|mix\d+", name)]
        if not data:
            return known
        every = [catalogue.find(one["name"]) for one in data]
        totals = [  # of a set of one class only its images tell it
            0 if "only" in one else facts.splits.get(one["split"], 0)
            for facts, one in zip(every, data)
        ]
        return known | {
            "dataset": " + ".join(dict.fromkeys(map(_called, data))),
            "domain": " + ".join(dict.fromkeys(facts.domain for facts in every)),
            "images": sum(one["count"] for one in data),
            "set_images": sum(totals) if all(totals) else None,
        }

    def run(self, context: stages.StageContext) -> dict[str, Any]:
        """weights/ as Orbax, and what else the origin says of itself."""
        spec = context.stage.spec
        path = torch_file.locate(spec.file)
        if path.is_dir():
            tree, facts = _from_artifact(path)
        elif spec.arch is not None:
            tree, facts = _from_published(path, spec)
        else:
            tree = _read_file(path)
            heads = sorted(n[6:] for n in tree["params"] if n.startswith("heads_"))
            facts = {"heads": heads, "outputs": {}, "classes": [], "metrics": []}
        facts = {"model": spec.model, "task": spec.task} | facts
        facts |= stored.save(context.folder, tree)
        facts["licences"] = _licences(path, spec, facts)
        parameters = trees.num_parameters(tree["params"])
        return facts | {"parameters": parameters, "origin": path.name, "seconds": 0.0}


KIND = Imported()


def _called(read: Mapping[str, Any]) -> str:
    """As `DataSpec.called`, of the entry of a manifest."""
    name = f"of {read['of']}" if "of" in read else read["name"]
    return f"{name} ({read['only']})" if "only" in read else name


def _licences(
    path: Path, spec: ImportedSpec, facts: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What the section states, or the file; of an artifact, its own list as well."""
    of = spec.file if spec.file.startswith(torch_file.HUB) else path.name
    text = spec.licence or torch_file.licence(path)
    stated = [licences.row(of, text)] if text or "licences" not in facts else []
    return licences.merge(stated, facts.get("licences", ()))


def _from_artifact(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    origin = artifact.load(path)
    manifests.check_kept(origin.folder, manifests.check(origin.folder))
    tree = checkpoint.restore_tree(origin.folder / "weights")
    torch_file.check_finite(tree, path)
    return tree, manifests.of_weights(origin.manifest)


def _from_published(
    path: Path, spec: ImportedSpec
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables and facts of timm's, torchvision's or the authors' weights."""
    arch, channels = convert.find(spec.arch), spec.channels
    try:
        converted = convert.convert(torch_file.read(path), spec.arch, channels=channels)
    except errors.UserError as error:
        text = str(error)
        raise errors.UserError(
            text if text.startswith(str(path)) else f"{path}: {text}"
        ) from None
    return converted.variables, {
        "heads": sorted(converted.outputs),
        "outputs": converted.outputs,
        "classes": [],
        "metrics": [],
        "preprocessing": convert.preprocessing(arch, channels),
        "naming": converted.naming,
        "left_behind": list(converted.left),
        # Bound, with what the file's own code does otherwise (HRNet's fusion).
        "model": models.bind_model(converted.model, where=spec.arch),
    }


def _read_file(path: Path) -> dict[str, Any]:
    """{"params": tree, "batch_stats": tree} of a file with jaxseg's paths."""
    flat = torch_file.read(path)
    strange = [name for name in flat if name.split("/")[0] not in COLLECTIONS]
    if strange:
        raise errors.UserError(
            f"{path}: tensor {strange[0]!r}; allowed are names that begin with "
            f"{' or '.join(COLLECTIONS)}, such as params/backbone/... Fix: arch=NAME "
            "where the names are timm's, torchvision's or the HRNet authors'"
        )
    return trees.unflatten({name: np.asarray(x) for name, x in flat.items()})
