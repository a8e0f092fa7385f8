"""People's labels: a blind sample goes out to reviewers, as forms or into MLflow, and comes home checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refusal_stability.artifacts import (
    PEOPLE_LABELS,
    PEOPLE_TABLE,
    REVIEW_FORMS,
    REVIEW_SAMPLE,
    SAMPLE_TABLE,
    read_table,
    write_table,
)
from refusal_stability.judging import JudgingError
from refusal_stability.judging.forms import check_reviewer, form_of, merge_labels, read_form, write_form
from refusal_stability.judging.judged import read_judged
from refusal_stability.judging.people import check_sample, distinct_responses, draw_sample, labels_so_far, progress
from refusal_stability.params import load_params
from refusal_stability.tracking import tracking_uri
from refusal_stability.tracking_review import collect, offer


def export(reviewers: Sequence[str], size: int, seed: int, mlflow: bool, params_path: Path) -> None:
    """Draw the sample, unless there is one, and give each reviewer a form or a queue in MLflow."""
    params = load_params(params_path)
    for reviewer in reviewers:
        check_reviewer(reviewer)
        if reviewer in params.judging.judges:
            raise JudgingError(f"reviewer {reviewer!r} is called like a judge of the study; choose another name")
    judged, primary = read_judged(params), params.judging.primary
    judges = [name for name, judge in params.judging.judges.items() if not judge.on_call]
    if not REVIEW_SAMPLE.is_file():
        sample = draw_sample(judged, judges, primary, size, seed)
        write_table(sample, REVIEW_SAMPLE, SAMPLE_TABLE)
        print(f"{REVIEW_SAMPLE}: {len(sample)} responses")
    else:
        sample = read_table(REVIEW_SAMPLE, SAMPLE_TABLE)
        check_sample(sample, distinct_responses(judged, judges), primary)
        print(f"{REVIEW_SAMPLE}: {len(sample)} responses, drawn before; --size and --seed are for a new sample")
    sample = read_table(REVIEW_SAMPLE, SAMPLE_TABLE)
    forms = {reviewer: form_of(sample, reviewer) for reviewer in reviewers}
    if mlflow:
        new = offer(params.study, forms, tracking_uri())
        print(f"{new} new items in {len(forms)} review queues of the MLflow experiment `{params.study} review`")
        return
    for reviewer, form in forms.items():
        path = REVIEW_FORMS / f"{reviewer}.csv"
        write_form(form, path)
        print(f"{path}: fill in the column `label` and import it with `refusal-stability review import {path}`")


def bring_home(forms: Sequence[Path], mlflow: bool, params_path: Path) -> None:
    """Check the labels of filled forms, or of MLflow's queues, and add them to those that are there."""
    if bool(forms) == mlflow:
        raise JudgingError("review import: give either forms or --mlflow")
    sample = read_table(REVIEW_SAMPLE, SAMPLE_TABLE)
    labels = before = labels_so_far()
    if mlflow:
        labels = merge_labels(labels, collect(load_params(params_path).study, tracking_uri()), sample, "MLflow")
    for path in forms:
        check_reviewer(path.stem)
        labels = merge_labels(labels, read_form(path, path.stem, set(sample["item_id"])), sample, str(path))
    write_table(labels, PEOPLE_LABELS, PEOPLE_TABLE)
    print(progress(labels, len(before), len(sample)))
