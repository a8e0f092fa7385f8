"""People's labels: hand a blind sample to reviewers, as forms or in MLflow, and import what they labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from refusal_stability.files import PEOPLE_LABELS, PROMPTS, REVIEW_FORMS, REVIEW_GUIDE, REVIEW_SAMPLE, atomic_write
from refusal_stability.judging.joined_labels import read_judged
from refusal_stability.judging.model.rubric import guide
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.load import load_params
from refusal_stability.prompts.conversation import written_out
from refusal_stability.review.forms import check_reviewer, check_unwritten, form_of, read_form, write_form
from refusal_stability.review.labels import labelling_progress, labels_so_far, merge_labels, sample_so_far
from refusal_stability.review.mlflow_queue import collect, offer
from refusal_stability.review.sample import check_asked, check_sample, distinct_responses, draw_sample
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.review import PEOPLE_TABLE, SAMPLE_TABLE
from refusal_stability.tables.study import PROMPT_TABLE, prompts_of
from refusal_stability.tracking.server import tracking_uri

if TYPE_CHECKING:
    import pandas as pd

SIZE, SEED = 200, 0


def export(reviewers: Sequence[str], size: int | None, seed: int | None, mlflow: bool, params_path: Path) -> None:
    """Draw the sample unless there is one, and give each reviewer a form or a queue in MLflow.

    For a new sample, a size or seed of None means the default.
    """
    params = load_params(params_path)
    for reviewer in reviewers:
        check_reviewer(reviewer, params.judging.judges)
    judged, primary = read_judged(params), params.judging.primary
    judges = [name for name, judge in params.judging.judges.items() if not judge.on_call]
    paths = {reviewer: REVIEW_FORMS / f"{reviewer}.csv" for reviewer in reviewers}
    for path in () if mlflow else paths.values():
        check_unwritten(path)
    sample = sample_so_far()
    if sample is not None:
        check_sample(sample, distinct_responses(judged, judges), primary)
        if size is not None or seed is not None:
            asked = len(sample) if size is None else size, SEED if seed is None else seed
            check_asked(sample, draw_sample(judged, judges, primary, *asked), *asked)
        print(f"{REVIEW_SAMPLE}: {len(sample)} responses, drawn earlier")
    else:
        sample = draw_sample(judged, judges, primary, SIZE if size is None else size, SEED if seed is None else seed)
        write_table(sample, REVIEW_SAMPLE, SAMPLE_TABLE)
        print(f"{REVIEW_SAMPLE}: {len(sample)} responses")
    shown = sample.assign(prompt=_conversations(sample))
    forms = {reviewer: form_of(shown, reviewer) for reviewer in reviewers}
    with atomic_write(REVIEW_GUIDE) as file:
        file.write(guide())
    print(f"{REVIEW_GUIDE}: what the labels mean; give it to every reviewer")
    if mlflow:
        # MLflow limits a question's instruction to 1,000 characters.
        new = offer(params.study, forms, guide("terse"), tracking_uri())
        print(f"{new} new items in {len(forms)} review queues of the MLflow experiment `{params.study} review`")
        return
    for reviewer, form in forms.items():
        write_form(form, paths[reviewer])
        print(
            f"{paths[reviewer]}: fill in the column `label` and import it with `refusal-stability review import "
            f"{paths[reviewer]}`"
        )


def _conversations(sample: pd.DataFrame) -> list[str]:
    """What each response of the sample answers, with its earlier turns: a last turn alone may mean something else."""
    prompts = prompts_of(read_table(PROMPTS, PROMPT_TABLE)) if PROMPTS.is_file() else []
    whole = {prompt.prompt_id: written_out(prompt.conversation) for prompt in prompts if prompt.earlier_turns}
    return [whole.get(i, text) for i, text in zip(sample["prompt_id"], sample["prompt"], strict=True)]


def import_labels(forms: Sequence[Path], mlflow: bool, params_path: Path) -> None:
    """Check the labels in forms or in MLflow's queues, and add them to those imported before."""
    if bool(forms) == mlflow:
        raise JudgingError("review import: give either forms or --mlflow")
    params = load_params(params_path)
    sample = sample_so_far()
    if sample is None:
        raise JudgingError(f"{REVIEW_SAMPLE}: no such file; draw one with `refusal-stability review export`")
    labels = before = labels_so_far()
    if mlflow:
        labels = merge_labels(labels, collect(params.study, tracking_uri()), sample, "MLflow")
    for path in forms:
        check_reviewer(path.stem, params.judging.judges)
        labels = merge_labels(labels, read_form(path, path.stem, set(sample["item_id"])), sample, str(path))
    write_table(labels, PEOPLE_LABELS, PEOPLE_TABLE)
    print(labelling_progress(labels, len(before), len(sample)))
