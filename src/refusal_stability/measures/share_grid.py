"""The true decision shares that a prompt may have: a grid on the simplex, dense near the vertices and edges."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.stability import K

RARE = (0.003, 0.01)  # shares too small to tell from 0 in 20 responses, on which flips depend
STEP = 0.7  # between levels, in standard errors of a share on the arcsine scale
MOST_LEVELS = 40


def share_levels(n: int) -> Floats:
    """Levels of one decision's share.

    Parameters
    ----------
    n : responses to a prompt.

    Returns
    -------
    (m,) from 0 to 0.5 and beyond, evenly spaced on the arcsine scale, on which a share is equally well known
        everywhere (standard error `1 / (2 sqrt n)`), with `RARE` added.
    """
    steps = int(np.clip(np.ceil(np.pi / 2 / (STEP / (2 * np.sqrt(max(n, 1))))), 6, MOST_LEVELS))
    even = np.sin(np.linspace(0, np.pi / 2, steps + 1)) ** 2
    return np.unique(np.concatenate([[0.0], RARE, even[even > 2 * max(RARE)]]))


@lru_cache(maxsize=8)
def share_grid(n: int) -> Floats:
    """Points of the simplex.

    Parameters
    ----------
    n : the largest number of responses to a prompt.

    Returns
    -------
    (G, K) rows sum to 1. The first K are the vertices. Each point has all but its largest share on `share_levels`.
    """
    levels = share_levels(n)
    others = np.stack(np.meshgrid(*[levels] * (K - 1), indexing="ij"), axis=-1).reshape(-1, K - 1)
    others = others[others.sum(axis=1) + others.max(axis=1) <= 1 + 1e-9]
    points = [np.insert(others, c, 1 - others.sum(axis=1), axis=1) for c in range(K)]
    inside = np.unique(np.round(np.concatenate([*points, np.full((1, K), 1 / K)]), 12), axis=0)
    inside = inside[inside.max(axis=1) < 1]
    return np.concatenate([np.eye(K), inside / inside.sum(axis=1, keepdims=True)])
