"""A row of a table whose cell of responses lists several: one row for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from refusal_stability.tables.user_files import UserRow


def rows_of_answers(row: UserRow, responses: str | None, of_each: Iterable[str]) -> Iterator[UserRow]:
    """The row itself, or a row for each response where the column `responses` lists several.

    The columns `of_each` say something about one response: they list as many values, or are empty.
    """
    answers = row.values.get(responses) if responses is not None else None
    if responses is None or not isinstance(answers, list):
        yield row
        return
    if not answers:
        raise row.error(responses, "is an empty list; write its responses, or remove the row")
    told = {}
    for column in {responses, *of_each} & row.values.keys():
        value = row.values[column]
        if isinstance(value, list) and len(value) == len(answers):
            told[column] = value
        elif len(answers) == 1 or value is None or value != value or value == "":
            told[column] = [value] * len(answers)
        else:
            raise row.error(
                column,
                f"says one thing of {len(answers)} responses; list as many values, or write one row per response",
            )
    for k in range(len(answers)):
        yield replace(row, values={**row.values, **{column: values[k] for column, values in told.items()}})
