"""The study `validate` from training its models to the report."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from pipeline_study import PLANTED_MODELS, Study

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]

FIRST_FIGURES = {"ssi_distribution", "flip_rate", "temperature_effect", "stability_vs_compliance", "model_comparison"}


def test_the_study_leaves_a_file_for_every_configuration(planted: Study) -> None:
    assert len(planted.files("data/generations", "*_generations.csv")) == 40
    assert len(planted.files("data/labels", "*_labels.csv")) == 40


def test_every_figure_is_there_as_png_and_pdf(planted: Study) -> None:
    figures = {Path(f) for f in planted.files("reports/figures", "*.*") if not f.endswith(".gitignore")}
    stems = {f.stem for f in figures}
    assert stems >= FIRST_FIGURES
    assert {f.name for f in figures} == {f"{stem}{ending}" for stem in stems for ending in (".png", ".pdf")}


def test_mlflow_holds_a_run_a_model_a_temperature_and_a_configuration(planted: Study) -> None:
    with sqlite3.connect(planted.folder / "mlruns/mlflow.db") as database:
        levels = dict(
            database.execute(
                "SELECT value, count(*) FROM tags JOIN runs USING (run_uuid) WHERE key = 'level' "
                "AND lifecycle_stage = 'active' GROUP BY value"
            )
        )
        total = database.execute("SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'").fetchone()[0]
        children = database.execute(
            "SELECT count(*) FROM tags JOIN runs USING (run_uuid) WHERE key = 'mlflow.parentRunId' "
            "AND lifecycle_stage = 'active'"
        ).fetchone()[0]
    assert levels == {"model": 2, "temperature": 8, "run": 40}
    assert (total - children, children) == (2, 48)


def test_tracking_again_leaves_the_same_runs(planted: Study) -> None:
    query = "SELECT run_uuid, name FROM runs WHERE lifecycle_stage = 'active' ORDER BY run_uuid"
    with sqlite3.connect(planted.folder / "mlruns/mlflow.db") as database:
        before = database.execute(query).fetchall()
    planted.run("refusal-stability", "track")
    with sqlite3.connect(planted.folder / "mlruns/mlflow.db") as database:
        assert database.execute(query).fetchall() == before


def test_a_second_repro_runs_no_stage(planted: Study) -> None:
    out = planted.run("dvc", "repro").stdout
    assert "Running stage" not in out
    assert "Data and pipelines are up to date." in out


def test_the_summary_tells_the_wavering_model_from_the_steady_one(planted: Study) -> None:
    summary = json.loads((planted.folder / "data/metrics/summary.json").read_text())
    steady, wavering = (summary["models"][model]["none"] for model in PLANTED_MODELS)
    assert wavering["mean_ssi"] < steady["mean_ssi"]
    assert wavering["pct_flipped"] > steady["pct_flipped"]


def test_one_models_parameters_rerun_only_that_model(planted: Study) -> None:
    params = planted.folder / "params.yaml"
    text = params.read_text()
    changed = text.replace(
        "    path: models/reference/reference-steady\n",
        "    path: models/reference/reference-steady\n    label: Steady\n",
    )
    assert changed != text
    params.write_text(changed)
    try:
        planted.run("dvc", "repro", "params")
        status = planted.run("dvc", "status", "--json").stdout
    finally:
        params.write_text(text)
        planted.run("dvc", "repro", "params")
    stages = set(json.loads(status))
    assert "generate@reference-steady" in stages
    assert "generate@reference-wavering" not in stages


def test_the_reference_models_are_small_and_in_hugging_face_format(planted: Study) -> None:
    for folder in (planted.folder / "models/reference").glob("*/"):
        size = sum(file.stat().st_size for file in folder.rglob("*"))
        assert size < 40e6
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in folder.iterdir()}
