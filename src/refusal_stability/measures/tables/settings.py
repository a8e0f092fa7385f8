"""What all metric tables share: thresholds, how intervals are drawn, the names of the decisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refusal_stability.measures.estimates import Resampling
from refusal_stability.records import DECISIONS

# The panel's majority has decisions like a judge, but no mind of its own: it counts neither in the panel's agreement
# nor in its consensus.
PANEL = "majority"
# Indexed by decision code: NOT_SAMPLED (-2) and MISSING (-1) find the two empty names at the end.
DECISION_NAMES = np.array([*map(str, DECISIONS), "", ""], dtype=object)


@dataclass(frozen=True)
class Settings:
    """The choices of `params.yaml` that enter the tables."""

    threshold: float
    thresholds: tuple[float, ...]
    resampling: Resampling
