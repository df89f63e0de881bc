"""What the stages of a study cost, and which code, data and machines made them."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxseg.report import workdir

# FLOP/s of a TPU-v3 chip in bfloat16, and the share of it that appendix D of factors
# amounts to: 364 hours for 200 epochs of ILSVRC with HRNetV2-W48.
PEAK, UTILISATION = 123e12, 0.17
TIMES = {  # parts of a stage's seconds, in the order in which a bar shows them
    "steps": "#3f7fbf",
    "data_wait": "#c23b32",
    "evaluation": "#7cc08f",
    "compile": "#e0b34a",
    "other": "#c5ccd4",
}


def stages(study: workdir.Study) -> list[dict[str, Any]]:
    """The rows of the cost table. An artifact that two entries share counts once."""
    lines, first = [], {}
    for stage in study.stages:
        line = {"name": stage.name, "kind": stage.kind, "status": stage.status}
        line |= {"key": stage.key[:20], "error": stage.error, "seconds": None}
        line |= {"parts": {}, "same": first.setdefault(stage.key, stage.name)}
        line |= dict.fromkeys(("steps", "peak", "parameters", "waiting", "flops"))
        if stage.artifact and line["same"] == stage.name:
            line |= _cost(stage.artifact.manifest)
        lines.append(line)
    return lines


def _cost(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Time, memory and size of one artifact. The parts of its time sum to `seconds`."""
    timing = manifest.get("timing") or {}
    busy = timing.get("steps", 0) + timing.get("data_wait", 0)
    return {
        "seconds": manifest.get("seconds"),
        "steps": manifest.get("steps"),
        "peak": (manifest.get("peak_bytes") or 0) / 2**20 or None,
        "parameters": manifest.get("parameters"),
        "flops": manifest.get("flops"),
        "parts": {name: timing.get(name, 0) for name in TIMES},
        "waiting": 100 * timing.get("data_wait", 0) / busy if busy else None,
    }


def waiting(stages: Sequence[Mapping[str, Any]]) -> float | None:
    """Per cent of the training time spent waiting for data; None without training."""
    total = lambda name: sum(stage["parts"].get(name, 0) for stage in stages)
    busy = total("steps") + total("data_wait")
    return 100 * total("data_wait") / busy if busy else None


def licences(studies: Sequence[workdir.Study]) -> list[Mapping[str, Any]]:
    """The distinct licences of data and imported weights, non-commercial ones first."""
    rows = {
        (not entry["noncommercial"], entry["of"], entry["licence"]): entry
        for study in studies
        for stage in study.stages
        if stage.artifact
        for entry in stage.artifact.manifest.get("licences") or ()
    }
    return [rows[key] for key in sorted(rows)]


def provenance(studies: Sequence[workdir.Study]) -> dict[str, list[str]]:
    """{what: distinct values} of devices, code, packages and versions."""
    manifests = {
        stage.key: stage.artifact.manifest
        for study in studies
        for stage in study.stages
        if stage.artifact
    }.values()
    distinct = lambda values: sorted({value for value in values if value})
    joined = lambda table: ", ".join(
        f"{k} {v}" for k, v in sorted((table or {}).items())
    )
    return {
        "devices": distinct(
            f"{m['devices']}, {m.get('cores', '?')} cores"
            for m in manifests
            if m.get("devices")  # a measurement has none
        ),
        "code": distinct(_revision(m.get("code") or {}) for m in manifests),
        "packages": distinct(joined(m.get("packages")) for m in manifests),
        "versions of parts": distinct(joined(m.get("versions")) for m in manifests),
        "artifacts made": _span(distinct(str(m.get("created", "")) for m in manifests)),
    }


def _revision(code: Mapping[str, Any]) -> str:
    """'1a2b3c4d5e6f, with uncommitted changes'; '' outside a checkout."""
    changed = ", with uncommitted changes" if code.get("dirty") else ""
    return f"{code['revision'][:12]}{changed}" if code.get("revision") else ""


def _span(times: Sequence[str]) -> list[str]:
    """['2024-05-01 10:00 to 2024-05-02 11:30'] of sorted times; [] of none."""
    ends = [time[:16].replace("T", " ") for time in (*times[:1], *times[-1:])]
    return [" to ".join(dict.fromkeys(ends))] if ends else []


def tpu_hours(flops: int | float) -> float:
    """TPU-v3 hours of so many FLOPs: an estimate, at UTILISATION of PEAK."""
    return flops / (PEAK * UTILISATION) / 3600


def measured_hours(manifest: Mapping[str, Any]) -> float | None:
    """Devices x hours of the steps of a training, without compilation, evaluation and
    waiting for data; None of another artifact.
    """
    timing, devices = manifest.get("timing") or {}, manifest.get("devices")
    if not devices or "steps" not in timing:
        return None
    return int(devices.split(" x ")[0]) * timing["steps"] / 3600
