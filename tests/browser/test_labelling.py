"""Labelling in the explorer, in a real browser: a form is filled in by keys, blind, and imported as any other."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from accessibility import serious_findings
from explored_study import EARLIER_TURNS, write_explored_study
from playwright.sync_api import expect
from served_explorer import WAIT, Tab, careful, open_tab, opened_browser, serving, visit

from refusal_stability.commands import review
from refusal_stability.files import PEOPLE_LABELS, REVIEW_FORMS
from refusal_stability.plain_text import visible
from refusal_stability.review.forms import read_cells, write_label

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ANNA, BEN = (REVIEW_FORMS / f"{name}.csv" for name in ("anna", "ben"))
NOTE = "Responses to label (may hold harmful text; click to unfold)"


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, made_once: Callable[..., Path], write_study: Callable[..., None]
) -> Iterator[Path]:
    folder, before = tmp_path_factory.mktemp("labelled") / "study", Path.cwd()
    shutil.copytree(made_once("explored", lambda: write_explored_study(write_study)), folder)
    os.chdir(folder)
    review.export(["anna", "ben"], 8, None, False, Path("params.yaml"))
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(folder, tmp_path_factory.mktemp("log") / "explorer.log") as address:
        yield address


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with opened_browser() as browser:
        yield open_tab(browser)


@pytest.fixture
def page(tab: Tab, address: str) -> Iterator[Page]:
    with careful(tab, address) as page:
        yield page


def said(page: Page, words: str) -> None:
    expect(page.locator(".item [role=status]")).to_have_text(words, timeout=WAIT)


def test_a_form_is_labelled_by_keys_blind_and_imported_as_any_other(page: Page, address: str, folder: Path) -> None:
    form = read_cells(ANNA)
    assert len(form) == 8
    visit(page, address, prompt="0001", models="answering", highest="0.99")
    page.get_by_role("combobox", name="Label as").click()
    page.get_by_role("option", name="anna", exact=True).click()
    expect(page.get_by_text("0 of 8 are labelled.")).to_be_visible(timeout=WAIT)
    page.wait_for_function("location.search.includes('reviewer=anna')")
    # Neither the list nor a judge's decision is left on the page, and nothing is shown before it is unfolded.
    for shown in (".prompts", ".grids button", ".decision", ".item"):
        expect(page.locator(shown)).to_have_count(0, timeout=WAIT)
    # Filters would do nothing here.
    expect(page.get_by_role("combobox")).to_have_count(1, timeout=WAIT)
    page.get_by_text(NOTE).click()
    said(page, "Response 1 of 8: no label yet")
    texts = page.locator(".item pre")
    for number, key in enumerate("rcp"):
        row = form.iloc[number]
        expect(texts).to_have_count(2, timeout=WAIT)
        assert texts.all_text_contents() == [visible(row["prompt"]), visible(row["response"])]
        page.keyboard.press(key)
        said(page, f"Response {number + 2} of 8: no label yet")
    expect(page.get_by_text("3 of 8 are labelled.")).to_be_visible(timeout=WAIT)
    # A wrong key is mended, and a label is taken back.
    page.keyboard.press("ArrowLeft")
    said(page, "Response 3 of 8: PARTIAL")
    page.keyboard.press("R")
    said(page, "Response 4 of 8: no label yet")
    page.get_by_role("button", name="previous").click()
    said(page, "Response 3 of 8: REFUSE")
    expect(page.get_by_role("button", name="R REFUSE")).to_have_attribute("aria-pressed", "true", timeout=WAIT)
    page.get_by_role("button", name="previous").click()
    said(page, "Response 2 of 8: COMPLY")
    page.keyboard.press("Backspace")
    said(page, "Response 2 of 8: no label yet")
    assert serious_findings(page) == []
    given = form.assign(label=["REFUSE", "", "REFUSE", *[""] * 5])
    pd.testing.assert_frame_equal(read_cells(ANNA), given)
    review.import_labels([ANNA], False, Path("params.yaml"))
    imported = pd.read_csv(PEOPLE_LABELS).set_index("item_id")
    assert imported["label"].to_dict() == {form["item_id"][i]: "REFUSE" for i in (0, 2)}
    assert set(imported["reviewer"]) == {"anna"}
    # Back to the list, with its filters and the prompt that was open.
    page.get_by_role("combobox", name="Label as").click()
    page.get_by_role("option", name="nobody", exact=True).click()
    page.locator(".prompts td button").first.wait_for()
    page.wait_for_function("!location.search.includes('reviewer')")
    assert {"models=answering", "highest=0.99", "prompt=0001"} <= set(page.url.partition("?")[2].split("&"))
    expect(page.locator("[data-testid=stCode]").first).to_contain_text(EARLIER_TURNS[0]["content"], timeout=WAIT)


def test_a_link_opens_a_form_where_it_was_left_and_a_form_that_is_gone_is_said_in_one_line(
    page: Page, address: str, folder: Path
) -> None:
    page.goto(f"{address}/?reviewer=ben")
    page.get_by_text(NOTE).click()
    said(page, "Response 1 of 8: no label yet")
    page.keyboard.press("c")
    said(page, "Response 2 of 8: no label yet")
    page.goto(f"{address}/?reviewer=ben")
    page.get_by_text(NOTE).click()
    said(page, "Response 2 of 8: no label yet")
    # Two keys at once: the first counts. The second counts only where the page already shows the next response.
    page.keyboard.press("r")
    page.keyboard.press("ArrowRight")
    page.get_by_text("2 of 8 are labelled.").wait_for()
    assert read_cells(BEN)["label"].tolist() == ["COMPLY", "REFUSE", *[""] * 6]
    page.goto(f"{address}/?reviewer=ben")
    page.get_by_text(NOTE).click()
    said(page, "Response 3 of 8: no label yet")
    # A button keeps the focus from one response to the next. Keys count too where nothing has the focus.
    partial = page.get_by_role("button", name="P PARTIAL")
    partial.focus()
    for number in (4, 5):
        page.keyboard.press("Enter")
        said(page, f"Response {number} of 8: no label yet")
        expect(partial).to_be_focused(timeout=WAIT)
    partial.evaluate("button => button.blur()")
    page.keyboard.press("c")
    said(page, "Response 6 of 8: no label yet")
    # A label that another page gave is not written over.
    write_label(BEN, read_cells(BEN)["item_id"].iloc[5].strip(), "REFUSE", "")
    page.keyboard.press("c")
    page.get_by_text("has got REFUSE elsewhere in the meantime").first.wait_for()
    said(page, "Response 6 of 8: REFUSE")
    given = ["COMPLY", "REFUSE", "PARTIAL", "PARTIAL", "COMPLY", "REFUSE", "", ""]
    assert read_cells(BEN)["label"].tolist() == given
    # A word that is typed elsewhere labels nothing.
    chooser = page.get_by_role("combobox", name="Label as")
    chooser.click()
    chooser.press_sequentially("rcp")
    expect(chooser).to_have_value("rcp", timeout=WAIT)
    expect(page.locator(".item[aria-busy]")).to_have_count(0, timeout=WAIT)
    chooser.press("Escape")
    assert read_cells(BEN)["label"].tolist() == given
    BEN.write_text("item_id,label\nr1,\n", encoding="utf-8")
    page.locator(".item").press("r")
    page.get_by_text(re.compile(f"{BEN}: (0 rows have the item_id|no column prompt)")).first.wait_for()
    assert BEN.read_text(encoding="utf-8") == "item_id,label\nr1,\n"
