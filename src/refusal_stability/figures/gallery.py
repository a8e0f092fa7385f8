"""The list of the study's figures. A new figure is a file of its own and a line here."""

from __future__ import annotations

from refusal_stability.figures import (
    adaptive_samples,
    category_stability,
    decision_heatmap,
    decomposition,
    flip_rate,
    intervention_effect,
    judge_confusion,
    model_comparison,
    sample_size,
    ssi_distribution,
    stability_vs_compliance,
    tail_forecast,
    temperature_effect,
    threshold_sensitivity,
    within_temperature_stability,
)
from refusal_stability.figures.study_figure import StudyFigure

# In the order in which the report shows them.
GALLERY: tuple[StudyFigure, ...] = (
    model_comparison.FIGURE,
    ssi_distribution.FIGURE,
    flip_rate.FIGURE,
    stability_vs_compliance.FIGURE,
    threshold_sensitivity.FIGURE,
    intervention_effect.FIGURE,
    temperature_effect.FIGURE,
    within_temperature_stability.FIGURE,
    category_stability.FIGURE,
    sample_size.FIGURE,
    tail_forecast.FIGURE,
    decomposition.FIGURE,
    judge_confusion.FIGURE,
    decision_heatmap.FIGURE,
    adaptive_samples.FIGURE,
)
