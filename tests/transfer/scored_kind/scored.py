"""A kind whose stages train nothing and have the score that their section says.

Each appends its name to MADE in the workdir as it begins. The one that KILL_AT names
kills its process there; SLOW is how many seconds each takes.
"""

import dataclasses
import os
import signal
import time

from jaxseg.core import binding, errors
from jaxseg.transfer import stage

MADE = "made.txt"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored(binding.Spec):
    """score: None diverges, -1 fails."""

    lr: float = 0.1
    score: float | None = None
    higher_is_better: bool = True


class Kind(stage.Kind):
    Spec = Scored
    VERSION = 1

    def check_parents(self, spec, parents, where):
        """Any will do."""

    def describe(self, spec, parents):
        return {"steps": 10}

    def run(self, context):
        spec, name = context.stage.spec, context.stage.name
        with open(context.folder.parents[2] / MADE, "a") as file:
            file.write(f"{name}\n")
        if os.environ.get("KILL_AT") == name:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(os.environ.get("SLOW", 0)))
        if spec.score is None:
            raise errors.Diverged("loss is inf.")
        if spec.score == -1:
            raise errors.UserError("no such file. Fix: another")
        metric = {"name": "miou", "evaluation": "holdout", "value": spec.score}
        metric |= {"headline": True, "higher_is_better": spec.higher_is_better}
        return {"metrics": [metric | {"protocol": "", "floor": None}]}


KIND = Kind()
