"""Stage `track`: the study's files -> MLflow; reports/mlflow.json names what was logged."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.figures.single_run import run_png
from refusal_stability.files import TRACKED, write_json
from refusal_stability.params.load import load_params
from refusal_stability.tracking.mlflow_log import log_runs
from refusal_stability.tracking.plans import run_plans, tracked_summary
from refusal_stability.tracking.server import address_of, tracking_uri
from refusal_stability.tracking.tracked_study import read_tracked_study


def run(params_path: Path) -> None:
    """Log every configuration, model and intervention of the study, unless MLflow has it already."""
    params = load_params(params_path)
    study = read_tracked_study(params, params_path, run_png)
    plans = run_plans(study)
    logged = log_runs(plans, study, tracking_uri())
    write_json(tracked_summary(study, plans), TRACKED)
    counted = ", ".join(f"{logged.tally[kind]} {kind}" for kind in ("new", "replaced", "kept"))
    print(f"{len(plans)} runs in MLflow experiment {params.study}: {counted}")
    print(f"see them at {address_of(logged.page)}")
