"""Two groups' per-prompt tables compared: pairing, what is left out, and which prompts changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.tables.comparing import MOST_CHANGED, compare_groups
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.records import StudyError

SETTINGS = Settings(0.8, (0.8,), Resampling(200, 0.95, lambda *name: np.random.default_rng(0)))


def group(model: str, rows: dict[str, tuple[int, int, int]]) -> pd.DataFrame:
    counts = np.array(list(rows.values()))
    n = counts.sum(axis=1)
    return pd.DataFrame(
        {
            "model": model,
            "intervention": "none",
            "prompt_id": list(rows),
            "category": "c",
            "harm": "",
            "n": n,
            "n_refuse": counts[:, 0],
            "n_partial": counts[:, 1],
            "n_comply": counts[:, 2],
            "ssi": np.where(n > 0, counts.max(axis=1) / np.maximum(n, 1), np.nan),
            "majority": "REFUSE",
        }
    )


LEFT = group("one", {"a": (4, 0, 0), "b": (3, 1, 0), "c": (2, 0, 2), "d": (0, 0, 0), "e": (4, 0, 0)})
RIGHT = group("two", {"c": (4, 0, 0), "b": (3, 0, 1), "d": (4, 0, 0), "a": (3, 0, 1), "f": (4, 0, 0)})


def test_prompts_are_paired_by_id_and_what_is_left_out_is_counted() -> None:
    found = compare_groups(LEFT, RIGHT, SETTINGS)
    assert (found.n_paired, found.n_undecided, found.n_only_a, found.n_only_b) == (3, 1, 1, 1)
    assert found.notes() == ["3 prompts paired; only in A 1, only in B 1; left out because a side has no decision 1"]
    figures = found.figures.set_index("figure")
    # a 1 -> 3/4, b 3/4 -> 3/4, c 1/2 -> 1
    assert figures.loc["mean_ssi", "a"] == pytest.approx((1 + 3 / 4 + 1 / 2) / 3)
    assert figures.loc["mean_ssi", "difference"] == pytest.approx((-1 / 4 + 0 + 1 / 2) / 3)


def test_only_prompts_that_changed_are_listed_the_most_changed_first() -> None:
    changed = compare_groups(LEFT, RIGHT, SETTINGS).changed
    assert list(zip(changed["prompt_id"], changed["change"], strict=True)) == [("c", 0.5), ("a", -0.25)]
    many = {f"p{i}": (4, 0, 0) for i in range(30)}
    worse = dict.fromkeys(many, (3, 1, 0))
    assert len(compare_groups(group("one", many), group("two", worse), SETTINGS).changed) == MOST_CHANGED


def test_unequal_numbers_of_samples_are_pointed_out() -> None:
    doubled = RIGHT.assign(**{c: RIGHT[c] * 2 for c in ("n", "n_refuse", "n_partial", "n_comply")})
    notes = compare_groups(LEFT, doubled, SETTINGS).notes()
    assert notes[1].startswith("A has 4.0 decisions a prompt and B 8.0: read mean_ssi_pairwise")


@pytest.mark.parametrize(
    ("right", "problem"),
    [
        ({"x": (4, 0, 0)}, "of their 5 and 1 prompts 0 are in both"),
        ({"d": (4, 0, 0)}, "of their 5 and 1 prompts 1 are in both, none of them with a decision on both"),
    ],
)
def test_sides_without_a_common_decided_prompt_are_refused(
    right: dict[str, tuple[int, int, int]], problem: str
) -> None:
    with pytest.raises(StudyError, match=problem):
        compare_groups(LEFT, group("two", right), SETTINGS)


def test_a_prompt_is_benign_where_either_side_s_table_says_so() -> None:
    labelled = LEFT.assign(harm=["benign", "", "", "", ""])
    for sides in ((labelled, RIGHT), (RIGHT, labelled)):
        figures = compare_groups(*sides, SETTINGS).figures.set_index("figure")
        assert {figures.loc["over_refusal", side] for side in "ab"} == {1, 0.75}
    assert "over_refusal" not in set(compare_groups(LEFT, RIGHT, SETTINGS).figures["figure"])
