"""Stage `sample@<model>-<rule>`: sample one model by rounds, each prompt only until it has enough samples."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from refusal_stability.engines.open import open_engine
from refusal_stability.engines.store import Store
from refusal_stability.files import PROMPTS, STORE
from refusal_stability.params.checks import ParamsError
from refusal_stability.params.load import load_params
from refusal_stability.plain_text import visible_line
from refusal_stability.rounds.asking import Asking
from refusal_stability.rounds.spent import said_of, sampled_rows
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.sampled import SAMPLED_TABLE, sampled_file
from refusal_stability.tables.study import PROMPT_TABLE, prompts_of


def run(model: str, params_path: Path) -> None:
    """Sample every intervention by rounds with one engine, through the store, and write which samples were taken."""
    params = load_params(params_path)
    if model not in params.models:
        raise ParamsError(f"{params_path}: models: no model {model!r}; there are: {', '.join(params.models)}")
    if not params.sampling.adaptive:
        raise ParamsError(
            f"{params_path}: sampling.adaptive: no rule; add one, such as `adaptive: {{population: {{}}}}`"
        )
    prompts = prompts_of(read_table(PROMPTS, PROMPT_TABLE))
    engine = open_engine(params.models[model], f"{params_path}: models.{model}")
    tables = []
    try:
        with Store(STORE) as store, Asking(params, str(params_path), model, prompts, engine, store) as asking:
            for intervention, found in asking.sample().items():
                tables.append(
                    sampled_rows(found).assign(intervention=intervention, prompt_id=[p.prompt_id for p in prompts])
                )
                print(visible_line(f"{model}, {intervention}: {said_of(found)}"))
    finally:
        engine.close()
    write_table(pd.concat(tables, ignore_index=True), sampled_file(model), SAMPLED_TABLE)
