"""The report put together."""

from __future__ import annotations

from refusal_stability.report import findings, interventions, overview, warnings
from refusal_stability.report.content import Report
from refusal_stability.report.report_inputs import ReportInputs

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
    overview.unstable_prompts,
    overview.outcomes,
    overview.thinking,
    overview.missing,
    overview.parameters,
)


def build_report(inputs: ReportInputs) -> Report:
    """Every section, in reading order."""
    return Report(
        title=f"{inputs.params.study}: stability of safety decisions",
        question="Would these models decide the same if they were sampled again?",
        sections=tuple(written for section in SECTIONS if (written := section(inputs)) is not None),
    )
