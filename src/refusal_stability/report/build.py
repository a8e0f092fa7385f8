"""The report put together."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TypeVar

from refusal_stability.report import confidence, findings, interventions, overview, people, rounds, warnings
from refusal_stability.report.content import Report, Section, Summary
from refusal_stability.report.primary_judge import primary_judges, with_primary_judge
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.report.summary import page_one

Part = TypeVar("Part", Section, Summary)

SECTIONS = (
    overview.headline,
    warnings.warnings,
    overview.question,
    overview.reading,
    findings.models,
    findings.harm,
    interventions.interventions,
    findings.temperature,
    findings.categories,
    findings.samples,
    findings.sources,
    findings.judges,
    people.people,
    confidence.least_sure,
    overview.unstable_prompts,
    rounds.sampled_in_rounds,
    overview.outcomes,
    overview.thinking,
    overview.missing,
    overview.parameters,
)


def build_report(inputs: ReportInputs) -> Report:
    """The summary, then every section, in reading order; figures are numbered in that order."""
    numbers = count(1)
    params = inputs.params
    judges = primary_judges(
        {model.label or name: params.judging.of(name).primary for name, model in params.models.items()}
    )

    def numbered(part: Part) -> Part:
        return replace(part, pictures=tuple(replace(one, number=next(numbers)) for one in part.pictures))

    return Report(
        title=f"{params.study}: stability of safety decisions",
        question="Would these models decide the same if they were sampled again?",
        summary=numbered(page_one(inputs)),
        sections=tuple(
            with_primary_judge(numbered(written), judges)
            for section in SECTIONS
            if (written := section(inputs)) is not None
        ),
    )
