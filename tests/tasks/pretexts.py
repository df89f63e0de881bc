"""A pretext that is trained, and a segmenter that starts from its encoder."""

from jaxseg.core import jsonl
from jaxseg.transfer import run as runs
from jaxseg.transfer import store
from tests import tiny


def trained(pretext, model, workdir):
    """(losses by step, metrics) of the pretext, once both have been trained.

    model: of the segmenter, which takes the backbone.
    """
    target = tiny.train(
        model=model,
        steps=1,
        parents={"start": "pretext"},
        starts=[{"parent": "start", "take": {"backbone": "backbone"}}],
    )
    stages = {"pretext": pretext, "target": target}
    outcome = runs.run({"stages": stages}, workdir)
    assert outcome.ok, outcome.errors
    key, box = (
        tiny.plan({"stages": stages}).by_name["pretext"].key,
        store.Store(workdir),
    )
    rows = jsonl.read(box.folder(key) / "metrics.jsonl")
    losses = [row["loss"] for row in rows if row["kind"] == "train"]
    return losses, box.manifest(key)["metrics"]
