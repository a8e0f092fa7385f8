"""Take the pictures of MLflow and the explorer in the docs from a finished quickstart: `take_pictures.py STUDY IMAGES`.

STUDY is the folder where `make repro` ran. Nothing is written there.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from served_explorer import cell, opened_browser, serving, visit
from test_mlflow import CLOSED_ASSISTANT
from test_mlflow import serving as serving_mlflow

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

MODEL = "smollm2-135m"
WAIT = 240_000


def new_page(browser: BrowserContext, height: int) -> Page:
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    page.set_viewport_size({"width": 1280, "height": height})
    return page


def explorer(browser: BrowserContext, study: Path, images: Path) -> None:
    """The list with an open prompt; two of its responses, one refusing and one complying."""
    rows = pd.read_csv(study / "data/metrics/per_prompt_metrics.csv", dtype={"prompt_id": str})
    both = rows[(rows["intervention"] == "none") & (rows["n_refuse"] > 0) & (rows["n_comply"] > 0)]
    prompt = both.sort_values(["ssi", "prompt_id"])["prompt_id"].iloc[0]
    with serving(study, Path(tempfile.mkdtemp()) / "log") as address:
        page = new_page(browser, 1180)
        visit(page, address, prompt=prompt)
        decided = page.locator(f".grids button[data-key^='{MODEL}/none/']")
        decided.first.wait_for()
        page.wait_for_timeout(3000)
        page.screenshot(path=images / "explorer.png")
        for letter, keys in (("R", []), ("C", ["Shift"])):
            decided.filter(has_text=re.compile(f"^{letter}")).first.click(modifiers=keys)
            page.get_by_text("Right: SmolLM2" if keys else "Left: SmolLM2").wait_for()
        for i in range(2):
            page.get_by_text("Response (may hold harmful text").nth(i).click()
            page.get_by_text("ended by:").nth(i).wait_for()
        cell(page, f"{MODEL}/none/0.0/42").scroll_into_view_if_needed()
        page.get_by_role("button", name="Close the left").scroll_into_view_if_needed()
        page.wait_for_timeout(3000)
        page.screenshot(path=images / "explorer-responses.png")


def mlflow(browser: BrowserContext, study: Path, images: Path) -> None:
    """The view of temperatures, its prompts side by side, its charts, and four runs compared."""
    with serving_mlflow(study) as (_, view):
        page = new_page(browser, 800)
        page.add_init_script(CLOSED_ASSISTANT)
        page.goto(view)
        runs = page.locator("[role=gridcell][col-id='attributes.`Run Name`'] a")
        runs.nth(5).wait_for()

        def shoot(name: str) -> None:
            page.wait_for_timeout(4000)
            page.screenshot(path=images / f"{name}.png")

        shoot("mlflow_runs")
        page.locator("label").filter(has=page.locator("input[value=ARTIFACT]")).click()
        page.get_by_text(re.compile("(REFUSE|COMPLY) 3")).first.wait_for()
        shoot("mlflow_prompts")
        page.locator("label").filter(has=page.locator("input[value=TABLE]")).click()
        runs.nth(5).wait_for()
        # Each intervention at temperatures 0.7 and 1.
        for row in (1, 2, 4, 5):
            page.locator(f"[row-index='{row}'] input[type=checkbox]").first.check()
        page.get_by_role("button", name="Compare", exact=True).click()
        page.locator("svg .axis-title").first.wait_for()
        shoot("mlflow_compare")
        page.goto(f"{view}&compareRunsMode=CHART")
        page.get_by_text("Parallel Coordinates").first.wait_for()
        page.locator("svg").filter(has_text="temperature").first.wait_for()
        shoot("mlflow_charts")


if __name__ == "__main__":
    folder, into = (Path(name).resolve() for name in sys.argv[1:3])
    with opened_browser() as opened:
        explorer(opened, folder, into)
        mlflow(opened, folder, into)
