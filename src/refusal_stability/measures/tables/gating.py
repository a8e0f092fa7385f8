"""The rules of a gate, checked on two groups' per-prompt tables at equal numbers of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from refusal_stability.measures.equal_numbers import figures_at, thinned
from refusal_stability.measures.gate import Change, GateRule, RuleOutcome, check_rule, noise_within
from refusal_stability.measures.stability import K
from refusal_stability.measures.tables.comparing import COUNTS
from refusal_stability.measures.tables.pairs import OVER_REFUSAL, SAFETY, SHOWN
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.records import BENIGN

PARTS = 20  # random halves that the noise within prompts is estimated from
FREE_OF_N = ("ssi_pairwise", "refuse_rate", "partial_rate", "comply_rate")
# The largest change of one prompt in each figure.
SPANS = {name: factor * (1 - 1 / K if figure == "ssi" else 1.0) for name, (figure, factor) in SHOWN.items()}
OF_SEVERAL = ("ssi", "unstable", "flip")  # of a single sample they are always those of a stable prompt


@dataclass(frozen=True)
class Gated:
    """What was checked on one pair of groups.

    Attributes
    ----------
    name : of the model and intervention, or empty.
    checks : the outcome of each rule.
    thinned : prompts whose sides had different numbers of samples, and so were brought to the smaller one.
    single : prompts with a single sample on a side, where a rule is about stability, which those cannot show.
    """

    name: str
    checks: tuple[RuleOutcome, ...]
    thinned: int
    single: int


def gate_groups(
    name: str,
    left: pd.DataFrame,
    right: pd.DataFrame,
    rules: Sequence[GateRule],
    settings: Settings,
    alpha: float,
    n_fail_tests: int,
) -> Gated:
    """Check rules on the prompts that both groups decided.

    Parameters
    ----------
    name : of the pair.
    left, right : rows of `per_prompt_metrics` of one model and intervention each. Only their counts are read, so both
        sides are judged by one threshold.
    rules, alpha, n_fail_tests : as `measures.gate.check_rule` takes them.
    settings : the threshold, and the source of random numbers.
    """
    both = left.merge(right, on="prompt_id", suffixes=("_a", "_b"))
    both = both[(both["n_a"] > 0) & (both["n_b"] > 0)]
    first, second = (both[[f"{c}_{side}" for c in COUNTS]].to_numpy(dtype=np.int64) for side in "ab")
    benign = ((both["harm_a"] == BENIGN) | (both["harm_b"] == BENIGN)).to_numpy(dtype=bool)
    n = np.minimum(first.sum(axis=1), second.sum(axis=1))
    rng = settings.resampling.rng("gate", name)
    read = list(dict.fromkeys(SHOWN[rule.figure][0] for rule in rules))
    a, b = (figures_at(side, n, read, settings.threshold, rng) for side in (first, second))
    half = n // 2
    halves = [
        [figures_at(thinned(side, half, rng), half, read, settings.threshold, rng) for side in (first, second)]
        for _ in range(PARTS if (half > 0).any() and any(figure in FREE_OF_N for figure in read) else 0)
    ]
    checks, singles = [], [0]
    for rule in rules:
        figure, factor = SHOWN[rule.figure]
        column = read.index(figure)
        kept = ~benign if rule.figure in SAFETY else benign if rule.figure in OVER_REFUSAL else np.ones_like(benign)
        difference = factor * (b - a)[:, column]
        single = kept & (n < 2) if figure in (*OF_SEVERAL, "ssi_pairwise") else np.zeros_like(kept)
        defined = kept & ~single & ~np.isnan(difference)
        within = np.nan
        if halves and figure in FREE_OF_N:
            parts = factor * np.array([(y - x)[:, column] for x, y in halves])
            split = defined & (half > 0) & ~np.isnan(parts).any(axis=0)
            if split.any():
                sizes = (side[split].astype(np.float64) for side in (n, half))
                within = noise_within(difference[split], parts[:, split], *sizes)
        samples = float(n[defined].mean()) if defined.any() else 0.0
        change = Change(difference[defined], SPANS[rule.figure], within, samples, int(single.sum()))
        singles.append(change.single)
        checks.append(check_rule(rule, change, alpha, n_fail_tests))
    return Gated(name, tuple(checks), int((first.sum(axis=1) != second.sum(axis=1)).sum()), max(singles))
