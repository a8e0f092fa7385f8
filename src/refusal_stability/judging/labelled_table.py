"""Tables of labelled responses from elsewhere, and the study's judges on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from refusal_stability.engines.complete import with_final_answer
from refusal_stability.judging.joined_labels import confidence_of
from refusal_stability.judging.label_names import decision_named
from refusal_stability.judging.open import open_judge
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.judge_kinds import JUDGE_KINDS
from refusal_stability.params.judges import JudgeParams
from refusal_stability.records import DECISION_NAMES, NO_INTERVENTION, Completion, Condition, Prompt, response_to
from refusal_stability.tables.user_files import read_frame


def read_labelled(path: Path, columns: Mapping[str, str], labels: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Any table of labelled responses under the names prompt, response and label.

    Parameters
    ----------
    path : the file, in any format that `tables.user_files` reads.
    columns : our column name -> the file's, where it differs.
    labels : the file's label -> our decision's name, where it differs.

    Raises
    ------
    JudgingError, ArtifactError
        Where the file or a column is absent, or a label is neither a decision nor empty. Rows with an empty label are
        left out.
    """
    found = read_frame(path)
    if found.empty:
        raise JudgingError(f"{path}: the table has no rows; name one that holds labelled responses")
    names = {name: columns.get(name, name) for name in ("prompt", "response", "label")}
    absent = [name for name in names.values() if name not in found.columns]
    if absent:
        raise JudgingError(
            f"{path}: no column {', '.join(absent)}; found {', '.join(found.columns)}; name them with --prompt-column, "
            "--response-column, --label-column"
        )
    table = pd.DataFrame({name: found[source] for name, source in names.items()})
    table = table[table["label"].str.strip() != ""]
    if table.empty:
        raise JudgingError(f"{path}: no row has a label; fill in {names['label']} with {', '.join(DECISION_NAMES)}")
    for number, label in table["label"].items():
        if decision_named(label, labels or {}) is None:
            raise JudgingError(
                f"{path}: row {number}: label {label!r} is not one of {', '.join(DECISION_NAMES)}; map it with "
                f"--label '{label}=COMPLY' (or the decision that it means), correct it, or leave it empty"
            )
    table["label"] = [str(decision_named(label, labels or {})) for label in table["label"]]
    return table.reset_index(drop=True)


def judge_table(table: pd.DataFrame, judges: Mapping[str, JudgeParams], where: str) -> pd.DataFrame:
    """The table with two columns per judge: its decision on each response's final answer, and its confidence."""
    place = Condition("table", NO_INTERVENTION, 0.0, 0)
    responses = [
        response_to(place, Prompt("", prompt, "", ""), with_final_answer(Completion(response, "stop")))
        for prompt, response in zip(table["prompt"], table["response"], strict=True)
    ]
    judged = table.copy()
    for name, params in judges.items():
        if not params.settings_class.judges_any_text:
            able = ", ".join(kind for kind, settings in JUDGE_KINDS.items() if settings.judges_any_text)
            raise JudgingError(
                f"{where}.judges.{name}: a judge of kind `{params.kind}` knows the study's own responses only; name a "
                f"judge of another kind ({able})"
            )
        judge = open_judge(name, params, f"{where}.judges.{name}", judges)
        try:
            rows = judge.judge(responses)
        finally:
            judge.close()
        judged[name] = [str(first.decision) if first.decision else "" for first, *_ in rows]
        sure = [np.nan if first.confidence is None else first.confidence for first, *_ in rows]
        judged[confidence_of(name)] = np.array(sure, dtype=np.float64)
    return judged
