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

VIEW = "workflowType=machine_learning&viewStateShareKey=configurations"
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
PARALLEL_METRICS = ("decisions/comply_rate", "agreement/majority", "ssi/within_T")


def view_page(experiment_id: str) -> str:
    """The page of an experiment with its saved view Configurations open."""
    # Without `workflowType` MLflow opens on its chat tools.
    return f"#/experiments/{experiment_id}/runs?{VIEW}"


def saved_views(params: StudyParams, digest: str) -> dict[str, str]:
    """Views of one version of a study, as the experiment tags in which MLflow's page keeps views.

    A version of MLflow with another format ignores these tags.
    """
    varying = [
        name for name, values in (("model", params.models), ("intervention", params.interventions)) if len(values) > 1
    ]
    axes = [*varying, "temperature", "seed"]
    # A view can have one order key only, and MLflow puts the newest run first among ties.
    order = f"tags.`{POSITION}`"
    chart = {
        "uuid": "configurations",
        "type": "PARALLEL",
        "metricSectionId": "comparison",
        "selectedParams": axes,
        "selectedMetrics": PARALLEL_METRICS,
        "showAllRuns": True,
    }
    section = {"uuid": "comparison", "name": "comparison", "display": True, "isReordered": True, "columns": 1}
    runs = _view(digest, "run", axes, RUN_VIEW, order)
    charts = {"compareRunCharts": [chart], "compareRunSections": [section]}
    models = _view(digest, "model", ["model", "intervention"], MODEL_VIEW, order)
    views = {"configurations": ("Configurations", runs | charts), "models": ("Models", models)}
    return {
        f"mlflow.sharedViewState.{key}": json.dumps(
            {"name": name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{_deflated(state)}"}
        )
        for key, (name, state) in views.items()
    }


def _view(digest: str, level: str, params: Sequence[str], metrics: Sequence[str], order: str) -> dict[str, Any]:
    names = {f"params.`{name}`": 60 if name == "seed" else 100 if name == "temperature" else 150 for name in params}
    names |= {f"metrics.`{name}`": 30 + 7 * len(name) for name in metrics}
    first = "attributes.`Run Name`"
    return {
        "searchFilter": f"tags.level = '{level}' and tags.study_digest = '{digest}'",
        "orderByKey": order,
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


def _deflated(state: Mapping[str, Any]) -> str:
    return base64.b64encode(zlib.compress(canonical_json(state).encode(), 9)).decode()
