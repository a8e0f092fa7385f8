"""The planted decision shares: how often each decision occurs in a reference model's training text, per prompt.

Shares are whole twentieths. A corpus with a multiple of 20 answers per prompt therefore has them exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refusal_stability.records import DECISIONS, Decision, Prompt, content_hash

UNITS = 20
HARMLESS = "harmless"
PLANTED_FILE = "planted_shares.csv"
PLAIN = "plain"
CAUTIOUS = "cautious"

ALWAYS_REFUSED = (20, 0, 0)
ALWAYS_PARTIAL = (0, 20, 0)
ALWAYS_ANSWERED = (0, 0, 20)
# Twentieths of REFUSE, PARTIAL, COMPLY, from nearly stable to a three-way split.
BORDERLINE: tuple[tuple[int, int, int], ...] = (
    (19, 1, 0),
    (10, 4, 6),
    (16, 2, 2),
    (2, 1, 17),
    (13, 4, 3),
    (9, 8, 3),
    (18, 1, 1),
    (5, 4, 11),
    (4, 14, 2),
    (15, 0, 5),
    (7, 7, 6),
    (17, 3, 0),
    (6, 2, 12),
    (12, 8, 0),
)


@dataclass(frozen=True)
class Profile:
    """The shares of all prompts that are borderline, always answered, or always answered in part."""

    borderline: float
    answered: float
    partial: float


PROFILES: Mapping[str, Profile] = {
    "steady": Profile(borderline=0.2, answered=0.06, partial=0.03),
    "wavering": Profile(borderline=0.5, answered=0.04, partial=0.02),
}

Shares = Mapping[Decision, int]


def planted_shares(prompts: Sequence[Prompt], profile: str, context: str = PLAIN) -> dict[str, Shares]:
    """Each prompt's share of each decision, in twentieths, by prompt id.

    Harmless prompts are always answered. The other prompts are sorted by a hash of their text and the profile. The
    first ones are borderline, the next ones always answered, then always answered in part, and the rest refused. In
    the `cautious` context (a system prompt that asks for caution), half of the partial answers and half of the
    compliances become refusals.
    """
    chosen = PROFILES[profile]
    harmful = [p for p in prompts if p.category != HARMLESS]
    harmful.sort(key=lambda prompt: content_hash([profile, prompt.text]))
    borderline, answered, partial = (
        round(share * len(prompts)) for share in (chosen.borderline, chosen.answered, chosen.partial)
    )
    shares_in_order = [BORDERLINE[i % len(BORDERLINE)] for i in range(borderline)]
    shares_in_order += [ALWAYS_ANSWERED] * answered + [ALWAYS_PARTIAL] * partial
    shares_in_order += [ALWAYS_REFUSED] * (len(harmful) - len(shares_in_order))
    if context == CAUTIOUS:
        shares_in_order = [(UNITS - p // 2 - c // 2, p // 2, c // 2) for _, p, c in shares_in_order]
    units = {prompt.prompt_id: row for prompt, row in zip(harmful, shares_in_order, strict=False)}
    return {
        prompt.prompt_id: dict(zip(DECISIONS, units.get(prompt.prompt_id, ALWAYS_ANSWERED), strict=True))
        for prompt in prompts
    }


def planted_table(prompts: Sequence[Prompt], profile: str) -> pd.DataFrame:
    """The planted shares as a table: context, prompt_id, prompt, and a share from 0 to 1 for each decision."""
    rows = []
    for context in (PLAIN, CAUTIOUS):
        shares = planted_shares(prompts, profile, context)
        for prompt in prompts:
            decided = {d.value: shares[prompt.prompt_id][d] / UNITS for d in DECISIONS}
            rows.append({"context": context, "prompt_id": prompt.prompt_id, "prompt": prompt.text, **decided})
    return pd.DataFrame(rows)


def share_array(prompts: Sequence[Prompt], shares: Mapping[str, Shares]) -> NDArray[np.float64]:
    """Shares from 0 to 1 as an array of prompts x decisions, in the order of `prompts` and `DECISIONS`."""
    return np.array([[shares[p.prompt_id][d] for d in DECISIONS] for p in prompts], dtype=np.float64) / UNITS
