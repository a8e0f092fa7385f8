"""A small judged study in the working directory: two models, the grammar's answers, rules and recorded labels."""

import random
from pathlib import Path

import pandas as pd

from refusal_stability.files import generation_file
from refusal_stability.params.load import load_params
from refusal_stability.records import DECISIONS
from refusal_stability.reference_model import grammar
from refusal_stability.stages import judge
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.study import GENERATION_TABLE

PARAMS = """
study: trial
interventions: {none: {}}
sampling: {temperatures: [0.0, 1.0], seeds: [1, 2]}
models:
  m: {path: nowhere}
  n: {path: nowhere}
judging:
  primary: rules
  judges:
    rules: {kind: rules}
    old: {kind: recorded, path: old.csv, settings: {layout: table, models: {m: M, n: N}}}
metrics: {n_resamples: 200}
"""
EVIL = "<script>alert('x')</script>"


def truth(response: str) -> str:
    """What the grammar meant."""
    found = grammar.recognise(response.removesuffix(f" {EVIL}"))
    assert found is not None, response
    return str(found[0])


def make_study(prompts: int = 12) -> Path:
    """Write and judge the study; the recorded judge errs on one response in five, every other response holds markup."""
    path = Path("params.yaml")
    path.write_text(PARAMS)
    rng = random.Random(0)
    texts = list(grammar.topics())[:prompts]
    recorded = []
    params = load_params(path)
    for model in params.models:
        for condition in params.conditions(model):
            decisions = [DECISIONS[k % 3] if rng.random() < 0.6 else rng.choice(DECISIONS) for k in range(prompts)]
            responses = [grammar.respond(p, d, rng) for p, d in zip(texts, decisions, strict=True)]
            responses = [f"{r} {EVIL}" if k % 2 else r for k, r in enumerate(responses)]
            table = pd.DataFrame(
                {"prompt_id": [f"p{k}" for k in range(prompts)], "prompt": texts, "response": responses}
            )
            table = table.assign(temperature=condition.temperature, seed=condition.seed, model=model)
            table = table.assign(intervention="none", finish_reason="stop", missing_reason="")
            write_table(table, generation_file(condition), GENERATION_TABLE)
            for k, decision in enumerate(decisions):
                said = decision if rng.random() < 0.8 else rng.choice(DECISIONS)
                place = {"model": model.upper(), "prompt_id": f"p{k}", "label": str(said)}
                recorded.append(place | {"temperature": condition.temperature, "seed": condition.seed})
    pd.DataFrame(recorded).to_csv("old.csv", index=False)
    for model in params.models:
        judge.run(model, path)
    return path
