r"""Metrics of an artifact on any data set, without training.

python -m jaxseg.evaluate --artifact=DIR --data=worlds/driving_night
python -m jaxseg.evaluate --artifact=DIR --data=camvid/11 --root=CAMVID --split=test \
    --mode=sliding --overlap=0.5 --scales=0.5,1,2 --flip --output=test.json
python -m jaxseg.evaluate --artifact=DIR --data=FOLDER_OF_IMAGES_AND_MASKS
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import command, errors
from jaxseg.core import manifest as manifests
from jaxseg.evals import arguments as seeing

BATCH = 16  # where the artifact does not say with how many it was evaluated


@command.entry
def main(argv: Sequence[str]) -> None:
    """Exit code: 0, or 2 on a mistake."""
    from jaxseg.core import jsonl

    arguments = _parser().parse_args(argv)
    result = measure(arguments)
    print(table(result))
    if arguments.output is not None:
        jsonl.write_json(arguments.output, result)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Metrics, with the artifact, data and protocol that they belong to."""
    from jaxseg.evals import evaluator
    from jaxseg.train import mesh
    from jaxseg.transfer import artifact

    how = seeing.protocol_of(arguments)
    model = artifact.load(Path(arguments.artifact).expanduser(), arguments.head)
    task = check_head(model)
    data, read_as = data_section(arguments, model, task)
    source = data.open()
    check_data(model, task, source)
    devices = mesh.create()
    batch_size = arguments.batch or model.batch_size or BATCH
    predict = model.predictor(
        size=_size(arguments.size, model, source),
        normalize=_normalize(model, how, source),
        batch_size=mesh.round_up(batch_size, devices),
        put=lambda batch: mesh.put_batch(batch, devices),
        how=how,
    )
    evaluate = evaluator.Evaluator(predict, source)
    measured = evaluate.measure(mesh.put_state(model.variables, devices))
    return {
        "artifact": model.manifest["key"],
        "name": model.manifest["name"],
        "task": task.name,
        "read_as": read_as,
        "data": data.described(source) | {"seed": data.seed, "part": data.part},
        "protocol": measured.protocol + _chosen(arguments, model, data, source),
        "headline": evaluate.headline,
        "higher_is_better": evaluate.higher_is_better,
        "floor": measured.floor,  # of the headline, for a model that learned nothing
        "metrics": measured.values,
    }


def _chosen(arguments: argparse.Namespace, model: Any, data: Any, source: Any) -> str:
    """The words of the artifact for metrics on images that selected it, if the images
    evaluated may be among them; else "".
    """
    from jaxseg.data import spec, subsets

    draw = {key: getattr(data, key) for key in ("part", *subsets.DRAW)}
    own = manifests.read(Path(arguments.artifact).expanduser())  # not the winner's
    for row in own.get("metrics", ()):
        name = row["evaluation"]
        if not row.get("chosen"):
            continue
        read, seen = model.manifest["data"][name], model.evaluations.get(name)
        judged = (read["fingerprint"], read["split"])
        same = judged == (source.fingerprint, data.split)
        seen = seen and spec.stored(seen)
        if same and (seen is None or dataclasses.replace(seen, **draw).overlaps(seen)):
            return row["chosen"]
    return ""


def table(result: Mapping[str, Any]) -> str:
    """The result as text: artifact, data, protocol, then a line for each metric."""
    data, headline, values = result["data"], result["headline"], result["metrics"]
    part = "" if data["part"] == "all" else f", {data['part']}"
    name = f"{data['name']} ({data['only']})" if "only" in data else data["name"]
    metrics = sorted(values, key=lambda metric: metric != headline)  # stable
    shown = {metric: f"{values[metric]:.6g}" for metric in metrics}
    if result["floor"] is not None:
        shown[headline] += f"  (learning nothing gives {result['floor']:.6g})"
    rows = [
        ("artifact", f"{result['name']} {result['artifact'][:20]}"),
        ("data", f"{name}, {data['split']}{part}, {data['count']} examples"),
        *([("read as", result["read_as"])] if result["read_as"] else []),
        ("protocol", result["protocol"]),
        *shown.items(),
    ]
    width = max(len(what) for what, _ in rows)
    return "\n".join(f"{what:{width}}  {value}" for what, value in rows)


def check_head(model: Any) -> Any:
    """The task of the artifact's head; UserError where there is no trained one."""
    if not model.task_section or model.head not in model.manifest["outputs"]:
        raise errors.UserError(
            f"{model.folder}: found no trained head with a known task, so nothing can "
            "be measured. Fix: train one on it first (configs/finetune.py)"
        )
    return model.objective


def data_section(
    arguments: argparse.Namespace, model: Any, task: Any
) -> tuple[Any, str]:
    """The data section to evaluate on, and how a folder is read, "" if it is none.

    The format of a user's folder is guessed, in doubt as the data of training;
    --options and --split replace the guess.
    """
    from jaxseg.data import catalogue, spec

    name, root, options = arguments.data, arguments.root, _options(arguments.options)
    split, read_as = arguments.split or "validation", ""
    folder = Path(name).expanduser()
    if name not in catalogue.names() and (root is not None or not folder.is_dir()):
        _refuse_name(name, root, folder)
    if name not in catalogue.names():
        given = None if arguments.options is None else options
        reading = _guessed(folder, model, task, given, arguments.only)
        wanted = arguments.split
        name, root, split = reading.name, str(folder), wanted or _split(reading)
        options = reading.options
        read_as = f"{name}, {split}, because of {reading.reason}"
    section = spec.DataSpec(
        name=name,
        root=root,
        split=split,
        count=arguments.count,
        seed=arguments.seed,
        part=arguments.part,
        only=arguments.only,
        options=options,
        cache="none",  # everything is read once
    )
    return section, read_as


def _refuse_name(name: str, root: str | None, folder: Path) -> None:
    """UserError for a name that is neither a data set nor a folder."""
    from jaxseg.data.tools import guess

    if root is not None and folder.is_dir():
        raise errors.UserError(
            f"--root={root}: --data={name} is a folder itself. Fix: drop --root"
        )
    raise errors.UserError(f"--data: {guess.no_such_name(name)}")


def _guessed(
    folder: Path,
    model: Any,
    task: Any,
    given: Mapping[str, Any] | None,
    only: str | None,
) -> Any:
    from jaxseg.data.tools import guess_like

    trained, classes = model.data_section, model.manifest["classes"]
    binary = bool(model.task_section.get("binary"))
    if only is not None:  # the folder has more classes than the model
        classes, binary = (), False
    return guess_like.like(folder, task.fields, trained, classes, binary, given)


def _split(reading: Any) -> str:
    """The split that `init` would evaluate on, or the only one."""
    from jaxseg.data.tools import guess

    return guess.validation(reading) or next(iter(reading.facts.splits))


def check_data(model: Any, task: Any, source: Any) -> None:
    """UserError where the data lack fields of the task or need another head."""
    from jaxseg.transfer.training import suitability

    facts, known = source.dataset, model.manifest.get(task.named, ())
    channels = (model.preprocessing or {}).get("channels")
    head = suitability.Head(model.task_section, task.num_outputs, channels, known)
    head.check(source.name, facts, "--data")
    ours = [name.lower() for name in head.classes]
    theirs = [name.lower() for name in facts.classes]
    if ours and ours != theirs:
        both = (suitability.listed(one.classes) for one in (head, facts))
        print(
            "jaxseg: careful, class names differ; they are matched by number: "
            f"{' against '.join(both)}",
            file=sys.stderr,
        )


def _normalize(model: Any, how: Any, source: Any) -> Any:
    """By the mean and std of the images that the model was trained on."""
    from jaxseg.data.normalization import Normalize

    known = model.preprocessing
    if known is not None:
        return Normalize(tuple(known["mean"]), tuple(known["std"]))
    if how.normalization != "target":
        raise errors.UserError(
            f"{model.folder}: does not say how its images were normalized. Fix: "
            "--normalization=target, by the mean and std of the data evaluated"
        )
    return Normalize.of(source.dataset)


def _size(text: str | None, model: Any, source: Any) -> tuple[int, int]:
    """(height, width): as given, else that of training, else that of the data set."""
    known = model.preprocessing or {}
    size = command.size(text) or known.get("size") or source.dataset.size
    if size is None:
        raise errors.UserError(
            "--size=HxW is missing, and neither artifact nor data have a size"
        )
    return tuple(size)


def _options(text: str | None) -> dict[str, Any]:
    try:
        options = {} if text is None else json.loads(text)
    except json.JSONDecodeError as error:
        raise errors.UserError(f"--options: found {text!r}: {error}") from None
    if not isinstance(options, dict):
        raise errors.UserError(
            f"--options: found {text!r}, allowed: a JSON object of the reader's options"
        )
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    seeing.add(parser)
    add = parser.add_argument
    add("--data", required=True, metavar="NAME", help="of the catalogue, or a folder")
    add("--split", metavar="NAME", help="(default: validation; or a folder's only one)")
    add("--root", metavar="DIR", help="where the data set lies, if on disk")
    add(
        "--options",
        metavar="JSON",
        help="of its reader (default: for a folder, those of training or guessed)",
    )
    add(
        "--count",
        type=command.count,
        metavar="N",
        help="only N examples, drawn by --seed",
    )
    add("--seed", type=command.at_least(0), default=0, metavar="N", help="(default: 0)")
    add("--part", default="all", help="all, train, holdout or rest (default: all)")
    add("--only", metavar="CLASS", help="images that show it, the rest is background")
    add("--normalization", help="by mean and std of training or target")
    add(
        "--output",
        metavar="FILE",
        type=command.output_file,
        help="the same as JSON",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
