"""Stage `generate@<model>`: ask one model every prompt in every configuration."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from rich.console import Console

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.seeds import seed_use, unseeded_warning
from refusal_stability.engines.shortfall import NOT_ASKED, check_answered, check_system_role, most_common
from refusal_stability.engines.store import Store
from refusal_stability.files import PROMPTS, STORE
from refusal_stability.params.checks import ParamsError, nearest
from refusal_stability.params.load import load_params
from refusal_stability.plain_text import visible_line
from refusal_stability.records import Completion, Condition, Outcome, StudyError
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.generation_files import write_generation_files
from refusal_stability.tables.sampled import cells_taken
from refusal_stability.tables.study import PROMPT_TABLE, prompts_of

# What the store keeps without a text.
ASKED_AGAIN = (Outcome.BLOCKED.value, Outcome.UNANSWERED.value)


def run(model: str, params_path: Path, ask_again: Collection[str] = ()) -> None:
    """Complete the model's whole grid, or what was sampled of it, and write one table a configuration.

    `ask_again` names outcomes without text: requests that are stored with one of these are sent again.
    """
    params = load_params(params_path)
    if model not in params.models:
        known = f"{', '.join(params.models)}{nearest(model, params.models)}"
        raise ParamsError(f"{params_path}: models: no model {model!r}; there are: {known}")
    if unknown := next((name for name in ask_again if name not in ASKED_AGAIN), None):
        raise StudyError(f"--ask-again {unknown} is not allowed; allowed: {', '.join(ASKED_AGAIN)}")
    prompts = read_table(PROMPTS, PROMPT_TABLE)
    grid = list(params.requests(model, prompts_of(prompts)))
    taken = cells_taken(params, model, prompts["prompt_id"].tolist()) or [True] * len(grid)
    requests = [request for (_, request), was in zip(grid, taken, strict=True) if was]
    engine, judging = open_engine(params.models[model], f"{params_path}: models.{model}"), params.judging.of(model)
    try:
        with Store(STORE) as store:
            if warning := check_system_role(model, engine, requests, judging.max_missing):
                print(f"warning: {visible_line(warning)}", file=sys.stderr)
            completions = complete_stored(engine, requests, store, model, [Outcome(name) for name in ask_again])
    finally:
        engine.close()
    unanswered = check_answered(model, completions, judging.max_missing, blocks_count=judging.blocked == "refuse")
    by_condition: dict[Condition, list[Completion]] = {}
    arriving = iter(completions)
    for (one, _), was in zip(grid, taken, strict=True):
        by_condition.setdefault(one, []).append(next(arriving) if was else NOT_ASKED)
    write_generation_files(model, prompts, by_condition, params.files.parquet_above_mb)
    reasons = most_common(Counter(c.missing_reason or c.finish_reason for c in completions))
    files = "1 file" if len(by_condition) == 1 else f"{len(by_condition)} files"
    Console().print(visible_line(f"{model}: {len(completions)} responses in {files} ({reasons})"), markup=False)
    for warning in (unanswered, seed_use(requests, completions).warning(model), unseeded_warning(model, completions)):
        if warning:
            print(f"warning: {warning}", file=sys.stderr)
