"""Generations -> labels: every judge of the study labels each response of one model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refusal_stability.files import PROMPTS, generation_file, label_file, thinking_label_file
from refusal_stability.judging.labels import check_missing, label_rows, label_summary, responses_of, unwatched_files
from refusal_stability.judging.panel import judge_all, judge_thinking, thinking_of
from refusal_stability.params.judges import JudgingParams
from refusal_stability.params.load import load_params
from refusal_stability.records import Condition, Response
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE, prompts_of


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
    judged = judge_all(params.judging, responses, model, where)
    labels = label_rows(conditions, responses, judged)
    for condition in conditions:
        write_table(labels[condition], label_file(condition), LABEL_TABLE)
    _label_thinking(params.judging, responses, conditions, where)
    for note in unwatched_files(params.judging):
        print(note)
    for line in label_summary(model, labels.values()):
        print(line)
    check_missing(labels.values(), params.judging, model)


def _label_thinking(
    judging: JudgingParams, responses: Sequence[Response], conditions: Sequence[Condition], where: str
) -> None:
    """Write the labels of the responses' thinking beside the others, or remove those of an earlier setting."""
    if judging.thinking is None:
        for condition in conditions:
            thinking_label_file(condition).unlink(missing_ok=True)
        return
    thinking = thinking_of(responses)
    labels = label_rows(conditions, thinking, judge_thinking(judging, thinking, where))
    for condition in conditions:
        write_table(labels[condition], thinking_label_file(condition), LABEL_TABLE)
