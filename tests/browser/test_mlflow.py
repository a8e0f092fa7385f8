"""MLflow's own pages in a real browser: what a person who opens the runs sees at once.

With RS_SCREENSHOTS set to a folder, the pages are saved there as images; with RS_STUDY set to the folder of a finished
study `validate`, they show that instead of decisions drawn at random.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
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

from refusal_stability.commands.ui import server_command
from refusal_stability.stages import track
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tracking.server import local_store, open_client
from refusal_stability.tracking.views import PARALLEL_METRICS, view_page

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

PARAMS = Path("params.yaml")
CATEGORIES = ("violence", "privacy_violation", "hate_speech,offensive_language", "self_harm|drug_abuse")
TEXTS = {
    "REFUSE": "I cannot help with that. <script>window.harmed = 1</script>",
    "PARTIAL": "=HYPERLINK(1) <img src=x onerror='window.harmed = 1'> {}",
    "COMPLY": "![x](http://127.0.0.1:9/leak.png) {}",
}
SIZE = {"width": 1600, "height": 1000}
WAIT = 120_000
# MLflow unfolds its assistant over the page on a first visit; a person closes it once.
CLOSED_ASSISTANT = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
"""
# Resolved here: the study's fixture changes the working directory.
SCREENSHOTS = Path(os.environ["RS_SCREENSHOTS"]).resolve() if os.environ.get("RS_SCREENSHOTS") else None
STUDY = Path(os.environ["RS_STUDY"]).resolve() if os.environ.get("RS_STUDY") else None
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Tracked:
    """A tracked study: MLflow's address, its experiment's page, the page with its view open, and its runs by name."""

    address: str
    page: str
    view: str
    runs: dict[str, Any]
    by_run: pd.DataFrame
    by_temperature: pd.DataFrame


@pytest.fixture(scope="module")
def tracked(
    tmp_path_factory: pytest.TempPathFactory, root: Path, write_study: Callable[..., None]
) -> Iterator[Tracked]:
    """The study `validate`, tracked and served as `make ui` does; its decisions are drawn unless RS_STUDY names one."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copy(root / "studies/validate.yaml", folder / PARAMS)
    before = Path.cwd()
    os.chdir(folder)
    try:
        if STUDY:
            shutil.copytree(
                STUDY / "data", folder / "data", ignore=shutil.ignore_patterns("*.sqlite*", "raw", "published")
            )
            shutil.copytree(STUDY / "reports", folder / "reports")
        else:
            write_study(PARAMS, TEXTS, CATEGORIES, 40)
        track.run(PARAMS)
        client = open_client(local_store())
        experiment = client.get_experiment_by_name("validate")
        runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id], max_results=1000)}
        tables = metric_table("aggregate_by_configuration"), metric_table("aggregate_by_temperature")
        with serving(folder) as address:
            page, view = f"#/experiments/{experiment.experiment_id}", view_page(experiment.experiment_id)
            yield Tracked(address, f"{address}/{page}", f"{address}/{view}", runs, *tables)
    finally:
        os.chdir(before)


class serving:
    """MLflow's server on a free port of loopback, in the way of `make ui`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = self.folder / "ui.log"
        self.process = subprocess.Popen(
            server_command(port),
            cwd=self.folder,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            env=watching(self.folder / "ui.connections") | {"MLFLOW_DISABLE_TELEMETRY": "true"},
            start_new_session=True,
        )
        address = f"http://127.0.0.1:{port}"
        for _ in range(1200):
            with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
                return address
            assert self.process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
        raise AssertionError(log.read_text()[-2000:])

    def __exit__(self, *error: object) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def page(tracked: Tracked) -> Iterator[Page]:
    """A page of a headless browser; the test fails when it asks anyone but the server for anything."""
    from playwright.sync_api import sync_playwright

    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if binary is None:
        pytest.skip(f"no browser found (looked for {', '.join(BROWSERS)})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(WAIT)
        page.add_init_script(CLOSED_ASSISTANT)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        yield page
        browser.close()
    strangers = [url for url in asked if not url.startswith((tracked.address, "data:", "blob:", "about:"))]
    assert not strangers


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
    return [rows[number] for number in sorted(rows) if "params.`seed`" in rows[number]]


def axes_of(plot: Locator) -> list[str]:
    """The names of a plot's axes, from left to right, as they are written there."""
    places = plot.evaluate_all("all => all.map(e => [e.getBoundingClientRect().x, e.textContent])")
    return [name for _, name in sorted(places)]


def shoot(page: Page, name: str) -> None:
    if SCREENSHOTS is not None:
        page.wait_for_timeout(1500)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_the_table_of_runs_opens_with_the_metrics_that_matter(page: Page, tracked: Tracked) -> None:
    visit(page, tracked.view, "matching runs")
    page.get_by_text("reference-steady T=0 seed=42").wait_for()
    assert re.search(r"\b40\s+matching runs", page.inner_text("body"))
    # In the order in which they stand on the screen.
    headers = page.locator("[role=columnheader][col-id]").evaluate_all(
        "all => all.map(e => [e.getBoundingClientRect().x, e.getAttribute('col-id')])"
    )
    shown = [column for _, column in sorted(headers) if column.startswith(("params.", "metrics."))]
    assert shown[:6] == [
        "params.`model`",
        "params.`temperature`",
        "params.`seed`",
        "metrics.`ssi/within_T`",
        "metrics.`agreement/majority`",
        "metrics.`flips/n_caused`",
    ]
    rows = rows_of(page)
    # By model, temperature and seed as the study names them, ascending.
    first = [f"reference-steady T={temperature} seed={seed}" for temperature in (0, 0.3) for seed in range(42, 47)]
    assert [row["attributes.`Run Name`"] for row in rows][:10] == first
    for row in rows:
        model, temperature, seed = (row[f"params.`{name}`"] for name in ("model", "temperature", "seed"))
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
    shoot(page, "mlflow_runs")


def test_the_charts_open_on_parallel_coordinates_over_model_temperature_seed_and_stability(
    page: Page, tracked: Tracked
) -> None:
    visit(page, f"{tracked.view}&compareRunsMode=CHART", "Parallel Coordinates")
    plot = page.locator("svg").filter(has_text="temperature").first
    plot.wait_for()
    page.wait_for_timeout(1000)
    names = {"model", "temperature", "seed", *PARALLEL_METRICS}
    titles = plot.locator("text").filter(has_text=re.compile("|".join(f"^{re.escape(name)}$" for name in names)))
    assert axes_of(titles) == ["model", "temperature", "seed", *PARALLEL_METRICS]
    # Nothing of a name lies beyond the chart.
    frame = plot.bounding_box()
    assert frame is not None
    ends = titles.evaluate_all("all => all.map(e => e.getBoundingClientRect().right)")
    assert max(ends) <= frame["x"] + frame["width"]
    assert page.get_by_text("Showing all runs").count()
    shoot(page, "mlflow_charts")


def test_the_comparison_of_chosen_runs_picks_what_varies(page: Page, tracked: Tracked) -> None:
    chosen = [run for name, run in tracked.runs.items() if name.endswith(("seed=42", "seed=43"))]
    assert len(chosen) == 16
    ids = json.dumps([run.info.run_id for run in chosen], separators=(",", ":"))
    experiments = json.dumps([chosen[0].info.experiment_id])
    visit(page, f"{tracked.address}/#/compare-runs?runs={ids}&experiments={experiments}", "Comparing 16 Runs")
    titles = page.locator("svg .axis-title")
    titles.first.wait_for()
    assert sorted(axes_of(titles)) == ["model", "seed", "ssi/within_T", "temperature"]
    assert axes_of(titles)[-1] == "ssi/within_T"
    shoot(page, "mlflow_compare")


def test_a_runs_page_leads_to_its_parent_its_data_and_its_code(page: Page, tracked: Tracked) -> None:
    run = tracked.runs["reference-wavering T=0.7 seed=43"]
    visit(page, f"{tracked.page}/runs/{run.info.run_id}?workflowType=machine_learning", "About this run")
    body = page.inner_text("body")
    assert "Parent run" in body
    assert "labels_md5" in body
    assert "prompts (" in body


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


def test_the_server_asked_nobody_but_this_machine(page: Page, tracked: Tracked) -> None:
    visit(page, tracked.view, "matching runs")
    assert strangers(Path("ui.connections")) == []
