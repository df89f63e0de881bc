"""The README's table "to add": a part is one new file, and nothing else changes.

Each test writes such a file into a temporary folder that belongs to the package for as
long as the test runs, and uses the part by its name.
"""

import json
import sys
import textwrap
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import main
from jaxseg.core import manifest as manifests
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.models import initial
from jaxseg.models import model as models
from jaxseg.models.pretrained import convert
from jaxseg.report import view
from jaxseg.report import workdir as workdirs
from jaxseg.transfer import run as runs
from jaxseg.transfer import store
from jaxseg.transfer.running import status
from tests import tiny

DATASET = '''
"""Grey images: dark ones and bright ones."""

import numpy as np

from jaxseg.data.dataset import Dataset

DATASETS = {
    "two": Dataset(
        fields=("image", "label"),
        domain="synthetic",
        splits={"train": 8, "validation": 3},
        version=1,
        size=(8, 8),
        classes=("dark", "bright"),
        mean=(100.0,) * 3,
        std=(50.0,) * 3,
        on_disk=False,
    )
}


def records(variant, split, root):
    return list(range(DATASETS[variant].splits[split]))


def parse(record, root, variant):
    label = record % 2
    image = np.full((8, 8, 3), 50 + 100 * label, np.uint8)
    return {"image": image, "label": np.array(label, np.int32), "id": str(record)}
'''
BACKBONE = '''
"""One 1x1 convolution."""

import flax.linen as nn

VERSION = 1
VARIANTS = {"tiny": {"width": 4}, "large": {"width": 8}}


class Backbone(nn.Module):
    width: int
    dtype: str = "float32"
    multiple = 1

    @nn.compact
    def __call__(self, image, *, train):
        return (nn.Dense(self.width, name="dense")(image),)


def build(variant: str, **overrides) -> Backbone:
    return Backbone(**VARIANTS[variant] | overrides)
'''
HEAD = '''
"""The mean over all pixels, and one linear layer."""

import flax.linen as nn

VERSION = 1


class Head(nn.Module):
    num_outputs: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, features, size, *, train):
        return nn.Dense(self.num_outputs, name="classifier")(features[-1].mean((1, 2)))


def build(num_outputs: int, **fields) -> Head:
    return Head(num_outputs, **fields)
'''
LOSS = '''
"""Squared errors."""

import jax.numpy as jnp


def squares(outputs, labels):
    return jnp.square(outputs[:, 0] - labels)
'''
METRIC = '''
"""The mean absolute error of a set."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class MeanError:
    def zeros(self):
        return np.zeros(2)

    def merge(self, state, rows):
        return state + np.asarray(rows)

    def compute(self, state, classes):
        return {"error": float(state[0] / state[1])}

    def floor(self, state, name):
        return None
'''
TASK = '''
"""How bright an image is: 0 or 1."""

import dataclasses

import jax.numpy as jnp

from jaxseg.losses import added_loss
from jaxseg.metrics import added_metric
from jaxseg.tasks import task

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Brightness(task.Task):
    scale: float = 1.0

    name = "added_task"
    fields = ("label",)
    headline = "error"
    higher_is_better = False
    dense = False

    def outputs(self, facts):
        return 1

    def loss(self, outputs, batch, totals=None):
        count = (totals or self.totals(batch))["images"]
        values = added_loss.squares(outputs, batch["label"])
        return self.scale * jnp.sum(values) / count, {}

    def decode(self, outputs):
        return outputs[:, 0]

    def metric(self):
        return added_metric.MeanError()

    def update(self, predictions, batch):
        errors = jnp.abs(predictions - batch["label"]) * batch["valid"]
        return jnp.stack([errors.sum(), batch["valid"].sum()])


def build(num_outputs: int, scale: float = 1.0) -> Brightness:
    return Brightness(num_outputs, scale)


def resolve(section, facts):
    return dict(section)
'''
KIND = '''
"""A file with a text in it."""

import dataclasses

from jaxseg.core import binding
from jaxseg.transfer import stage as stages


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoteSpec(binding.Spec):
    text: str
    times: int = 2


class Note(stages.Kind):
    Spec = NoteSpec
    VERSION = 1

    def describe(self, spec, parents):
        return {}

    def run(self, context):
        spec = context.stage.spec
        (context.folder / "note.txt").write_text(spec.text * spec.times)
        return {"metrics": [], "data": {}}


KIND = Note()
'''
ANALYSIS = '''
"""How the first number of the last layer and the loss belong together."""

import dataclasses

import numpy as np

from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, trees
from jaxseg.data.spec import DataSpec

ROLES = ("model",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    name: str
    data: DataSpec
    by: float = 0.0


def run(models, spec, tools):
    model = models["model"]
    flat = trees.flatten(model.variables)
    path = "params/heads_segmentation/bias"
    flat[path] = flat[path] + spec.by * np.eye(1, len(flat[path]), 1, dtype="f4")[0]
    altered = trees.unflatten(flat)
    found = tools.evaluate(model, "data", variables=altered)
    rows = [{"analysis": spec.name, "loss": found["loss"], "value": found["miou"]}]
    return tools_lib.Found(rows, {"bias": flat[path]})
'''
WEIGHTS = '''
"""Published weights under names of their own."""

from jaxseg.models.pretrained import architecture

ARCHITECTURES = {
    "added_net": architecture.Architecture(
        model={
            "backbone": {"name": "added_backbone", "variant": "tiny"},
            "head": {"name": "added_head"},
        },
        namings={
            "own": [
                ("backbone/dense", "stem"),
                ("heads_classification/classifier", "fc"),
            ]
        },
        stem="backbone/dense/kernel",
        mark="stem.weight",
    )
}
'''
CONFIG = '''
"""An experiment of one's own."""

from configs import common


def get_config(arg=""):
    arg = common.parse(arg, steps=3)
    stage = common.train(
        "worlds/driving_day",
        task={"name": "segmentation"},
        model=common.model("tiny"),
        steps=arg.steps,
    )
    return common.study("own", {"model": stage})
'''


@pytest.fixture
def parts(add):
    """A data set, a backbone, a head and a task with a loss and a metric of its own."""
    add("jaxseg.data.datasets", "added_set", DATASET)
    add("jaxseg.models.backbones", "added_backbone", BACKBONE)
    add("jaxseg.models.heads", "added_head", HEAD)
    add("jaxseg.losses", "added_loss", LOSS)
    add("jaxseg.metrics", "added_metric", METRIC)
    add("jaxseg.tasks", "added_task", TASK)


MODEL = {
    "backbone": {"name": "added_backbone", "variant": "tiny"},
    "head": {"name": "added_head"},
}


def test_a_data_set(add):
    add("jaxseg.data.datasets", "added_set", DATASET)
    assert "added_set/two" in catalogue.names()
    source = source_lib.open("added_set/two", split="train", count=4, seed=1)
    assert len(source) == 4 and source[0]["image"].shape == (8, 8, 3)
    plan = tiny.plan({"stages": {"model": tiny.train("added_set/two", **CLASSIFIER)}})
    assert plan.stages[0].name == "model"


CLASSIFIER = {
    "task": {"name": "classification"},
    "model": tiny.MODEL | {"head": {"name": "classifier", "width": 4}},
}


def test_a_backbone_and_a_head(add):
    add("jaxseg.models.backbones", "added_backbone", BACKBONE)
    add("jaxseg.models.heads", "added_head", HEAD)
    bound = models.bind_model(MODEL, where="model")
    model = models.build_model(bound, head_outputs={"classification": 5})
    variables = initial.variables(model, (16, 16, 3), seed=0)
    assert set(variables["params"]) == {"backbone", "heads_classification"}
    image = jnp.zeros((2, 16, 16, 3))
    assert model.apply(variables, image, train=False).shape == (2, 5)


def test_a_task_with_its_loss_and_metric_trains(parts, tmp_path):
    section = {
        "task": {"name": "added_task", "scale": 0.5},
        "model": MODEL,
        "samples": 0,
        "steps": 20,
        "lr": 0.1,
    }
    config = {"stages": {"model": tiny.train("added_set/two", **section)}}
    (stage,) = tiny.plan(config).stages
    workdir = store.Store(tmp_path / "runs")
    outcome = runs.run_stages([stage], workdir, watcher=status.Watcher())
    assert outcome.ok, outcome.errors
    (metric,) = workdir.manifest(stage.key)["metrics"]
    assert metric["name"] == "error" and metric["value"] < 0.4


def test_published_weights(add):
    """The names and the layout of torch."""
    add("jaxseg.models.backbones", "added_backbone", BACKBONE)
    add("jaxseg.models.heads", "added_head", HEAD)
    add("jaxseg.models.pretrained", "added_family", WEIGHTS)
    rng = np.random.default_rng(0)
    shapes = {"stem.weight": (4, 3), "stem.bias": (4,), "fc.weight": (5, 4)}
    shapes["fc.bias"] = (5,)
    draw = lambda shape: rng.normal(size=shape).astype(np.float32)
    tensors = {name: draw(shape) for name, shape in shapes.items()}
    found = convert.convert(tensors, "added_net")
    assert found.outputs == {"classification": 5} and found.naming == "own"
    kernel = found.variables["params"]["backbone"]["dense"]["kernel"]
    np.testing.assert_array_equal(kernel, tensors["stem.weight"].T)


def test_a_kind_of_stage(add, tmp_path):
    add("jaxseg.transfer.kinds", "added_kind", KIND)
    config = {"stages": {"note": {"kind": "added_kind", "text": "ab"}}}
    assert runs.run({"study": "own", **config}, tmp_path).ok
    (stage,) = tiny.plan(config).stages
    folder = store.Store(tmp_path).folder(stage.key)
    assert (folder / "note.txt").read_text() == "abab"


def test_an_analysis(add, tmp_path):
    """Of weights as they are, and with the outputs of one class raised by 50."""
    add("jaxseg.analysis", "added_analysis", ANALYSIS)
    data = {"name": "worlds/driving_day", "split": "validation", "count": 3}
    stages = tiny.config()["stages"]
    for name, by in (("own", 0), ("raised", 50)):
        section = {"name": "added_analysis", "data": data, "by": by}
        stages[name] = dict(kind="measure", parents={"model": "source"})
        stages[name]["analysis"] = section
    workdir = tiny.copy(tmp_path)
    outcome = runs.run({"study": "own", "stages": stages}, workdir, only="own|raised")
    assert outcome.ok, outcome.errors
    (study,) = (one for one in workdirs.load(workdir) if one.name == "own")
    seen = view.View(study, (), ())
    own, raised = view.where(seen.measurements, analysis="added_analysis")
    assert own["loss"] + 10 < raised["loss"]
    headline = manifests.headline(manifests.read(tiny.artifact("source")))
    assert own["value"] == headline["value"] != raised["value"]
    biases = [seen.arrays(row)["bias"] for row in (own, raised)]
    np.testing.assert_allclose(
        biases[1] - biases[0], 50 * np.eye(1, len(biases[0]), 1)[0]
    )


def test_an_experiment(tmp_path, monkeypatch):
    root = Path(__file__).parent.parent
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    file = tmp_path / "own.py"
    file.write_text(textwrap.dedent(CONFIG).lstrip())
    config = json.loads(main.load_config(file, "steps=4").to_json())
    (stage,) = tiny.plan(config).stages
    assert stage.name == "model" and config["stages"]["model"]["steps"] == 4
