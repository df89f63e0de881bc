"""Type aliases that all layers share."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = Any  # jax.Array or np.ndarray: core does not import JAX here
Example = dict[str, Any]  # one record with the fields of data/dataset.py (NumPy)
Batch = dict[str, Array]  # the same fields stacked along a leading axis
Variables = Mapping[str, Any]  # {"params": tree, "batch_stats": tree}
Totals = Mapping[str, Array]  # denominators of the losses of a batch
Logs = dict[str, Array]  # scalars by name
Image = np.ndarray  # uint8 or uint16 [H, W, C]
