"""Saved views of a study for MLflow's page: which runs, columns and axes it opens on."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from refusal_stability.records import canonical_json
from refusal_stability.tracking.study import Study

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
# The tag that holds a run's place in the study: by model, intervention, temperature and seed, as the study names them.
POSITION = "position"
# The last one gives the lines their colour.
PARALLEL_METRICS = ("decisions/comply_rate", "agreement/majority", "ssi/within_T")


def saved_views(study: Study) -> dict[str, str]:
    """Views of the present version of the study, in the form in which MLflow's page keeps views as experiment tags.

    Without them the table of runs opens without a metric column. The form is MLflow's own affair: a version that has
    another one ignores these.
    """
    params = study.params
    varying = [
        name for name, values in (("model", params.models), ("intervention", params.interventions)) if len(values) > 1
    ]
    axes = [*varying, "temperature", "seed"]
    # One order key is all that a view may have, and MLflow breaks ties by the newest run first.
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
    runs = _view(study, "run", axes, RUN_VIEW, order)
    charts = {"compareRunCharts": [chart], "compareRunSections": [section]}
    models = _view(study, "model", ["model", "intervention"], MODEL_VIEW, order)
    views = {"configurations": ("Configurations", runs | charts), "models": ("Models", models)}
    return {
        f"mlflow.sharedViewState.{key}": json.dumps(
            {"name": name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{_deflated(state)}"}
        )
        for key, (name, state) in views.items()
    }


def _view(study: Study, level: str, params: Sequence[str], metrics: Sequence[str], order: str) -> dict[str, Any]:
    names = {f"params.`{name}`": 60 if name == "seed" else 100 if name == "temperature" else 150 for name in params}
    names |= {f"metrics.`{name}`": 30 + 7 * len(name) for name in metrics}
    first = "attributes.`Run Name`"
    return {
        "searchFilter": f"tags.level = '{level}' and tags.study_digest = '{study.digest}'",
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
