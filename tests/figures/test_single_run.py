"""A run's page depends on that run alone, although runs share the sheet that their common words are drawn on."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from refusal_stability.figures import single_run
from refusal_stability.figures.single_run import run_png

MAJORITY = ["REFUSE", "REFUSE", "PARTIAL", "COMPLY", "COMPLY", "REFUSE"]
CATEGORIES = ["violence", "hate|privacy", "hate", "privacy", "a_category_with_a_very_long_name_indeed", "violence"]


def run_rows(*decisions: str) -> pd.DataFrame:
    return pd.DataFrame({"category": CATEGORIES, "majority": MAJORITY, "decision": list(decisions)})


ONE = run_rows("REFUSE", "COMPLY", "PARTIAL", "COMPLY", "COMPLY", "REFUSE")
TWO = run_rows("COMPLY", "COMPLY", "COMPLY", "COMPLY", "COMPLY", "COMPLY")
GAPS = run_rows("", "COMPLY", "PARTIAL", "", "", "REFUSE")
NONE = run_rows("", "", "", "", "", "")


@pytest.mark.parametrize("rows", [ONE, TWO, GAPS, NONE], ids=["one", "two", "gaps", "none"])
def test_a_page_is_the_same_whatever_was_drawn_before(rows: pd.DataFrame) -> None:
    single_run._sheet.cache_clear()
    alone = run_png(rows, "this run")
    for before in (ONE, TWO, GAPS, NONE):
        run_png(before, "a longer title of another run")
    assert run_png(rows, "this run") == alone


def test_runs_that_differ_have_pages_that_differ() -> None:
    assert len({run_png(rows, "x") for rows in (ONE, TWO, GAPS, NONE)}) == 4
    assert run_png(ONE, "x") != run_png(ONE, "y")


def test_the_bars_have_the_colours_of_the_decisions_in_their_shares() -> None:
    pixels = np.asarray(Image.open(io.BytesIO(run_png(TWO, "x"))))[..., :3]
    left, right = (int(x * single_run.SCREEN_DPI) for x in single_run.BARS)
    middle = int((single_run.TOP + 0.5 * single_run.ROW) * single_run.SCREEN_DPI)
    bar = pixels[middle, left + 2 : right - 2]
    assert {tuple(int(v) for v in pixel) for pixel in bar} == {(0xC8, 0x50, 0x1E)}
