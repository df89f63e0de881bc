"""Where a patch with or without objects of a class is cut from a picture.

The rule of the decoder study: a random bit decides, then crops are drawn until none or
at least a fifth of the pixels are of the class.
"""

import numpy as np

ENOUGH, TRIES = 0.2, 200


def find(
    shown: np.ndarray, rng: np.random.Generator, side: int
) -> tuple[tuple[slice, slice], int] | None:
    """Where to crop a bool mask, and 1 with objects or 0 without; None where no crop
    is found.

    By the random bit if possible, else the other way. side: of the patch, or less where
    the mask is smaller.
    """
    height, width = (min(side, length) for length in shown.shape)
    coin = bool(rng.integers(2))
    for wanted in (coin, not coin):
        for _ in range(TRIES):
            top = rng.integers(shown.shape[0] - height + 1)
            left = rng.integers(shown.shape[1] - width + 1)
            place = np.s_[top : top + height, left : left + width]
            share = shown[place].mean()
            if share >= ENOUGH if wanted else share == 0:
                return place, int(wanted)
    return None
