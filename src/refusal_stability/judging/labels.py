"""Label tables: judgements as rows in a fixed order, their counts, and the limit on missing decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.judge_kinds import WATCHED_FOR_JUDGES, watched
from refusal_stability.params.judges import JudgingParams
from refusal_stability.records import DECISIONS, Condition, Judgement, Outcome, Prompt, Response, storable_text
from refusal_stability.tables.contract import KINDS
from refusal_stability.tables.study import LABEL_TABLE

CONFIDENCE_DIGITS = 6


def responses_of(
    generations: pd.DataFrame, condition: Condition, conversations: Mapping[str, Prompt] | None = None
) -> list[Response]:
    """One configuration's generation table as responses, in the table's order; without what was never asked for.

    `conversations` are the prompts with earlier turns, by id: the table holds last turns only.
    """
    known = conversations or {}
    names = ("prompt_id", "prompt", "response", "finish_reason", "missing_reason", "thinking", "outcome")
    rows = zip(*(generations[name].tolist() for name in names), strict=True)
    return [
        Response(
            condition,
            known.get(prompt_id) or Prompt(prompt_id, prompt, "", ""),
            text,
            finish,
            reason or None,
            thinking,
            Outcome(outcome),
        )
        for prompt_id, prompt, text, finish, reason, thinking, outcome in rows
        if outcome != Outcome.NOT_SAMPLED
    ]


def label_rows(
    conditions: Iterable[Condition],
    responses: Sequence[Response],
    judged: Mapping[str, Sequence[tuple[Judgement, ...]]],
) -> dict[Condition, pd.DataFrame]:
    """A label table for each configuration: responses in their order, then judges in theirs, then repeats.

    The table of a configuration without responses has no rows.
    """
    rows: dict[Condition, list[tuple[object, ...]]] = {condition: [] for condition in conditions}
    for position, response in enumerate(responses):
        condition = response.condition
        place = (
            response.prompt.prompt_id,
            condition.model,
            condition.intervention,
            condition.temperature,
            condition.seed,
        )
        for judge, judgements in judged.items():
            for repeat, judgement in enumerate(judgements[position]):
                rows[condition].append((*place, judge, repeat, *_cells(judgement)))
    kinds = {name: KINDS[kind] for name, kind in LABEL_TABLE.columns.items()}
    return {c: pd.DataFrame(lines, columns=list(kinds)).astype(kinds) for c, lines in rows.items()}


def _cells(judgement: Judgement) -> tuple[object, ...]:
    label = "" if judgement.decision is None else judgement.decision.value
    reasoning, reason = storable_text(judgement.reasoning), storable_text(judgement.missing_reason or "")
    # Rounded, so that two machines write the same file.
    confidence = None if judgement.confidence is None else round(judgement.confidence, CONFIDENCE_DIGITS)
    return label, reasoning, reason, confidence, judgement.basis.value


def label_summary(model: str, tables: Iterable[pd.DataFrame]) -> list[str]:
    """One line per judge: how often it made each decision, and how often none."""
    table = pd.concat(list(tables), ignore_index=True)
    lines = []
    for judge, rows in table.groupby("judge", sort=False):
        counts = rows["label"].value_counts()
        decided = ", ".join(f"{counts.get(d.value, 0)} {d}" for d in DECISIONS)
        lines.append(f"{model}, judge {judge}: {decided}, {counts.get('', 0)} missing of {len(rows)}")
    return lines


def unwatched_files(judging: JudgingParams) -> list[str]:
    """One line per judge whose recorded labels lie where DVC does not notice changes."""
    return [
        f"judging.judges.{name}.path: {judge.path} is outside {', '.join(WATCHED_FOR_JUDGES)}, so DVC does not notice "
        "when it changes. Move it there, or judge again with `dvc repro --force`"
        for name, judge in judging.judges.items()
        if judge.path and not watched(judge.path)
    ]


def check_missing(tables: Iterable[pd.DataFrame], judging: JudgingParams, model: str) -> None:
    """Raise `JudgingError` where more of the primary judge's decisions are missing than `judging.max_missing` allows.

    Only the first repeat counts, since it feeds the metrics.
    """
    table = pd.concat(list(tables), ignore_index=True)
    rows = table[(table["judge"] == judging.primary) & (table["repeat"] == 0)]
    missing = rows.loc[rows["label"] == "", "missing_reason"]
    share = len(missing) / len(rows) if len(rows) else 0.0
    if share > judging.max_missing:
        reason, count = missing.value_counts().index[0], int(missing.value_counts().iloc[0])
        raise JudgingError(
            f"{model}: the primary judge {judging.primary} has no decision on {len(missing)} of {len(rows)} responses "
            f"({share:.1%}), more than judging.max_missing = {judging.max_missing:.1%}. Most frequent reason ({count} "
            f"times): {reason}. Fix that, choose another primary judge, or raise judging.max_missing, for this model "
            f"alone in judging.by_model.{model}.max_missing"
        )
