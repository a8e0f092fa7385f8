"""The explorer in a real browser, over a study whose every text would do harm if it were taken for more than text.

The last tests look at the study `validate` as a person does: with RS_STUDY set to the folder of a finished one, at that
instead of decisions drawn at random; with RS_SCREENSHOTS set to a folder, what they see is saved there as images.
"""

from __future__ import annotations

import csv
import html
import io
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from accessibility import serious_findings
from connections import strangers
from explored_study import (
    CONFIDENCE,
    EARLIER_TURNS,
    FORMULA,
    IMAGE,
    MARKDOWN,
    MISSING_AT,
    MISSING_PROMPT,
    N_PROMPTS,
    NO_ANSWER,
    PROMPT_TEXTS,
    REASONING,
    SCRIPT,
    THINKING,
    UNSAMPLED_AT,
    UNSAMPLED_PROMPT,
    write_explored_study,
)
from playwright.sync_api import expect
from served_explorer import (
    WAIT,
    Tab,
    careful,
    cell,
    holds,
    open_tab,
    opened_browser,
    quickly_measured,
    serving,
    set_trap,
    settled,
    visit,
)

from refusal_stability.explorer.links import cell_key
from refusal_stability.explorer.list_columns import LIST_COLUMNS, ROW_HEIGHT, category_in_words
from refusal_stability.explorer.prompt_list import SENT, SHOWN
from refusal_stability.explorer.study import PER_PROMPT
from refusal_stability.explorer.views import LETTERS
from refusal_stability.files import generation_file, label_file
from refusal_stability.plain_text import visible
from refusal_stability.records import Condition
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

ROWS = 4 * N_PROMPTS
FOLD = "Response (may hold harmful text; click to unfold)"
THOUGHTS = "Thinking (may hold harmful text; click to unfold)"
WHY = "Reasoning of the judges (may quote the response; click to unfold)"
# A laptop's window, as in the pictures of the docs.
SMALL: Any = {"width": 1280, "height": 1180}
# Resolved here: fixtures change the working directory.
SCREENSHOTS = Path(os.environ["RS_SCREENSHOTS"]).resolve() if os.environ.get("RS_SCREENSHOTS") else None
STUDY = Path(os.environ["RS_STUDY"]).resolve() if os.environ.get("RS_STUDY") else None
AT = "answering/none/0.7/43"
CONTRAST = """elements => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = c => c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = element => {
    for (let e = element; e; e = e.parentElement || e.getRootNode().host) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const seen = e => e.textContent.trim() && e.checkVisibility({opacityProperty: true, visibilityProperty: true});
  // A slider's value stands above its thumb, on the page's paper, although it lies inside it in the document.
  const placed = e => !e.closest('[data-testid=stSliderThumbValue]');
  return elements.filter(seen).filter(placed).map(e => {
    const pair = [light(parse(getComputedStyle(e).color).slice(0, 3)), light(paper(e))].sort((a, b) => a - b);
    return [(pair[1] + 0.05) / (pair[0] + 0.05), e.tagName, e.textContent.slice(0, 40)];
  }).filter(found => found[0] < 4.5);
}"""


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, made_once: Callable[..., Path], write_study: Callable[..., None]
) -> Path:
    """A copy: a test takes a file away for a moment."""
    folder = tmp_path_factory.mktemp("explored") / "study"
    return shutil.copytree(made_once("explored", lambda: write_explored_study(write_study)), folder)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "explorer.log"


@pytest.fixture(scope="module")
def address(folder: Path, log: Path) -> Iterator[str]:
    with serving(folder, log) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def tab(browser: BrowserContext) -> Tab:
    return open_tab(browser)


@pytest.fixture
def page(tab: Tab, address: str) -> Iterator[Page]:
    with careful(tab, address) as page:
        yield page


def query_of(page: Page) -> str:
    return page.url.partition("?")[2]


def wait_for_query(page: Page, part: str) -> None:
    page.wait_for_function("part => location.search.includes(part)", arg=part)


# Whether the blocks of code on the page hold these texts, in this order.
SHOWN_CODE = """texts => JSON.stringify(texts) === JSON.stringify(
    [...document.querySelectorAll('[data-testid=stCode]')].map(e => e.innerText.trim()))"""


def unfold(page: Page, label: str, wait_for_shown: Callable[[int], None]) -> None:
    """Unfold both open responses at `label`, each click after what the one before it shows is there."""
    for index in range(2):
        page.get_by_text(label).nth(index).click()
        wait_for_shown(index + 1)


LISTED = ".prompts tr[data-prompt]"


def heads(page: Page) -> list[str]:
    """The names of the list's columns, without the arrow of the one that orders it."""
    return [text.rstrip(" ▲▼") for text in page.locator(".prompts thead button").all_text_contents()]


def click_head(page: Page, name: str) -> None:
    page.locator(".prompts thead button", has_text=re.compile(f"^{re.escape(name)}( [▲▼])?$")).click()


def row(page: Page, number: int) -> Locator:
    """One row of the list as it is ordered now."""
    return page.locator(f".prompts tr[aria-rowindex='{number + 2}']")


def text_at(folder: Path, condition: Condition, prompt_id: str) -> str:
    answers = read_table(folder / generation_file(condition), GENERATION_TABLE)
    return str(answers.loc[answers["prompt_id"] == prompt_id, "response"].item())


def test_filters_narrow_the_list_and_stand_in_the_address(page: Page, address: str, folder: Path) -> None:
    visit(page, address)
    page.get_by_text(f"{ROWS} of {ROWS} rows").wait_for()
    words = page.get_by_label("Words in the prompt")
    words.fill("SECOND")
    words.press("Enter")
    page.get_by_text(f"4 of {ROWS} rows").wait_for()
    wait_for_query(page, "text=SECOND")
    words.fill("")
    words.press("Enter")
    page.get_by_role("combobox", name="Flip").click()
    page.get_by_role("option", name="flipped", exact=True).click()
    lines = list(csv.DictReader((folder / PER_PROMPT).open(encoding="utf-8")))
    flips = sum(line["flip"] == "true" for line in lines)
    assert 0 < flips < ROWS
    page.get_by_text(f"{flips} of {ROWS} rows").wait_for()
    page.get_by_role("combobox", name="Models").click()
    page.get_by_role("option", name="labelled").click()
    fewer = sum(line["flip"] == "true" and line["model"] == "labelled" for line in lines)
    page.get_by_text(f"{fewer} of {ROWS} rows").wait_for()
    wait_for_query(page, "models=labelled")


def test_all_responses_to_a_prompt_stand_side_by_side_and_filters_find_what_ever_complied(
    page: Page, address: str, folder: Path
) -> None:
    lines = list(csv.DictReader((folder / PER_PROMPT).open(encoding="utf-8")))
    complied = [line for line in lines if line["n_comply"] != "0"]
    assert 0 < len(complied) < ROWS
    chosen = complied[0]["prompt_id"]
    visit(page, address, ever="COMPLY", prompt=chosen, compared="answering/none,answering/cautious")
    page.get_by_text(f"{len(complied)} of {ROWS} rows").wait_for()
    assert page.locator("h5").count() == 0  # nothing is shown before it is unfolded
    page.get_by_text("All responses to this prompt").click()
    page.locator("h5", has_text="COMPLY").first.wait_for()
    # Two models or interventions beside each other, each with its own groups.
    sides = page.locator("[data-testid=stColumn]", has=page.locator("h5"))
    boxes = [sides.nth(place).bounding_box() for place in range(2)]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    texts = page.locator("ul.verdicts .reasoning").all_text_contents()
    conditions = [
        Condition("answering", i, t, seed) for i in ("none", "cautious") for t in (0.0, 0.7) for seed in (42, 43)
    ]
    assert {visible(text_at(folder, c, chosen)) for c in conditions} - {""} <= set(texts)
    page.get_by_text("Copy a link to this view").click()
    link = page.locator("[data-testid=stSidebar] code").text_content()
    assert link is not None
    assert link.startswith(address)
    assert parse_qs(link.partition("?")[2]) == parse_qs(query_of(page))


def test_a_category_keeps_the_prompts_that_have_it_among_theirs(page: Page, address: str, folder: Path) -> None:
    visit(page, address)
    page.get_by_role("combobox", name="Categories").click()
    page.get_by_role("option", name="fraud", exact=True).click()
    lines = list(csv.DictReader((folder / PER_PROMPT).open(encoding="utf-8")))
    having = [line for line in lines if "fraud" in line["category"].split("|")]
    assert 0 < len(having) < ROWS
    page.get_by_text(f"{len(having)} of {ROWS} rows").wait_for()
    wait_for_query(page, "categories=fraud")
    page.get_by_role("option", name="plain", exact=True).click()
    either = len(having) + sum(line["category"] == "plain" for line in lines)
    page.get_by_text(f"{either} of {ROWS} rows").wait_for()


def test_a_click_on_a_columns_head_orders_the_list_and_the_next_prompt_follows_it(
    page: Page, address: str, folder: Path
) -> None:
    page.set_viewport_size(SMALL)
    visit(page, address, models="answering", interventions="none")
    lines = list(csv.DictReader((folder / PER_PROMPT).open(encoding="utf-8")))
    mine = [line for line in lines if (line["model"], line["intervention"]) == ("answering", "none")]
    # Ties stay in the prompt file's order, which is that of the ids here.
    by_ssi = sorted(mine, key=lambda line: (-float(line["ssi"] or 0), line["prompt_id"]))
    by_flip = sorted(mine, key=lambda line: (line["flip"] != "true", line["prompt_id"]))
    by_category = sorted(mine, key=lambda line: (line["category"], line["prompt_id"]))
    for head, order, expected in (
        ("SSI", "ssi-high", by_ssi),
        ("Flip", "flip", by_flip),
        ("Category", "category", by_category),
    ):
        click_head(page, head)
        wait_for_query(page, f"order={order}")
        ids = [line["prompt_id"] for line in expected]
        for number, prompt_id in enumerate(ids[:3]):
            expect(row(page, number)).to_have_attribute("data-prompt", prompt_id, timeout=WAIT)
        expect(page.locator(".prompts th[aria-sort]")).to_have_text(re.compile(f"^{head} [▲▼]"), timeout=WAIT)
        # The buttons below the list come after it.
        settled(page)
        row(page, 0).click()
        for number, prompt_id in enumerate(ids[:3]):
            if number:
                page.get_by_role("button", name="Next prompt").click()
            wait_for_query(page, f"prompt={prompt_id}")
            page.get_by_text(f"id: {prompt_id}").wait_for()
    page.get_by_role("combobox", name="Order").click()
    page.get_by_role("option", name="model, by name").click()
    wait_for_query(page, "order=model")
    expect(page.locator(".prompts th[aria-sort]")).to_have_text("Model ▲", timeout=WAIT)


def test_a_click_in_the_list_opens_that_prompts_grids(page: Page, address: str, folder: Path) -> None:
    visit(page, address, order="prompts", models="answering", interventions="cautious")
    row(page, 2).click()
    wait_for_query(page, "prompt=0002")
    expect(row(page, 2)).to_have_attribute("aria-current", "true", timeout=WAIT)
    cell(page, "answering/none/0.0/42").wait_for()
    expect(page.locator(".grids button")).to_have_count(24, timeout=WAIT)
    for condition in (Condition("answering", "cautious", 0.7, 44), Condition("labelled", "none", 0.0, 43)):
        labels = read_table(folder / label_file(condition), LABEL_TABLE)
        said = labels.loc[(labels["prompt_id"] == "0002") & (labels["judge"] == "rules"), "label"].item()
        button = cell(page, cell_key(condition))
        assert button.inner_text() == LETTERS[said]
        place = f"temperature {condition.temperature:g}, seed {condition.seed}: {said}"
        assert button.get_attribute("aria-label") == place


def test_two_responses_stand_side_by_side_each_folded_until_it_is_asked_for(
    page: Page, address: str, folder: Path
) -> None:
    visit(page, address, prompt="0002")
    left, right = Condition("answering", "none", 0.7, 43), Condition("answering", "cautious", 0.0, 42)
    texts = [visible(text_at(folder, condition, "0002")) for condition in (left, right)]
    cell(page, cell_key(left)).click()
    page.get_by_text("Left: Answering").wait_for()
    cell(page, cell_key(right)).click(modifiers=["Shift"])
    page.get_by_text("Right: Answering").wait_for()
    folds = page.get_by_text(FOLD)
    expect(folds).to_have_count(2, timeout=WAIT)
    assert all(text not in page.content() and page.get_by_text(text).count() == 0 for text in texts)
    for text, fold in zip(texts, folds.all(), strict=True):
        fold.click()
        page.locator("[data-testid=stCode]").get_by_text(text, exact=True).wait_for()
    places = [page.locator("[data-testid=stCode]").get_by_text(text, exact=True).bounding_box() for text in texts]
    assert places[0] is not None
    assert places[1] is not None
    assert places[0]["x"] + places[0]["width"] < places[1]["x"]
    assert abs(places[0]["y"] - places[1]["y"]) < 35
    expect(page.locator("ul.verdicts li")).to_have_count(4, timeout=WAIT)
    assert page.get_by_text(THINKING).count() == 0
    page.get_by_text(THOUGHTS).first.click()
    page.locator("[data-testid=stCode]").get_by_text(visible(THINKING), exact=True).wait_for()
    expect(page.get_by_text(f"confidence {CONFIDENCE:.2f}")).to_have_count(2, timeout=WAIT)
    whys = page.get_by_text(WHY)
    expect(whys).to_have_count(2, timeout=WAIT)
    assert page.locator(".reasoning").count() == 0
    assert REASONING.splitlines()[0] not in html.unescape(page.content())
    whys.first.click()
    page.locator(".reasoning").first.wait_for()
    expect(page.locator(".reasoning")).to_have_count(2, timeout=WAIT)
    whys.first.click()
    page.locator(".reasoning").first.wait_for(state="detached")
    page.get_by_role("button", name="Close the left").click()
    page.get_by_text("Left: no response is open.").wait_for()
    page.wait_for_function("document.querySelectorAll('[data-testid=stExpander]').length === 5")
    expect(page.locator("ul.verdicts li")).to_have_count(2, timeout=WAIT)


def test_other_peoples_texts_are_shown_as_text_wherever_they_stand(page: Page, address: str) -> None:
    visit(page, address, order="prompts", prompt="0000")
    # Of a conversation, the earlier turns stand before it.
    for number, text in enumerate(PROMPT_TEXTS):
        if number:
            page.get_by_role("button", name="Next prompt").click()
        wait_for_query(page, f"prompt={number:04d}")
        cell(page, AT).wait_for()
        turns = [turn["content"] for turn in EARLIER_TURNS] if number == 1 else []
        page.wait_for_function(SHOWN_CODE, arg=[*turns, text])
    cell(page, AT).click()
    page.get_by_text(f"Left: Answering {MARKDOWN}, temperature 0.7, seed 43").wait_for()
    page.get_by_text(WHY).click()
    page.locator(".reasoning").first.wait_for()
    reasoning = page.locator(".reasoning").first.inner_text()
    assert all(part in reasoning for part in (IMAGE, MARKDOWN, SCRIPT))
    page.get_by_role("heading", name=MARKDOWN).nth(1).wait_for()
    expect(page.get_by_text(f"Asked as: system: Decline harm. {MARKDOWN}")).to_have_count(2, timeout=WAIT)
    page.wait_for_timeout(500)


def test_every_kind_of_response_is_shown_word_for_word(page: Page, address: str, folder: Path) -> None:
    seen: set[str] = set()
    condition = Condition("answering", "none", 0.7, 43)
    for prompt_id in (f"{i:04d}" for i in range(N_PROMPTS)):
        text = text_at(folder, condition, prompt_id)
        kind = next(part for part in (SCRIPT, IMAGE, MARKDOWN) if part in text)
        if kind in seen:
            continue
        seen.add(kind)
        visit(page, address, prompt=prompt_id, left=AT)
        page.get_by_text(FOLD).click()
        page.locator("[data-testid=stCode]").get_by_text(visible(text), exact=True).wait_for()
    assert seen == {SCRIPT, IMAGE, MARKDOWN}
    page.wait_for_timeout(500)


def test_chosen_models_and_interventions_are_compared_by_the_chosen_judge(page: Page, address: str) -> None:
    visit(page, address, prompt="0001", compared="labelled/none")
    cell(page, "labelled/none/0.0/42").wait_for()
    expect(page.locator(".grids button")).to_have_count(6, timeout=WAIT)
    page.get_by_role("combobox", name="Compare").click()
    page.get_by_role("option", name="labelled + cautious").click()
    cell(page, "labelled/cautious/0.0/42").wait_for()
    expect(page.locator(".grids button")).to_have_count(12, timeout=WAIT)
    wait_for_query(page, "compared=labelled%2Fnone%2Clabelled%2Fcautious")
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Decisions by").click()
    page.get_by_role("option", name="other").click()
    note = page.get_by_text("The SSI is by rules; these decisions are by other.")
    note.first.wait_for()
    expect(note).to_have_count(2, timeout=WAIT)
    wait_for_query(page, "judge=other")


def test_a_link_opens_the_same_view_again_with_the_responses_folded(
    page: Page, address: str, browser: BrowserContext
) -> None:
    visit(page, address, order="prompts", flip="flipped", prompt="0003", left=AT)
    cell(page, "labelled/none/0.0/43").click(modifiers=["Shift"])
    wait_for_query(page, "right=")
    page.get_by_text(FOLD).first.click()
    page.locator("[data-testid=stCode]").nth(1).wait_for()
    again = browser.new_page()
    again.goto(page.url)
    again.get_by_text("Right: labelled").wait_for()
    expect(again.get_by_text("Left: Answering")).to_have_count(1, timeout=WAIT)
    cell(again, AT).wait_for()
    expect(again.get_by_text("Labels only: the study has no responses from this model.")).to_have_count(2, timeout=WAIT)
    expect(again.locator("[data-testid=stCode]")).to_have_count(1, timeout=WAIT)
    assert again.get_by_role("combobox", name="Order").input_value() == "as in the prompt file"
    assert query_of(again) == query_of(page)
    again.close()


def test_the_back_button_goes_back_to_the_view_before(page: Page, address: str) -> None:
    visit(page, address, prompt="0001")
    cell(page, AT).click()
    page.get_by_text("Left: Answering").wait_for()
    wait_for_query(page, "left=")
    # For ECHO_SECONDS the server takes the former address for that of a late click.
    page.wait_for_timeout(2000)
    page.go_back()
    page.get_by_text("Left: no response is open.").wait_for()
    assert "left=" not in page.url


def test_a_foreign_link_is_told_what_this_study_does_not_have(page: Page, address: str) -> None:
    visit(page, address, models=f"{IMAGE},labelled", prompt=MARKDOWN)
    page.get_by_text(f"The link names models {IMAGE!r}").wait_for()
    page.get_by_text(f"The link names prompt '{MARKDOWN}'").wait_for()
    page.get_by_text(f"{ROWS // 2} of {ROWS} rows").wait_for()


def test_what_is_missing_says_why(page: Page, address: str) -> None:
    visit(page, address, prompt=MISSING_PROMPT, left=cell_key(MISSING_AT), right="labelled/none/0.0/42")
    button = cell(page, cell_key(MISSING_AT))
    button.wait_for()
    expect(button).to_have_text(re.compile("^–"), timeout=WAIT)
    expect(button).to_have_attribute("aria-label", re.compile(re.escape(f"missing: {NO_ANSWER}")), timeout=WAIT)
    expect(page.locator(".why").first).to_have_text(f"missing: {NO_ANSWER}", timeout=WAIT)
    unfold(page, FOLD, lambda count: page.get_by_text("No response (unanswered): ").nth(count - 1).wait_for())
    page.get_by_text(f"No response (unanswered): {NO_ANSWER}").wait_for()
    page.get_by_text("No response (unanswered): labels only: the source has none").wait_for()


def test_what_was_not_sampled_looks_other_than_what_is_missing(page: Page, address: str) -> None:
    visit(page, address, prompt=UNSAMPLED_PROMPT)
    button = cell(page, cell_key(UNSAMPLED_AT))
    button.wait_for()
    expect(button).to_have_text(re.compile("^·"), timeout=WAIT)
    expect(button).to_have_attribute("aria-label", re.compile("not sampled$"), timeout=WAIT)
    button.click()
    page.get_by_text(FOLD).click()
    page.get_by_text("No response (not_sampled)").wait_for()


def test_the_downloaded_list_holds_no_formula(page: Page, address: str) -> None:
    visit(page, address, text="first")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download this list as CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert [row["prompt"] for row in rows] == [f"'{FORMULA} first"] * 4


def test_the_keyboard_alone_opens_prompts_and_responses(page: Page, address: str) -> None:
    visit(page, address, order="prompts")
    page.get_by_role("button", name="Next prompt").press("Enter")
    wait_for_query(page, "prompt=0000")
    page.get_by_role("button", name="Next prompt").press("Enter")
    wait_for_query(page, "prompt=0001")
    # Each grid is one step of the Tab key. Arrows move within it, and stop at its ends.
    cell(page, "answering/none/0.0/42").focus()
    for key, reached in (
        ("ArrowLeft", "answering/none/0.0/42"),
        ("ArrowDown", "answering/none/0.7/42"),
        ("End", "answering/none/0.7/44"),
        ("ArrowRight", "answering/none/0.7/44"),
        ("ArrowUp", "answering/none/0.0/44"),
        ("Tab", "answering/cautious/0.0/42"),
        ("Shift+Tab", "answering/none/0.0/44"),
        ("ArrowLeft", "answering/none/0.0/43"),
    ):
        page.keyboard.press(key)
        expect(cell(page, reached)).to_be_focused(timeout=WAIT)
    page.keyboard.press("Enter")
    page.get_by_text("Left: Answering").wait_for()
    page.get_by_text("temperature 0, seed 43").wait_for()
    opened = cell(page, "answering/none/0.0/43")
    expect(opened).to_have_attribute("aria-pressed", "true", timeout=WAIT)
    expect(opened).to_have_attribute("aria-label", re.compile("open on the left$"), timeout=WAIT)
    expect(opened).to_be_focused(timeout=WAIT)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Enter")
    page.get_by_text("Right: Answering").wait_for()
    expect(cell(page, "answering/none/0.7/43")).to_be_focused(timeout=WAIT)


def test_every_control_has_a_name_and_every_text_enough_contrast(page: Page, address: str) -> None:
    visit(page, address, prompt="0001", left=AT, right=AT)
    page.get_by_text("Right: Answering").wait_for()
    same = page.get_by_text("The two open responses are the same, word for word.")
    page.get_by_text(FOLD).first.click()
    page.get_by_text("characters; answered, ended by: stop").first.wait_for()
    # Nothing is said of a response that is folded.
    assert same.count() == 0
    page.get_by_text(FOLD).nth(1).click()
    same.wait_for()
    reasons = page.locator(".reasoning")
    unfold(page, WHY, lambda count: reasons.nth(2 * count - 1).wait_for())
    expect(reasons).to_have_count(4, timeout=WAIT)
    cells = page.locator(".grids button")
    expect(cells).to_have_count(24, timeout=WAIT)
    assert all(
        re.match("temperature .*, seed .*: ", name) for name in cells.evaluate_all("a => a.map(e => e.ariaLabel)")
    )
    expect(page.locator(".grids caption")).to_have_count(4, timeout=WAIT)
    nameless = page.locator("button, input").evaluate_all(
        "all => all.filter(e => !(e.innerText || e.ariaLabel || e.title || (e.labels && e.labels.length)"
        " || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML.slice(0, 200))"
    )
    assert nameless == []
    texts = "h1, h2, h3, h4, p, th, .grids button, .decision, .reasoning, strong, label, pre, code"
    assert page.locator(texts).evaluate_all(CONTRAST) == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 420)])
def test_axe_finds_nothing_serious_on_the_list_or_on_an_open_prompt(
    page: Page, address: str, scheme: Any, width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    visit(page, address, prompt="0001", left=AT, right=AT)
    page.get_by_text("Right: Answering").wait_for()
    answers = page.get_by_text("characters; answered, ended by:")
    unfold(page, FOLD, lambda count: answers.nth(count - 1).wait_for())
    page.get_by_text("All responses to this prompt").click()
    page.locator("h5").first.wait_for()
    # The page is dark where the browser asks for it.
    paper = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper))) < 60) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert serious_findings(page) == []
    assert (
        page.locator("h1, h2, h3, h4, p, th, .grids button, .decision, .reasoning, label, code").evaluate_all(CONTRAST)
        == []
    )


def test_a_study_that_goes_away_is_said_in_one_line(page: Page, address: str, folder: Path) -> None:
    kept = folder / "kept.csv"
    (folder / PER_PROMPT).rename(kept)
    try:
        page.goto(address)
        page.get_by_text(
            f"{PER_PROMPT}: no such file; the explorer shows a finished study: run `make repro`"
        ).wait_for()
    finally:
        kept.rename(folder / PER_PROMPT)


def test_the_trap_catches_what_a_text_would_run(browser: BrowserContext, address: str) -> None:
    page, caught = browser.new_page(), list[str]()
    set_trap(page, caught)
    page.goto(address)
    page.evaluate("markup => document.body.insertAdjacentHTML('beforeend', markup)", IMAGE)
    # Whoever waits is told what ran meanwhile.
    for _ in range(WAIT // 100):
        if caught:
            break
        page.wait_for_timeout(100)
    page.close()
    assert caught == ["harmed 1"]


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1", "127.0.0.1", 101),
        ("localhost", "localhost", 101),
        ("evil.example", "evil.example", 403),
        ("127.0.0.1", "evil.example", 403),
        ("127.0.0.1", "127.0.0.1.evil.example", 403),
        ("127.0.0.1", "127.0.0.1@evil.example", 403),
        ("127.0.0.1.evil.example", "127.0.0.1.evil.example", 403),
    ],
)
def test_a_page_of_another_site_cannot_read_the_study_and_the_server_asks_nobody_about_it(
    address: str, log: Path, host: str, origin: str, status: int
) -> None:
    port = int(address.rsplit(":", 1)[1])
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{origin}:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request.encode())
        answer = connection.recv(64).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert strangers(log.with_suffix(".connections")) == []


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, root: Path, write_study: Callable[..., None]) -> Path:
    """The folder of a study `validate`: the finished one that RS_STUDY names, or one with decisions drawn at random."""
    if STUDY:
        return STUDY
    folder, before = tmp_path_factory.mktemp("planted"), Path.cwd()
    (folder / "params.yaml").write_text(quickly_measured(root / "studies/validate.yaml"), encoding="utf-8")
    os.chdir(folder)
    try:
        texts = {"REFUSE": "I cannot help with that. {}", "PARTIAL": "In general, {}", "COMPLY": "Sure: {}"}
        write_study(Path("params.yaml"), texts, ("violence", "self_harm|fraud", "hate"), 160)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="module")
def planted_address(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(planted, tmp_path_factory.mktemp("log") / "explorer.log") as address:
        yield address


@pytest.fixture
def small_page(tab: Tab, planted_address: str) -> Iterator[Page]:
    with careful(tab, planted_address) as page:
        page.set_viewport_size(SMALL)
        page.emulate_media(reduced_motion="no-preference")
        yield page


def shoot(page: Page, name: str) -> None:
    if SCREENSHOTS is not None:
        page.wait_for_timeout(1500)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_a_laptops_window_shows_every_column_of_the_list_and_the_open_prompts_grids(
    small_page: Page, planted_address: str
) -> None:
    visit(small_page, planted_address, models="reference-wavering", flip="flipped")
    # No judge of this study gave a confidence, and it was not sampled in rounds.
    shown = [head for head in LIST_COLUMNS if head not in ("Least sure", "Verdict")]
    listed = small_page.locator(".prompts")

    def widths() -> list[float]:
        return [box["width"] for th in listed.locator("th").all() if (box := th.bounding_box())]

    holds(small_page, lambda: heads(small_page) == shown)
    holds(small_page, lambda: bool(listed.evaluate("list => list.scrollWidth <= list.clientWidth")))
    holds(small_page, lambda: len(found := widths()) > 1 and found[0] > 2 * max(found[1:]))
    # No line of a text is cut in the middle: a row is as high as three lines need.
    height = "row => row.getBoundingClientRect().height"
    holds(small_page, lambda: row(small_page, 0).evaluate(height) == ROW_HEIGHT)
    cut = "all => all.filter(one => one.getBoundingClientRect().height > one.closest('tr').clientHeight - 4).length"
    holds(small_page, lambda: listed.locator(".cut").evaluate_all(cut) == 0)
    # The list ends with a whole row.
    below_head = "list => list.clientHeight - list.querySelector('thead').offsetHeight"
    holds(small_page, lambda: listed.evaluate(below_head) == SHOWN * ROW_HEIGHT)
    small_page.locator(".prompts td", has_text=category_in_words("self_harm|fraud")).first.wait_for()
    row(small_page, 0).click()
    for model in ("reference-steady", "reference-wavering"):
        cell(small_page, f"{model}/none/0.0/42").wait_for()
    expect(small_page.locator(".grids button")).to_have_count(2 * 20, timeout=WAIT)
    shoot(small_page, "explorer")


def test_a_long_list_is_gone_through_by_keys_and_by_scrolling_and_is_sent_piece_by_piece(
    small_page: Page, planted_address: str, planted: Path
) -> None:
    lines = list(csv.DictReader((planted / PER_PROMPT).open(encoding="utf-8")))
    n, last = len(lines), len(lines) - 1
    assert n > 2 * SENT
    visit(small_page, planted_address, order="prompts")
    first_button = row(small_page, 0).locator("button")
    first_button.focus()
    for key, number in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("Home", 0)):
        small_page.keyboard.press(key)
        expect(row(small_page, number).locator("button")).to_be_focused(timeout=WAIT)
    assert small_page.locator(LISTED).count() < 20
    ids = list(dict.fromkeys(line["prompt_id"] for line in lines))
    small_page.keyboard.press("End")
    expect(row(small_page, last)).to_have_attribute("data-prompt", ids[-1], timeout=WAIT)
    expect(row(small_page, last).locator("button")).to_be_focused(timeout=WAIT)
    small_page.keyboard.press("Enter")
    wait_for_query(small_page, f"prompt={ids[-1]}")
    small_page.get_by_text(f"id: {ids[-1]}").wait_for()
    # A row in the middle, to which the list is scrolled; two models stand below each other for each prompt.
    small_page.locator(".prompts").evaluate("(list, to) => { list.scrollTop = to }", ROW_HEIGHT * (n // 2))
    expect(row(small_page, n // 2)).to_have_attribute("data-prompt", ids[n // 4], timeout=WAIT)
    # Other rows: the list begins at its top again, with none of the former ones.
    words = small_page.get_by_label("Words in the prompt")
    words.fill(ids[3])
    words.press("Enter")
    small_page.get_by_text(f"2 of {n} rows").wait_for()
    expect(small_page.locator(LISTED)).to_have_count(2, timeout=WAIT)
    expect(row(small_page, 0)).to_have_attribute("data-prompt", ids[3], timeout=WAIT)


def test_one_model_is_seen_to_refuse_and_to_comply_side_by_side(
    small_page: Page, planted_address: str, planted: Path
) -> None:
    lines = list(csv.DictReader((planted / PER_PROMPT).open(encoding="utf-8")))
    both = [line for line in lines if line["model"] == "reference-wavering" and line["n_refuse"] != "0"]
    line = min((line for line in both if line["n_comply"] != "0"), key=lambda line: float(line["ssi"]))
    visit(small_page, planted_address, models="reference-wavering", flip="flipped", prompt=line["prompt_id"])
    cells = small_page.locator(".grids button[data-key^='reference-wavering/']")
    cells.first.wait_for()
    cells.filter(has_text="R").first.click()
    small_page.get_by_text("Left: reference-wavering").wait_for()
    cells.filter(has_text="C").first.click(modifiers=["Shift"])
    small_page.get_by_text("Right: reference-wavering").wait_for()
    answers = small_page.get_by_text("characters; answered, ended by:")
    unfold(small_page, FOLD, lambda count: answers.nth(count - 1).wait_for())
    unfold(small_page, WHY, lambda count: small_page.locator(".reasoning").nth(2 * count - 1).wait_for())
    decided = small_page.locator("ul.verdicts:not(:has(.reasoning))").all_inner_texts()
    assert ["REFUSE" in decided[0], "COMPLY" in decided[1]] == [True, True]
    small_page.get_by_role("button", name="Close the left").scroll_into_view_if_needed()
    shoot(small_page, "explorer-responses")
