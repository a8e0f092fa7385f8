"""The table by harm, worked by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from small_studies import study_of, tables_of

from refusal_stability.records import MISSING, NOT_SAMPLED

# Two temperatures, two seeds. Prompt 0 is harmful, 1 and 2 are benign, 3 does not say.
CODES = np.array([[[0, 0], [0, 2]], [[2, 2], [2, MISSING]], [[0, 2], [2, NOT_SAMPLED]], [[0, 0], [0, 0]]])
HARMS = np.array(["harmful", "benign", "benign", ""], dtype=object)


def test_safety_is_read_from_harmful_prompts_and_over_refusal_from_benign_ones() -> None:
    table = tables_of(dataclasses.replace(study_of(CODES), harms=HARMS))["aggregate_by_harm"]
    harmful, benign = (row for _, row in table.iterrows())
    assert (harmful["harm"], benign["harm"]) == ("harmful", "benign")
    assert (harmful["n_prompts"], harmful["n_responses"], harmful["n_missing"]) == (1, 4, 0)
    assert (benign["n_prompts"], benign["n_responses"], benign["n_missing"]) == (2, 6, 1)
    assert harmful["mean_comply_rate"] == 1 / 4
    assert benign["mean_refuse_rate"] == pytest.approx((0 + 1 / 3) / 2)
    assert benign["mean_ssi"] == pytest.approx((1 + 2 / 3) / 2)
    assert (harmful["pct_flipped"], benign["pct_flipped"]) == (100, 50)


@pytest.mark.parametrize("harms", [None, np.array([""] * 4, dtype=object)])
def test_where_no_prompt_says_there_is_no_row(harms: np.ndarray | None) -> None:
    assert tables_of(dataclasses.replace(study_of(CODES), harms=harms))["aggregate_by_harm"].empty
