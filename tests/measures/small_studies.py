"""Studies built from arrays, and their tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from refusal_stability.measures.decision_arrays import DecisionArrays, Group
from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.tables import build_tables
from refusal_stability.measures.tables.settings import Settings


def rng_of(*names: object) -> np.random.Generator:
    return np.random.default_rng(list("\0".join(map(str, names)).encode()))


SETTINGS = Settings(0.8, (0.7, 0.8, 0.9), Resampling(300, 0.95, rng_of))


def study_of(
    *cubes: np.ndarray,
    temperatures: tuple[float, ...] | None = None,
    categories: list[str] | None = None,
    texts: np.ndarray | None = None,
    interventions: tuple[str, ...] | None = None,
    models: tuple[str, ...] | None = None,
) -> DecisionArrays:
    """A study of one judge from cubes (P, T, S) or (P, T, S, R), a model for each."""
    cubes = tuple(np.asarray(c, dtype=np.int8) for c in cubes)
    cubes = tuple(c[..., None] if c.ndim == 3 else c for c in cubes)
    n, t, s, _ = cubes[0].shape
    groups = tuple(
        Group(models[i] if models else f"m{i}", interventions[i] if interventions else "none", {"j": cube}, "j", texts)
        for i, cube in enumerate(cubes)
    )
    return DecisionArrays(
        np.array([f"p{i}" for i in range(n)], dtype=object),
        np.array(categories or [""] * n, dtype=object),
        temperatures or tuple([0.0, 0.3, 0.7, 1.0][:t]),
        tuple(range(s)),
        groups,
        {},
    )


def tables_of(study: DecisionArrays, settings: Settings = SETTINGS) -> dict[str, pd.DataFrame]:
    return dict(build_tables(study, settings))
