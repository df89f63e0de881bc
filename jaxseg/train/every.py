"""The one answer to "is it time?"."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Every:
    """True at every `period` finished steps and at the last; 0: at the last only."""

    period: int
    last: int

    def __call__(self, step: int) -> bool:
        """`step` counts finished steps, from 1 to `last`."""
        return step == self.last or (self.period > 0 and step % self.period == 0)
