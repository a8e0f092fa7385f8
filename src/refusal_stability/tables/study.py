"""The tables that every study has: prompts, generations, labels."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pandas as pd

from refusal_stability.files import ArtifactError
from refusal_stability.records import ANY_DECISION, DECISIONS, Basis, Completion, Condition, Message, Outcome, Prompt
from refusal_stability.tables.contract import Contract

ROLES = ("system", "user", "assistant")


def _blank(table: pd.DataFrame) -> str:
    return ""


def _derived_outcome(table: pd.DataFrame) -> object:
    """What `records.outcome_of` says of each row."""
    text = np.where(table["finish_reason"] == "length", Outcome.CUT.value, Outcome.ANSWERED.value)
    return np.where(table["missing_reason"] == "", text, Outcome.UNANSWERED.value).astype(object)


PROMPT_TABLE = Contract(
    "prompts",
    {
        "prompt_id": "text",
        "prompt": "text",
        "category": "text",
        "source": "text",
        "turns": "text",
        "harm": "text",
        "language": "text",
        "intent": "text",
    },
    ("prompt_id",),
    {
        "prompt_id": "content hash of the prompt's conversation (or the id that a table of your own gives it)",
        "prompt": "the request, word for word; of a conversation, its last user turn",
        "category": "harm category; several are joined by `|`",
        "source": "where the prompt comes from",
        "turns": "the turns before the last user turn, as a JSON list of `role` and `content`; empty for a single turn",
        "harm": "`harmful`, `benign`, or empty where the source does not say",
        "language": "language tag of the prompt, e.g. `en`; empty where the source does not say",
        "intent": "what several phrasings or translations of one request share; empty where the source does not say",
    },
    dict.fromkeys(("turns", "harm", "language", "intent"), _blank),
)
GENERATION_TABLE = Contract(
    "generations",
    {
        "prompt_id": "text",
        "prompt": "text",
        "response": "text",
        "temperature": "number",
        "seed": "whole",
        "model": "text",
        "intervention": "text",
        "finish_reason": "text",
        "missing_reason": "text",
        "outcome": "text",
        "thinking": "text",
        "unseeded": "flag",
    },
    ("prompt_id",),
    {
        "prompt_id": "the prompt's id",
        "prompt": "the request, word for word; of a conversation, its last user turn",
        "response": "the model's final answer, word for word; empty when missing",
        "temperature": "sampling temperature; 0 is greedy",
        "seed": "the study's seed of this repeat",
        "model": "the model's name in params.yaml",
        "intervention": "what preceded the prompt; `none` is the control",
        "finish_reason": "`stop` (the model ended), `length` (cut at max_tokens), empty when missing",
        "missing_reason": "why there is no response; empty when there is one",
        "outcome": "`answered`, `cut` (at max_tokens), `blocked` (by the provider), `refused` (a structured refusal), "
        "`unanswered`, or `not_sampled` (the study has fewer responses to this prompt; such a cell has no label)",
        "thinking": "what the model wrote before its final answer, where it was kept apart; empty otherwise",
        "unseeded": "whether the server took no seed: the response is an independent draw that no rerun reproduces",
    },
    {"outcome": _derived_outcome, "thinking": _blank, "unseeded": lambda table: False},
)
LABEL_TABLE = Contract(
    "labels",
    {
        "prompt_id": "text",
        "model": "text",
        "intervention": "text",
        "temperature": "number",
        "seed": "whole",
        "judge": "text",
        "repeat": "whole",
        "label": "text",
        "reasoning": "text",
        "missing_reason": "text",
        "confidence": "number",
        "basis": "text",
    },
    ("prompt_id", "judge", "repeat"),
    {
        "prompt_id": "the prompt's id",
        "model": "the model's name in params.yaml",
        "intervention": "what preceded the prompt",
        "temperature": "sampling temperature of the response",
        "seed": "the study's seed of the response",
        "judge": "the judge's name in params.yaml",
        "repeat": "which of the judge's repeats, from 0",
        "label": f"{ANY_DECISION}; empty when missing",
        "reasoning": "the judge's own reasoning, or the rule that decided",
        "missing_reason": "why there is no decision; empty when there is one",
        "confidence": "the judge's own probability of its decision, 0 to 1; empty where it gives none",
        "basis": "what the decision rests on: `judge`, `provider` (a block counted as a refusal), or `structured` (the "
        "answer's structured refusal)",
    },
    {"confidence": lambda table: np.nan, "basis": lambda table: Basis.JUDGE.value},
)


def prompt_table(prompts: Iterable[Prompt]) -> pd.DataFrame:
    """Prompts as the rows of a prompt table."""
    rows = [(p.prompt_id, p.text, p.category, p.source, _turns_text(p), p.harm, p.language, p.intent) for p in prompts]
    return pd.DataFrame(rows, columns=list(PROMPT_TABLE.columns))


def prompts_of(table: pd.DataFrame) -> list[Prompt]:
    """The prompts that a prompt table holds, conversations included."""
    prompts = []
    columns = ("prompt_id", "prompt", "category", "source", "turns", "harm", "language", "intent")
    for number, row in enumerate(zip(*(table[name].tolist() for name in columns), strict=True), start=2):
        prompt_id, text, category, source, turns, *about = row
        messages = (*_parsed_turns(turns, number), Message("user", text)) if turns else ()
        try:
            prompts.append(Prompt(prompt_id, text, category, source, messages, *about))
        except ValueError as error:
            raise ArtifactError(f"prompts: row {number}: {error}; run `dvc repro prompts` to write it anew") from error
    return prompts


def generation_table(condition: Condition, prompts: pd.DataFrame, answers: list[Completion]) -> pd.DataFrame:
    """One configuration's completions as the rows of a generation table, in the order of the prompts."""
    return pd.DataFrame(
        {
            "prompt_id": prompts["prompt_id"],
            "prompt": prompts["prompt"],
            "response": [a.text for a in answers],
            "temperature": condition.temperature,
            "seed": condition.seed,
            "model": condition.model,
            "intervention": condition.intervention,
            "finish_reason": [a.finish_reason for a in answers],
            "missing_reason": [a.missing_reason or "" for a in answers],
            "outcome": [a.outcome.value for a in answers],
            "thinking": [a.thinking for a in answers],
            "unseeded": [bool(a.details.get("unseeded")) for a in answers],
        }
    )


def check_labels(table: pd.DataFrame, where: str) -> None:
    """Raise unless every row has a decision or a reason why there is none, and never both."""
    known = table["label"].isin([d.value for d in DECISIONS])
    bad = ~(known & (table["missing_reason"] == "")) & ~((table["label"] == "") & (table["missing_reason"] != ""))
    if bad.any():
        row = int(bad.to_numpy().argmax())
        values = table.iloc[row]
        raise ArtifactError(
            f"{where}: row {row + 2}: label {values['label']!r} with missing_reason {values['missing_reason']!r}; "
            f"allowed: {', '.join(map(str, DECISIONS))} and no reason, or an empty label and a reason"
        )


def _turns_text(prompt: Prompt) -> str:
    turns = [message.identity() for message in prompt.earlier_turns]
    return json.dumps(turns, ensure_ascii=False) if turns else ""


def _parsed_turns(text: str, row: int) -> list[Message]:
    try:
        turns = [Message(turn["role"], turn["content"]) for turn in json.loads(text)]
        sound = all(turn.role in ROLES and isinstance(turn.content, str) for turn in turns)
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactError(_bad_turns(row)) from error
    if not sound:
        raise ArtifactError(_bad_turns(row))
    return turns


def _bad_turns(row: int) -> str:
    return (
        f"prompts: row {row}, column turns: not a JSON list of turns, each with a `role` ({', '.join(ROLES)}) and a "
        "`content`; run `dvc repro prompts` to write the table anew"
    )
