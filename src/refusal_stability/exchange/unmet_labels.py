"""Labels of a table of their own that do not meet the response they mean, and labels of responses that failed."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection

from refusal_stability.engines.finish_reasons import Ending, ending_of
from refusal_stability.exchange.collected import GROUP
from refusal_stability.exchange.logged import NO_TEXT, LogError
from refusal_stability.exchange.undecided import WITHOUT_DECISION

# A label whose response is nowhere, beside a response of the same prompt that this judge did not label. Most logs have
# no prompt with both, so these are looked for first; CROSS keeps the order.
LABEL_ALONE = "response IS NULL AND missing_reason = ?1"
ANSWERED = "response IS NOT NULL AND missing_reason = ''"
UNMET = f"""
WITH mixed AS (
    SELECT {GROUP} FROM answers WHERE repeat IS NOT NULL GROUP BY {GROUP}
    HAVING MAX({LABEL_ALONE}) AND MAX({ANSWERED})),
a AS (SELECT answers.* FROM mixed CROSS JOIN answers USING ({GROUP}) WHERE repeat IS NOT NULL AND {LABEL_ALONE}),
b AS (SELECT answers.* FROM mixed CROSS JOIN answers USING ({GROUP}) WHERE repeat IS NOT NULL AND {ANSWERED})
SELECT a.place, a.repeat, b.place, b.repeat, l.judge, {GROUP}
FROM a JOIN labels AS l ON l.answer = a.n JOIN b USING ({GROUP})
WHERE NOT EXISTS (SELECT 1 FROM labels AS own WHERE own.answer = b.n AND own.judge = l.judge)
ORDER BY a.n, b.n LIMIT 1
"""


def refuse_unmet_labels(database: sqlite3.Connection) -> None:
    """Refuse labels whose repeats are numbered otherwise than those of the responses to the same prompt."""
    found = database.execute(UNMET, (NO_TEXT,)).fetchone()
    if found is None:
        return
    labelled, number, answered, other, judge, *group = found
    numbers = f"SELECT MIN(repeat), MAX(repeat) FROM answers AS a WHERE ({GROUP}) = (?, ?, ?, ?)"
    responses = database.execute(f"{numbers} AND response IS NOT NULL", group).fetchone()
    of_judge = " AND EXISTS (SELECT 1 FROM labels WHERE answer = a.n AND judge = ?)"
    labels = database.execute(numbers + of_judge, (*group, judge)).fetchone()
    raise LogError(
        f"{labelled}: judge {judge!r} labels repeat {number}, which no response has; {answered}: the response of "
        f"repeat {other} has no label of it. The numbers differ ({_span(responses)} of the responses, {_span(labels)} "
        "of the labels of this prompt): number the repeats of both files alike, or remove the labels of "
        "responses that are not there"
    )


def _span(numbers: tuple[int, int]) -> str:
    return "..".join(map(str, dict.fromkeys(numbers)))


def refuse_unnumbered_labels(database: sqlite3.Connection) -> None:
    """Refuse a response and a label of one prompt in records of their own: without a number they cannot meet."""
    apart = database.execute(
        "SELECT MIN(CASE WHEN response IS NOT NULL THEN place END) AS answered, "
        "MIN(CASE WHEN response IS NULL AND missing_reason = ? THEN place END) AS labelled "
        f"FROM answers GROUP BY {GROUP} "
        "HAVING COUNT(repeat) < COUNT(*) AND answered IS NOT NULL AND labelled IS NOT NULL LIMIT 1",
        (NO_TEXT,),
    ).fetchone()
    if apart is not None:
        raise LogError(
            f"{apart[0]} has a response, {apart[1]} a label only, and nothing tells whether they belong together; "
            "add a column `repeat` to both"
        )


def refuse_labels_of_others(database: sqlite3.Connection, met: Collection[str]) -> None:
    """Refuse a file of labels alone, none of which meets a response, beside responses of other files.

    `met` are the files of which some label meets one.
    """
    answered = database.execute(f"SELECT place, model FROM answers WHERE {ANSWERED} LIMIT 1").fetchone()
    if answered is None:
        return
    files = database.execute(
        f"SELECT file, MIN(n), SUM({LABEL_ALONE}) FROM answers GROUP BY file HAVING COUNT(*) = SUM({LABEL_ALONE})",
        (NO_TEXT,),
    ).fetchall()
    for file, first, count in files:
        if not file or file in met:
            continue
        place, model = database.execute("SELECT place, model FROM answers WHERE n = ?", (first,)).fetchone()
        same_model = database.execute(
            f"SELECT 1 FROM answers WHERE {ANSWERED} AND model = ? LIMIT 1", (model,)
        ).fetchone()
        what = "prompts" if same_model else f"models ({model!r}, and {answered[1]!r})"
        raise LogError(
            f"{place}: none of the {count} labels of this file meets a response, such as {answered[0]}: their {what} "
            "are named otherwise; name them alike, or import the labels as a study of their own"
        )


def drop_labels_of_failed(database: sqlite3.Connection) -> Counter[str]:
    """Remove what judges said of responses that are missing, which is no decision; judge -> how many labels.

    Where an export of this project tells how a response ended, its labels stay as they are.
    """
    database.create_function("failed", 4, _is_missing, deterministic=True)
    failed = (
        "FROM labels WHERE label != '' AND answer IN (SELECT n FROM answers WHERE missing_reason != ? AND outcome = '' "
        "AND failed(response, thinking, finish_reason, missing_reason))"
    )
    counts = database.execute(f"SELECT judge, COUNT(*) {failed} GROUP BY judge", (NO_TEXT,)).fetchall()
    database.execute(f"DELETE {failed}", (NO_TEXT,))
    return Counter(dict(counts))


def _is_missing(text: str | None, thinking: str, finish_reason: str, missing_reason: str) -> bool:
    """Whether a study takes a recorded response as missing."""
    ending = ending_of(finish_reason)
    if ending in WITHOUT_DECISION:
        return True
    return not (text or "").strip() and (bool(missing_reason) or ending is not Ending.REFUSAL)
