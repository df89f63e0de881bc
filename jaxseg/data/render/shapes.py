"""Signed distances of plane shapes [S, S]: negative inside, exact or close."""

import math

import numpy as np


def length(u, v):
    return np.sqrt(u * u + v * v)  # several times faster than np.hypot


def turn(x, y, cx, cy, angle):
    """Coordinates about (cx, cy), along and across a direction (radians)."""
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    dx, dy = x - np.float32(cx), y - np.float32(cy)
    return dx * cos + dy * sin, dy * cos - dx * sin


def disc(x, y, cx, cy, radius):
    return length(x - np.float32(cx), y - np.float32(cy)) - np.float32(radius)


def ellipse(x, y, cx, cy, rx, ry, angle=0.0):
    """Half axes rx along `angle`, ry across it."""
    u, v = turn(x, y, cx, cy, angle)
    scale = np.float32(min(rx, ry))
    return (length(u / np.float32(rx), v / np.float32(ry)) - 1) * scale


def box(x, y, cx, cy, hx, hy, angle=0.0, round=0.0):
    """Half sides hx, hy; corners rounded by a radius."""
    u, v = turn(x, y, cx, cy, angle)
    u = np.abs(u) - np.float32(max(hx - round, 0))
    v = np.abs(v) - np.float32(max(hy - round, 0))
    outside = length(np.maximum(u, 0), np.maximum(v, 0))
    return outside + np.minimum(np.maximum(u, v), 0) - np.float32(round)


def segment(x, y, a, b, radius):
    """A thick line with round ends from point a to point b."""
    ax, ay = np.float32(a[0]), np.float32(a[1])
    dx, dy = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
    u, v = x - ax, y - ay
    share = (u * dx + v * dy) / (dx * dx + dy * dy + np.float32(1e-9))
    along = np.minimum(np.maximum(share, 0), 1)
    return length(u - dx * along, v - dy * along) - np.float32(radius)


def convex(x, y, points):
    """A convex polygon; corners clockwise or counterclockwise."""
    points = np.asarray(points, np.float32)
    sides = np.roll(points, -1, axis=0) - points
    area = np.sum(points[:, 0] * sides[:, 1] - points[:, 1] * sides[:, 0])
    normals = np.stack([sides[:, 1], -sides[:, 0]], 1) * np.sign(area)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + np.float32(1e-9)
    distances = (
        nx * (x - px) + ny * (y - py) for (nx, ny), (px, py) in zip(normals, points)
    )
    return np.maximum.reduce(list(distances))


def lobes(x, y, cx, cy, radius, count, depth, angle=0.0):
    """A star or flower: `count` lobes whose radius varies by the share `depth`."""
    u, v = turn(x, y, cx, cy, angle)
    swing = 1 + np.float32(depth) * np.cos(np.float32(count) * np.arctan2(v, u))
    return (length(u, v) - np.float32(radius) * swing) * np.float32(0.8)
