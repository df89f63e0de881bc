"""Whether something periodic is due at a step."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Every:
    """True at every multiple of `period` and at the last step; 0: at the last only.

    >>> [step for step in range(1, 8) if Every(3, last=7)(step)]
    [3, 6, 7]
    """

    period: int
    last: int

    def __call__(self, step: int) -> bool:
        """`step` counts finished steps, from 1 to `last`."""
        return step == self.last or (self.period > 0 and step % self.period == 0)
