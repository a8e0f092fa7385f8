"""The versions of a study over time, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from refusal_stability.report.content import Report, Section
from refusal_stability.tables.layout import each, laid_out, words
from refusal_stability.tables.number_format import Row

FIGURES = "mean_ssi pct_flipped safety_refuse_rate safety_comply_rate"


def history_page(study: str, rows: Sequence[Row]) -> Report:
    """A section for each model and intervention, with a row for each version, oldest first."""
    sections = []
    for i, (group, versions) in enumerate(groupby(rows, key=lambda row: (row["model"], row["intervention"]))):
        name = " / ".join(group)
        table = laid_out(
            f"versions_{i}",
            f"Versions of {name}, oldest first.",
            versions,
            words("Logged", "logged"),
            words("Current", "current"),
            *each(FIGURES),
            words("Moved", "moved"),
            words("Prompts", "prompts"),
            words("Samples a prompt", lambda row: f"{row['samples']:,}"),
            words("Judge", "judge"),
            words("Commit", "commit"),
            words("Version", "study_digest"),
        )
        sections.append(Section(f"versions-{i}", name, tables=(table,)))
    about = (
        "Moved names the figures whose interval does not overlap that of the version before.",
        "The number of prompts, of samples a prompt (temperatures times seeds), the judge and the version say whether "
        "the study itself was changed. With other samples a prompt, flips and SSI move although the model is the same.",
        "Runs that mlflow gc has removed are not here.",
    )
    return Report(
        f"History of {study}", "Did the study's figures drift?", (Section("about", "About", about), *sections)
    )
