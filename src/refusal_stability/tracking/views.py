"""Saved views of a study for MLflow's page: the runs, columns and chart axes that it opens with.

The format is private to MLflow's page. It was kept because addresses alone cannot replace it. In MLflow 3.17 an address
can set filter and order, but not columns or charts: the table of the study `validate` then opened with its 40 runs in
order and without a single parameter or metric column, and the charts with bar charts of the first 10 runs.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from refusal_stability.params.study import StudyParams
from refusal_stability.records import canonical_json
from refusal_stability.tracking.tracked_study import REPORT_ARTIFACT

VIEW = "workflowType=machine_learning&viewStateShareKey=temperatures"
TEMPERATURE_VIEW = (
    "flips/pct_flipped",
    "flips/pct_flipped_low",
    "flips/pct_flipped_high",
    "ssi/within_T",
    "decisions/refuse_rate",
    "decisions/comply_rate",
)
RUN_VIEW = (
    "ssi/within_T",
    "agreement/majority",
    "flips/n_caused",
    "decisions/refuse_rate",
    "decisions/partial_rate",
    "decisions/comply_rate",
)
MODEL_VIEW = (
    "ssi/pooled",
    "ssi/pooled_low",
    "ssi/pooled_high",
    "flips/pct_flipped",
    "ssi/pct_unstable",
    "decisions/refuse_rate",
    "decisions/partial_rate",
    "decisions/comply_rate",
)
# The tag with a run's place in the study's order: by model, intervention, temperature and seed.
POSITION = "position"
# The last one colours the lines.
TEMPERATURE_AXES = ("decisions/comply_rate", "flips/pct_flipped", "ssi/within_T")
MODEL_AXES = ("decisions/comply_rate", "flips/pct_flipped", "ssi/pooled")
RUN_AXES = ("decisions/comply_rate", "agreement/majority", "ssi/within_T")


def view_page(experiment_id: str) -> str:
    """The page of an experiment with its saved view Temperatures open."""
    # Without `workflowType` MLflow opens on its chat tools.
    return f"#/experiments/{experiment_id}/runs?{VIEW}"


def report_link(experiment_id: str, run_id: str) -> str:
    """The study's report among a run's artifacts, as a link in Markdown."""
    page = f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{REPORT_ARTIFACT}?workflowType=machine_learning"
    return f"[Open the study's report]({page})."


def saved_views(params: StudyParams, digest: str) -> dict[str, str]:
    """Views of one version of a study, as the experiment tags in which MLflow's page keeps views.

    A version of MLflow with another format ignores these tags.
    """
    sampling = params.sampling
    grid = {
        "model": len(params.models),
        "intervention": len(params.interventions),
        "temperature": len(sampling.temperatures),
    }
    # A chart's axis of one value says nothing.
    varying = [name for name, n_values in grid.items() if n_values > 1]
    of_models = [name for name in varying if name != "temperature"]
    with_seed = [*varying, *(["seed"] if len(sampling.seeds) > 1 else [])]
    place = [name for name in grid if name in varying or name != "intervention"]
    views = {
        "temperatures": ("Temperatures", "temperature", place, TEMPERATURE_VIEW, varying, TEMPERATURE_AXES),
        "configurations": ("Configurations", "run", [*place, "seed"], RUN_VIEW, with_seed, RUN_AXES),
        "models": ("Models", "model", ["model", "intervention"], MODEL_VIEW, of_models, MODEL_AXES),
    }
    return {
        f"mlflow.sharedViewState.{key}": json.dumps(
            {
                "name": name,
                "createdAt": 0,
                "updatedAt": 0,
                "state": f"deflate;{_deflated(_view(digest, level, columns, metrics) | _chart(key, axes, chosen))}",
            }
        )
        for key, (name, level, columns, metrics, axes, chosen) in views.items()
    }


def _view(digest: str, level: str, params: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    names = {f"params.`{name}`": 60 if name == "seed" else 100 if name == "temperature" else 150 for name in params}
    names |= {f"metrics.`{name}`": 30 + 7 * len(name) for name in metrics}
    first = "attributes.`Run Name`"
    return {
        "searchFilter": f"tags.level = '{level}' and tags.study_digest = '{digest}'",
        # A view can have one order key only, and MLflow puts the newest run first among ties.
        "orderByKey": f"tags.`{POSITION}`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(names),
        "columnOrder": [first, *names],
        "columnWidths": {first: 250, **names},
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,
    }


def _chart(key: str, params: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    chart = {
        "uuid": key,
        "type": "PARALLEL",
        "metricSectionId": "comparison",
        "selectedParams": params,
        "selectedMetrics": metrics,
        "showAllRuns": True,
    }
    section = {"uuid": "comparison", "name": "comparison", "display": True, "isReordered": True, "columns": 1}
    return {"compareRunCharts": [chart], "compareRunSections": [section]}


def _deflated(state: Mapping[str, Any]) -> str:
    return base64.b64encode(zlib.compress(canonical_json(state).encode(), 9)).decode()
