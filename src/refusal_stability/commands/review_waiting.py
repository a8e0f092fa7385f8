"""What waits for a person in the active study, written into the review file of the judge that it waits for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from refusal_stability.files import PROMPTS, atomic_write, generation_file, label_file
from refusal_stability.judging.labels import responses_of
from refusal_stability.judging.people import item_of_pair, labels_in, waits_for
from refusal_stability.judging.protocol import JudgingError, Pair, distinct_pairs, whole_conversation
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.plain_text import visible_line
from refusal_stability.review.forms import BYTE_ORDER_MARK, COLUMNS, read_cells
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.spreadsheets import formula_safe
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE, prompts_of


def run(params_path: Path) -> None:
    """Add each distinct response that waits to its review file; rows that are there stay as they are."""
    params = load_params(params_path)
    paths = {Path(judge.path or "") for judge in params.judging.judges.values() if judge.kind == "people"}
    if not paths:
        raise JudgingError(
            f"{params_path}: no judge of kind `people` in judging.judges, so nothing waits for one; docs/judging.md "
            "shows how to hand responses over to one"
        )
    for path in sorted(paths):
        if path.is_dir():
            raise JudgingError(f"{path}: is a folder; name a CSV file as the judge's path")
        if path.suffix.lower() != ".csv":
            raise JudgingError(f"{path}: review files are CSV; give the judge a path that ends in .csv")
        labelled = labels_in(path) if path.exists() else {}
        pairs = dict.fromkeys(_waiting(params, waits_for(path)))
        # What got its label since the study was judged waits no more.
        waiting = [pair for pair in pairs if item_of_pair(pair) not in labelled]
        new = _add(path, waiting)
        said = f"{path}: {len(waiting)} responses wait for a label ({new} new rows), {len(labelled)} have one"
        todo = "; fill in the column `label`, then run `dvc repro`" if waiting else ""
        print(visible_line(f"{said}{todo}"))


def _waiting(params: StudyParams, reason: str) -> Iterator[Pair]:
    """The distinct pairs whose labels are missing for this reason."""
    prompts = prompts_of(read_table(PROMPTS, PROMPT_TABLE)) if PROMPTS.is_file() else []
    conversations = {prompt.prompt_id: prompt for prompt in prompts if prompt.earlier_turns}
    for model in params.models:
        for condition in params.conditions(model):
            labels = read_table(label_file(condition), LABEL_TABLE)
            ids = {*labels.loc[labels["missing_reason"] == reason, "prompt_id"]}
            if ids:
                found = responses_of(read_table(generation_file(condition), GENERATION_TABLE), condition, conversations)
                waiting = [response for response in found if response.prompt.prompt_id in ids]
                yield from distinct_pairs(waiting, whole_conversation)


def _add(path: Path, waiting: Sequence[Pair]) -> int:
    """Append what is not there yet, in an order that says nothing; returns how many rows are new."""
    cells = read_cells(path) if path.exists() else pd.DataFrame(columns=COLUMNS, dtype=object)
    there = {*cells["item_id"].str.strip()}
    new = sorted((item, *pair) for pair in waiting if (item := item_of_pair(pair)) not in there)
    if not new:
        return 0
    rows = formula_safe(pd.DataFrame([(*row, "", "") for row in new], columns=COLUMNS))
    both = pd.concat([cells, rows]).fillna("") if len(cells) else rows
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([both.columns, *both.to_numpy()])
    with atomic_write(path) as file:
        file.write(BYTE_ORDER_MARK + text.getvalue())
    return len(new)
