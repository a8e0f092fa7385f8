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
from refusal_stability.judging.people import draw_sample, labels_so_far, progress
from refusal_stability.params import load_params
from refusal_stability.tracking import tracking_uri
from refusal_stability.tracking_review import collect, offer


def export(reviewers: Sequence[str], size: int, seed: int, mlflow: bool, params_path: Path) -> None:
    """Draw the sample, unless there is one, and give each reviewer a form or a queue in MLflow."""
    for reviewer in reviewers:
        check_reviewer(reviewer)
    params = load_params(params_path)
    if not REVIEW_SAMPLE.is_file():
        judges = [name for name, judge in params.judging.judges.items() if not judge.on_call]
        sample = draw_sample(read_judged(params), judges, params.judging.primary, size, seed)
        write_table(sample, REVIEW_SAMPLE, SAMPLE_TABLE)
        print(f"{REVIEW_SAMPLE}: {len(sample)} responses")
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
        labels = merge_labels(labels, read_form(path, path.stem), sample, str(path))
    write_table(labels, PEOPLE_LABELS, PEOPLE_TABLE)
    print(progress(labels, len(before), len(sample)))
