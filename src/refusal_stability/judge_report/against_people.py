"""How far the judges agree with people, and the rates that people would have found: for the study's own report."""

from __future__ import annotations

from typing import Any

from refusal_stability.params.study import StudyParams
from refusal_stability.review.labels import read_people


def people_tables(params: StudyParams) -> dict[str, Any]:
    """The rows of `PEOPLE_TABLES` by name; no table at all where people have labelled none of the study's responses."""
    people = read_people()
    if people is None:
        return {}
    # Imported where they are needed: a fifth of a second, and few studies have people's labels.
    from refusal_stability.judge_report.comparison import compare_raters
    from refusal_stability.judge_report.corrected_table import corrected_rows, uncorrectable
    from refusal_stability.judge_report.ratings import PEOPLE, ratings_of_study, sample_explained
    from refusal_stability.judging.joined_labels import read_judged

    judged = read_judged(params)
    ratings = ratings_of_study(judged, list(params.judging.judges), people)
    labelled = int((ratings.table[PEOPLE] != "").sum())
    if not labelled:
        return {}
    primary, metrics = params.judging.primary, params.metrics
    compared = compare_raters(ratings, metrics.n_resamples, metrics.seed)
    sample = {
        "n_labelled": labelled,
        "explained": sample_explained(ratings),
        "uncorrected_because": uncorrectable(ratings, people, primary),
    }
    return {
        "people_sample": [sample],
        **{
            f"people_{name}": [row for row in compared[f"rater_{name}"] if row["rater_b"] == PEOPLE]
            for name in ("agreement", "by_decision")
        },
        "people_rates": corrected_rows(judged, ratings, people, primary, metrics.n_resamples, metrics.seed),
    }
