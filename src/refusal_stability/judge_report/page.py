"""The judge report as one HTML page: all model text is escaped, and the page loads and runs nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from refusal_stability.records import DECISION_NAMES

SHOWN = 200
TEMPLATE = "judge_report.html.j2"


def render(
    title: str,
    primary: str | None,
    intro: str,
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    differing: pd.DataFrame,
) -> str:
    """The page of a report's tables and its first disagreements in full."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("refusal_stability.judge_report"), autoescape=True, undefined=StrictUndefined
    )
    labels = DECISION_NAMES
    confusion = tables["rater_confusion"]
    confusions = []
    for start in range(0, len(confusion), len(labels) ** 2):
        cells = confusion[start : start + len(labels) ** 2]
        rows = [[cell["n_label"] for cell in cells if cell["label_a"] == label] for label in labels]
        confusions.append({"rater_a": cells[0]["rater_a"], "rater_b": cells[0]["rater_b"], "rows": rows})
    shown = differing.head(SHOWN)
    page: str = environment.get_template(TEMPLATE).render(
        title=title,
        primary=primary,
        intro=intro,
        tables=tables,
        labels=labels,
        confusions=confusions,
        disagreements=shown.to_dict("records"),
        shown=len(shown),
        n_disagreements=len(differing),
    )
    return page


def agreement_lines(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """One line per pair of raters, for the terminal."""

    def figure(row: Mapping[str, Any], name: str) -> str:
        if math.isnan(row[name]):
            return "not defined"
        return f"{row[name]:.3f} [{row[name + '_low']:.3f}, {row[name + '_high']:.3f}]"

    macro = {
        (row["rater_a"], row["rater_b"]): figure(row, "f1")
        for row in tables["rater_by_decision"]
        if row["decision"] == "all"
    }
    lines = []
    for row in tables["rater_agreement"]:
        if not row["n_both"]:
            lines.append(f"{row['rater_a']} against {row['rater_b']} ({row['basis']}): no response decided by both")
            continue
        pair = (row["rater_a"], row["rater_b"])
        parts = [f"n {row['n_both']}", f"accuracy {figure(row, 'raw_agreement')}"]
        parts += [f"kappa {figure(row, 'cohens_kappa')}"] if pair in macro else []
        parts += [f"alpha {figure(row, 'krippendorff_alpha')}"]
        parts += [f"macro-F1 {macro[pair]}"] if pair in macro else []
        lines.append(f"{pair[0]} against {pair[1]} ({row['basis']}): {', '.join(parts)}")
    return lines
