"""Stage `track`: the study's files -> MLflow; reports/mlflow.json names what was logged."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from refusal_stability.engines.store import Store
from refusal_stability.figures.single_run import run_png
from refusal_stability.files import FIGURES, PROMPTS, REPORT, STORE, TRACKED, generation_file, label_file, write_json
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Condition
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE
from refusal_stability.tracking.mlflow_log import log_plans, tracking_uri, where_to_look
from refusal_stability.tracking.plans import plan_study, tracked_summary
from refusal_stability.tracking.provenance import file_md5, provenance
from refusal_stability.tracking.study import Speed, Study


def run(params_path: Path) -> None:
    """Log every configuration, model and intervention of the study, unless MLflow has it already."""
    params = load_params(params_path)
    study = read_study(params, params_path)
    plans = plan_study(study)
    tracked = log_plans(plans, study, PROMPTS, tracking_uri())
    write_json(tracked_summary(study, plans), TRACKED)
    counted = ", ".join(f"{tracked.tally[kind]} {kind}" for kind in ("new", "replaced", "kept"))
    where = where_to_look(tracked.page)
    print(f"{len(plans)} runs in MLflow experiment {params.study}: {counted}; see them at {where}")


def read_study(params: StudyParams, params_path: Path) -> Study:
    """Everything that tracking needs of a study, from its files; responses are read only for runs that are logged."""
    attachments = {f"figures/{path.name}": path for path in sorted(FIGURES.glob("*.png"))}
    attachments |= {"report.html": REPORT} if REPORT.is_file() else {}
    attachments["params.yaml"] = params_path
    conditions = [condition for model in params.models for condition in params.conditions(model)]
    hashed = [*attachments.values(), *map(generation_file, conditions), *map(label_file, conditions)]
    return Study(
        params=params,
        prompts=read_table(PROMPTS, PROMPT_TABLE),
        prompts_hash=file_md5(PROMPTS),
        tables={name: metric_table(name) for name, (path, _) in METRIC_TABLES.items() if path.is_file()},
        attachments=attachments,
        hashes={path: file_md5(path) for path in hashed},
        rows=lambda condition: _rows(condition, params.judging.primary),
        draw=run_png,
        speed=_speed(params),
        provenance={model: provenance(model) for model in params.models},
    )


def _rows(condition: Condition, judge: str) -> pd.DataFrame:
    labels = read_table(label_file(condition), LABEL_TABLE)
    labels = labels[(labels["judge"] == judge) & (labels["repeat"] == 0)].rename(columns={"label": "decision"})
    generations = read_table(generation_file(condition), GENERATION_TABLE)
    columns = ["prompt_id", "decision", "response"]
    texts = generations[["prompt_id", "response"]]
    return labels.merge(texts, on="prompt_id", how="left", validate="one_to_one").fillna({"response": ""})[columns]


def _speed(params: StudyParams) -> dict[str, Speed]:
    """Each model's generation as the store recorded it: all sessions of the engine that worked last, summed."""
    if not STORE.is_file():
        return {}
    with Store(STORE) as store:
        sessions = store.sessions()
    speed = {}
    for model in params.models:
        mine = [session for session in sessions if session.caption == model]
        same = [session for session in mine if session.identity == mine[-1].identity]
        if same:
            tokens, seconds = sum(s.completion_tokens for s in same), sum(s.seconds for s in same)
            speed[model] = Speed(tokens, seconds, json.loads(same[-1].description))
    return speed
