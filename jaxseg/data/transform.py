"""What a transform of examples is."""

import dataclasses

from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.geometry import Rng


class Transform:
    """A frozen dataclass, `transform(example, rng) -> example`; the given example is
    never written to.
    """

    def for_dataset(self, facts: Dataset) -> "Transform":
        """The same transform with values that come from the data set filled in."""
        known = {"pairs": facts.flip_pairs, "fill": facts.mean}
        own = {field.name for field in dataclasses.fields(self)}
        filled = {name: x for name, x in known.items() if name in own and x}
        return dataclasses.replace(self, **filled)

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        raise NotImplementedError
