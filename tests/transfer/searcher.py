"""A study of searches whose candidates have scores by hand; in a process of its own:

python -m tests.transfer.searcher WORKDIR run|work
"""

import sys
import time
from pathlib import Path

from jaxseg.core import lookup
from jaxseg.transfer import chain, kinds
from jaxseg.transfer import run as runs
from tests.transfer.scored_kind import scored

RATES = (0.001, 0.002, 0.005, 0.01, 0.02)


def install():
    """The kind `scored` is one of the kinds; returns what takes it away again."""
    folder = str(Path(scored.__file__).parent)
    kinds.__path__.append(folder)
    lookup._names.cache_clear()

    def undo():
        kinds.__path__.remove(folder)
        lookup._names.cache_clear()

    return undo


def candidates(*scores, name="x", **section):
    """Stages x/0, x/1 ... by rising learning rate."""
    return {
        f"{name}/{place}": dict(kind="scored", lr=rate, score=score, **section)
        for place, (rate, score) in enumerate(zip(RATES, scores, strict=False))
    }


def search(made, start, **section):
    """A selection among stages by a search that begins with the one at that place."""
    parents = {f"c{place}": name for place, name in enumerate(made)}
    section = dict(refit=False, search="peak", start=f"c{start}") | section
    return dict(kind="select", parents=parents, **section)


def config():
    """Two searches, and a stage that starts from the first one's choice.

    x asks for 1, 0, 2, 3; y for 3 and 2, 1. z needs y/4, which y does not ask for. Each
    candidate of y starts from a stage of its own.
    """
    x = candidates(0.3, 0.4, 0.6, 0.5, 0.9)
    y = candidates(0.1, 0.2, 0.7, None, 0.9, name="y")
    before = {f"{name}/before": dict(kind="scored", score=0.0) for name in y}
    for place, name in enumerate(y):
        y[name]["parents"] = {"start": f"{name}/before"}
        before[f"{name}/before"]["lr"] = 1.0 + place
    stages = x | {"x": search(x, 1)} | before | y | {"y": search(y, 3)}
    stages["child"] = dict(kind="scored", score=0.0, parents={"start": "x"})
    stages["z"] = dict(kind="scored", score=0.0, lr=0.5, parents={"start": "y/4"})
    return {"study": "searches", "stages": stages}


ASKED = {"x/1", "x/0", "x/2", "x/3", "x", "child"} | {"y/3", "y/2", "y/1", "y", "z"}
ASKED |= {"y/4"} | {f"y/{place}/before" for place in (1, 2, 3, 4)}


def work(workdir):
    """What the README tells workers to do: each key of the plan, in any order, again
    after 3 or 4. UserError's text where a stage fails.
    """
    keys = [one.key for one in chain.plan(chain.bind(config())).stages]
    while keys:
        codes = {k: runs.run(config(), workdir, stage=k).exit_code for k in keys}
        assert set(codes.values()) <= {0, 1, 3, 4}, codes
        keys = [key for key, code in codes.items() if code in (3, 4)]
        time.sleep(0.02)


if __name__ == "__main__":
    install()
    workdir, how = sys.argv[1:]
    if how == "work":
        work(workdir)
    else:
        sys.exit(runs.run(config(), workdir).exit_code)
