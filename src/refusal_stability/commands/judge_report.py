"""Labels -> the judge report: judges against people and each other, disagreements, and corrected rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from refusal_stability.figures.reliability import reliability_diagram, reliability_finding, reliability_in_words
from refusal_stability.figures.style import figure_bytes
from refusal_stability.files import JUDGE_REPORT, atomic_write
from refusal_stability.judge_report.comparison import compare_raters, disagreements
from refusal_stability.judge_report.corrected_stability import corrected_stability, references
from refusal_stability.judge_report.corrected_table import corrected_rows, uncorrectable
from refusal_stability.judge_report.handing_over import handing_over, suggestions
from refusal_stability.judge_report.page import agreement, judges_page
from refusal_stability.judge_report.ratings import Ratings, ratings_of_study, ratings_of_table, sample_explained
from refusal_stability.judge_report.reliability import reliability
from refusal_stability.judging.joined_labels import read_judged
from refusal_stability.judging.label_names import label_map
from refusal_stability.judging.labelled_table import judge_table, read_labelled
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.judges import MAJORITY, JudgeParams
from refusal_stability.params.load import load_params
from refusal_stability.report.content import Picture
from refusal_stability.report.html import html_report
from refusal_stability.review.labels import read_people
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.judge_report import JUDGE_REPORT_TABLES
from refusal_stability.tables.layout import as_text


def of_study(params_path: Path) -> None:
    """Report on the labels of the active study, and on people's labels where there are any."""
    params = load_params(params_path)
    judged, people = read_judged(params), read_people()
    ratings = ratings_of_study(judged, list(params.judging.judges), people)
    if not ratings.judges and not ratings.people:
        raise JudgingError(
            f"judge-report: no judge decided on any response of study {params.study}; `make status` shows how many are "
            "missing and why"
        )
    primary, metrics = params.judging.primary, params.metrics
    rates = corrected_rows(judged, ratings, people, primary, metrics.n_resamples, metrics.seed) if people else []
    can = people is not None and not uncorrectable(ratings, people, primary)
    found = references(ratings, primary, can, metrics.seed)
    stability, by_prompt = corrected_stability(judged, found, primary, metrics.n_resamples, metrics.seed)
    corrected = {"corrected_rates": rates, "corrected_stability": stability, "corrected_prompts": by_prompt}
    intro = f"{len(judged)} responses of the study {params.study}."
    if explained := sample_explained(ratings):
        intro += f" {explained}"
    others = [model for model in params.models if params.judging.of(model).primary != primary]
    if others:
        intro += f" Rates are by {primary}, which is not the primary judge of {', '.join(others)}."
    if why := uncorrectable(ratings, people, primary):
        intro += f" Rates are not corrected by people's labels: {why}."
        print(f"Rates are not corrected: {why}.")
    _write(params.study, primary, intro, ratings, corrected, metrics.n_resamples, metrics.seed)


def of_table(
    table: Path, columns: Mapping[str, str], labels: Sequence[str], judges: Sequence[str], params_path: Path
) -> None:
    """Report on judges of the study (or just `rules`) against a table of labelled responses."""
    judges = list(dict.fromkeys(judges))
    known = {"rules": JudgeParams()}
    if params_path.is_file():
        known |= load_params(params_path).judging.judges
    for name in judges:
        if name == MAJORITY:
            raise JudgingError("judge-report: a table has no panel to take the majority of; name single judges")
        if name not in known:
            raise JudgingError(f"judge-report: {params_path} has no judge {name!r}; choose one of {', '.join(known)}")
    labelled = judge_table(
        read_labelled(table, columns, label_map(labels)),
        {name: known[name] for name in judges},
        f"{params_path}: judging",
    )
    ratings = ratings_of_table(labelled, judges)
    nothing: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("corrected_rates", "corrected_stability", "corrected_prompts")
    }
    _write(table.name, None, f"{len(labelled)} labelled responses of {table.name}.", ratings, nothing, 10_000, 0)


def _write(
    title: str,
    primary: str | None,
    intro: str,
    ratings: Ratings,
    corrected: Mapping[str, list[dict[str, Any]]],
    n: int,
    seed: int,
) -> None:
    tables = compare_raters(ratings, n, seed) | {
        **corrected,
        "rater_thresholds": handing_over(ratings),
        "rater_reliability": reliability(ratings),
    }
    differing = disagreements(ratings)
    for name, (path, contract) in JUDGE_REPORT_TABLES.items():
        rows = differing if name == "disagreements" else pd.DataFrame(tables[name], columns=list(contract.columns))
        write_table(rows, path, contract)
    with atomic_write(JUDGE_REPORT / "index.html") as file:
        drawn = _drawn(pd.DataFrame(tables["rater_reliability"])) if tables["rater_reliability"] else None
        file.write(html_report(judges_page(title, primary, intro, tables, differing, drawn)))
    print(as_text(agreement(tables)))
    for line in suggestions(tables["rater_thresholds"]):
        print(line)
    print(f"Raters disagree on {len(differing)} distinct responses; see {JUDGE_REPORT / 'index.html'}")


def _drawn(reached: pd.DataFrame) -> Picture:
    """The figure of `rater_reliability`."""
    return Picture(
        "reliability",
        "reliability",
        "How sure, and how often right",
        "Decisions by confidence; areas are numbers of distinct responses. Under the diagonal, the judge is too sure.",
        reliability_finding(reached),
        reliability_in_words(reached),
        figure_bytes(reliability_diagram(reached), "png"),
    )
