"""The tables of predicted instability."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.files import REPORTS
from refusal_stability.tables.contract import Contract

PREDICTION = REPORTS / "prediction"
_GROUP = {"model": "text", "intervention": "text"}
_QUALITY = {
    "n_prompts": "whole",
    "n_events": "whole",
    **dict.fromkeys(("auc", "auc_low", "auc_high", "brier", "brier_baseline", "calibration_error"), "number"),
}
_MEANING = {
    "event": "`flip`: more than one decision; `unstable`: ssi below the threshold",
    "held_out": "what a fold holds: whole prompts, or all prompts of an intent",
    "predictor": "what the prediction is made from",
    "n_events": "prompts that flip, or are unstable",
    "auc": "chance that a prompt with the event is predicted above one without; 95 % interval over prompts",
    "brier": "mean squared error of the predicted chances",
    "brier_baseline": "that of predicting the base rate for every prompt",
    "calibration_error": "mean distance of predicted chances from observed shares, in ten bins",
    "learned_from": "the model that the predictor is fitted on, as MODEL/INTERVENTION",
    "odds_ratio": "of a flip, for one standard deviation more of the feature, given the others; 95 % interval",
    "p_flip": "predicted chance that the prompt flips, by a predictor that has not seen it",
    "p_unstable": "predicted chance that the prompt is unstable; empty where too few are",
}


def _table(name: str, key: str, columns: dict[str, str]) -> tuple[Path, Contract]:
    meaning = {column: _MEANING[column] for column in columns if column in _MEANING}
    return PREDICTION / f"{name}.csv", Contract(name, columns, tuple(key.split()), meaning)


PREDICTION_TABLES = {
    "cross_validation": _table(
        "cross_validation",
        "model intervention event held_out predictor",
        {**_GROUP, "event": "text", "held_out": "text", "predictor": "text", **_QUALITY},
    ),
    "transfer": _table("transfer", "model intervention learned_from", {**_GROUP, "learned_from": "text", **_QUALITY}),
    "effects": _table(
        "effects",
        "model intervention feature",
        {**_GROUP, "feature": "text", **dict.fromkeys(("odds_ratio", "odds_ratio_low", "odds_ratio_high"), "number")},
    ),
    "predictions": _table(
        "predictions",
        "model intervention prompt_id",
        {**_GROUP, "prompt_id": "text", "p_flip": "number", "p_unstable": "number"},
    ),
}
