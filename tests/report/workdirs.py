"""Workdirs made of files alone, as a run leaves them, for the report to read."""

from pathlib import Path

import numpy as np

from jaxseg.core import hashing, image_files, jsonl

PALETTE = [[64, 70, 80], [196, 60, 60], [70, 140, 220], [240, 200, 70]]
CLASSES = ["background", "vehicle", "sign", "lane"]


def target(name, source, seed=0, domain="driving", source_domain="driving", **more):
    """The label set of one target cell of study factors."""
    return {
        "study": "factors",
        "cell": f"small/{name}/{source}",
        "setting": "small",
        "target": name,
        "target_dataset": f"worlds/{name}",
        "target_task": "segmentation",
        "target_domain": domain,
        "target_images": 150,
        "target_set_images": 3000,
        "source": source,
        "source_dataset": "" if source == "random" else f"worlds/{source}",
        "source_task": "" if source == "random" else "segmentation",
        "source_domain": "" if source == "random" else source_domain,
        "source_images": 0 if source == "random" else 1500,
        "source_set_images": 0 if source == "random" else 3000,
        "backbone": "hrnet/tiny",
        "start": source if source == "random" else f"websearch > {source}",
        "resolution": "64x64",
        "variant": "",
        "seed": seed,
        "lr": 0.01,
        "selected": "holdout",
        "role": "target",
        "baseline": "websearch",
        **more,
    }


class Workdir:
    """Stages of one study, written one after the other; `plan` writes plan.json."""

    def __init__(self, folder: Path, study: str = "factors"):
        self.folder, self.study, self.stages = folder, study, []

    def stage(self, name, columns=(), kind="train", parents=(), key=None) -> str:
        """A planned stage that has not run; returns its key."""
        key = key or hashing.key([self.study, name])
        parents = {f"parent{i}": parent for i, parent in enumerate(parents)}
        self.stages.append(
            {
                "name": name,
                "key": key,
                "kind": kind,
                "parents": parents,
                "parent_names": parents,
                "columns": list(columns),
                "does_without": kind == "select",
            }
        )
        return key

    def failed(
        self, name, columns=(), error="ValueError: loss is NaN", parents=(), **more
    ):
        """A stage that stopped with an error; `more`: state. Returns its key."""
        key = self.stage(name, columns, parents=parents)
        path = self.folder / "running" / key[:20] / "error.json"
        value = {"error": error, "state": "failed", "step": 7}
        jsonl.write_sealed(path, value | more)
        return key

    def done(self, name, value, columns=(), kind="train", parents=(), **more) -> str:
        """A finished stage; `more`: metric, higher, floor, protocol, files, winner,
        seconds, steps, receipt, licences, spec, others ({metric: value} beside it)."""
        key = self.stage(name, columns, kind, parents)
        folder = self.folder / "artifacts" / key[:20]
        folder.mkdir(parents=True)
        receipt = more.get("receipt", [_receipt("start")] if parents else [])
        jsonl.write_json(folder / "receipt.json", receipt)
        curve = more.get("curve", _curve(value, more.get("metric", "miou")))
        jsonl.write(folder / "metrics.jsonl", curve)
        for file, data in more.get("files", {}).items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_bytes(data)
        manifest = _manifest(key, name, kind, value, more)
        manifest["files"] = hashing.folder_sums(folder)
        jsonl.write_sealed(folder / "manifest.json", manifest)
        return key

    def cell(self, label, value, **more) -> str:
        """A finished target stage with one label set."""
        name = f"target/{label['target']}/{label['source']}/seed{label['seed']}"
        variant = label["variant"]
        return self.done(name + variant, value, [label], **more)

    def plan(self) -> Path:
        """Writes plan.json; returns the workdir."""
        plan = {
            "schema": 1,
            "study": self.study,
            "config": f"configs/{self.study}.py",
            "argument": "",
            "created": "2025-03-01T12:00:00",
            "stages": self.stages,
        }
        path = self.folder / "studies" / self.study / "plan.json"
        jsonl.write_sealed(path, plan)
        return self.folder


def small_study(folder):
    """Two seeds, two targets of two domains, a failure and what it blocks."""
    made = Workdir(folder)
    label = target("websearch", "websearch", role="pretraining")
    start = made.done("pretraining", 0.7, [label], metric="top1")
    ids = np.zeros((16, 16), int)
    image = np.full((16, 16, 3), 120, np.uint8)
    for name, domain in (("night", "driving"), ("rooms", "indoor")):
        for seed in (0, 1):
            for source, value in (("websearch", 0.3), ("random", 0.2), ("day", 0.4)):
                label = target(name, source, seed, domain)
                files = samples(ids, image, ids)
                parents = [] if source == "random" else [start]
                value += 0.01 * seed
                made.cell(label, value, files=files, parents=parents)
    reef = made.failed("source/reef", error="Traceback\nValueError: <loss> is NaN")
    label = target("night", "reef", source_domain="underwater")
    made.stage("target/reef", [label], parents=[reef])
    return made.plan()


def samples(
    ids: np.ndarray, image: np.ndarray, predicted: np.ndarray, number=0
) -> dict:
    """Sample files of one validation image: uint8 [H, W, 3] and ids [H, W]."""
    palette = np.array(PALETTE, np.uint8)
    pictures = {"image": image, "truth": palette[ids], "prediction": palette[predicted]}
    return {
        f"samples/{number:03d}_{name}.png": image_files.encode_png(picture)
        for name, picture in pictures.items()
    }


def flip_byte(path: Path) -> None:
    """Changes one byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def html_text(folder: Path) -> str:
    return (folder / "report" / "index.html").read_text(encoding="utf-8")


def _receipt(parent: str) -> dict:
    return {
        "parent": parent,
        "source_key": "0" * 64,
        "take": {"backbone": "backbone"},
        "reinit": [],
        "copied": ["params/backbone/stem"],
        "kept": ["params/heads_segmentation/linear"],
        "left_behind": [],
        "copied_parameters": 228000,
        "total_parameters": 230000,
    }


def _curve(value: float, metric: str) -> list[dict]:
    train = [
        {"kind": "train", "step": step, "loss": 2 / (1 + step / 40), "lr": 0.01}
        for step in range(10, 151, 10)
    ]
    evaluation = [
        {
            "kind": "evaluation",
            "step": step,
            "split": "validation",
            "metrics": {metric: (value or 0) * step / 150},
            "protocol": "whole 64x64",
        }
        for step in (50, 100, 150)
    ]
    return [*train, *evaluation]


def _manifest(key, name, kind, value, more) -> dict:
    metric = {
        "name": more.get("metric", "miou"),
        "value": value,
        "protocol": more.get("protocol", "whole 64x64, labels at original size"),
        "split": "validation",
        "evaluation": "validation",
        "dataset": "worlds/driving_night",
        "headline": True,
        "higher_is_better": more.get("higher", True),
        **({"floor": more["floor"]} if "floor" in more else {}),
    }
    others = [
        metric | {"name": name, "value": other, "headline": False}
        for name, other in more.get("others", {}).items()
    ]
    seconds = more.get("seconds", 4.0)
    return {
        "schema": 1,
        "key": key,
        "name": name,
        "kind": kind,
        "spec": {"lr": more.get("lr"), **more.get("spec", {})},
        "parents": {},
        "versions": {"train": 1, "hrnet": 1, "worlds": 3},
        "packages": {"jax": "0.7.0", "flax": "0.11.0"},
        "code": {"revision": "a1b2c3d4e5f6a7b8", "dirty": False},
        "data": {"train": {"name": "worlds/driving_night", "count": 150}},
        "classes": CLASSES,
        "palette": PALETTE,
        "heads": ["segmentation"],
        "metrics": [] if kind in ("select", "measure") else [metric, *others],
        "winner": more.get("winner"),
        "steps": more.get("steps", 150),
        "best_step": None,
        "seconds": seconds,
        "timing": {
            "steps": seconds * 0.7,
            "evaluation": seconds * 0.2,
            "data_wait": seconds * 0.02,
            "compile": 0.0,
            "other": seconds * 0.08,
        },
        "flops": more.get("flops"),
        "peak_bytes": 310 * 2**20,
        "cores": 2,
        "devices": "1 x cpu",
        "parameters": 230000,
        "created": "2025-03-01T12:05:00",
        **({"licences": more["licences"]} if "licences" in more else {}),
    }
