"""One small workdir, made once per test session and shared: what a study leaves.

source -> target/a, target/b -> target (the better one, refitted); distance, by source
"""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from jaxseg.transfer import chain
from jaxseg.transfer import run as runs

MODEL = {"backbone": {"name": "hrnet", "variant": "tiny"}, "head": {"name": "linear"}}
LABEL = {"role": "target", "setting": "small", "target": "night"}


def train(name="worlds/driving_day", **changes):
    """A `train` section: two steps on eight images; all such share one program."""
    return {
        "kind": "train",
        "data": {"name": name, "count": 8},
        "evaluations": {"validation": {"count": 3}},
        "task": {"name": "segmentation"},
        "model": MODEL,
        "steps": 2,
        "batch_size": 4,
        "samples": 1,
    } | changes


def candidate(lr):
    """A `train` section that starts from the source."""
    holdout = {"split": "train", "part": "holdout"}
    return train(
        "worlds/driving_night",
        data={"name": "worlds/driving_night", "count": 8, "part": "train"},
        evaluations={"validation": {"count": 3}, "holdout": holdout},
        lr=lr,
        parents={"start": "source"},
        starts=[{"parent": "start", "take": {"backbone": "backbone"}}],
    )


def config():
    """The config of the workdir."""
    datasets = [{"name": f"worlds/driving_{w}", "count": 4} for w in ("day", "night")]
    return {
        "study": "tiny",
        "stages": {
            "source": train(columns=[{"role": "source", "setting": "full"}]),
            "target/a": candidate(0.001),
            "target/b": candidate(0.01),
            "target": {
                "kind": "select",
                "parents": {"a": "target/a", "b": "target/b"},
                "columns": [LABEL],
            },
            "distance": {
                "kind": "measure",
                "parents": {"model": "source"},
                "analysis": {
                    "name": "domain_distance",
                    "datasets": datasets,
                    "batch_size": 4,
                },
            },
        },
    }


def chosen(folder):
    """The artifact of a selection without refit, in a copy of the workdir."""
    workdir, stages = copy(folder), config()["stages"]
    stages["chosen"] = stages["target"] | {"refit": False, "columns": []}
    outcome = runs.run({"study": "chosen", "stages": stages}, workdir, only="chosen")
    assert outcome.ok, outcome.errors
    made = plan({"stages": stages}).by_name["chosen"]
    return workdir / "artifacts" / made.short


def plan(config):
    """The plan of a config."""
    return chain.plan(chain.bind(config))


@functools.cache
def workdir():
    """The finished workdir. Read only: `copy` gives one that may be changed."""
    folder = Path(tempfile.mkdtemp(prefix="jaxseg-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    outcome = runs.run(config(), folder)
    assert outcome.ok, outcome.errors
    return folder


def copy(folder):
    """A copy of the workdir in `folder`."""
    return shutil.copytree(workdir(), folder / "workdir")


def key(name):
    """The key of one of its stages."""
    return plan(config()).by_name[name].key


def artifact(name, inside=None):
    """The artifact folder of one of its stages."""
    return (inside or workdir()) / "artifacts" / key(name)[:20]
