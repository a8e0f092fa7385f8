"""The table of what thinking was labelled, against the final answers."""

from __future__ import annotations

from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.estimates import Row
from refusal_stability.measures.tables.settings import DECISION_NAMES, Settings
from refusal_stability.measures.tables.stability import names
from refusal_stability.records import DECISIONS, MISSING, NOT_SAMPLED

CODES = (*range(len(DECISIONS)), MISSING)


def thinking_decisions(study: DecisionArrays, settings: Settings) -> list[Row]:
    """How often each decision of the thinking met each decision of its final answer. No row without thinking."""
    rows = []
    for group in study.groups:
        if group.thinking is None:
            continue
        there = group.thinking != NOT_SAMPLED
        thinking, answers = group.thinking[there], group.codes[there]
        for thought in CODES:
            for answer in CODES:
                n = int(((thinking == thought) & (answers == answer)).sum())
                if n:
                    decisions = {
                        "thinking_decision": DECISION_NAMES[thought],
                        "answer_decision": DECISION_NAMES[answer],
                    }
                    rows.append(names(group) | decisions | {"n_thinking": n, "thinking_share": n / thinking.size})
    return rows
