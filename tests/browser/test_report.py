"""The report in a real browser: no request, no error, and nothing that other people's text could set off.

With RS_SCREENSHOTS set to a folder and RS_STUDY to that of a finished study, its report is held to the same and
saved there as an image.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from accessibility import serious_findings
from synthetic_study import HOSTILE_PROMPTS, report_study

from refusal_stability.figures.gallery import GALLERY
from refusal_stability.replication.page import _figures
from refusal_stability.report.content import Report, Section
from refusal_stability.report.html import html_report

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LAPTOP: Any = {"width": 1100, "height": 900}
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
CONTRAST = """() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = c => c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const e of document.querySelectorAll('h1,h2,p,dt,dd,a,th,td,caption,figcaption,span,strong,code')) {
    if (!e.textContent.trim()) continue;
    const pair = [light(parse(getComputedStyle(e).color).slice(0, 3)), light(paper(e))].sort((a, b) => a - b);
    const ratio = (pair[1] + 0.05) / (pair[0] + 0.05);
    if (ratio < 4.5) low.push([e.tagName, ratio, e.textContent.slice(0, 40)]);
  }
  return low;
}"""


SCREENSHOTS, STUDY = (os.environ.get(name) for name in ("RS_SCREENSHOTS", "RS_STUDY"))


@pytest.fixture(scope="module")
def report_page(made_once: Callable[..., Path]) -> Path:
    if STUDY:
        return (Path(STUDY) / "reports/report.html").resolve()
    return made_once("reported", report_study) / "reports/report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed; e.g. apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=OPTIONS)
        yield running
        running.close()


@dataclass(frozen=True)
class Opened:
    """The report in a page, what it asked for, and what it ran of a text or logged."""

    page: Any
    scheme: str
    requests: list[str]
    trouble: list[str]


@pytest.fixture(scope="module", params=["light", "dark"])
def opened(browser: Any, report_page: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    page = browser.new_page(viewport=LAPTOP, color_scheme=request.param)
    opened = Opened(page, request.param, [], [])
    page.on("request", lambda request: opened.requests.append(request.url))
    page.on("console", lambda message: opened.trouble.append(message.text))
    page.on("pageerror", lambda error: opened.trouble.append(str(error)))
    page.on("dialog", lambda dialog: (opened.trouble.append(dialog.message), dialog.dismiss()))
    page.goto(report_page.as_uri())
    page.wait_for_load_state("networkidle")
    yield opened
    page.close()


def test_the_report_renders_alone_and_sets_nothing_off(opened: Opened, report_page: Path) -> None:
    page = opened.page
    page.set_viewport_size(LAPTOP)
    assert [url for url in opened.requests if not url.startswith("data:")] == [report_page.as_uri()]
    assert opened.trouble == []
    drawn = page.eval_on_selector_all("img", "found => found.map(i => i.complete && i.naturalWidth > 500)")
    assert drawn == [True] * sum(not figure.optional for figure in GALLERY)
    assert all(len(words) > 40 for words in page.eval_on_selector_all("img", "found => found.map(i => i.alt)"))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(CONTRAST) == []
    assert serious_findings(page) == []
    prompts = page.locator("#prompts td.verbatim, #prompts th.verbatim").all_text_contents()
    assert STUDY or set(HOSTILE_PROMPTS) <= set(prompts)
    if SCREENSHOTS and STUDY and opened.scheme == "light":
        for name, section in (("report", "body"), ("report_models", "#models"), ("report_prompts", "#prompts")):
            page.locator(section).scroll_into_view_if_needed()
            page.evaluate("section => document.querySelector(section).scrollIntoView()", section)
            page.wait_for_timeout(1500)
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


def test_the_checker_finds_what_a_page_lacks(browser: Any) -> None:
    page = browser.new_page()
    page.set_content("<p style='color: #aaa'>pale</p><img src='data:,'><button></button>")
    found = " ".join(serious_findings(page))
    assert all(rule in found for rule in ("color-contrast", "image-alt", "button-name", "html-has-lang"))
    page.close()


def test_a_table_of_published_figures_is_shown_whole_on_a_laptop(browser: Any, tmp_path: Path) -> None:
    row: dict[str, Any] = {
        "quantity": "over_models_judge_agreement_of_all",
        "model": "llama-3.1-8b",
        "judge": "claude-3.5-haiku and llama-judge",
        "temperature": 0.3,
        "category": "copyright",
        "table": "judge_agreement.agreement",
        "source": "first report",
        "value": "[0.9098, 0.9384]",
        "tolerance": "inside",
        "ours": 0.924281,
        "difference": -0.00025,
        "outcome": "differs",
        "why": "see over_models_judge_agreement_of_all: a remark of many words, " * 4,
    }
    table = _figures("figures", "Figures.", pd.DataFrame([row] * 3))
    (tmp_path / "page.html").write_text(html_report(Report("r", "q", (Section("s", "S", tables=(table,)),))))
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('.scroll'))")
    remark = page.locator("tbody td:last-child").first.bounding_box()
    assert remark["width"] > 200
    assert remark["x"] + remark["width"] <= 1280
    page.close()


def test_the_report_fits_a_phone_and_its_figures_keep_their_size(opened: Opened) -> None:
    page = opened.page
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    # A figure that shrank to the screen could not be read: it scrolls instead, inside its own frame.
    shrunk = "found => found.filter(i => i.getBoundingClientRect().width < Number(i.getAttribute('width')) - 1).length"
    assert page.eval_on_selector_all("figure img", shrunk) == 0
    # What lies beyond the edge is announced above it.
    hints = page.eval_on_selector_all(
        "figure", "all => [...new Set(all.map(e => getComputedStyle(e, '::before').content))]"
    )
    assert hints == ['"Scroll the figure sideways to see all of it."']
    assert serious_findings(page) == []
    if SCREENSHOTS and STUDY:
        page.screenshot(path=Path(SCREENSHOTS) / f"report_phone_{opened.scheme}.png")


def test_the_report_prints_without_clipping_or_stranded_headings(browser: Any, report_page: Path) -> None:
    # What an A4 page leaves between margins of 13 mm, at 96 dots an inch.
    page = browser.new_page(viewport={"width": 695, "height": 980}, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(report_page.as_uri())
    beyond = """all => all.filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
        .map(e => [e.tagName, e.textContent.slice(0, 40)])"""
    assert page.eval_on_selector_all("main *", beyond) == []
    scrolls = "all => all.filter(e => !['visible', 'clip'].includes(getComputedStyle(e).overflowX)).length"
    assert page.eval_on_selector_all("main *", scrolls) == 0
    leads = "all => [...new Set(all.map(e => getComputedStyle(e).breakAfter))]"
    for selector in ("h2, h3", "p:has(+ figure), p:has(+ .scroll)"):
        assert page.eval_on_selector_all(selector, leads) == ["avoid"]
    prompts = page.locator("table:has(#table-unstable_prompts)")
    assert prompts.locator("tbody th").first.bounding_box()["width"] > 0.3 * prompts.bounding_box()["width"]
    # Ink on paper, whatever the screen's colours are.
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 27, 27)"
    assert page.evaluate("document.querySelector('#summary').getBoundingClientRect().height") < 980
    page.close()
