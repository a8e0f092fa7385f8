"""Tables of labelled responses from elsewhere, and the study's judges on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from refusal_stability.judging.open import open_judge
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.judges import MAJORITY, JudgeParams
from refusal_stability.records import DECISION_NAMES, NO_INTERVENTION, Condition, Prompt, Response


def read_labelled(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Any CSV of labelled responses under the names prompt, response and label.

    Parameters
    ----------
    path : the file.
    columns : our column name -> the file's; those not named are called as ours.

    Raises
    ------
    JudgingError
        Where the file or a column is absent, or a label is neither a decision nor empty; empty ones are left out.
    """
    if not path.is_file():
        raise JudgingError(f"{path}: no such file; give a CSV of labelled responses")
    try:
        found = pd.read_csv(path, dtype=str, keep_default_na=False)
    except UnicodeDecodeError as error:
        raise JudgingError(f"{path}: not UTF-8 text (byte {error.start}); save it anew as 'CSV UTF-8'") from error
    except ValueError as error:
        raise JudgingError(f"{path}: not readable as CSV: {' '.join(str(error).split())[:200]}") from error
    names = {name: columns.get(name, name) for name in ("prompt", "response", "label")}
    absent = [name for name in names.values() if name not in found.columns]
    if absent:
        raise JudgingError(
            f"{path}: no column {', '.join(absent)}; found {', '.join(found.columns)}; name them with --prompt-column, "
            "--response-column, --label-column"
        )
    table = pd.DataFrame({name: found[source] for name, source in names.items()})
    table["label"] = table["label"].str.strip().str.upper()
    wrong = ~table["label"].isin([*DECISION_NAMES, ""])
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise JudgingError(
            f"{path}: row {row + 2}: label {found[names['label']].iloc[row]!r} is none of {', '.join(DECISION_NAMES)}; "
            "correct it, or leave it empty"
        )
    if (table["label"] == "").all():
        raise JudgingError(f"{path}: no row has a label; fill in {names['label']} with {', '.join(DECISION_NAMES)}")
    return table[table["label"] != ""].reset_index(drop=True)


def judge_table(table: pd.DataFrame, judges: Mapping[str, JudgeParams], where: str) -> pd.DataFrame:
    """The table with a column for each judge, which decides its responses here and now."""
    place = Condition("table", NO_INTERVENTION, 0.0, 0)
    responses = [
        Response(place, Prompt("", prompt, "", ""), response, "stop")
        for prompt, response in zip(table["prompt"], table["response"], strict=True)
    ]
    judged = table.copy()
    for name, params in judges.items():
        if params.kind in ("recorded", MAJORITY):
            raise JudgingError(
                f"{where}.judges.{name}: a judge of kind `{params.kind}` decides the study's own responses only; name "
                "one of kind rules, trained or model"
            )
        judge = open_judge(name, params, f"{where}.judges.{name}", judges)
        try:
            rows = judge.judge(responses)
        finally:
            judge.close()
        judged[name] = [str(first.decision) if first.decision else "" for first, *_ in rows]
    return judged
