"""Generations -> labels: every judge of the study labels each response of one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from refusal_stability.files import PROMPTS, generation_file, label_file, thinking_label_file
from refusal_stability.judging.labels import check_missing, label_rows, label_summary, responses_of, unwatched_files
from refusal_stability.judging.panel import judge_all, thinking_of
from refusal_stability.params.load import load_params
from refusal_stability.plain_text import visible_line
from refusal_stability.records import Condition
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE, prompts_of

if TYPE_CHECKING:
    import pandas as pd


def run(model: str, params_path: Path) -> None:
    """Judge one model's responses in every configuration of the study and write a label file for each.

    The files are written before the share of missing decisions is checked, so that they can be inspected after a
    failure. `dvc repro` stops at the failed stage, so nothing reads them.
    """
    params = load_params(params_path)
    conditions = list(params.conditions(model))
    prompts = prompts_of(read_table(PROMPTS, PROMPT_TABLE)) if PROMPTS.is_file() else []
    conversations = {prompt.prompt_id: prompt for prompt in prompts if prompt.earlier_turns}
    responses = [
        response
        for condition in conditions
        for response in responses_of(read_table(generation_file(condition), GENERATION_TABLE), condition, conversations)
    ]
    where = f"{params_path}: judging"
    thinking = thinking_of(responses) if params.judging.thinking else []
    judging = params.judging.of(model)
    judged, thought = judge_all(judging, responses, model, where, thinking)
    labels = label_rows(conditions, responses, judged)
    for condition in conditions:
        write_table(labels[condition], label_file(condition), LABEL_TABLE)
    thinking_labels = label_rows(conditions, thinking, thought)
    _write_thinking(thinking_labels if params.judging.thinking else {}, conditions)
    for note in unwatched_files(params.judging):
        print(visible_line(note))
    for line in label_summary(model, labels.values()) + label_summary(f"{model}, thinking", thinking_labels.values()):
        print(visible_line(line))
    check_missing(labels.values(), judging, model)


def _write_thinking(labels: Mapping[Condition, pd.DataFrame], conditions: Sequence[Condition]) -> None:
    """Write the labels of the responses' thinking beside the others, or remove those of an earlier setting."""
    for condition in conditions:
        if condition in labels:
            write_table(labels[condition], thinking_label_file(condition), LABEL_TABLE)
        else:
            thinking_label_file(condition).unlink(missing_ok=True)
