"""A study's past: every version of its models' runs that MLflow still has, the replaced ones too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import groupby
from typing import Any

from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tracking.metric_rows import BOUNDS, SCOPES

FIGURES = ("mean_ssi", "pct_flipped", "safety_refuse_rate", "safety_comply_rate")
COMMIT_DIGITS = 12


def version_rows(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each version of a model and intervention, oldest first.

    `moved` names the figures whose interval does not overlap that of the version before.
    """
    rows = []
    samples = _samples(runs)
    for run in runs:
        tags, params, metrics = run["tags"], run["params"], run["metrics"]
        if tags.get("level") != "model":
            continue
        row: dict[str, Any] = {
            "model": tags.get("model") or params.get("model", ""),
            "intervention": params.get("intervention", ""),
        }
        row["logged"] = datetime.fromtimestamp(run["started"] / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        row["current"] = "yes" if run["active"] else ""
        row["prompts"] = params.get("prompts", "")
        row["samples"] = samples[_place(run)]
        row["judge"] = params.get("judge", "")
        row["commit"] = tags.get("mlflow.source.git.commit", "")[:COMMIT_DIGITS]
        row["study_digest"] = tags.get("study_digest", "")
        for name in FIGURES:
            metric = COLUMNS[name].mlflow.format(scope=SCOPES["aggregate_by_model"])
            row |= {f"{name}{end}": metrics.get(f"{metric}{end}", float("nan")) for end in BOUNDS}
        rows.append((row["model"], row["intervention"], run["started"], row))
    rows.sort(key=lambda entry: entry[:3])
    found = []
    for _, versions in groupby(rows, key=lambda entry: entry[:2]):
        before: dict[str, Any] = {}
        for *_, row in versions:
            row["moved"] = " ".join(name for name in FIGURES if before and _apart(row, before, name))
            found.append(row)
            before = row
    return found


def _samples(runs: Sequence[Mapping[str, Any]]) -> Counter[tuple[str, ...]]:
    """How many temperatures and seeds each version asked every prompt with: flips grow with it."""
    asked = {(_place(run), run["params"].get("temperature"), run["params"].get("seed")) for run in runs if _is_run(run)}
    return Counter(place for place, *_ in asked)


def _is_run(run: Mapping[str, Any]) -> bool:
    return bool(run["tags"].get("level") == "run")


def _place(run: Mapping[str, Any]) -> tuple[str, ...]:
    tags, params = run["tags"], run["params"]
    return tags.get("model", ""), params.get("intervention", ""), tags.get("study_digest", "")


def _apart(row: Mapping[str, Any], before: Mapping[str, Any], name: str) -> bool:
    low, high = f"{name}_low", f"{name}_high"
    return bool(row[low] > before[high] or row[high] < before[low])
