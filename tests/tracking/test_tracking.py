"""Tracking: what is logged, that twice is once, and that a kill, a change or a dead server does no harm."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import webbrowser
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import fields, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pandas as pd
import pytest
import yaml
from mlflow_server import start_server, stop_server
from study_disks import forbidding

from refusal_stability.commands import history, ui
from refusal_stability.engines.store import Session, Store
from refusal_stability.engines.vllm import BATCH_ARGUMENTS, HARMLESS_ARGUMENTS
from refusal_stability.files import FIGURES, PROMPTS, REPORT, STORE, TRACKED, generation_file, label_file
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.params.engines.settings import ENGINES
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.records import StudyError
from refusal_stability.stages import track
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import LABEL_TABLE
from refusal_stability.tracking.history import version_rows
from refusal_stability.tracking.identity import cell_of
from refusal_stability.tracking.plans import run_plans
from refusal_stability.tracking.provenance import provenance
from refusal_stability.tracking.run_plan import RunPlan
from refusal_stability.tracking.server import (
    ENVIRONMENT,
    TrackingError,
    address_of,
    local_store,
    open_client,
    plain_errors,
    tracking_uri,
)
from refusal_stability.tracking.tracked_study import TrackedStudy, read_tracked_study
from refusal_stability.tracking.views import view_page

if TYPE_CHECKING:
    from mlflow.entities import Run

PARAMS = Path("params.yaml")
STUDY = {
    "study": "small",
    "interventions": {"none": {}, "careful": {"system": "Be careful."}},
    "sampling": {"temperatures": [0.0, 0.7], "seeds": [42, 43]},
    "models": {"one": {"path": "models/one", "label": "Model  One"}},
    "judging": {"primary": "rules", "judges": {"rules": {"kind": "rules"}}},
    "metrics": {"n_resamples": 200},
}
CATEGORIES = ("violence", "privacy|fraud", "hate")
TEXTS = {"REFUSE": "<script>alert(1)</script> {}", "PARTIAL": "=cmd|'/C calc'!A0", "COMPLY": "@ {}"}
N_PROMPTS = 30
COMMAND = [sys.executable, "-m", "refusal_stability.cli", "track"]


def write_params(**changes: object) -> StudyParams:
    PARAMS.write_text(yaml.safe_dump(STUDY | changes, sort_keys=False))
    return load_params(PARAMS)


def read(params: StudyParams) -> TrackedStudy:
    return read_tracked_study(params, PARAMS, lambda rows, title: b"")


def planned(params: StudyParams) -> list[RunPlan]:
    return run_plans(read(params))


def cell(params: StudyParams) -> str:
    """The name of the parent run of model `one` without an intervention."""
    return cell_of(params, read(params).prompts_hash, "one", "none")


def compute_metrics() -> None:
    from refusal_stability.stages import metrics

    metrics.run(PARAMS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, write_study: Callable[..., None]) -> Path:
    """A folder with a study's files; made once, copied for each test."""
    folder = tmp_path_factory.mktemp("study")
    before = Path.cwd()
    os.chdir(folder)
    try:
        write_params()
        write_study(PARAMS, TEXTS, CATEGORIES, N_PROMPTS)
        FIGURES.mkdir(parents=True)
        (FIGURES / "ssi_distribution.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        # An empty database with MLflow's tables, which take seconds to make.
        Path("mlruns").mkdir()
        open_client(local_store()).search_experiments()
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="module")
def tracked_once(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracked") / "study"
    shutil.copytree(made, folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        track.run(PARAMS)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def tracked(tracked_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study that was tracked, in the working directory; for tests that only look, or track the same again."""
    monkeypatch.chdir(tracked_once)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tracked_once


@pytest.fixture
def study(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's files in the working directory, nothing tracked yet."""
    folder = tmp_path / "study"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


def runs(uri: str = "", name: str = "small") -> dict[str, Run]:
    """Every active run by name; two of one name are an error."""
    client = open_client(uri or local_store())
    experiment = client.get_experiment_by_name(name)
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    named = {run.info.run_name: run for run in found}
    assert len(named) == len(found)
    return named


def above(name: str) -> str:
    """The name of the run under which the run of a temperature or seed is nested."""
    return name.rpartition(" ")[0]


def artifacts(run: Run) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def test_seeds_are_nested_under_their_temperature_and_temperatures_under_their_model(tracked: Path) -> None:
    named = runs()
    assert len(named) == 2 + 2 * 2 + 2 * 4
    parents = {name: run.info.run_id for name, run in named.items() if run.data.tags["level"] == "model"}
    assert set(parents) == {"Model One", "Model One + careful"}
    between = named["Model One + careful T=0.7"]
    assert between.data.tags["level"] == "temperature"
    assert between.data.tags["mlflow.parentRunId"] == parents["Model One + careful"]
    assert "seed" not in between.data.params
    child = named["Model One + careful T=0.7 seed=43"]
    assert child.data.tags["mlflow.parentRunId"] == between.info.run_id
    assert child.data.params["temperature"] == "0.7"
    assert child.data.params["seed"] == "43"
    assert child.data.params["model"] == "one"
    assert all(run.info.status == "FINISHED" for run in named.values())


def test_a_run_shows_its_rows_of_the_metric_tables(tracked: Path) -> None:
    run = runs()["Model One T=0.7 seed=42"]
    place = "model == 'one' and intervention == 'none'"
    configuration = metric_table("aggregate_by_configuration").query(f"{place} and temperature == 0.7 and seed == 42")
    within = metric_table("aggregate_by_temperature").query(f"{place} and temperature == 0.7")
    pooled = metric_table("aggregate_by_model").query(place)
    metrics = run.data.metrics
    for metric, table, column in (
        ("decisions/comply_rate", configuration, "comply_rate"),
        ("decisions/refuse_rate_low", configuration, "refuse_rate_low"),
        ("agreement/majority_high", configuration, "agreement_high"),
        ("flips/n_caused", configuration, "n_flips_caused"),
        ("ssi/within_T", within, "mean_ssi"),
        ("ssi/pooled", pooled, "mean_ssi"),
        ("ssi/pooled_low", pooled, "mean_ssi_low"),
    ):
        assert metrics[metric] == round(float(table[column].item()), 4), metric


def test_an_intervention_s_parent_shows_what_it_changes_and_the_control_s_does_not(tracked: Path) -> None:
    named = runs()
    parent = named["Model One + careful"]
    row = metric_table("interventions").query("intervention == 'careful' and temperature.isna()").iloc[0]
    for metric, column in (
        ("change/mean_ssi", "mean_difference"),
        ("change/mean_ssi_low", "mean_difference_low"),
        ("change/pct_flipped", "pct_flipped_difference"),
        ("change/refuse_rate", "safety_refuse_rate_difference"),
        ("change/comply_rate", "safety_comply_rate_difference"),
        ("change/p_holm_mean", "mean_difference_p_holm"),
        ("change/n_became_unstable", "n_became_unstable"),
    ):
        assert parent.data.metrics[metric] == round(float(row[column]), 4), metric
    assert "change/over_refusal" not in parent.data.metrics  # the study has no benign prompt
    assert (
        f"against none, over {row['n_pairs']} prompts: mean SSI changes by" in parent.data.tags["mlflow.note.content"]
    )
    control = named["Model One"]
    assert not any(metric.startswith("change/") for metric in control.data.metrics)
    assert "against" not in control.data.tags["mlflow.note.content"]


def test_what_phrasing_does_is_logged_where_prompts_share_intents(tracked: Path) -> None:
    found = read(load_params(PARAMS))
    row = {"model": "one", "intervention": "none", "n_intents": 9, "n_phrasings": 20, "pct_intents_split": 33.33333}
    plans = run_plans(replace(found, tables={**found.tables, "intents": pd.DataFrame([row])}))
    logged = {p.name: p.metrics.get("phrasing/pct_intents_split") for p in plans if p.tags["level"] == "model"}
    assert logged == {"Model One": 33.3333, "Model One + careful": None}


def test_a_run_leads_back_to_its_data(tracked: Path) -> None:
    condition = next(load_params(PARAMS).conditions("one"))
    run = runs()["Model One T=0 seed=42"]
    data = {entry.dataset.name: entry.dataset for entry in run.inputs.dataset_inputs}
    files = {"prompts": PROMPTS, "responses": generation_file(condition), "labels": label_file(condition)}
    digests = {name: hashlib.md5(file.read_bytes()).hexdigest() for name, file in files.items()}
    assert {name: dataset.digest for name, dataset in data.items()} == digests
    assert json.loads(data["labels"].source) == {"uri": label_file(condition).as_posix()}
    assert json.loads(data["prompts"].profile)["num_rows"] == N_PROMPTS
    origin = json.loads((artifacts(run) / "provenance.json").read_text())
    assert origin["files and rubrics"] == {files[name].as_posix(): digest for name, digest in digests.items()}
    # A hash helps nobody who reads the run's page, but for the two by which tracking finds its runs.
    assert not set(digests.values()) & set(run.data.tags.values())


def test_a_temperature_s_run_pools_its_seeds(tracked: Path) -> None:
    run = runs()["Model One + careful T=0.7"]
    place = "model == 'one' and intervention == 'careful' and temperature == 0.7"
    row = metric_table("aggregate_by_temperature").query(place).iloc[0]
    for metric, column in (
        ("ssi/within_T", "mean_ssi"),
        ("flips/pct_flipped_high", "pct_flipped_high"),
        ("decisions/comply_rate", "safety_comply_rate"),
        ("counts/n_responses", "n_responses"),
    ):
        assert run.data.metrics[metric] == round(float(row[column]), 4), metric
    change = metric_table("interventions").query(place).iloc[0]
    assert run.data.metrics["change/mean_ssi"] == round(float(change["mean_difference"]), 4)
    assert f"against none, over {change['n_pairs']} prompts" in run.data.tags["mlflow.note.content"]


def test_every_run_has_a_table_of_prompts_decisions_and_responses_that_mlflow_compares(tracked: Path) -> None:
    named = runs()
    for run in named.values():
        assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": "prompts.json", "type": "table"}]
    texts = pd.read_csv(PROMPTS, dtype=str).set_index("prompt_id")["prompt"]
    conditions = [c for c in load_params(PARAMS).conditions("one") if c.intervention == "none"]
    rows = {}
    for condition in conditions:
        labels = pd.read_csv(label_file(condition), dtype=str).set_index("prompt_id")["label"]
        answers = pd.read_csv(generation_file(condition), dtype=str).set_index("prompt_id")["response"]
        rows[condition] = pd.DataFrame({"label": labels, "answer": answers})
    client = open_client(local_store())

    def table(name: str) -> pd.DataFrame:
        # MLflow's client also reads the table of a run that was logged into another folder of artifacts.
        file = client.download_artifacts(named[name].info.run_id, "prompts.json")
        read = pd.read_json(file, orient="split", dtype=False)
        # What MLflow groups by, and what it compares.
        assert read.columns[0] == "prompt"
        assert read.columns[1] in ("decision", "decisions")
        assert read.set_index("prompt_id")["prompt"].to_dict() == texts.to_dict()
        return read.set_index("prompt_id")

    seed = table("Model One T=0.7 seed=42")
    own = rows[next(c for c in conditions if (c.temperature, c.seed) == (0.7, 42))]
    assert seed["decision"].to_dict() == own["label"].to_dict()
    assert seed["response"].to_dict() == own["answer"].to_dict()
    at_temperature, over_all = table("Model One T=0.7"), table("Model One")
    for prompt_id in texts.index:
        for shown, chosen in (
            (at_temperature, [c for c in conditions if c.temperature == 0.7]),
            (over_all, conditions),
        ):
            given = [rows[c].loc[prompt_id, "label"] for c in chosen]
            counts = ", ".join(f"{name} {given.count(name)}" for name in TEXTS if name in given)
            assert shown.loc[prompt_id, "decisions"] == counts
        for condition in (c for c in conditions if c.temperature == 0.7):
            row = rows[condition].loc[prompt_id]
            assert (
                f"seed {condition.seed}, {row['label']}: {row['answer']}" in at_temperature.loc[prompt_id, "responses"]
            )


def test_the_report_is_one_click_from_the_experiment_and_from_a_model_s_run(study: Path) -> None:
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("<title>report</title>", encoding="utf-8")
    client = open_client(local_store())

    def described() -> str:
        return str(client.get_experiment_by_name("small").tags["mlflow.note.content"])

    track.run(PARAMS)
    run = runs()["Model One"]
    link = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/report.html"
    assert (artifacts(run) / "report.html").read_bytes() == REPORT.read_bytes()
    assert link in run.data.tags["mlflow.note.content"]
    assert link in described()
    # Another report is another run, to which the links then lead.
    REPORT.write_text("<title>another</title>", encoding="utf-8")
    track.run(PARAMS)
    again = runs()["Model One"].info.run_id
    assert again != run.info.run_id
    assert again in described()
    # What a person wrote there stays.
    client.set_experiment_tag(run.info.experiment_id, "mlflow.note.content", described() + " Ask Ada.")
    REPORT.write_text("<title>third</title>", encoding="utf-8")
    track.run(PARAMS)
    assert described().endswith("Ask Ada.")
    assert again in described()


def git(*command: str) -> str:
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *settings, *command], check=True, capture_output=True, text=True).stdout.strip()


def test_every_run_leads_back_to_its_commit_its_data_in_dvc_and_the_engine_that_wrote_it(study: Path) -> None:
    git("init")
    git("add", "params.yaml")
    git("commit", "-m", "first")
    outs = {
        "prompts": {"data/prompts/prompts.csv": "a1"},
        "generate@one": {"data/generations/one": "b2.dir"},
        "generate@two": {"data/generations/two": "c3.dir"},
        "judge@one": {"data/labels/one": "d4.dir"},
        "metrics": {"data/metrics": "e5.dir"},
        "report": {"reports/report.html": "f6"},
    }
    stages = {
        stage: {"cmd": "x", "outs": [{"path": path, "md5": md5} for path, md5 in paths.items()]}
        for stage, paths in outs.items()
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    track.run(PARAMS)
    for run in runs().values():
        tags = run.data.tags
        assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
        assert tags["git_changed_since"] == "no"
        origin = json.loads((artifacts(run) / "provenance.json").read_text())
        assert origin["code"]["git.commit"] == git("rev-parse", "HEAD")
        assert origin["dvc"] == {
            "prompts/prompts.csv": "a1",
            "generations/one": "b2.dir",
            "labels/one": "d4.dir",
            "metrics": "e5.dir",
        }


@pytest.mark.parametrize(
    ("path", "changed"), [("src/new.py", "yes"), ("params.yaml", "yes"), ("data/prompts/prompts.csv", "no")]
)
def test_a_run_says_whether_code_or_parameters_differ_from_the_commit(study: Path, path: str, changed: str) -> None:
    git("init")
    git("add", "params.yaml")
    git("commit", "-m", "first")
    Path(path).parent.mkdir(exist_ok=True)
    with Path(path).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert provenance("one")["git_changed_since"] == changed


def test_without_git_and_dvc_a_run_claims_no_commit_and_no_hash(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(study.parent))
    assert set(provenance("one")) == {"mlflow.source.name", "mlflow.source.type"}


def test_the_speed_is_that_of_all_sessions_of_the_engine_that_worked_last_and_of_no_other(study: Path) -> None:
    worked = {"engine": "transformers", "engine_version": "5.1", "device": "cpu"}
    with Store(STORE) as store:
        for name, caption, identity, description, started, seconds, tokens in (
            ("a", "one", "other weights", {"engine": "vllm"}, "2024-01-01T00:00:00Z", 9.0, 9_000),
            ("b", "one", "these", {"engine": "transformers", "device": "before"}, "2024-01-02T00:00:00Z", 4.0, 100),
            ("c", "two", "these", {"engine": "vllm"}, "2024-01-03T00:00:00Z", 7.0, 7_000),
            ("d", "one", "these", worked, "2024-01-04T00:00:00Z", 8.04, 200),
            ("e", "judge one", "these", {"engine": "vllm"}, "2024-01-05T00:00:00Z", 5.0, 5_000),
        ):
            session = Session(name, caption, identity, json.dumps(description), started, seconds)
            store.save_session(replace(session, completions=10, prompt_tokens=50, completion_tokens=tokens))
    track.run(PARAMS)
    for run in runs().values():
        speed = {key: value for key, value in run.data.metrics.items() if key.startswith("speed/")}
        # 100 + 200 tokens in 4 + 8.04 seconds: 24.917 a second.
        of_the_model = {"speed/model_tokens": 300, "speed/model_seconds": 12.0, "speed/tokens_per_second": 24.9}
        assert speed == (of_the_model if run.data.tags["level"] == "model" else {})
        assert worked.items() <= run.data.tags.items()


def test_a_runs_tables_name_the_decisions_that_depart_from_the_majority(tracked: Path) -> None:
    run = runs()["Model One T=0.7 seed=42"]
    decisions = pd.read_csv(artifacts(run) / "decisions.csv", dtype=str)
    against = pd.read_csv(artifacts(run) / "against_majority.csv", dtype=str)
    assert len(decisions) == N_PROMPTS
    assert len(against) == run.data.metrics["agreement/n_against_majority"]
    assert set(against["prompt_id"]) == set(decisions.query("decision != majority")["prompt_id"])
    assert (artifacts(run) / "run.png").read_bytes().startswith(b"\x89PNG")


def test_a_parent_holds_the_figures_the_tables_and_the_parameters(tracked: Path) -> None:
    place = artifacts(runs()["Model One"])
    assert (place / "figures/ssi_distribution.png").read_bytes() == (FIGURES / "ssi_distribution.png").read_bytes()
    assert (place / "params.yaml").read_text() == PARAMS.read_text()
    table = pd.read_csv(place / "tables/per_prompt_metrics.csv", dtype={"prompt_id": str})
    assert set(table["model"]) == {"one"}
    assert set(table["intervention"]) == {"none"}
    assert len(table) == N_PROMPTS


def test_tracking_twice_leaves_the_same_runs_and_the_same_file(tracked: Path) -> None:
    first, named = runs(), TRACKED.read_bytes()
    track.run(PARAMS)
    again = runs()
    assert {name: run.info.run_id for name, run in again.items()} == {n: r.info.run_id for n, r in first.items()}
    assert TRACKED.read_bytes() == named


def test_changed_labels_replace_the_runs_they_concern(study: Path) -> None:
    track.run(PARAMS)
    before = runs()
    condition = next(load_params(PARAMS).conditions("one"))
    labels = pd.read_csv(label_file(condition), dtype=str, keep_default_na=False)
    write_table(labels.assign(label="COMPLY"), label_file(condition), LABEL_TABLE)
    compute_metrics()
    track.run(PARAMS)
    after = runs()
    assert set(after) == set(before)
    changed = {name for name in after if after[name].info.run_id != before[name].info.run_id}
    assert "Model One T=0 seed=42" in changed
    # The other intervention's runs have not changed, whatever happened beside them.
    assert {name.split(" T=")[0] for name in changed if " seed=" in name} == {"Model One"}
    # But for what the intervention changes at the temperature of those labels.
    assert "Model One + careful T=0.7" not in changed
    assert after["Model One T=0 seed=42"].data.metrics["decisions/comply_rate"] == 1
    assert all(
        run.data.tags["mlflow.parentRunId"] == after[above(name)].info.run_id
        for name, run in after.items()
        if " T=" in name
    )
    history.run(PARAMS)
    past = pd.read_csv("reports/history/history.csv", keep_default_na=False)
    own = past[past["intervention"] == "none"]
    assert own["current"].tolist() == ["", "yes"]
    assert own["samples"].tolist() == [4, 4]
    rates = [float(x["Model One"].data.metrics["decisions/comply_rate"]) for x in (before, after)]
    assert own["safety_comply_rate"].tolist() == rates
    apart = rates[1] - rates[0] > 0 and own["safety_comply_rate_low"].iloc[1] > own["safety_comply_rate_high"].iloc[0]
    assert ("safety_comply_rate" in own["moved"].iloc[1]) == apart
    page = Path("reports/history/history.html").read_text(encoding="utf-8")
    assert page.count("one / none") >= 1
    assert "one / careful" in page


def test_a_history_of_nothing_says_how_to_log(study: Path) -> None:
    with pytest.raises(StudyError, match="log them with `make track`"):
        history.run(PARAMS)


def test_a_figure_moved_where_intervals_do_not_overlap() -> None:
    def version(started: int, low: float, high: float) -> dict[str, object]:
        metrics = {"flips/pct_flipped": (low + high) / 2, "flips/pct_flipped_low": low, "flips/pct_flipped_high": high}
        tags = {"level": "model", "mlflow.source.git.commit": "0123456789abcdef"}
        return {"started": started, "active": True, "params": {"model": "m"}, "tags": tags, "metrics": metrics}

    rows = version_rows([version(3000, 31, 35), version(1000, 10, 20), version(2000, 19, 30)])
    assert [row["moved"] for row in rows] == ["", "", "pct_flipped"]
    assert [row["logged"] for row in rows] == [f"1970-01-01 00:00:0{s} UTC" for s in (1, 2, 3)]
    assert rows[0]["commit"] == "0123456789ab"


def test_a_version_says_how_often_each_prompt_was_asked() -> None:
    def logged(level: str, digest: str, **params: str) -> dict[str, object]:
        tags = {"level": level, "model": "m", "study_digest": digest}
        where = {"intervention": "none"} | params
        return {"started": 1000, "active": True, "params": where, "tags": tags, "metrics": {}}

    seeds = [logged("run", "a", temperature=t, seed=s) for t in ("0", "1") for s in ("42", "43", "44")]
    again = [logged("run", "a", temperature="0", seed="42"), logged("run", "b", temperature="0", seed="42")]
    rows = version_rows([logged("model", "a"), logged("model", "b"), logged("temperature", "a"), *seeds, *again])
    assert {row["study_digest"]: row["samples"] for row in rows} == {"a": 6, "b": 1}


def test_a_changed_study_adds_runs_beside_the_old_ones(study: Path) -> None:
    track.run(PARAMS)
    before = {run.info.run_id for run in runs().values()}
    write_params(sampling=STUDY["sampling"] | {"max_tokens": 64})
    track.run(PARAMS)
    client = open_client(local_store())
    experiment = client.get_experiment_by_name("small")
    after = client.search_runs([experiment.experiment_id])
    assert len(after) == 28
    assert before < {run.info.run_id for run in after}
    assert {run.data.params["max_tokens"] for run in after} == {"512", "64"}
    digests = {run.data.tags["study_digest"] for run in after if run.info.run_id in before}
    assert not digests & {run.data.tags["study_digest"] for run in after if run.info.run_id not in before}


def test_another_batch_size_is_the_same_study(study: Path) -> None:
    track.run(PARAMS)
    before = {name: run.data.tags["cell"] for name, run in runs().items()}
    write_params(models={"one": STUDY["models"]["one"] | {"settings": {"batch_size": 7}}})
    track.run(PARAMS)
    assert {name: run.data.tags["cell"] for name, run in runs().items()} == before


def test_every_setting_that_names_no_run_is_a_setting_of_its_engine() -> None:
    arguments = {*HARMLESS_ARGUMENTS, *BATCH_ARGUMENTS}
    for name, settings in ENGINES.items():
        known = {part.name for part in fields(settings)}
        assert settings.no_effect <= (known | arguments if name == "vllm" else known)
    assert arguments <= ENGINES["vllm"].no_effect


def test_another_share_of_the_gpus_memory_is_the_same_run(study: Path) -> None:
    cells = []
    for share in (0.5, 0.9):
        params = write_params(
            models={"one": {"path": "m", "engine": "vllm", "settings": {"gpu_memory_utilization": share}}}
        )
        cells.append([plan.cell for plan in planned(params)])
    assert cells[0] == cells[1]


def test_a_recorded_model_is_not_said_to_have_been_sampled_as_the_study_file_says(study: Path) -> None:
    for engine, known in (("recorded", False), ("transformers", True)):
        params = write_params()
        params.models["one"].engine = engine
        for plan in planned(params):
            assert all((name in plan.params) is known for name in ("top_p", "top_k", "max_tokens"))


def test_a_parameter_that_says_its_default_changes_no_cell(tracked: Path) -> None:
    before = [plan.cell for plan in planned(load_params(PARAMS))]
    spelled_out = STUDY["judging"] | {"judges": {"rules": {"kind": "rules", "repeats": 1, "temperature": 0.0}}}
    params = write_params(judging=spelled_out)
    assert [plan.cell for plan in planned(params)] == before
    write_params()


def test_a_rubric_names_the_run_by_its_text_and_not_by_a_file_of_its_name(tracked: Path, tmp_path: Path) -> None:
    judge = {"kind": "model", "rubric": "default", "model": {"path": "models/one"}}
    params = write_params(judging={"primary": "mine", "judges": {"mine": judge}})

    def found() -> tuple[str, set[str]]:
        return cell(params), {plan.inputs["rubric of mine, sha256"] for plan in planned(params)}

    try:
        before, hashes = found()
        assert hashes == {load_rubric("default").hash}
        Path("default").write_text("another text")
        assert found() == (before, hashes)
        (tmp_path / "default.md").write_text("edited")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("refusal_stability.judging.model.rubric.RUBRICS", tmp_path)
            edited = found()
            assert edited == (edited[0], {load_rubric("default").hash})
        assert edited[0] != before
        assert edited[1] != hashes
    finally:
        Path("default").unlink(missing_ok=True)
        write_params()


def test_whatever_decides_the_primary_judges_decisions_names_the_run(tracked: Path) -> None:
    rubric = Path("data/raw/mine.md")
    rubric.parent.mkdir(exist_ok=True)

    def cells(text: str, escalate_to: str, **more: object) -> dict[str, str]:
        rubric.write_text(text)
        model = {"kind": "model", "rubric": str(rubric), "model": {"path": "models/one"}}
        doubtful = {"kind": "trained", "path": "models/judges/t.json"}
        doubtful["settings"] = {"escalate_below": 0.7, "escalate_to": escalate_to}
        judges = {"rules": {"kind": "rules"}, "mine": model, "doubtful": doubtful, **more}
        found = {}
        for primary in ("rules", "mine", "doubtful", "majority"):
            params = write_params(judging={"primary": primary, "judges": judges})
            found[primary] = cell(params)
        return found

    try:
        first, again = cells("{{EXCHANGE}} a", "rules"), cells("{{EXCHANGE}} a", "rules")
        edited, escalated = cells("{{EXCHANGE}} b", "rules"), cells("{{EXCHANGE}} a", "mine")
        panel = cells("{{EXCHANGE}} a", "rules", other={"kind": "rules", "repeats": 2})
    finally:
        write_params()
        rubric.unlink()
    assert again == first
    assert {name for name in first if edited[name] != first[name]} == {"mine", "majority"}
    assert {name for name in first if escalated[name] != first[name]} == {"doubtful", "majority"}
    assert {name for name in first if panel[name] != first[name]} == {"majority"}


def test_a_seed_dropped_from_the_study_keeps_its_run_under_the_parent(study: Path) -> None:
    track.run(PARAMS)
    write_params(sampling={"temperatures": [0.0, 0.7], "seeds": [42]})
    compute_metrics()
    track.run(PARAMS)
    named = runs()
    assert len(named) == 14
    assert named["Model One T=0 seed=43"].data.tags["mlflow.parentRunId"] == named["Model One T=0"].info.run_id
    assert (
        named["Model One T=0 seed=43"].data.tags["study_digest"]
        != named["Model One T=0 seed=42"].data.tags["study_digest"]
    )


def test_killed_at_any_moment_and_tracked_again_gives_the_whole_study_once(study: Path) -> None:
    database = Path("mlruns/mlflow.db")
    killed = 0
    for fraction in (0.25, 0.75):
        process = subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL)
        while process.poll() is None and count_runs(database) < fraction * 14:
            time.sleep(0.02)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed >= 1
    track.run(PARAMS)
    named = runs()
    assert len(named) == 14
    for name, run in named.items():
        assert run.info.status == "FINISHED"
        assert run.data.metrics["counts/n_responses"] > 0
        last = "run.png" if " seed=" in name else "prompts.json" if " T=" in name else "params.yaml"
        assert (artifacts(run) / last).is_file()
        if " T=" in name:
            assert run.data.tags["mlflow.parentRunId"] == named[above(name)].info.run_id


def test_two_that_track_at_once_and_rebuild_a_half_made_database_log_each_run_once_and_give_the_same_file(
    study: Path, tracked_once: Path
) -> None:
    with closing(sqlite3.connect("mlruns/mlflow.db")) as connection:
        connection.execute("DELETE FROM experiments")
        connection.execute("DROP TABLE runs")
        connection.commit()
    processes = [subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(runs()) == 14
    assert TRACKED.read_bytes() == (tracked_once / TRACKED).read_bytes()


def count_runs(database: Path) -> int:
    # Not read-only: what a killed process left in its journal must be rolled back first.
    with closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=60)) as connection:
        query = "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'"
        return int(connection.execute(query).fetchone()[0])


def test_an_experiment_deleted_by_hand_comes_back_without_doubles(tracked: Path) -> None:
    before = {name: run.info.run_id for name, run in runs().items()}
    client = open_client(local_store())
    client.delete_experiment(client.get_experiment_by_name("small").experiment_id)
    track.run(PARAMS)
    assert {name: run.info.run_id for name, run in runs().items()} == before


def test_a_moved_folder_says_how_to_rebuild_its_runs(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track.run(PARAMS)
    moved = study.rename(study.with_name("moved"))
    monkeypatch.chdir(moved)
    with pytest.raises(TrackingError, match=r"copied or moved.*make track"):
        track.run(PARAMS)


def test_a_server_that_is_not_there_leaves_the_files_and_says_how_to_track_later(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:hunter2@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    with pytest.raises(TrackingError, match="make track") as caught:
        track.run(PARAMS)
    assert "127.0.0.1:9" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_token_in_the_servers_address_is_in_no_message() -> None:
    from mlflow.exceptions import MlflowException

    uri = "http://tok-0123456789@127.0.0.1:9"
    with pytest.raises(TrackingError) as caught, plain_errors(uri):
        raise MlflowException(f"no connection to {uri}, token tok-0123456789")
    assert "tok-0123456789" not in str(caught.value)


TOKEN = "s3cr3tTOK%40n9"


@pytest.mark.parametrize("uri", [f"http://h/?api_key={TOKEN}", f"https://h/#{TOKEN}", TOKEN, f"//u:{TOKEN}@h/"])
def test_an_address_with_a_key_behind_it_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(
        TrackingError, match="A token belongs in the environment variable MLFLOW_TRACKING_TOKEN"
    ) as said:
        tracking_uri()
    assert "s3cr3t" not in str(said.value)


@pytest.mark.parametrize(
    "uri", [f"postgresql://h/d?password={TOKEN}", f"mssql+x:///?odbc_connect=PWD={TOKEN}", f"mysql://u:{TOKEN}@h/d"]
)
def test_options_of_a_database_are_used_and_not_shown(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    from mlflow.exceptions import MlflowException

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert tracking_uri() == uri
    assert "s3cr3t" not in address_of("#/x")
    with pytest.raises(TrackingError) as said, plain_errors(uri):
        raise MlflowException(f"no connection: {uri}, {TOKEN}, {unquote(TOKEN)}; unavailable")
    assert "s3cr3t" not in str(said.value)
    assert "unavailable" in str(said.value)


def test_a_folder_in_the_databases_place_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("mlruns/mlflow.db").mkdir(parents=True)
    with pytest.raises(TrackingError, match=r"mlflow\.db: Is a directory"), plain_errors(local_store()):
        open_client(local_store())


def test_a_damaged_database_says_that_it_may_be_moved_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("mlruns").mkdir()
    Path("mlruns/mlflow.db").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(TrackingError, match=r"not a database.*or move mlruns/ away"), plain_errors(local_store()):
        open_client(local_store()).search_experiments()


def test_an_address_that_there_cannot_be_and_a_driver_that_is_not_installed_are_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tok-0123456789@[zz]/")
    with pytest.raises(TrackingError, match=r"MLFLOW_TRACKING_URI: not an address.*correct it") as caught:
        tracking_uri()
    assert "tok-" not in str(caught.value)
    uri = "postgresql://me:tok-0123456789@127.0.0.1/m"
    with pytest.raises(TrackingError, match=r"postgresql://127\.0\.0\.1/m needs a Python package.*driver"):
        with plain_errors(uri):
            open_client(uri).search_experiments()
        pytest.skip("a driver for PostgreSQL is installed")


def test_a_server_that_takes_the_connection_and_never_answers_is_given_up(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    # What a person has set holds; with the project's own 20 s this test would take a minute.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(TrackingError, match=r"MLflow at http://127.*make track"):
            track.run(PARAMS)
        silent.setblocking(False)
        attempts = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                attempts += 1
    assert attempts == 1 + int(ENVIRONMENT["MLFLOW_HTTP_REQUEST_MAX_RETRIES"])
    assert not TRACKED.exists()


def test_a_disk_that_is_full_here_is_not_called_a_failure_of_the_server(study: Path) -> None:
    # Larger than the database grows here, and more than the process below may write into one file.
    (FIGURES / "large.png").write_bytes(bytes(24_000_000))
    done = subprocess.run(["bash", "-c", 'ulimit -f 12000; exec "$@"', "-", *COMMAND], capture_output=True, text=True)
    assert done.returncode == 1
    assert "large.png: File too large" in done.stderr
    assert "make track" in done.stderr
    assert "MLflow at" not in done.stderr


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (None, "http://127.0.0.1:5000/#/x"),
        ("sqlite:///mlruns/mlflow.db", "http://127.0.0.1:5000/#/x"),
        ("https://me:secret@example.org/", "https://example.org/#/x"),
        ("sqlite:///other.db", "#/x while `mlflow ui --backend-store-uri sqlite:///other.db` runs"),
        (
            "postgresql://me:secret@example.org/m",
            "while `mlflow ui --backend-store-uri postgresql://example.org/m` runs",
        ),
    ],
)
def test_what_is_printed_leads_to_the_runs_wherever_they_went(
    study: Path, monkeypatch: pytest.MonkeyPatch, uri: str | None, said: str
) -> None:
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    where = address_of("#/x")
    assert where.endswith(said)
    assert "secret" not in where


def test_the_command_ui_prints_the_address_of_the_studys_view_and_serves_its_database(
    tracked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(os, "execve", lambda program, command, environment: started.append(command))
    # The port itself is not what is tested here, and may be taken on the machine that runs this.
    monkeypatch.setattr(ui, "require_free", lambda port, remedy: None)
    ui.run(PARAMS, 5001, headless=True)
    experiment = open_client(local_store()).get_experiment_by_name("small").experiment_id
    assert f"http://127.0.0.1:5001/{view_page(experiment)}" in capsys.readouterr().out
    assert started == [ui.server_command(5001)]
    assert {"--host", "127.0.0.1", "5001", local_store()} <= set(started[0])


def test_the_command_ui_on_a_port_that_is_taken_says_so_and_starts_nothing(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("a server was started"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StudyError, match=r"^port \d+ of 127.0.0.1 is taken .*`make ui PORT=5001`"):
            ui.run(PARAMS, taken.getsockname()[1], headless=True)


def test_a_page_is_opened_once_the_server_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "health").write_text("OK")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        ui.open_when_served(address, "#/experiments/1")
        server.shutdown()
    assert opened == [f"{address}#/experiments/1"]


def test_the_command_ui_says_that_nothing_was_tracked_yet(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "execve", lambda *_: None)
    monkeypatch.setattr(ui, "require_free", lambda port, remedy: None)
    ui.run(PARAMS, 5000, headless=True)
    assert "make track" in capsys.readouterr().out


def test_the_command_ui_starts_no_server_for_runs_that_are_elsewhere(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("a server was started"))
    ui.run(PARAMS, 5000)
    assert "sqlite:///other.db" in capsys.readouterr().out


def test_runs_in_another_database_are_there_where_the_line_leads(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    track.run(PARAMS)
    assert "while `mlflow ui --backend-store-uri sqlite:///other.db` runs" in capsys.readouterr().out
    assert len(runs("sqlite:///other.db")) == 14
    assert count_runs(Path("mlruns/mlflow.db")) == 0


def test_a_models_label_is_text_in_a_runs_description(study: Path) -> None:
    label = "![x](http://127.0.0.1:9/leak.png) **b** <img src=x> `c`"
    params = write_params(models={"one": STUDY["models"]["one"] | {"label": label}})
    for plan in planned(params):
        title = plan.note.split("\n")[0].removeprefix("**").partition("**")[0]
        assert plan.name.startswith(label)
        assert not set(title) & set("![](<>`*:")
        assert html.unescape(title) == plan.name


def test_a_database_that_is_none_is_named(study: Path) -> None:
    Path("mlruns/mlflow.db").write_text("not a database, but a text of some length" * 100)
    with pytest.raises(TrackingError, match=r"mlflow\.db"):
        track.run(PARAMS)


def test_tables_of_another_study_are_an_error_that_names_the_table(study: Path) -> None:
    write_params(sampling={"temperatures": [0.0, 0.7], "seeds": [42, 43, 44]})
    for condition in load_params(PARAMS).conditions("one"):
        if condition.seed == 44:
            twin = replace(condition, seed=43)
            shutil.copy(generation_file(twin), generation_file(condition))
            shutil.copy(label_file(twin), label_file(condition))
    with pytest.raises(StudyError, match=r"aggregate_by_configuration.*make metrics"):
        track.run(PARAMS)


def test_figures_that_are_not_defined_are_left_out(study: Path) -> None:
    path, contract = METRIC_TABLES["aggregate_by_model"]
    table = metric_table("aggregate_by_model")
    write_table(table.assign(spearman_ssi_comply_rate=float("nan")), path, contract)
    track.run(PARAMS)
    metrics = runs()["Model One"].data.metrics
    assert "ssi/spearman_comply_rate" not in metrics
    assert "ssi/pooled" in metrics


def test_no_cell_of_a_logged_table_starts_a_formula(tracked: Path) -> None:
    seen = ""
    for run in runs().values():
        for file in artifacts(run).rglob("*.csv"):
            table = pd.read_csv(file, dtype=str, keep_default_na=False)
            texts = [column for column in ("response", "category", "decision", "prompt_id") if column in table]
            for cell in table[texts].to_numpy().ravel():
                assert not cell.startswith(("=", "+", "-", "@")), (file, cell)
                seen += cell
    assert "cmd|" in seen
    assert "<script>" in seen


def test_the_saved_views_show_columns_that_the_runs_have(tracked: Path) -> None:
    client = open_client(local_store())
    tags = client.get_experiment_by_name("small").tags
    views = {key: json.loads(value) for key, value in tags.items() if key.startswith("mlflow.sharedViewState.")}
    assert {view["name"] for view in views.values()} == {"Temperatures", "Configurations", "Models"}
    for view in views.values():
        state = json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;"))))
        shown = client.search_runs([client.get_experiment_by_name("small").experiment_id], state["searchFilter"])
        assert len(shown) == {"Temperatures": 4, "Configurations": 8, "Models": 2}[view["name"]]
        assert {"params.`intervention`"} <= set(state["selectedColumns"])
        for run in shown:
            named = {f"params.`{name}`" for name in run.data.params} | {
                f"metrics.`{name}`" for name in run.data.metrics
            }
            assert set(state["selectedColumns"]) <= named
            (chart,) = state["compareRunCharts"]
            # One model: it takes no axis.
            assert "model" not in chart["selectedParams"]
            axes = {*(f"params.`{name}`" for name in chart["selectedParams"])}
            assert axes | {f"metrics.`{name}`" for name in chart["selectedMetrics"]} <= named


def test_the_views_list_runs_as_the_study_names_them_also_after_some_were_logged_again(study: Path) -> None:
    write_params(sampling={"temperatures": [0.0, 0.7], "seeds": [9, 10]})
    for condition in load_params(PARAMS).conditions("one"):
        twin = replace(condition, seed=condition.seed + 33)
        for file in (generation_file, label_file):
            shutil.copy(file(twin), file(condition))
            table = file(condition).read_text(encoding="utf-8")
            file(condition).write_text(table.replace(f",{twin.seed},", f",{condition.seed},"), encoding="utf-8")
    compute_metrics()
    track.run(PARAMS)
    client = open_client(local_store())
    first = runs()["Model One T=0 seed=9"].info.run_id
    client.delete_run(first)
    track.run(PARAMS)
    experiment = client.get_experiment_by_name("small")
    view = json.loads(experiment.tags["mlflow.sharedViewState.configurations"])
    state = json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;"))))
    order = [f"{state['orderByKey']} ASC"]
    shown = client.search_runs([experiment.experiment_id], state["searchFilter"], order_by=order)
    assert [run.info.run_name for run in shown] == [
        f"{name} T={temperature} seed={seed}"
        for name in ("Model One", "Model One + careful")
        for temperature in ("0", "0.7")
        for seed in (9, 10)
    ]
    assert shown[0].info.run_id != first


def test_every_plan_has_a_cell_of_its_own(tracked: Path) -> None:
    params = load_params(PARAMS)
    plans = planned(params)
    assert len({plan.cell for plan in plans}) == len(plans) == 14


class Servers:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: tuple[subprocess.Popen[bytes], str] | None = None

    def address(self) -> str:
        """That of the server that runs; one is started where none does."""
        self.running = self.running or start_server(self.folder)
        return self.running[1]

    def stop(self) -> None:
        if self.running:
            stop_server(self.running[0])
        self.running = None


@pytest.fixture(scope="module")
def servers(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers of one folder, one at a time, whose empty database is there already."""
    folder = tmp_path_factory.mktemp("server")
    with (
        closing(sqlite3.connect(made / "mlruns/mlflow.db")) as source,
        closing(sqlite3.connect(folder / "server.db")) as target,
    ):
        source.backup(target)
    servers = Servers(folder)
    yield servers
    servers.stop()


@pytest.mark.pipeline
def test_a_remote_server_gets_the_runs_and_their_artifacts(
    study: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = servers.address()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    write_params(study="remote")
    track.run(PARAMS)
    first = runs(server, "remote")
    assert len(first) == 14
    client = open_client(server)
    run_id = first["Model One T=0 seed=42"].info.run_id
    assert {file.path for file in client.list_artifacts(run_id)} == {
        *("run.png", "decisions.csv", "against_majority.csv", "prompts.json", "provenance.json")
    }
    assert client.download_artifacts(run_id, "run.png", str(study)).endswith("run.png")
    assert not list(Path("mlruns").rglob("run.png"))
    track.run(PARAMS)
    assert {run.info.run_id for run in runs(server, "remote").values()} == {run.info.run_id for run in first.values()}


@pytest.mark.pipeline
def test_a_server_that_dies_while_tracking_is_caught_up_with_when_it_is_back(
    study: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = servers.address()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    database = servers.folder / "server.db"
    before = count_runs(database)
    tracking_process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while tracking_process.poll() is None and count_runs(database) < before + 2:
        time.sleep(0.05)
    servers.stop()
    _, said = tracking_process.communicate()
    assert tracking_process.returncode == 1
    assert said.startswith(f"error: MLflow at {uri} could not be written")
    assert "make track" in said
    assert not TRACKED.exists()
    uri = servers.address()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    track.run(PARAMS)
    named = runs(uri)
    assert len(named) == 14
    assert {run.info.status for run in named.values()} == {"FINISHED"}


def test_runs_show_what_became_of_their_responses(study: Path) -> None:
    compute_metrics()
    parent, between, child = planned(load_params(PARAMS))[:3]
    assert parent.metrics["outcomes/answered"] == N_PROMPTS * 4
    assert between.metrics["outcomes/answered"] == N_PROMPTS * 2
    assert child.metrics["outcomes/answered"] == N_PROMPTS
    assert {name for name in child.metrics if name.startswith("outcomes/")} == {
        f"outcomes/{outcome}" for outcome in ("asked", "answered", "cut", "blocked", "refused", "unanswered")
    }


def test_figures_that_may_not_be_read_are_an_error_and_not_left_out(tmp_path: Path) -> None:
    before = forbidding()
    if before is None:
        pytest.skip("root cannot let go of its rights here")
    (tmp_path / "reports/figures").mkdir(parents=True)
    (tmp_path / "reports/figures/a.png").touch()
    code = "from refusal_stability.tracking.tracked_study import drawn_figures; print(drawn_figures())"
    for mode, said in ((0o755, "a.png"), (0o000, "PermissionError")):
        (tmp_path / "reports/figures").chmod(mode)
        done = subprocess.run(
            [*before, sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert said in done.stdout + done.stderr
