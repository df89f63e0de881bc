import pytest

from jaxseg.transfer import status, store
from tests.transfer import test_chain as chains


def line(monkeypatch, capsys, tmp_path, **headline):
    """What a run prints of a finished stage with this headline metric."""
    label = {"target": "x", "source": "y", "baseline": "x", "seed": 0}
    one = chains.fake("a")
    metric = {"name": "miou", "headline": True, "higher_is_better": True, **headline}
    monkeypatch.setattr(store.Store, "manifest", lambda *_: {"metrics": [metric]})
    with status.Status([one], store.Store(tmp_path)) as watcher:
        for source in ("x", "y"):  # the baseline first
            labelled = chains.fake("a")
            object.__setattr__(labelled, "labels", (label | {"source": source},))
            watcher.end(labelled, "done")
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    "value, floor, higher, words",
    [
        (0.412, 0.05, True, "miou 0.412 "),
        (0.412, None, True, "miou 0.412 "),
        (0.037, 0.057, True, "miou 0.037 (learning nothing gives 0.057) "),
        (0.9, 0.8, False, "miou 0.900 (learning nothing gives 0.800) "),
        (0.7, 0.8, False, "miou 0.700 "),
    ],
)
def test_a_value_its_floor_and_no_gain(
    value, floor, higher, words, monkeypatch, capsys, tmp_path
):
    facts = {"value": value, "floor": floor, "higher_is_better": higher}
    text = line(monkeypatch, capsys, tmp_path, **facts)
    assert words in text and "%" not in text
