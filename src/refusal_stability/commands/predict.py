"""A study's tables -> which prompts will flip: predicted from words, structure, category and hidden states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refusal_stability.engines.hidden_states import prompt_states
from refusal_stability.files import PROMPTS
from refusal_stability.measures.flip_predictor import (
    calibrated,
    cross_validated,
    fit_chances,
    folds_of,
    quality,
    structure_effects,
)
from refusal_stability.measures.prompt_features import PromptFeatures
from refusal_stability.params.load import load_params
from refusal_stability.records import StudyError
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.metrics import metric_table
from refusal_stability.tables.prediction import PREDICTION, PREDICTION_TABLES
from refusal_stability.tables.study import PROMPT_TABLE

RESAMPLES = 200
GROUP = ["model", "intervention"]

Row = dict[str, Any]


def run(params_path: Path, read_by: str | None = None) -> None:
    """Write and print the predictor's quality, transfer, effects, and each prompt's predicted instability.

    `read_by` names a model whose hidden states on the prompts are further features.
    """
    params = load_params(params_path)
    prompts = read_table(PROMPTS, PROMPT_TABLE).set_index("prompt_id")
    metrics = metric_table("per_prompt_metrics")
    tables: dict[str, list[Row]] = {name: [] for name in PREDICTION_TABLES}
    flips: dict[tuple[str, str], pd.Series[Any]] = {}
    seed, problems = params.metrics.seed, []
    known = _Prompts(prompts, prompt_states(read_by, prompts["prompt"].tolist()) if read_by else None)
    for (model, intervention), rows in metrics[metrics["n"] > 1].groupby(GROUP, sort=False):
        place = {"model": model, "intervention": intervention}
        try:
            _of_group(place, rows.set_index("prompt_id"), known, seed, tables)
        except StudyError as error:
            problems.append(f"{model}/{intervention}: {error}")
            continue
        flips[str(model), str(intervention)] = rows.set_index("prompt_id")["flip"].astype(bool)
    if not flips:
        raise StudyError(problems[0] if problems else "predict: no prompt has two decisions; run `dvc repro metrics`")
    _transfer(flips, known, seed, tables)
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


@dataclass(frozen=True)
class _Prompts:
    """The study's prompts by id, and what a model made of each, in their order."""

    table: pd.DataFrame
    states: NDArray[np.float64] | None

    def features(self, names: pd.Index[Any]) -> PromptFeatures:
        about = self.table.loc[names]
        states = None if self.states is None else self.states[self.table.index.get_indexer(names)]
        return PromptFeatures(about["prompt"].tolist(), about["category"].tolist(), states)


def _of_group(place: Row, rows: pd.DataFrame, prompts: _Prompts, seed: int, tables: dict[str, list[Row]]) -> None:
    """Add one model's and intervention's rows; the main prediction is held out by prompt."""
    about, features = prompts.table.loc[rows.index], prompts.features(rows.index)
    texts = about["prompt"].tolist()
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
            for predictor in features.predictors:
                chances = cross_validated(features, truth, truth, folds, predictor)
                rng = np.random.default_rng(seed)
                key = {"event": event, "held_out": by, "predictor": predictor}
                tables["cross_validation"].append(place | key | quality(truth, chances, RESAMPLES, rng, groups))
                if by == "prompt" and predictor == features.predictors[-1]:
                    found[event] = _everywhere(prompts, rows, truth, chances)
    truth = rows["flip"].astype(bool).to_numpy()
    rng = np.random.default_rng(seed)
    tables["effects"] += [place | row for row in structure_effects(texts, truth, RESAMPLES, rng)]
    unstable = found.get("unstable", pd.Series(np.nan, index=prompts.table.index))
    tables["predictions"] += [
        place | {"prompt_id": name, "p_flip": found["flip"][name], "p_unstable": unstable[name]}
        for name in prompts.table.index
    ]


def _everywhere(prompts: _Prompts, rows: pd.DataFrame, truth: Any, chances: Any) -> pd.Series[Any]:
    """Held-out chances of the sampled prompts, and those of the whole predictor for prompts without decisions."""
    every = pd.Series(np.nan, index=prompts.table.index)
    every[rows.index] = chances
    new = prompts.table.index.difference(rows.index, sort=False)
    if len(new):
        train = prompts.features(rows.index)
        raw = fit_chances(train, truth, prompts.features(new), train.predictors[-1])
        every[new] = calibrated(chances, truth, raw)
    return every


def _transfer(
    flips: dict[tuple[str, str], pd.Series[Any]], prompts: _Prompts, seed: int, tables: dict[str, list[Row]]
) -> None:
    """How well each model's and intervention's predictor does on each other's, on prompts that it has not seen."""
    for source, learned in flips.items():
        for target, told in flips.items():
            shared = learned.index.intersection(told.index)
            if source == target or len(shared) == 0:
                continue
            features = prompts.features(shared)
            own, other = learned[shared].to_numpy(), told[shared].to_numpy()
            try:
                folds = folds_of(features.texts, own, seed)
            except StudyError:
                continue
            chances = cross_validated(features, own, other, folds, features.predictors[-1])
            place = {"model": target[0], "intervention": target[1], "learned_from": "/".join(source)}
            row = quality(other, chances, RESAMPLES, np.random.default_rng(seed))
            tables["transfer"].append(place | row)
