"""A study whose decisions are drawn from known shares, put through the real measures: tables for figures and report."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from refusal_stability.figures.series import SeriesSet, series_of
from refusal_stability.files import PROMPTS
from refusal_stability.measures.adaptive.rounds import Mask, designed, sample_by_rounds
from refusal_stability.measures.adaptive.rules import StoppingRule
from refusal_stability.measures.decision_arrays import Codes, DecisionArrays, Group
from refusal_stability.measures.estimates import Resampling
from refusal_stability.measures.tables import OF_ROUNDS, build_tables
from refusal_stability.measures.tables.adaptive import estimate_groups
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.judges import JudgeParams, JudgingParams
from refusal_stability.params.study import InterventionParams, StudyParams
from refusal_stability.tables.csv_files import _checked, write_table
from refusal_stability.tables.metrics import METRIC_TABLES
from refusal_stability.tables.study import PROMPT_TABLE

PRIMARY, SECOND = "model-judge", "rules"
HOSTILE_PROMPTS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "![x](http://127.0.0.1:9/x.png) [a](javascript:alert(3))",
    "=1+1",
    "100% & $x_1$ \\input{x}",
    "a | b `` c\nsecond line",
)


@dataclass(frozen=True)
class SyntheticStudy:
    """Parameters, prompts and metric tables that belong together."""

    params: StudyParams
    prompts: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]

    @property
    def series_set(self) -> SeriesSet:
        return series_of(self.params)


def synthetic_study(labels: Mapping[str, str | None] | None = None, **options: Any) -> SyntheticStudy:
    """The study that `_computed` computes; one that was computed before is copied."""
    return deepcopy(_computed(tuple((labels or {"steady": None, "wavering": "Wavering 2.0"}).items()), **options))


@cache
def _computed(
    labels: tuple[tuple[str, str | None], ...],
    interventions: tuple[str, ...] = ("none",),
    temperatures: tuple[float, ...] = (0.0, 0.3, 0.7, 1.0),
    n_seeds: int = 5,
    n_prompts: int = 40,
    texts: tuple[str, ...] = (),
    missing_share: float = 0.01,
    harms: tuple[str, ...] = ("",),
    rounds: bool = False,
) -> SyntheticStudy:
    """Decisions drawn from shares that sharpen as the temperature falls.

    `texts` replace the first prompts, and prompts take turns in `harms`. With `rounds`, the tables of adaptive sampling
    are those of a study sampled so.
    """
    params = StudyParams(
        study="synthetic",
        models={name: ModelParams(path=f"models/{name}", label=label) for name, label in labels},
        interventions={i: InterventionParams(system=None if i == "none" else f"Be {i}.") for i in interventions},
        judging=JudgingParams(primary=PRIMARY, judges={name: JudgeParams() for name in (PRIMARY, SECOND)}),
    )
    params.sampling.temperatures = list(temperatures)
    params.sampling.seeds = [42 + s for s in range(n_seeds)]
    ids = np.array([f"p{i:04d}" for i in range(n_prompts)], dtype=object)
    categories = np.array(
        [f"harm {chr(97 + i % 5)}" + ("|harm z" * (i % 7 == 0)) for i in range(n_prompts)], dtype=object
    )
    prompts = [*texts, *(f"Prompt number {i}" for i in range(len(texts), n_prompts))][:n_prompts]
    rng = np.random.default_rng(7)
    groups = tuple(
        _group(rng, model, intervention, params, n_prompts, missing_share)
        for model in params.models
        for intervention in params.interventions
    )
    missing = {(g.model, g.intervention, PRIMARY): {"unreadable verdict": int((g.codes < 0).sum())} for g in groups}
    harm = np.array([harms[i % len(harms)] for i in range(n_prompts)], dtype=object)
    axes = (tuple(temperatures), tuple(params.sampling.seeds))
    study = DecisionArrays(ids, categories, *axes, groups, missing, harm)
    resampling = Resampling(200, 0.95, lambda *_: np.random.default_rng(0))
    settings = Settings(params.metrics.threshold, tuple(params.metrics.thresholds), resampling)
    tables = {name: _held_to_contract(name, table) for name, table in build_tables(study, settings)}
    if rounds:
        tables |= _tables_of_rounds(study, settings)
    frame = pd.DataFrame({"prompt_id": ids, "prompt": prompts, "category": categories, "source": "synthetic"})
    frame["harm"] = harm
    return SyntheticStudy(params, frame, tables)


def _group(
    rng: np.random.Generator, model: str, intervention: str, params: StudyParams, n_prompts: int, missing_share: float
) -> Group:
    temperatures, seeds = params.sampling.temperatures, params.sampling.seeds
    shares = rng.dirichlet([1.2, 0.4, 0.6], n_prompts)
    codes = np.empty((n_prompts, len(temperatures), len(seeds)), dtype=np.int8)
    for t, temperature in enumerate(temperatures):
        sharp = shares ** (1 / (0.1 + temperature))
        bounds = np.cumsum(sharp / sharp.sum(axis=1, keepdims=True), axis=1)
        draws = rng.random((n_prompts, len(seeds)))
        codes[:, t] = (draws[..., None] > bounds[:, None, :2]).sum(axis=2)
    codes[rng.random(codes.shape) < missing_share] = -1
    second = np.where(rng.random(codes.shape) < 0.1, rng.integers(0, 3, codes.shape), codes).astype(np.int8)
    repeats = np.where(rng.random((*codes.shape, 2)) < 0.03, 0, codes[..., None]).astype(np.int8)
    repeats[..., 0] = codes
    texts = rng.integers(1, 4, codes.shape).astype(np.uint64)
    return Group(model, intervention, {PRIMARY: repeats, SECOND: second[..., None]}, PRIMARY, texts)


def _tables_of_rounds(study: DecisionArrays, settings: Settings) -> dict[str, pd.DataFrame]:
    """The tables of the same study, sampled by the default rule."""
    rule, rng = StoppingRule(), np.random.default_rng(0)
    n_prompts, _, n_seeds = study.groups[0].codes.shape
    design = designed(study.temperatures, n_seeds, n_prompts, rule, "turns", rng)
    sampled = {
        (group.model, group.intervention): sample_by_rounds(partial(_codes_of, group), design, rule)
        for group in study.groups
    }
    groups = estimate_groups(study, settings, sampled)
    tables = {name: pd.DataFrame(build(study, groups)) for name, build in OF_ROUNDS.items()}
    return {name: _held_to_contract(name, table.assign(primary_judge=PRIMARY)) for name, table in tables.items()}


def _codes_of(group: Group, wanted: Mask) -> Codes:
    return group.codes


def _held_to_contract(name: str, table: pd.DataFrame) -> pd.DataFrame:
    contract = METRIC_TABLES[name][1]
    return _checked(table.reindex(columns=list(contract.columns)) if table.empty else table, name, contract)


def write_study(study: SyntheticStudy, folder: Path) -> None:
    """Write what the figures and report stages read, relative to the working directory."""
    write_table(study.prompts, PROMPTS, PROMPT_TABLE)
    for name, table in study.tables.items():
        write_table(table, *METRIC_TABLES[name])
    interventions = [f"{n}: {{{'' if n == 'none' else f'system: Be {n}.'}}}" for n in study.params.interventions]
    (folder / "params.yaml").write_text(
        "study: hostile\n"
        "models:\n  steady: {path: x}\n  wavering: {path: y, label: Wavering 2.0}\n"
        f"interventions: {{{', '.join(interventions)}}}\n"
        f"judging: {{primary: {PRIMARY}, judges: {{{PRIMARY}: {{}}, {SECOND}: {{}}}}}}\n"
    )


def report_study() -> None:
    """A study of hostile prompts only, drawn and reported by the real stages in the working directory."""
    from refusal_stability.stages import figures, report

    # Every prompt is hostile, so that the most unstable ones, which the report quotes, are too.
    write_study(synthetic_study(n_prompts=len(HOSTILE_PROMPTS), texts=HOSTILE_PROMPTS), Path())
    figures.run(Path("params.yaml"))
    report.run(Path("params.yaml"))
