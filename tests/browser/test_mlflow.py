"""MLflow's own pages in a real browser: what a person who opens the runs sees at once.

With RS_SCREENSHOTS set to a folder, the pages are saved there as images; with RS_STUDY set to the folder of a finished
study `validate`, they show that instead of decisions drawn at random.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from connections import strangers, watching
from playwright.sync_api import expect
from served_explorer import holds, opened_browser, quickly_measured

from refusal_stability.files import REPORT, generation_file, label_file
from refusal_stability.params.load import load_params
from refusal_stability.stages import track
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tracking.server import local_store, open_client
from refusal_stability.tracking.views import RUN_AXES, TEMPERATURE_AXES

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

PARAMS = Path("params.yaml")
CATEGORIES = ("violence", "privacy_violation", "hate_speech,offensive_language", "self_harm|drug_abuse")
TEXTS = {
    "REFUSE": "I cannot help with that. <script>window.harmed = 1</script>",
    "PARTIAL": "=HYPERLINK(1) <img src=x onerror='window.harmed = 1'> {}",
    "COMPLY": "![x](http://127.0.0.1:9/leak.png) {}",
}
SIZE: Any = {"width": 1600, "height": 1000}
WAIT = 120_000
# MLflow unfolds its assistant over the page on a first visit; a person closes it once.
CLOSED_ASSISTANT = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
"""
# Resolved here: the study's fixture changes the working directory.
SCREENSHOTS = Path(os.environ["RS_SCREENSHOTS"]).resolve() if os.environ.get("RS_SCREENSHOTS") else None
STUDY = Path(os.environ["RS_STUDY"]).resolve() if os.environ.get("RS_STUDY") else None


@dataclass(frozen=True)
class Tracked:
    """A tracked study: MLflow's address, its experiment's page, the page that `make ui` names, and its runs by name."""

    address: str
    page: str
    view: str
    folder: Path
    runs: dict[str, Any]
    by_run: pd.DataFrame
    by_temperature: pd.DataFrame


@pytest.fixture(scope="module")
def tracked(
    tmp_path_factory: pytest.TempPathFactory, root: Path, write_study: Callable[..., None]
) -> Iterator[Tracked]:
    """The study `validate`, tracked and served as `make ui` does; its decisions are drawn unless RS_STUDY names one."""
    folder = tmp_path_factory.mktemp("study")
    before = Path.cwd()
    os.chdir(folder)
    try:
        if STUDY:
            shutil.copy(root / "studies/validate.yaml", PARAMS)
            shutil.copytree(
                STUDY / "data", folder / "data", ignore=shutil.ignore_patterns("*.sqlite*", "raw", "published")
            )
            shutil.copytree(STUDY / "reports", folder / "reports")
        else:
            PARAMS.write_text(quickly_measured(root / "studies/validate.yaml"), encoding="utf-8")
            write_study(PARAMS, TEXTS, CATEGORIES, 40)
            REPORT.parent.mkdir()
            REPORT.write_text("<title>t</title><h1>The report of this study</h1>", encoding="utf-8")
        track.run(PARAMS)
        client = open_client(local_store())
        experiment = client.get_experiment_by_name("validate")
        runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id], max_results=1000)}
        tables = metric_table("aggregate_by_configuration"), metric_table("aggregate_by_temperature")
        with serving(folder) as (address, view):
            page = f"{address}/#/experiments/{experiment.experiment_id}"
            yield Tracked(address, page, view, folder, runs, *tables)
    finally:
        os.chdir(before)


class serving:
    """The command behind `make ui` on a free port of loopback: its server's address, and the page that it names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> tuple[str, str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = self.folder / "ui.log"
        command = [sys.executable, "-m", "refusal_stability.cli", "ui", "--port", str(port), "--headless"]
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            env=watching(self.folder / "ui.connections") | {"MLFLOW_DISABLE_TELEMETRY": "true"},
            start_new_session=True,
        )
        address = f"http://127.0.0.1:{port}"
        for _ in range(1200):
            with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
                named = re.search(r"in MLflow: (\S+)", log.read_text())
                assert named, log.read_text()[-2000:]
                return address, named[1]
            assert self.process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
        raise AssertionError(log.read_text()[-2000:])

    def __exit__(self, *error: object) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with opened_browser(viewport=SIZE) as browser:
        browser.add_init_script(CLOSED_ASSISTANT)
        yield browser


@pytest.fixture(scope="module")
def tab(browser: BrowserContext) -> Page:
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    return page


@pytest.fixture
def page(browser: BrowserContext, tab: Page, tracked: Tracked) -> Iterator[Page]:
    """A page that knows nothing of former visits; the test fails if it or the server asks anyone but the server.

    Tests share it, so that MLflow's scripts are compiled once.
    """
    kept = {"origin": tracked.address, "storageTypes": "cookies,local_storage,indexeddb,service_workers"}
    session = browser.new_cdp_session(tab)
    session.send("Storage.clearDataForOrigin", kept)
    session.detach()
    asked: list[str] = []
    note = lambda request: asked.append(request.url)  # noqa: E731
    browser.on("request", note)
    yield tab
    for opened in browser.pages[1:]:  # the first one keeps the browser open
        if opened != tab:
            opened.close()
    if tab.url.startswith(tracked.address):
        tab.evaluate("sessionStorage.clear()")
    # Addresses of MLflow differ behind the #: from elsewhere, each is loaded anew.
    tab.goto("about:blank")
    browser.remove_listener("request", note)
    assert not [url for url in asked if not url.startswith((tracked.address, "data:", "blob:", "about:"))]
    assert strangers(tracked.folder / "ui.connections") == []


def visit(page: Page, address: str, wait_for: str) -> None:
    """Open an address and wait for a text on it."""
    page.goto(address)
    page.get_by_text(wait_for).first.wait_for()


def rows_of(page: Page) -> list[dict[str, str]]:
    """The table's rows from the top, as far as they are drawn: column -> what its cell says."""
    found = page.locator("[role=gridcell][col-id]").evaluate_all(
        "all => all.map(e => [Number(e.closest('[row-index]').getAttribute('row-index')),"
        " e.getAttribute('col-id'), e.innerText.split('\\n').pop()])"
    )
    rows: dict[int, dict[str, str]] = {}
    for number, column, text in found:
        rows.setdefault(number, {})[column] = text
    return [rows[number] for number in sorted(rows) if "params.`model`" in rows[number]]


def axes_of(plot: Locator) -> list[str]:
    """The names of a plot's axes, from left to right, as they are written there."""
    places = plot.evaluate_all("all => all.map(e => [e.getBoundingClientRect().x, e.textContent])")
    return [name for _, name in sorted(places)]


def shoot(page: Page, name: str) -> None:
    if SCREENSHOTS is not None:
        page.wait_for_timeout(1500)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")


def columns_of(page: Page) -> list[str]:
    """The parameters and metrics that have a column, in the order in which they stand on the screen."""
    headers = page.locator("[role=columnheader][col-id]").evaluate_all(
        "all => all.map(e => [e.getBoundingClientRect().x, e.getAttribute('col-id')])"
    )
    return [column for _, column in sorted(headers) if column.startswith(("params.", "metrics."))]


def another_view(tracked: Tracked, name: str) -> str:
    return tracked.view.replace("viewStateShareKey=temperatures", f"viewStateShareKey={name}")


def test_two_models_at_two_temperatures_are_compared_from_what_make_ui_names_by_clicks(
    page: Page, tracked: Tracked
) -> None:
    visit(page, tracked.view, "matching runs")
    names = [f"{model} T={t}" for model in ("reference-steady", "reference-wavering") for t in (0, 0.3, 0.7, 1)]
    shown = page.locator("[role=gridcell][col-id='attributes.`Run Name`'] a")
    expect(shown).to_have_text(names, timeout=WAIT)
    expect(page.get_by_text("8 matching runs")).to_be_visible(timeout=WAIT)
    assert columns_of(page)[:5] == [
        "params.`model`",
        "params.`temperature`",
        "metrics.`flips/pct_flipped`",
        "metrics.`flips/pct_flipped_low`",
        "metrics.`flips/pct_flipped_high`",
    ]
    for row in rows_of(page):
        name, temperature = row["attributes.`Run Name`"].split(" T=")
        assert name == f"reference-{row['params.`model`']}"
        own = tracked.by_temperature.query(f"model == '{name}' and temperature == {temperature}").iloc[0]
        for metric, column in (("flips/pct_flipped", "pct_flipped"), ("flips/pct_flipped_high", "pct_flipped_high")):
            assert float(row[f"metrics.`{metric}`"]) == round(float(own[column]), 4), (row, metric)
    shoot(page, "mlflow_runs")

    # The table button: the prompts of all runs that are shown, side by side.
    page.locator("label").filter(has=page.locator("input[value=ARTIFACT]")).click()
    grouped = page.get_by_role("combobox", name='Select "group by" columns')
    expect(grouped).to_have_text(re.compile("prompt$"), timeout=WAIT)
    labels, answers = what_was_said(tracked)
    first = [tracked.runs[name].info.run_id for name in names[1:3]]
    for run_id, (_, given) in zip(first, labels, strict=True):
        counts = ", ".join(f"{name} {given.count(name)}" for name in TEXTS if name in given)
        expect(page.locator(f"[row-index='0'] [col-id='{run_id}']")).to_have_text(counts, timeout=WAIT)
    shoot(page, "mlflow_prompts")
    page.get_by_role("combobox", name="selected option: decisions").click()
    page.get_by_role("option", name="responses").click()
    for run_id, texts in zip(first, answers, strict=True):
        for text in texts:
            expect(page.locator(f"[row-index='0'] [col-id='{run_id}']")).to_contain_text(text[:250], timeout=WAIT)
    assert page.evaluate("window.harmed") is None

    # Back to the list: four of the runs, ticked and compared.
    page.locator("label").filter(has=page.locator("input[value=TABLE]")).click()
    expect(shown).to_have_text(names, timeout=WAIT)
    for name in (*names[1:3], *names[5:7]):
        page.locator(f"[row-index='{names.index(name)}'] input[type=checkbox]").first.check()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text("Comparing 4 Runs")).to_be_visible(timeout=WAIT)
    titles = page.locator("svg .axis-title")
    expect(titles).to_have_text(["model", "temperature", "ssi/within_T"], timeout=WAIT)
    # Two names that begin alike are told apart by the ten characters that MLflow shows.
    for alias in ("steady", "wavering"):
        expect(page.locator("svg text").get_by_text(alias, exact=True)).to_be_visible(timeout=WAIT)
    shoot(page, "mlflow_compare")


def what_was_said(tracked: Tracked) -> tuple[list[tuple[float, list[str]]], list[list[str]]]:
    """The first prompt's decisions and responses from model `reference-steady` at T=0.3 and 0.7, seed by seed."""
    params = load_params(tracked.folder / PARAMS)
    judge, labels, answers = params.judging.primary, [], []
    for temperature in (0.3, 0.7):
        conditions = [c for c in params.conditions("reference-steady") if c.temperature == temperature]
        tables = [pd.read_csv(tracked.folder / label_file(c), dtype=str) for c in conditions]
        labels.append((temperature, [table[table["judge"] == judge]["label"].iloc[0] for table in tables]))
        files = [tracked.folder / generation_file(c) for c in conditions]
        answers.append([" ".join(pd.read_csv(file, dtype=str)["response"].iloc[0].split()) for file in files])
    return labels, answers


def test_seeds_are_found_under_their_temperature_and_that_under_its_model(page: Page, tracked: Tracked) -> None:
    visit(page, f"{tracked.page}/runs?workflowType=machine_learning", "matching runs")
    shown = page.locator("[role=gridcell][col-id='attributes.`Run Name`'] a")
    expect(shown).to_have_text(["reference-wavering", "reference-steady"], timeout=WAIT)
    for name, below in (("reference-steady", "reference-steady T=0.7"), ("reference-steady T=0.7", "seed=44")):
        row = page.locator("[role=gridcell]").filter(has=page.get_by_role("link", name=name, exact=True))
        row.locator("button, [role=button]").first.click()
        expect(shown.filter(has_text=below).first).to_be_visible(timeout=WAIT)


def test_the_view_of_configurations_opens_with_the_metrics_that_matter(page: Page, tracked: Tracked) -> None:
    visit(page, another_view(tracked, "configurations"), "matching runs")
    page.get_by_text("reference-steady T=0 seed=42").wait_for()
    expect(page.locator("body")).to_contain_text(re.compile(r"\b40\s+matching runs"), timeout=WAIT)
    assert columns_of(page)[:6] == [
        "params.`model`",
        "params.`temperature`",
        "params.`seed`",
        "metrics.`ssi/within_T`",
        "metrics.`agreement/majority`",
        "metrics.`flips/n_caused`",
    ]
    rows = [row for row in rows_of(page) if "params.`seed`" in row]
    # By model, temperature and seed as the study names them, ascending.
    first = [f"reference-steady T={temperature} seed={seed}" for temperature in (0, 0.3) for seed in range(42, 47)]
    assert [row["attributes.`Run Name`"] for row in rows][:10] == first
    for row in rows:
        alias, temperature, seed = (row[f"params.`{name}`"] for name in ("model", "temperature", "seed"))
        model = f"reference-{alias}"
        assert row["attributes.`Run Name`"] == f"{model} T={temperature} seed={seed}"
        place = f"model == '{model}' and temperature == {temperature}"
        run = tracked.by_run.query(f"{place} and seed == {seed}").iloc[0]
        within = tracked.by_temperature.query(place).iloc[0]
        for metric, expected in (
            ("ssi/within_T", within["mean_ssi"]),
            ("agreement/majority", run["agreement"]),
            ("flips/n_caused", run["n_flips_caused"]),
        ):
            assert float(row[f"metrics.`{metric}`"]) == round(float(expected), 4), (row, metric)


@pytest.mark.parametrize(
    ("view", "axes"),
    [
        ("temperatures", ["model", "temperature", *TEMPERATURE_AXES]),
        ("configurations", ["model", "temperature", "seed", *RUN_AXES]),
    ],
)
def test_the_charts_open_on_parallel_coordinates_over_what_varies_and_stability(
    page: Page, tracked: Tracked, view: str, axes: list[str]
) -> None:
    visit(page, f"{another_view(tracked, view)}&compareRunsMode=CHART", "Parallel Coordinates")
    plot = page.locator("svg").filter(has_text="temperature").first
    plot.wait_for()
    titles = plot.locator("text").filter(has_text=re.compile("|".join(f"^{re.escape(name)}$" for name in axes)))
    # The page draws the axes once more when it has read the view, and moves them into place.
    holds(page, lambda: axes_of(titles) == axes)

    def ends_within() -> bool:
        frame = plot.bounding_box()
        ends = titles.evaluate_all("all => all.map(e => e.getBoundingClientRect().right)")
        return frame is not None and 0 < max(ends, default=0) <= frame["x"] + frame["width"]

    # Nothing of a name lies beyond the chart, and the models' names are whole.
    holds(page, ends_within)
    for alias in ("steady", "wavering"):
        expect(plot.get_by_text(alias, exact=True)).to_be_visible(timeout=WAIT)
    page.get_by_text("Showing all runs").first.wait_for()
    if view == "temperatures":
        shoot(page, "mlflow_charts")


@pytest.mark.skipif(STUDY is not None, reason="needs the report that this test knows")
def test_the_report_opens_from_the_experiments_description(page: Page, tracked: Tracked) -> None:
    visit(page, tracked.view, "matching runs")
    with page.expect_popup(timeout=WAIT) as opened:
        page.get_by_role("link", name="Open the study's report").click()
    report = opened.value.frame_locator("iframe").get_by_role("heading", name="The report of this study")
    expect(report).to_be_visible(timeout=WAIT)


def test_a_runs_page_leads_to_its_parent_its_data_and_its_code(page: Page, tracked: Tracked) -> None:
    run = tracked.runs["reference-wavering T=0.7 seed=43"]
    visit(page, f"{tracked.page}/runs/{run.info.run_id}?workflowType=machine_learning", "About this run")
    for found in ("Parent run", "prompts (", "reference-wavering T=0.7"):
        expect(page.get_by_text(found).first).to_be_attached(timeout=WAIT)
    page.get_by_text("+2", exact=True).click()
    for found in ("responses (", "labels ("):
        expect(page.get_by_text(found).first).to_be_visible(timeout=WAIT)


@pytest.mark.skipif(STUDY is not None, reason="the embedded models write nothing hostile")
def test_what_a_model_wrote_is_shown_as_text_and_runs_nowhere(page: Page, tracked: Tracked) -> None:
    run = next(run for run in tracked.runs.values() if decisions_against_majority(run) == set(TEXTS))
    place = f"{tracked.page}/runs/{run.info.run_id}/artifacts/against_majority.csv?workflowType=machine_learning"
    visit(page, place, "Previewing the first")
    shown = page.locator("[role=cell], td").all_text_contents()
    assert any("<script>window.harmed = 1</script>" in cell for cell in shown)
    assert any("<img src=x onerror" in cell for cell in shown)
    assert any("![x](http://127.0.0.1:9/leak.png)" in cell for cell in shown)
    assert any(cell.startswith("'=HYPERLINK") for cell in shown)
    assert page.evaluate("window.harmed") is None


def decisions_against_majority(run: Any) -> set[str]:
    file = Path(run.info.artifact_uri.removeprefix("file://")) / "against_majority.csv"
    return set(pd.read_csv(file)["decision"]) if file.is_file() else set()


def test_a_runs_figure_is_drawn_in_the_page(page: Page, tracked: Tracked) -> None:
    run = tracked.runs["reference-wavering T=1 seed=46"]
    place = f"{tracked.page}/runs/{run.info.run_id}/artifacts/run.png?workflowType=machine_learning"
    visit(page, place, "run.png")
    page.wait_for_function("[...document.images].some(image => image.naturalWidth > 600)")
