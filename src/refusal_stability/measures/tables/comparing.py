"""Two groups' per-prompt tables compared, paired by prompt."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from refusal_stability.measures.tables.pairs import side_by_side
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.records import BENIGN, DECISIONS, StudyError

COUNTS = [f"n_{decision.word}" for decision in DECISIONS]
MOST_CHANGED = 10
NEAR = 0.05  # sides whose numbers of samples differ by less than this share count as equal


@dataclass(frozen=True)
class Comparison:
    """Two sides compared.

    Attributes
    ----------
    figures : rows of `pairs.side_by_side`.
    changed : the prompts whose ssi changed most, at most `MOST_CHANGED`: `prompt_id`, `category`, `ssi_a`, `ssi_b`,
        `change` (b minus a), `majority_a`, `majority_b`.
    n_paired : prompts that both sides decided; `n_undecided` have no decision on a side, `n_only_a` and `n_only_b`
        are not in the other side's table.
    samples_a, samples_b : mean number of decisions a paired prompt.
    """

    figures: pd.DataFrame
    changed: pd.DataFrame
    n_paired: int
    n_undecided: int
    n_only_a: int
    n_only_b: int
    samples_a: float
    samples_b: float

    @property
    def n_left_out(self) -> int:
        """Prompts of either side that are not compared."""
        return self.n_undecided + self.n_only_a + self.n_only_b

    def notes(self) -> list[str]:
        """What a reader must know before the figures: how prompts were paired, and unequal numbers of samples."""
        lines = [f"{self.n_paired} prompts paired; only in A {self.n_only_a}, only in B {self.n_only_b}"]
        if self.n_undecided:
            lines[0] += f"; left out because a side has no decision {self.n_undecided}"
        if abs(self.samples_a - self.samples_b) > NEAR * max(self.samples_a, self.samples_b):
            lines.append(
                f"A has {self.samples_a:.1f} decisions a prompt and B {self.samples_b:.1f}: read mean_ssi_pairwise, "
                "which does not depend on their number; the other stability figures do."
            )
        return lines


def compare_groups(left: pd.DataFrame, right: pd.DataFrame, settings: Settings, itself: bool = False) -> Comparison:
    """Every figure of two groups, and the prompts that changed most.

    Parameters
    ----------
    left, right : rows of `per_prompt_metrics` of one model and intervention each.
    settings : threshold, and how intervals are drawn.
    itself : both are the same rows of the same study. Of two studies that agree, other prompts might still differ.

    Raises
    ------
    StudyError
        Where no prompt is in both with a decision, so that nothing can be paired.
    """
    common = left.merge(right, on="prompt_id", suffixes=("_a", "_b"))
    both = common[(common["n_a"] > 0) & (common["n_b"] > 0)]
    if both.empty:
        raise StudyError(
            f"the two sides cannot be paired: of their {len(left)} and {len(right)} prompts {len(common)} are in both, "
            "none of them with a decision on both; compare groups that were asked the same prompts"
        )
    first, second = (both[[f"{c}_{side}" for c in COUNTS]].to_numpy() for side in "ab")
    benign = ((both["harm_a"] == BENIGN) | (both["harm_b"] == BENIGN)).to_numpy()
    figures = side_by_side(first, second, benign, settings.threshold, settings.resampling, itself)
    samples = [float(counts.sum(axis=1).mean()) for counts in (first, second)]
    only = [len(side) - len(common) for side in (left, right)]
    undecided = len(common) - len(both)
    return Comparison(pd.DataFrame(figures), _most_changed(both), len(both), undecided, *only, *samples)


def _most_changed(both: pd.DataFrame) -> pd.DataFrame:
    changes = both.assign(change=(both["ssi_b"] - both["ssi_a"]).round(12)).rename(columns={"category_a": "category"})
    order = changes["change"].abs().sort_values(ascending=False, kind="stable").index
    columns = ["prompt_id", "category", "ssi_a", "ssi_b", "change", "majority_a", "majority_b"]
    return changes.loc[order, columns].query("change != 0").head(MOST_CHANGED)
