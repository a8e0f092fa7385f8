"""A study's tables -> which prompts will flip: a predictor by words, structure and category, cross-validated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from refusal_stability.files import PROMPTS
from refusal_stability.measures.flip_predictor import (
    EVERYTHING,
    PREDICTORS,
    calibrated,
    cross_validated,
    fit_chances,
    folds_of,
    quality,
    structure_effects,
)
from refusal_stability.params.load import load_params
from refusal_stability.records import StudyError
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tables.prediction import PREDICTION, PREDICTION_TABLES
from refusal_stability.tables.study import PROMPT_TABLE

RESAMPLES = 200
GROUP = ["model", "intervention"]

Row = dict[str, Any]


def run(params_path: Path) -> None:
    """Write and print the predictor's quality, transfer, effects, and each prompt's predicted instability."""
    params = load_params(params_path)
    prompts = read_table(PROMPTS, PROMPT_TABLE).set_index("prompt_id")
    metrics = metric_table("per_prompt_metrics")
    tables: dict[str, list[Row]] = {name: [] for name in PREDICTION_TABLES}
    flips: dict[tuple[str, str], pd.Series[Any]] = {}
    seed, problems = params.metrics.seed, []
    for (model, intervention), rows in metrics[metrics["n"] > 1].groupby(GROUP, sort=False):
        place = {"model": model, "intervention": intervention}
        try:
            _of_group(place, rows.set_index("prompt_id"), prompts, seed, tables)
        except StudyError as error:
            problems.append(f"{model}/{intervention}: {error}")
            continue
        flips[str(model), str(intervention)] = rows.set_index("prompt_id")["flip"].astype(bool)
    if not flips:
        raise StudyError(problems[0] if problems else "predict: no prompt has two decisions; run `dvc repro metrics`")
    _transfer(flips, prompts, seed, tables)
    for name, (path, contract) in PREDICTION_TABLES.items():
        write_table(pd.DataFrame(tables[name], columns=list(contract.columns)), path, contract)
    for problem in problems:
        print(problem)
    for row in tables["cross_validation"]:
        print(
            f"{row['model']}/{row['intervention']}  {row['event']} by {row['predictor']}, held out by "
            f"{row['held_out']}: AUC {row['auc']:.3f} [{row['auc_low']:.3f}, {row['auc_high']:.3f}], Brier "
            f"{row['brier']:.3f} (base rate {row['brier_baseline']:.3f}), "
            f"calibration error {row['calibration_error']:.3f}"
        )
    for row in tables["transfer"]:
        where = f"{row['model']}/{row['intervention']}"
        print(f"{where}  learned from {row['learned_from']}: AUC {row['auc']:.3f}")
    print(f"Predictions, effects and all figures: {PREDICTION}")


def _of_group(place: Row, rows: pd.DataFrame, prompts: pd.DataFrame, seed: int, tables: dict[str, list[Row]]) -> None:
    """Add one model's and intervention's rows; the main prediction is held out by prompt."""
    about = prompts.loc[rows.index]
    texts, kinds = about["prompt"].tolist(), about["category"].tolist()
    held = {"prompt": texts}
    if (about["intent"] != "").any():
        held["intent"] = [i or t for i, t in zip(about["intent"], texts, strict=True)]
    found: dict[str, pd.Series[Any]] = {}
    for event in ("flip", "unstable"):
        truth = rows[event].astype(bool).to_numpy()
        for by, groups in held.items():
            try:
                folds = folds_of(groups, truth, seed)
            except StudyError:
                if event == "flip" and by == "prompt":
                    raise
                continue
            for predictor in PREDICTORS:
                chances = cross_validated(texts, kinds, truth, truth, folds, predictor)
                rng = np.random.default_rng(seed)
                key = {"event": event, "held_out": by, "predictor": predictor}
                tables["cross_validation"].append(place | key | quality(truth, chances, RESAMPLES, rng))
                if by == "prompt" and predictor == EVERYTHING:
                    found[event] = _everywhere(prompts, rows, truth, chances)
    truth = rows["flip"].astype(bool).to_numpy()
    rng = np.random.default_rng(seed)
    tables["effects"] += [place | row for row in structure_effects(texts, truth, RESAMPLES, rng)]
    unstable = found.get("unstable", pd.Series(np.nan, index=prompts.index))
    tables["predictions"] += [
        place | {"prompt_id": name, "p_flip": found["flip"][name], "p_unstable": unstable[name]}
        for name in prompts.index
    ]


def _everywhere(prompts: pd.DataFrame, rows: pd.DataFrame, truth: Any, chances: Any) -> pd.Series[Any]:
    """Held-out chances of the sampled prompts, and those of the whole predictor for prompts without decisions."""
    every = pd.Series(np.nan, index=prompts.index)
    every[rows.index] = chances
    new = prompts[~prompts.index.isin(rows.index)]
    if len(new):
        seen = prompts.loc[rows.index]
        train = (seen["prompt"].tolist(), seen["category"].tolist())
        raw = fit_chances(train, truth, (new["prompt"].tolist(), new["category"].tolist()), EVERYTHING)
        every[new.index] = calibrated(chances, truth, raw)
    return every


def _transfer(
    flips: dict[tuple[str, str], pd.Series[Any]], prompts: pd.DataFrame, seed: int, tables: dict[str, list[Row]]
) -> None:
    """How well each model's and intervention's predictor does on each other's, on prompts that it has not seen."""
    for source, learned in flips.items():
        for target, told in flips.items():
            shared = learned.index.intersection(told.index)
            if source == target or len(shared) == 0:
                continue
            about = prompts.loc[shared]
            texts, kinds = about["prompt"].tolist(), about["category"].tolist()
            own, other = learned[shared].to_numpy(), told[shared].to_numpy()
            try:
                folds = folds_of(texts, own, seed)
            except StudyError:
                continue
            chances = cross_validated(texts, kinds, own, other, folds, EVERYTHING)
            place = {"model": target[0], "intervention": target[1], "learned_from": "/".join(source)}
            row = quality(other, chances, RESAMPLES, np.random.default_rng(seed))
            tables["transfer"].append(place | row)
