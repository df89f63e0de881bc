"""What a stage is handed when it runs."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from jaxseg.transfer import stage as stages

Progress = Callable[[int, int, str], None]  # (done, of, text)


@dataclasses.dataclass(frozen=True)
class Work:
    """One stage at work; `folder` becomes the artifact, `scratch` is deleted.

    progress: where it stands, seen while it does. note: what it does that its section
    does not say, a line that stays.
    lost: {role: why} of parents that diverged, for a kind that does without some.
    said: {evaluation: what its protocol adds} by what was chosen before.
    """

    stage: stages.Stage
    parents: dict[str, Path]  # {role: artifact folder}
    folder: Path
    scratch: Path
    lost: Mapping[str, str] = dataclasses.field(default_factory=dict)
    said: Mapping[str, str] = dataclasses.field(default_factory=dict)
    progress: Progress = lambda done, of, text: None
    note: Callable[[str], None] = lambda text: None
    interrupted: Callable[[], bool] = lambda: False
