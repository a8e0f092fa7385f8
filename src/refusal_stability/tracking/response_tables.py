"""The table of a run that MLflow compares across runs: a row for each prompt, with its text, decisions and responses.

MLflow groups by the first column and compares the second, until a person chooses others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from refusal_stability.records import DECISION_NAMES
from refusal_stability.tracking.previews import excerpt

NO_DECISION = "missing"
SHARED_EXCERPT = 300


def of_configuration(rows: pd.DataFrame, prompts: pd.DataFrame) -> pd.DataFrame:
    """A seed's decisions and responses, with what all seeds and temperatures decide."""
    table = rows.assign(decision=rows["decision"].replace("", NO_DECISION), response=rows["response"].map(excerpt))
    return _by_prompt(table[["prompt_id", "decision", "response", "majority", "ssi"]], prompts)


def of_temperature(by_seed: Mapping[int, pd.DataFrame], prompts: pd.DataFrame) -> pd.DataFrame:
    """The decisions of all seeds, counted, and their responses, one after the other."""
    every = pd.concat([rows.assign(seed=seed) for seed, rows in by_seed.items()], ignore_index=True)
    every["decision"] = every["decision"].replace("", NO_DECISION)
    every["response"] = [
        f"seed {seed}, {decision}: {excerpt(response, SHARED_EXCERPT)}"
        for seed, decision, response in every[["seed", "decision", "response"]].itertuples(index=False)
    ]
    # By hand: pandas calls a function for each prompt several times slower.
    gathered: dict[str, tuple[list[str], list[str]]] = {}
    for prompt, decision, response in every[["prompt_id", "decision", "response"]].itertuples(index=False):
        decisions, responses = gathered.setdefault(prompt, ([], []))
        decisions.append(decision)
        responses.append(response)
    table = pd.DataFrame(
        {
            "prompt_id": list(gathered),
            "decisions": [_counted(decisions) for decisions, _ in gathered.values()],
            "responses": ["\n\n".join(responses) for _, responses in gathered.values()],
        }
    )
    return _by_prompt(table, prompts)


def of_model(per_prompt: pd.DataFrame, prompts: pd.DataFrame) -> pd.DataFrame:
    """The decisions of all temperatures and seeds, counted."""
    counts = {**{name: f"n_{name.lower()}" for name in DECISION_NAMES}, NO_DECISION: "n_missing"}
    decisions = [
        ", ".join(f"{name} {n}" for name, n in zip(counts, row, strict=True) if n)
        for row in per_prompt[list(counts.values())].itertuples(index=False)
    ]
    return _by_prompt(
        per_prompt[["prompt_id", "ssi"]].assign(decisions=decisions)[["prompt_id", "decisions", "ssi"]], prompts
    )


def _counted(decisions: Sequence[str]) -> str:
    counts = Counter(decisions)
    return ", ".join(f"{name} {counts[name]}" for name in (*DECISION_NAMES, NO_DECISION) if name in counts)


def _by_prompt(table: pd.DataFrame, prompts: pd.DataFrame) -> pd.DataFrame:
    """The table with the prompts' texts first; prompts with one text get their id, since MLflow groups by the text."""
    twice = prompts["prompt"].duplicated(keep=False)
    shown = prompts["prompt"].where(~twice, prompts["prompt"] + " (" + prompts["prompt_id"] + ")")
    facts = prompts[["prompt_id", "category"]].assign(prompt=shown)
    merged = facts.merge(table, on="prompt_id", validate="one_to_one")
    return merged[["prompt", *(name for name in table if name != "prompt_id"), "category", "prompt_id"]]
