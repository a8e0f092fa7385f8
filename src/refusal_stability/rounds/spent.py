"""What adaptive sampling spent, as rows of its table and as a line for people."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from refusal_stability.measures.adaptive.rounds import Sampled
from refusal_stability.measures.adaptive.rules import REASON_NAMES, VERDICT_NAMES
from refusal_stability.records import NOT_SAMPLED
from refusal_stability.tables.sampled import digits_of


def sampled_rows(found: Sampled) -> pd.DataFrame:
    """A row for each prompt, in order; without its id and intervention."""
    return pd.DataFrame(
        {
            "verdict": [VERDICT_NAMES[code] for code in found.verdict],
            "reason": [REASON_NAMES[code] for code in found.reason],
            "taken": found.taken,
            "spent": found.spent,
            "audited": found.design.audited,
            "samples": [digits_of(taken) for taken in (found.codes != NOT_SAMPLED).tolist()],
        }
    )


def said_of(found: Sampled) -> str:
    """One line: samples spent, and how many prompts stopped for which reason."""
    spent, grid = int(found.spent.sum()), found.codes.size
    kinds = Counter(zip(found.verdict.tolist(), found.reason.tolist(), strict=True))
    why = ", ".join(
        f"{n} {VERDICT_NAMES[verdict]} ({REASON_NAMES[reason]})" for (verdict, reason), n in sorted(kinds.items())
    )
    return f"{spent} of {grid} samples ({spent / grid:.1%}) in {found.rounds} rounds; prompts: {why}"
