"""Sample one model by rounds, until each prompt's verdict is certified: the same answer from fewer samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from refusal_stability.engines.protocol import Engine
    from refusal_stability.engines.store import Store
    from refusal_stability.measures.adaptive.estimates import FigureEstimate
    from refusal_stability.measures.adaptive.rounds import Sampled
    from refusal_stability.measures.adaptive.rules import StoppingRule
    from refusal_stability.params.study import StudyParams
    from refusal_stability.records import Condition, Prompt, Request


def sample_adaptive(
    model: str,
    rule: Annotated[str, typer.Option(help="population, each_prompt or agreement.")] = "population",
    alpha: Annotated[float, typer.Option(help="Bound on the error of a certificate.")] = 0.05,
    audit: Annotated[float, typer.Option(help="Share of prompts that are sampled in full.")] = 0.1,
    budget: Annotated[float | None, typer.Option(help="Most samples, as a share of the full grid.")] = None,
    batch: Annotated[int, typer.Option(help="A round asks for at least this many, where they are left.")] = 64,
    seed: Annotated[int, typer.Option(help="Draws the audit, and the order of each_prompt.")] = 0,
    params: Annotated[Path, typer.Option("--params", help="The study's parameter file.")] = Path("params.yaml"),
) -> None:
    """Sample one MODEL by rounds, each prompt only until its verdict is certified. Writes reports/adaptive."""
    from refusal_stability.measures.adaptive.rules import RULES, StoppingRule
    from refusal_stability.params.load import load_params
    from refusal_stability.records import StudyError

    study = load_params(params)
    threshold = study.metrics.threshold
    grid = len(study.sampling.temperatures) * len(study.sampling.seeds)
    for option, value, holds, allowed in (
        ("MODEL", model, model in study.models, f"one of {', '.join(study.models)}"),
        ("--rule", rule, rule in RULES[:-1], f"one of {', '.join(RULES[:-1])}"),
        ("--alpha", alpha, 0 < alpha < 0.5, "a number between 0 and 0.5"),
        ("--audit", audit, 0 <= audit <= 1, "a number from 0 to 1"),
        ("--budget", budget, budget is None or 0 < budget <= 1, "a number over 0 and at most 1"),
        ("--batch", batch, batch >= 1, "a whole number of at least 1"),
        (f"{params}: metrics.threshold", threshold, threshold > 0.5, "with adaptive sampling, a number over 0.5"),
        (f"{params}: sampling", f"{grid} sample per prompt", grid > 1, "several temperatures or seeds"),
    ):
        if not holds:
            raise StudyError(f"{option}: {value} is not allowed; allowed: {allowed}")
    first = min(len(study.sampling.seeds), max(2, grid // 2))
    run(model, StoppingRule(rule, alpha, threshold, first, batch, audit, budget), seed, params)


def run(model: str, rule: StoppingRule, seed: int, params_path: Path) -> None:
    """Sample every intervention by rounds, through the store and with one engine; write and print what was found."""
    import numpy as np
    import pandas as pd

    from refusal_stability.engines.open import open_engine
    from refusal_stability.engines.store import Store
    from refusal_stability.files import STORE
    from refusal_stability.measures.adaptive.estimates import estimate_figures
    from refusal_stability.params.load import load_params
    from refusal_stability.study.label_files import read_prompts
    from refusal_stability.tables.adaptive import ESTIMATES_TABLE, STOPPED_TABLE, estimates_file, stopped_file
    from refusal_stability.tables.csv_files import write_table
    from refusal_stability.tables.study import prompts_of

    params = load_params(params_path)
    prompts = prompts_of(read_prompts())
    requests: dict[str, list[tuple[Condition, Request]]] = {name: [] for name in params.interventions}
    for condition, request in params.requests(model, prompts):
        requests[condition.intervention].append((condition, request))
    stopped, estimated = [], []
    engine = open_engine(params.models[model], f"{params_path}: models.{model}")
    try:
        with Store(STORE) as store:
            for intervention, cells in requests.items():
                rng = np.random.default_rng(seed)
                asking = _Asking(params, params_path, model, prompts, cells, engine, store)
                sampled = asking.sample(rule, rng)
                temperatures = params.sampling.temperatures
                figures = estimate_figures(sampled, temperatures, params.metrics.confidence, rng)
                _print(f"{model}, {intervention}", sampled, figures)
                asking.warn()
                stopped += _stopped_rows(intervention, prompts, sampled)
                estimated += [_estimate_row(intervention, one) for one in figures]
    finally:
        engine.close()
    write_table(pd.DataFrame(stopped), stopped_file(model), STOPPED_TABLE)
    write_table(pd.DataFrame(estimated), estimates_file(model), ESTIMATES_TABLE)
    print(f"{stopped_file(model)}, {estimates_file(model)}: written")


class _Asking:
    """The samples of one intervention: asked through the store, decided by the primary judge."""

    def __init__(
        self,
        params: StudyParams,
        params_path: Path,
        model: str,
        prompts: Sequence[Prompt],
        cells: Sequence[tuple[Condition, Request]],
        engine: Engine,
        store: Store,
    ) -> None:
        self._params, self._where, self._model = params, f"{params_path}: judging", model
        self._prompts, self._cells, self._engine, self._store = prompts, cells, engine, store
        self._missing: Counter[str] = Counter()
        self._decided = 0

    def sample(self, rule: StoppingRule, rng: Any) -> Sampled:
        from refusal_stability.measures.adaptive.rounds import designed, sample_by_rounds

        sampling = self._params.sampling
        order = "random" if rule.name == "each_prompt" else "hottest_first"
        n_prompts, n_seeds = len(self._prompts), len(sampling.seeds)
        design = designed(sampling.temperatures, n_seeds, n_prompts, rule, order, rng)

        def tell(number: int, n_open: int, spent: int) -> None:
            print(f"round {number}: {spent} of {design.rank.size} samples, {n_open} prompts go on", flush=True)

        return sample_by_rounds(self._ask, design, rule, tell)

    def _ask(self, wanted: Any) -> Any:
        import numpy as np

        from refusal_stability.engines.complete import complete_stored
        from refusal_stability.engines.shortfall import check_answered
        from refusal_stability.judging.panel import judge_all
        from refusal_stability.records import DECISIONS, MISSING, response_to

        judging = self._params.judging
        places = np.flatnonzero(wanted).tolist()
        cells = [self._cells[place] for place in places]
        completions = complete_stored(self._engine, [request for _, request in cells], self._store, self._model)
        check_answered(self._model, completions, judging.max_missing, blocks_count=judging.blocked == "refuse")
        n_cells = wanted[0].size
        responses = [
            response_to(condition, self._prompts[place // n_cells], completion)
            for place, (condition, _), completion in zip(places, cells, completions, strict=True)
        ]
        judged, _ = judge_all(judging, responses, self._model, self._where)
        codes = np.full(wanted.size, MISSING, dtype=np.int8)
        for place, (judgement, *_) in zip(places, judged[judging.primary], strict=True):
            if judgement.decision is None:
                self._missing[judgement.missing_reason or ""] += 1
            else:
                codes[place] = DECISIONS.index(judgement.decision)
                self._decided += 1
        return codes.reshape(wanted.shape)

    def warn(self) -> None:
        """Say how many samples have no decision where these are more than the study allows."""
        from refusal_stability.judging.protocol import JudgingError

        n_missing = self._missing.total()
        allowed = self._params.judging.max_missing
        if n_missing > allowed * (n_missing + self._decided):
            (reason, count), *_ = self._missing.most_common(1)
            raise JudgingError(
                f"{self._model}: {n_missing} of {n_missing + self._decided} samples have no decision, more than "
                f"judging.max_missing = {allowed:.1%}. Most frequent reason ({count} times): {reason}. Fix that, "
                "choose another primary judge, or raise judging.max_missing"
            )


def _stopped_rows(intervention: str, prompts: Sequence[Prompt], sampled: Sampled) -> list[dict[str, Any]]:
    from refusal_stability.tables.adaptive import REASON_NAMES, VERDICT_NAMES

    return [
        {
            "intervention": intervention,
            "prompt_id": prompt.prompt_id,
            "verdict": VERDICT_NAMES[sampled.verdict[i]],
            "reason": REASON_NAMES[sampled.reason[i]],
            "taken": int(sampled.taken[i]),
            "spent": int(sampled.spent[i]),
            "audited": bool(sampled.design.audited[i]),
            "p_unstable": float(sampled.p_unstable[i]),
        }
        for i, prompt in enumerate(prompts)
    ]


def _estimate_row(intervention: str, one: FigureEstimate) -> dict[str, Any]:
    return {
        "intervention": intervention,
        "figure": one.figure.column,
        "temperature": one.figure.temperature,
        "estimate": one.value,
        "estimate_low": one.low,
        "estimate_high": one.high,
        "predicted": one.predicted,
        "as_sampled": one.as_sampled,
    }


def _print(who: str, sampled: Sampled, figures: Sequence[FigureEstimate]) -> None:
    """What was spent, why prompts stopped, and the estimated figures."""
    import math

    from refusal_stability.tables.adaptive import REASON_NAMES, VERDICT_NAMES
    from refusal_stability.tables.columns import COLUMNS
    from refusal_stability.tables.layout import as_text, laid_out, numbers, words

    spent, grid = int(sampled.spent.sum()), sampled.codes.size
    print(f"{who}: {spent} of {grid} samples ({spent / grid:.1%}) in {sampled.rounds} rounds")
    kinds = Counter(zip(sampled.verdict.tolist(), sampled.reason.tolist(), strict=True))
    rows = [
        {"verdict": VERDICT_NAMES[verdict], "reason": REASON_NAMES[reason], "n": n}
        for (verdict, reason), n in sorted(kinds.items())
    ]
    why = laid_out(
        "why",
        "Why the rule stopped each prompt",
        rows,
        words("verdict", "verdict"),
        words("reason", "reason"),
        numbers("prompts", lambda row: str(row["n"])),
    )
    shown = [
        {
            "figure": COLUMNS[one.figure.column].name
            + ("" if math.isnan(one.figure.temperature) else f" at T={one.figure.temperature:g}"),
            "digits": COLUMNS[one.figure.column].decimals + 1,
            "one": one,
        }
        for one in figures
    ]
    estimates = laid_out(
        "estimates",
        "Figures of the full grid, estimated",
        shown,
        words("figure", "figure"),
        numbers("estimate", lambda row: f"{row['one'].value:.{row['digits']}f}"),
        numbers("low", lambda row: f"{row['one'].low:.{row['digits']}f}"),
        numbers("high", lambda row: f"{row['one'].high:.{row['digits']}f}"),
    )
    print(f"\n{as_text(why)}\n\n{as_text(estimates)}\n")
