"""Patterns and colours: fields [S, S] in [0, 1] over any pair of coordinates."""

import colorsys
import functools

import numpy as np

ALONE = 2**18  # multiplications; OpenBLAS begins to share work above 4 * 65536
ROWS = 16


def unit(field) -> np.ndarray:
    """Clips to [0, 1]; faster than np.clip for small arrays."""
    return np.minimum(np.maximum(field, 0), 1)


@functools.lru_cache(maxsize=256)
def _spread(cells, size) -> np.ndarray:
    """Weights [S, cells + 1] of a smooth interpolation of grid values."""
    place = (np.arange(size) + 0.5) / size * cells
    cell = place.astype(int)
    share = place - cell
    share = share * share * (3 - 2 * share)
    weights = np.zeros((size, cells + 1), np.float32)
    weights[np.arange(size), cell] = 1 - share
    weights[np.arange(size), cell + 1] += share
    return weights


def noise(rng, size, rows, cols=None) -> np.ndarray:
    """Smooth noise with so many cells down and across the picture."""
    cols = rows if cols is None else cols
    values = rng.random((rows + 1, cols + 1), dtype=np.float32)
    return product(_spread(rows, size) @ values, _spread(cols, size).T)


def product(a, b) -> np.ndarray:
    """a @ b, bit for bit, by rows so few that BLAS stays in the caller's thread.

    Its own threads wait for each other longer than such a product takes. It takes other
    ways, with other roundings, for fewer rows than ROWS; large products are left whole.
    """
    rows = ALONE // (b.shape[-2] * b.shape[-1])
    if rows < ROWS:
        return a @ b
    parts = [a[..., i : i + rows, :] @ b for i in range(0, a.shape[-2], rows)]
    return np.concatenate(parts, axis=-2)


def clouds(rng, size, cells, octaves=3) -> np.ndarray:
    """Noise on several scales, each twice as fine and half as strong."""
    parts = [noise(rng, size, cells * 2**i) * 0.5**i for i in range(octaves)]
    return sum(parts) / np.float32(2 - 0.5 ** (octaves - 1))


def waves(u, frequency, phase=0.0, sharp=1.0) -> np.ndarray:
    """Stripes across u, `frequency` of them per unit; sharp > 1 makes bars."""
    swing = np.sin(np.float32(2 * np.pi) * (u * np.float32(frequency) + phase))
    return unit(0.5 + np.float32(0.5 * sharp) * swing)


def cell(u, v, frequency_u, frequency_v):
    """Position within the cell of a lattice, -0.5..0.5 along each axis."""
    u, v = u * np.float32(frequency_u), v * np.float32(frequency_v)
    return u - np.floor(u) - np.float32(0.5), v - np.floor(v) - np.float32(0.5)


def dots(u, v, frequency, radius=0.3) -> np.ndarray:
    """A lattice of soft round dots; radius as a share of the cell."""
    du, dv = cell(u, v, frequency, frequency)
    return unit((np.float32(radius) - np.sqrt(du * du + dv * dv)) * 6 + 0.5)


def panes(u, v, frequency_u, frequency_v, width=0.3, height=0.3) -> np.ndarray:
    """A lattice of soft rectangles, half sides as shares of the cell: windows."""
    du, dv = cell(u, v, frequency_u, frequency_v)
    edge = np.maximum(np.abs(du) - np.float32(width), np.abs(dv) - np.float32(height))
    return unit(0.5 - edge * 8)


def times(colour, field) -> np.ndarray:
    """A colour [3] or [3, S, S] times a light [S, S]: [3, S, S]."""
    return planes(colour) * np.asarray(field, np.float32)


def mix(first, second, share) -> np.ndarray:
    """Two colours blended by a field [S, S], 0 for the first: [3, S, S]."""
    first, second = planes(first), planes(second)
    return first + np.asarray(share, np.float32) * (second - first)


def planes(colour) -> np.ndarray:
    """A colour [3] as [3, 1, 1]; a colour map [3, S, S] as it is."""
    colour = np.asarray(colour, np.float32)
    return colour[:, None, None] if colour.ndim == 1 else colour


def hsv(hue, saturation, value) -> np.ndarray:
    """One colour [3]; hue in turns."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), np.float32)


def tint(rng, saturation=(0.1, 0.6), value=(0.3, 0.9), hue=(0.0, 1.0)) -> np.ndarray:
    """A random colour [3] from ranges."""
    h, s, v = rng.random(3).tolist()

    def pick(share, span):
        return span[0] + share * (span[1] - span[0])

    return hsv(pick(h, hue), pick(s, saturation), pick(v, value))
