"""How many of a collection's responses have no decision."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection

from refusal_stability.engines.finish_reasons import Ending, ending_of

WITHOUT_DECISION = (Ending.FILTER, Ending.FAILED, Ending.GAVE_UP)


def largest_undecided(database: sqlite3.Connection, judge: str | None, no_decision: Collection[str] = ()) -> float:
    """The largest share of a model's responses without a label by `judge`, or without a text where it is None."""
    rows = _by_text(database) if judge is None else _by_label(database, judge, no_decision)
    total, without = Counter[str](), Counter[str]()
    for model, is_undecided, count in rows:
        total[model] += count
        without[model] += count * is_undecided
    return max(without[model] / total[model] for model in total)


def _by_text(database: sqlite3.Connection) -> list[tuple[str, bool, int]]:
    query = (
        "SELECT model, missing_reason != '', TRIM(response, char(9, 10, 13, 32)) = '', finish_reason, COUNT(*) "
        "FROM answers GROUP BY 1, 2, 3, 4"
    )
    return [
        (
            model,
            bool(missing)
            or (bool(empty) and ending_of(finish) is not Ending.REFUSAL)
            or ending_of(finish) in WITHOUT_DECISION,
            count,
        )
        for model, missing, empty, finish, count in database.execute(query)
    ]


def _by_label(database: sqlite3.Connection, judge: str, no_decision: Collection[str]) -> list[tuple[str, bool, int]]:
    query = (
        "SELECT model, label, COUNT(*) FROM answers LEFT JOIN labels ON answer = n AND judge = ? AND asked = 0 "
        "GROUP BY 1, 2"
    )
    undecided = {"", *(label.casefold() for label in no_decision)}
    return [
        (model, (label or "").casefold() in undecided, count)
        for model, label, count in database.execute(query, (judge,))
    ]
