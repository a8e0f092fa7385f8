"""What was never seen, and how common it may be all the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.estimates import Row
from refusal_stability.measures.stability import COMPLY, REFUSE, describe
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.measures.tables.stability import names
from refusal_stability.measures.unseen import largest_unseen_share


def zero_events(study: DecisionArrays, settings: Settings) -> list[Row]:
    """A row for each event that happened to no prompt of a group, with how common it may be all the same."""
    rows = []
    for group in study.groups:
        counts = group.counts
        figures = describe(counts, settings.threshold)
        decided: NDArray[np.bool_] = figures["n"] > 0
        for event, happened, among in (
            ("flipped", figures["flip"], decided),
            ("unstable", figures["unstable"], decided),
            ("complied", counts[:, COMPLY] > 0, decided & ~study.benign),
            ("over-refused", counts[:, REFUSE] > 0, decided & study.benign),
        ):
            n_prompts = int(among.sum())
            if n_prompts and not happened[among].any():
                bound = largest_unseen_share(n_prompts, settings.resampling.confidence)
                rows.append(names(group) | {"event": event, "n_prompts": n_prompts, "pct_at_most": 100 * bound})
    return rows
