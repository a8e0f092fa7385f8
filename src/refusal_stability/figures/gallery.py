"""Every figure of a study: how it is drawn, from which tables, and the words that go with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refusal_stability.figures import comparison, depth, stability, temperature
from refusal_stability.figures.alt_text import (
    categories_in_words,
    clusters_in_words,
    decisions_in_words,
    flips_in_words,
    judges_in_words,
    samples_in_words,
    sources_in_words,
    stability_in_words,
    temperature_in_words,
    temperatures_apart_in_words,
    thresholds_in_words,
    wavering_in_words,
)
from refusal_stability.figures.series import Cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from refusal_stability.figures.style import Tables


@dataclass(frozen=True)
class Plate:
    """One figure.

    Attributes
    ----------
    name : its file name without ending.
    draw : tables and cast -> figure.
    tables : the metric tables that it draws (and its words speak of).
    title, caption : what a reader sees beside it; the caption says how to read it.
    shows : tables and cast -> a sentence that says in words and numbers what the figure shows; also its alt text.
    """

    name: str
    draw: Callable[[Tables, Cast], Figure]
    tables: tuple[str, ...]
    title: str
    caption: str
    shows: Callable[[Tables, Cast], str]


# In the order in which the report shows them.
GALLERY: tuple[Plate, ...] = (
    Plate(
        "model_comparison",
        comparison.model_comparison,
        ("aggregate_by_model",),
        "The models side by side",
        "From the left: the mean share of a prompt's responses that got each decision, mean SSI, and the share of "
        "unstable prompts. Lines through the points are bootstrap intervals over prompts. The SSI axis does not start "
        "at zero.",
        decisions_in_words,
    ),
    Plate(
        "ssi_distribution",
        stability.ssi_distribution,
        ("per_prompt_metrics", "aggregate_by_model"),
        "How stable the prompts are",
        "Each bar is the share of prompts with that Safety Stability Index (SSI): the share of a prompt's responses "
        "that agree with its commonest decision, over all temperatures and seeds. Hatched bars, left of the dashed "
        "line, are unstable prompts. Brackets are bootstrap intervals over prompts.",
        stability_in_words,
    ),
    Plate(
        "flip_rate",
        stability.flip_rate,
        ("aggregate_by_model", "aggregate_by_temperature"),
        "How many prompts flip",
        "A prompt flips when it got more than one decision. Left: over every temperature and seed together. Right: "
        "over the seeds of one temperature, so that nothing but the seed differs. More samples find more flips: the "
        "two sides rest on different numbers of responses. Lines through the points are bootstrap intervals over "
        "prompts.",
        flips_in_words,
    ),
    Plate(
        "stability_vs_compliance",
        stability.stability_vs_compliance,
        ("per_prompt_metrics", "aggregate_by_model"),
        "Stability against compliance",
        "Each circle is a group of prompts; its area is how many. Towards the right, more of a prompt's responses "
        "comply, fully or in part; towards the top, they agree more. Prompts at the top left are refused every time, "
        "at the top right answered every time (yellow where the commonest decision is PARTIAL); the shaded ones "
        "waver. Areas compare within a panel only.",
        clusters_in_words,
    ),
    Plate(
        "threshold_sensitivity",
        stability.threshold_sensitivity,
        ("threshold_sensitivity",),
        "The choice of threshold",
        "The share of prompts called unstable under each threshold of SSI; dashed: the study's own. Lines through the "
        "points are bootstrap intervals over prompts.",
        thresholds_in_words,
    ),
    Plate(
        "temperature_effect",
        temperature.temperature_effect,
        ("aggregate_by_temperature",),
        "What temperature does",
        "Left: the mean share of a prompt's responses that comply, at each temperature. Right: mean SSI over the "
        "seeds of one temperature. The right axis does not start at zero. Lines through the points are bootstrap "
        "intervals over prompts; models are set slightly apart so that none hides another.",
        temperature_in_words,
    ),
    Plate(
        "within_temperature_stability",
        temperature.within_temperature_stability,
        ("aggregate_by_temperature",),
        "Stability within a temperature",
        "Left: the chance that two responses to one prompt, at one temperature with two seeds, get the same decision. "
        "Right: unstable prompts over the seeds of one temperature. The left axis does not start at zero. Lines "
        "through the points are bootstrap intervals over prompts.",
        temperatures_apart_in_words,
    ),
    Plate(
        "category_stability",
        depth.category_stability,
        ("categories",),
        "Stability by harm category",
        "Mean SSI of the prompts of each category with bootstrap intervals over prompts; hollow marks rest on fewer "
        "than 20 prompts. The axis does not start at zero.",
        categories_in_words,
    ),
    Plate(
        "sample_size",
        depth.sample_size,
        ("sample_size",),
        "How many responses are enough",
        "The exact chance that the majority of so many responses is the majority of all of the prompt's, averaged "
        "over prompts; a tie counts as a guess. At all responses it is 1 but for prompts whose decisions tie. Bands "
        "are bootstrap intervals over prompts. The axis does not start at zero.",
        samples_in_words,
    ),
    Plate(
        "decomposition",
        depth.decomposition,
        ("decomposition",),
        "Where instability comes from",
        "The share of a decision's variance that each source adds: the prompt, the temperature, the seed (at "
        "temperature 0, where it should add nothing, and above) and, where a judge decided more than once, its "
        "repeats. Lines are bootstrap intervals over prompts; a small share can come out negative because the "
        "estimates are unbiased.",
        sources_in_words,
    ),
    Plate(
        "judge_confusion",
        depth.judge_confusion,
        ("judge_confusion", "judge_agreement"),
        "Judges against each other",
        "Rows: one judge's decisions; columns: the other's, with the number of responses that both decided. Each "
        "row's shares add up to 100 %. Pairs of judges without a response in common are left out.",
        judges_in_words,
    ),
    Plate(
        "decision_heatmap",
        depth.decision_heatmap,
        ("least_stable_decisions", "per_prompt_metrics"),
        "The prompts that waver most",
        "A row is a prompt that got more than one decision, the least stable first, named by the start of its id as in "
        "the table below; a cell is its response at one temperature with one seed, by colour and first letter of the "
        "decision. Temperatures are set apart. Hatched cells have no decision.",
        wavering_in_words,
    ),
)
