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


LONG = "meta-llama/Llama-3.1-70B-Instruct-awq-int4-of-somebody + a-prompt-with-a-very-long-name T=0.7 seed=43"


@pytest.mark.parametrize("title", ["llama T=0.7 seed=43", LONG, "W" * 300])
def test_a_title_leaves_the_counts_free_and_keeps_its_two_ends(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = {}

    def spy(sheet, drawn, words) -> None:
        boxes.update({word.get_text(): word.get_window_extent() for word in words[:2]})
        draw_upon(sheet, drawn, words)

    draw_upon = single_run._draw_upon
    monkeypatch.setattr(single_run, "_draw_upon", spy)
    run_png(GAPS, title)
    shown, counts = boxes
    assert counts == "3 decisions, 3 missing"
    assert boxes[shown].x1 + 5 < boxes[counts].x0
    start, _, end = shown.partition("…")
    assert (title.startswith(start) and title.endswith(end)) if "…" in shown else shown == title
    assert len(shown) > 15
