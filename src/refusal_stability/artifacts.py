"""The file contracts: where each table lies, its columns and keys, a checked read and an atomic write.

Text round-trips exactly: every string is quoted, nothing is read as a missing value, and what a table cannot hold
(a lone surrogate) is an error at the write rather than a changed text.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

from refusal_stability.records import DECISIONS, Condition, StudyError

PROMPTS = Path("data/prompts/prompts.csv")
GENERATIONS = Path("data/generations")
LABELS = Path("data/labels")
METRICS = Path("data/metrics")
STORE = Path("data/store/completions.sqlite")
DOWNLOADS = Path("data/store/downloads")
REFERENCE_MODELS = Path("models/reference")
FIGURES = Path("reports/figures")
TABLES = Path("reports/tables")
REPORT = Path("reports/report.html")
JUDGE_REPORT = Path("reports/judges")
PEOPLE = Path("data/people")
REVIEW_SAMPLE = PEOPLE / "sample.csv"
PEOPLE_LABELS = PEOPLE / "labels.csv"
REVIEW_FORMS = PEOPLE / "forms"
REVIEW_GUIDE = PEOPLE / "README.md"
TRACKED = Path("reports/mlflow.json")
VALIDATION = Path("reports/validation.md")
SUMMARY = METRICS / "summary.json"
PUBLISHED_DATA = Path("data/published")
PUBLISHED_PAGE = Path("reports/published.md")
PUBLISHED_TABLES = Path("reports/published")

KINDS = {"text": "string", "number": "float64", "whole": "int64", "flag": "bool"}


class ArtifactError(StudyError):
    """A file that breaks its contract: names the file, the row or column, and the remedy."""


@dataclass(frozen=True)
class Contract:
    """What a table holds.

    Attributes
    ----------
    name : what the table is called in messages and documents.
    columns : column -> kind, one of `text`, `number` (may be empty: not defined), `whole`, `flag`; in file order.
    key : the columns whose values name a row; no two rows share them.
    meaning : column -> one sentence for the column dictionary.
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    meaning: Mapping[str, str]


PROMPT_TABLE = Contract(
    "prompts",
    {"prompt_id": "text", "prompt": "text", "category": "text", "source": "text"},
    ("prompt_id",),
    {
        "prompt_id": "content hash of the prompt's text (or the id that a table of your own gives it)",
        "prompt": "the request, word for word",
        "category": "harm category; several are joined by `|`",
        "source": "where the prompt comes from",
    },
)

GENERATION_TABLE = Contract(
    "generations",
    {
        "prompt_id": "text",
        "prompt": "text",
        "response": "text",
        "temperature": "number",
        "seed": "whole",
        "model": "text",
        "intervention": "text",
        "finish_reason": "text",
        "missing_reason": "text",
    },
    ("prompt_id",),
    {
        "prompt_id": "the prompt's id",
        "prompt": "the request, word for word",
        "response": "what the model answered, word for word; empty when missing",
        "temperature": "sampling temperature; 0 is greedy",
        "seed": "the study's seed of this repeat",
        "model": "the model's name in params.yaml",
        "intervention": "what preceded the prompt; `none` is the control",
        "finish_reason": "`stop` (the model ended), `length` (cut at max_tokens), empty when missing",
        "missing_reason": "why there is no response; empty when there is one",
    },
)

LABEL_TABLE = Contract(
    "labels",
    {
        "prompt_id": "text",
        "model": "text",
        "intervention": "text",
        "temperature": "number",
        "seed": "whole",
        "judge": "text",
        "repeat": "whole",
        "label": "text",
        "reasoning": "text",
        "missing_reason": "text",
    },
    ("prompt_id", "judge", "repeat"),
    {
        "prompt_id": "the prompt's id",
        "model": "the model's name in params.yaml",
        "intervention": "what preceded the prompt",
        "temperature": "sampling temperature of the response",
        "seed": "the study's seed of the response",
        "judge": "the judge's name in params.yaml",
        "repeat": "which of the judge's repeats, from 0",
        "label": "REFUSE, PARTIAL or COMPLY; empty when missing",
        "reasoning": "the judge's own reasoning, or the rule that decided",
        "missing_reason": "why there is no decision; empty when there is one",
    },
)

SAMPLE_TABLE = Contract(
    "review sample",
    {
        "item_id": "text",
        "prompt_id": "text",
        "prompt": "text",
        "response": "text",
        "stratum": "text",
        "weight": "number",
        "frame": "text",
    },
    ("item_id",),
    {
        "item_id": "content hash of the prompt's id and the response",
        "prompt_id": "the prompt's id",
        "prompt": "the request, word for word",
        "response": "the response, word for word",
        "stratum": "why it was drawn (disagreement, borderline, plain) and the primary judge's decision",
        "weight": "how many different responses of its stratum it stands for",
        "frame": "hash of the responses that the sample was drawn from",
    },
)

PEOPLE_TABLE = Contract(
    "people's labels",
    {"item_id": "text", "reviewer": "text", "label": "text", "note": "text"},
    ("item_id", "reviewer"),
    {
        "item_id": "the item's id in the review sample",
        "reviewer": "who labelled it",
        "label": "REFUSE, PARTIAL or COMPLY",
        "note": "what the reviewer wrote beside it",
    },
)

_INTERVALS = {
    f"{name}{part}": "number"
    for name in ("raw_agreement", "cohens_kappa", "krippendorff_alpha")
    for part in ("", "_low", "_high")
}
_OF_DECISION = {f"{name}{part}": "number" for name in ("precision", "recall", "f1") for part in ("", "_low", "_high")}
_RATERS = {"rater_a": "text", "rater_b": "text", "basis": "text"}
_BASIS = "`all responses` of the study, or `people's sample`, weighted to stand for them"


def _report_table(name: str, key: str, columns: Mapping[str, str], meaning: Mapping[str, str]) -> tuple[Path, Contract]:
    return JUDGE_REPORT / f"{name}.csv", Contract(name, columns, tuple(key.split()), meaning)


JUDGE_REPORT_TABLES: dict[str, tuple[Path, Contract]] = {
    "rater_agreement": _report_table(
        "rater_agreement",
        "rater_a rater_b",
        {**_RATERS, "n_both": "whole", **_INTERVALS},
        {"rater_a": "a judge or person", "rater_b": "another; `all` for the panel as a whole", "basis": _BASIS},
    ),
    "rater_confusion": _report_table(
        "rater_confusion",
        "rater_a rater_b label_a label_b",
        {**_RATERS, "label_a": "text", "label_b": "text", "n_label": "number"},
        {"n_label": "responses with these two decisions", "basis": _BASIS},
    ),
    "rater_by_decision": _report_table(
        "rater_by_decision",
        "rater_a rater_b decision",
        {**_RATERS, "decision": "text", "support": "number", **_OF_DECISION},
        {"decision": "one decision, or `all` for the mean over them", "rater_b": "the reference", "basis": _BASIS},
    ),
    "corrected_rates": _report_table(
        "corrected_rates",
        "model intervention decision",
        {
            "model": "text",
            "intervention": "text",
            "decision": "text",
            "n_responses": "whole",
            "n_labelled": "whole",
            "n_strata": "whole",
            "least_labelled": "whole",
            "raw_rate": "number",
            "corrected_rate": "number",
            "corrected_rate_low": "number",
            "corrected_rate_high": "number",
        },
        {
            "raw_rate": "the primary judge's rate",
            "corrected_rate": "the rate that people would have found (prediction-powered inference)",
            "corrected_rate_low": "95 % interval, from resampling the people's sample within its strata",
            "n_labelled": "labelled items of the people's sample that occur here",
            "n_strata": "kinds of response that the sample is drawn from; each has a label, or no rate is corrected",
            "least_labelled": "labelled items of the kind that has the fewest, in all models together",
        },
    ),
    "disagreements": _report_table(
        "disagreements",
        "rank",
        {
            "rank": "whole",
            "distance": "whole",
            "n_responses": "whole",
            "prompt_id": "text",
            "prompt": "text",
            "response": "text",
            "decisions": "text",
        },
        {
            "distance": "2 where REFUSE stands against COMPLY, 1 otherwise",
            "n_responses": "how often the study has this very response to this prompt",
            "decisions": "each judge's and person's decision",
        },
    ),
}


def generation_file(condition: Condition) -> Path:
    """Where one configuration's responses lie."""
    return GENERATIONS / condition.model / f"{condition.stem}_generations.csv"


def label_file(condition: Condition) -> Path:
    """Where one configuration's labels lie."""
    return LABELS / condition.model / f"{condition.stem}_labels.csv"


# --- metric tables -------------------------------------------------------------------------------------------------
# One word, one meaning: a column means the same in every table that has it. A number marked `interval` here brings
# `<name>_low` and `<name>_high` with it: its bootstrap interval over prompts at `metrics.confidence`.
ALL = "*"

METRIC_COLUMNS: dict[str, tuple[str, str]] = {
    # what a row is about
    "model": ("text", "the model's name in params.yaml; `*` pools all models"),
    "intervention": ("text", "what preceded the prompt; `none` is the control; `*` pools all"),
    "temperature": ("number", "sampling temperature; empty pools all temperatures"),
    "seed": ("whole", "the study's seed"),
    "prompt_id": ("text", "the prompt's id"),
    "category": ("text", "harm category (in per-prompt tables several are joined by `|`); `*` is the test over all"),
    "judge": ("text", "the judge's name in params.yaml"),
    "judge_a": ("text", "the first judge; `*` is the whole panel"),
    "judge_b": ("text", "the second judge; `*` is the whole panel"),
    "judges": ("text", "the judges that had to agree, joined by `+`"),
    "decision": ("text", "REFUSE, PARTIAL or COMPLY; empty where there is none; `*` is the mean over decisions"),
    "label_a": ("text", "the first judge's decision"),
    "label_b": ("text", "the second judge's decision"),
    "missing_reason": ("text", "why there is no decision; `*` is the total"),
    # how many
    "n": ("whole", "responses with a decision, in scope"),
    "n_missing": ("whole", "responses without a decision, in scope"),
    "missing_share": ("number", "n_missing as a share of all responses in scope"),
    "n_prompts": (
        "whole",
        "prompts that the row's figures rest on: those with at least one decision in scope, and in tables by n_draws "
        "with at least n_draws",
    ),
    "n_responses": ("whole", "responses with a decision, in scope"),
    "n_refuse": ("whole", "responses decided REFUSE"),
    "n_partial": ("whole", "responses decided PARTIAL"),
    "n_comply": ("whole", "responses decided COMPLY"),
    # one prompt
    "refuse_rate": ("interval", "share decided REFUSE"),
    "partial_rate": ("interval", "share decided PARTIAL"),
    "comply_rate": ("interval", "share decided COMPLY"),
    "ssi": ("number", "share of the commonest decision, 1/3 to 1"),
    "ssi_pairwise": ("number", "unbiased chance that two fresh samples agree; empty below two decisions"),
    "ssi_entropy": ("number", "1 - entropy of the decisions / log2 of the possible ones: 3, in a binary scoring 2"),
    "ssi_entropy_observed": ("number", "1 - entropy / log2 of the observed classes; only to reproduce an older report"),
    "flip": ("flag", "more than one decision observed"),
    "unstable": ("flag", "ssi below `metrics.threshold`"),
    "majority": ("text", "the commonest decision; on a tie the least safe of the tied; empty without a decision"),
    "majority_tied": ("flag", "the majority was decided by the tie rule"),
    "p_unstable": (
        "number",
        "posterior chance that the prompt's true majority share is below `metrics.threshold`; empty without a decision "
        "or a prior",
    ),
    "cluster": ("text", "`wavering` (unstable), else by majority `steady refusal` or `steady help` (PARTIAL, COMPLY)"),
    # many prompts
    "mean_ssi": ("interval", "mean of ssi over prompts"),
    "std_ssi": ("number", "sample standard deviation of ssi over prompts (n - 1)"),
    "mean_ssi_pairwise": ("interval", "mean of ssi_pairwise over prompts"),
    "mean_ssi_entropy": ("interval", "mean of ssi_entropy over prompts"),
    "mean_ssi_entropy_observed": ("interval", "mean of ssi_entropy_observed over prompts"),
    "pct_unstable": ("interval", "percent of prompts that are unstable"),
    "pct_flipped": ("interval", "percent of prompts with more than one decision"),
    "pct_unstable_entropy_observed": ("number", "percent of prompts with ssi_entropy_observed below the threshold"),
    "pct_majority_tied": ("number", "percent of prompts whose majority was decided by the tie rule"),
    "pct_expected_unstable": ("number", "mean of p_unstable over prompts, in percent"),
    "mean_refuse_rate": ("interval", "mean over prompts of the share decided REFUSE"),
    "mean_partial_rate": ("interval", "mean over prompts of the share decided PARTIAL"),
    "mean_comply_rate": ("interval", "mean over prompts of the share decided COMPLY"),
    "spearman_ssi_comply_rate": ("interval", "Spearman's rho between ssi and comply_rate over prompts"),
    "n_steady_refusal": ("whole", "prompts in the cluster `steady refusal`"),
    "n_steady_help": ("whole", "prompts in the cluster `steady help`"),
    "n_wavering": ("whole", "prompts in the cluster `wavering`"),
    "n_unstable": ("whole", "prompts that are unstable"),
    "n_flipped": ("whole", "prompts with more than one decision; in t0_determinism, more than one at temperature 0"),
    "prior_refuse": (
        "number",
        "the fitted Dirichlet prior's weight on REFUSE, in responses; empty where no prompt has two decisions",
    ),
    "prior_partial": ("number", "the fitted Dirichlet prior's weight on PARTIAL, in responses; empty as prior_refuse"),
    "prior_comply": ("number", "the fitted Dirichlet prior's weight on COMPLY, in responses; empty as prior_refuse"),
    "threshold": ("number", "the threshold below which a prompt is called unstable"),
    "scoring": ("text", "`three_way`, `conservative` (PARTIAL counts as COMPLY) or `lenient` (PARTIAL as REFUSE)"),
    # one configuration
    "agreement": ("interval", "share of this configuration's decisions that are the prompt's majority"),
    "n_against_majority": ("whole", "this configuration's decisions that are not the prompt's majority"),
    "n_flips_caused": ("whole", "prompts that flip only because of this configuration (all the others agree)"),
    # tests
    "n_blocks": (
        "whole",
        "prompts with a decision at every temperature; for model `*`, pairs of a prompt and a model under the "
        "intervention",
    ),
    "n_temperatures": ("whole", "temperatures compared"),
    "statistic": (
        "number",
        "Friedman's or Kruskal-Wallis' chi-square, Wilcoxon's smaller signed-rank sum, or Mann-Whitney's U of the "
        "category's prompts",
    ),
    "test": ("text", "the test's name"),
    "degrees_of_freedom": (
        "number",
        "of the chi-square, or (in decomposition) of the level's mean square; empty where there is neither",
    ),
    "p_value": (
        "number",
        "two-sided p value, not corrected; empty where the test is not defined. Of categories: from the permutation "
        "distribution, and where that is drawn and not enumerated never below 1/10,000",
    ),
    "p_holm": (
        "number",
        "p value after Holm's correction over the family: the pairs of temperatures of a model and intervention; all "
        "pairs of models, or all pairs of interventions; the categories of a model and intervention (row `*`: itself)",
    ),
    "kendalls_w": ("number", "Kendall's W = chi-square / (n_blocks (n_temperatures - 1)), 0 to 1"),
    "independent_blocks": ("flag", "false for pooled rows: a prompt appears once a model, so p_value is too small"),
    "temperature_a": ("number", "the first temperature"),
    "temperature_b": ("number", "the second temperature"),
    "model_a": ("text", "the first side's model"),
    "model_b": ("text", "the second side's model"),
    "intervention_a": ("text", "the first side's intervention"),
    "intervention_b": ("text", "the second side's intervention"),
    "comparison": ("text", "`models` (same intervention) or `interventions` (same model)"),
    "n_pairs": (
        "whole",
        "prompts that both sides decided at least once; for model `*`, pairs of a prompt and a model under the "
        "intervention",
    ),
    "n_different": ("whole", "pairs whose two values differ; only these enter Wilcoxon's test"),
    "mean_n_a": ("number", "mean number of decisions a pair has on the first side"),
    "mean_n_b": ("number", "mean number of decisions a pair has on the second side"),
    "mean_a": ("number", "mean ssi of the first side, over the pairs"),
    "mean_b": ("number", "mean ssi of the second side, over the pairs"),
    "mean_difference": (
        "interval",
        "mean ssi of the second side minus the first's; of inside minus outside for categories",
    ),
    "mean_ssi_pairwise_difference": (
        "interval",
        "mean ssi_pairwise of the second side minus the first's, over the pairs with two decisions or more on either "
        "side: read this where mean_n_a and mean_n_b differ, for then mean_difference and the test make the side with "
        "more decisions look less stable than it is",
    ),
    "pct_flipped_difference": ("interval", "pct_flipped of the second side minus the first, over the pairs"),
    "mean_refuse_rate_difference": ("interval", "mean refuse_rate of the second side minus the first, over the pairs"),
    # samples
    "n_draws": ("whole", "responses drawn without replacement from a prompt's observed ones"),
    "majority_agreement": (
        "interval",
        "exact chance that the draws' majority is the prompt's majority, mean over prompts",
    ),
    "target": ("number", "the majority_agreement that is asked for"),
    "least_n": ("number", "the least n_draws whose majority_agreement reaches the target; empty when none does"),
    "least_n_sure": ("number", "the least n_draws whose whole interval reaches the target; empty when none does"),
    "chance_of_comply": ("interval", "chance of at least one COMPLY in the draws, mean over prompts, exact"),
    "n_ever_comply": ("whole", "prompts with at least one COMPLY in scope"),
    "pct_ever_comply": ("interval", "percent of prompts with at least one COMPLY in scope"),
    "mean_queries": ("interval", "mean of n / n_comply over prompts with any COMPLY: expected queries to the first"),
    "median_queries": ("interval", "median of n / n_comply over prompts with any COMPLY"),
    "mean_queries_exact": ("interval", "mean of (n + 1) / (n_comply + 1): the same when drawing without replacement"),
    "pct_within_5": ("interval", "percent of prompts with any COMPLY whose n / n_comply is at most 5"),
    # sources
    "component": (
        "text",
        "`prompt`, `temperature` in a prompt, `seed` in a temperature (in two parts by the temperatures' share of the "
        "responses: `numerical` from T = 0, `sampling` from above), `judge` repeat in a response, `total`; beside them "
        "`seed at T=...`, the variance between the seeds of one temperature alone, which `seed` is the mean of",
    ),
    "variance": ("interval", "unbiased (nested ANOVA) component of the Gini variance; negative estimates are shown"),
    "share": ("interval", "variance as a share of the total"),
    "mean_square": ("number", "the ANOVA mean square of the component; empty for `numerical`, `sampling` and `total`"),
    "n_all_present": ("whole", "prompts with every temperature-0 response present and decided"),
    "n_identical": ("whole", "of those, prompts whose temperature-0 responses are byte-identical over seeds"),
    "pct_identical": ("interval", "n_identical as percent of n_all_present"),
    "n_identical_flipped": (
        "whole",
        "of the identical ones, prompts with more than one decision all the same: judge noise",
    ),
    "pct_identical_flipped": (
        "interval",
        "n_identical_flipped as percent of n_identical; empty for a judge that decides each distinct pair only once",
    ),
    "n_exchanges": ("whole", "distinct (prompt, response) pairs that one judge really decided more than once"),
    "n_decisions": ("whole", "decisions on those pairs"),
    "pct_exchanges_flipped": ("interval", "percent of those pairs that got more than one decision"),
    "pairwise_disagreement": ("interval", "chance that two decisions of the judge on one identical pair differ"),
    # judges
    "n_both": ("whole", "responses that both judges (for the panel: at least two) decided"),
    "raw_agreement": ("interval", "share of responses decided alike; interval over responses"),
    "cohens_kappa": ("interval", "Cohen's kappa, unweighted; interval over responses; empty for the panel"),
    "krippendorff_alpha": ("interval", "Krippendorff's alpha, nominal, missing allowed; interval over responses"),
    "n_label": ("whole", "responses with this pair of decisions"),
    "support": ("whole", "responses that the second judge gave this decision"),
    "precision": ("interval", "share of the first judge's decisions of this kind that the second shares"),
    "recall": ("interval", "share of the second judge's decisions of this kind that the first shares"),
    "f1": ("interval", "harmonic mean of precision and recall; decision `*` is the mean over decisions (macro-F1)"),
    "n_agreed": ("whole", "responses on which all the judges agree"),
    "pct_agreed": ("number", "n_agreed as percent of the responses that all the judges decided"),
    "small": ("flag", "fewer than 20 prompts with a decision: read its figures as anecdotes"),
    "differs": ("flag", "p_holm below 1 - `metrics.confidence`"),
    "n_inside": ("whole", "prompts of the category with a decision; in row `*`, all that have a category"),
    "n_outside": ("whole", "the other prompts with a decision, those without any category among them; 0 in row `*`"),
}

STABILITY_COLUMNS = (
    "n_prompts n_responses n_missing mean_ssi std_ssi mean_ssi_pairwise mean_ssi_entropy mean_ssi_entropy_observed "
    "pct_unstable pct_flipped mean_refuse_rate mean_partial_rate mean_comply_rate"
)
PROMPT_COLUMNS = (
    "n n_missing n_refuse n_partial n_comply refuse_rate: partial_rate: comply_rate: ssi ssi_pairwise ssi_entropy "
    "ssi_entropy_observed flip unstable majority majority_tied p_unstable"
)
AGGREGATE_COLUMNS = (
    f"{STABILITY_COLUMNS} spearman_ssi_comply_rate pct_unstable_entropy_observed pct_majority_tied "
    "pct_expected_unstable n_steady_refusal n_steady_help n_wavering prior_refuse prior_partial prior_comply"
)


# All other intervals resample prompts.
OVER_RESPONSES = {"raw_agreement", "cohens_kappa", "krippendorff_alpha", "precision", "recall", "f1"}


def _metric_table(name: str, key: str, columns: str) -> tuple[Path, Contract]:
    """A metric table's place and contract; a column written `name:` goes without its interval."""
    kinds: dict[str, str] = {}
    meaning: dict[str, str] = {}
    for word in f"{key} {columns}".split():
        column = word.rstrip(":")
        kind, sentence = METRIC_COLUMNS[column]
        kinds[column], meaning[column] = "number" if kind == "interval" else kind, sentence
        if kind == "interval" and word == column:
            for end, side in (("low", "lower"), ("high", "upper")):
                kinds[f"{column}_{end}"] = "number"
                units = "responses" if column in OVER_RESPONSES else "prompts"
                meaning[f"{column}_{end}"] = (
                    f"{side} end of {column}'s bootstrap interval at `metrics.confidence`, resampling {units}"
                )
    return METRICS / f"{name}.csv", Contract(name, kinds, tuple(key.split()), meaning)


# name -> (path, contract), in the order in which a reader would want them
METRIC_TABLES: dict[str, tuple[Path, Contract]] = {
    name: _metric_table(name, key, columns)
    for name, key, columns in (
        ("aggregate_by_model", "model intervention", AGGREGATE_COLUMNS),
        ("aggregate_by_temperature", "model intervention temperature", AGGREGATE_COLUMNS),
        (
            "aggregate_by_configuration",
            "model intervention temperature seed",
            "n_responses n_missing refuse_rate partial_rate comply_rate agreement n_against_majority n_flips_caused",
        ),
        ("aggregate_by_judge", "model intervention judge temperature", AGGREGATE_COLUMNS),
        ("per_prompt_metrics", "model intervention prompt_id", f"category {PROMPT_COLUMNS} cluster"),
        ("per_prompt_temperature", "model intervention temperature prompt_id", PROMPT_COLUMNS),
        ("least_stable_decisions", "model intervention prompt_id temperature seed", "decision"),
        ("threshold_sensitivity", "model intervention threshold", "n_prompts n_unstable pct_unstable"),
        ("binary_scoring", "model intervention scoring", STABILITY_COLUMNS),
        (
            "temperature_tests",
            "model intervention",
            "test n_blocks n_temperatures statistic degrees_of_freedom p_value kendalls_w independent_blocks",
        ),
        (
            "temperature_pairs",
            "model intervention temperature_a temperature_b",
            "test n_pairs n_different mean_n_a mean_n_b mean_a mean_b mean_difference mean_ssi_pairwise_difference "
            "statistic p_value p_holm independent_blocks",
        ),
        (
            "model_pairs",
            "comparison model_a intervention_a model_b intervention_b",
            "test n_pairs n_different mean_n_a mean_n_b mean_a mean_b mean_difference mean_ssi_pairwise_difference "
            "statistic p_value p_holm pct_flipped_difference mean_refuse_rate_difference",
        ),
        ("sample_size", "model intervention temperature n_draws", "n_prompts majority_agreement"),
        ("sample_size_least_n", "model intervention temperature target", "least_n least_n_sure"),
        (
            "stability_by_draws",
            "model intervention temperature n_draws",
            "n_prompts mean_ssi mean_ssi_pairwise pct_unstable pct_flipped",
        ),
        (
            "tail_risk",
            "model intervention temperature",
            "n_prompts n_ever_comply pct_ever_comply mean_queries median_queries mean_queries_exact pct_within_5",
        ),
        ("tail_risk_draws", "model intervention temperature n_draws", "n_prompts chance_of_comply"),
        ("decomposition", "model intervention component", "variance share degrees_of_freedom mean_square"),
        (
            "t0_determinism",
            "model intervention judge",
            "n_all_present n_identical pct_identical n_flipped n_identical_flipped pct_identical_flipped",
        ),
        (
            "judge_noise",
            "model intervention judge",
            "n_exchanges n_decisions pct_exchanges_flipped pairwise_disagreement",
        ),
        (
            "judge_agreement",
            "model intervention judge_a judge_b",
            "n_both raw_agreement cohens_kappa krippendorff_alpha",
        ),
        ("judge_confusion", "model intervention judge_a judge_b label_a label_b", "n_label"),
        ("judge_by_decision", "model intervention judge_a judge_b decision", "support precision recall f1"),
        ("consensus_stability", "model intervention judges", f"n_agreed pct_agreed {STABILITY_COLUMNS}"),
        ("categories", "model intervention category", f"small {STABILITY_COLUMNS}"),
        (
            "category_tests",
            "model intervention category",
            "test n_inside n_outside mean_difference statistic degrees_of_freedom p_value p_holm differs small",
        ),
        ("missing", "model intervention judge missing_reason", "n_missing missing_share"),
    )
}
METRICS_README = METRICS / "README.md"

INTERVALS_EXPLAINED = (
    "`<name>_low` and `<name>_high` are the ends of the interval of `<name>`: percentiles of `metrics.n_resamples` "
    "bootstrap resamples of whole prompts (of responses where the column says so), at the confidence "
    "`metrics.confidence` of params.yaml (0.95: a 95 % interval), expanded for few prompts. It says how far the figure "
    "could lie for other prompts of the same kind, and is in the unit of `<name>`. It is empty where `<name>` is not "
    "defined, and has no width where every prompt shows the same value or only one prompt counts: nothing is then "
    "known of the spread. What rests on a handful of prompts that differ from all the others (flips of a steady model, "
    "prompts that ever comply) is held less often than promised: docs/coverage.md measures by how much."
)
# What a table's columns mean beyond what they mean everywhere.
TABLES_EXPLAINED = {
    "binary_scoring": "Where PARTIAL counts as another decision two are possible, so ssi_entropy divides by log2 2.",
    "stability_by_draws": "Every figure is its exact expectation over all ways to draw n_draws of a prompt's "
    "responses, mean over the prompts that have so many: what a smaller study of the same prompts would have reported.",
    "sample_size": "Draws are without replacement; a figure is the mean over the prompts with n_draws responses.",
    "tail_risk_draws": "Draws are without replacement; a figure is the mean over the prompts with n_draws responses.",
    "temperature_pairs": "ssi is taken within one temperature, over its seeds.",
    "model_pairs": "ssi is taken over all temperatures and seeds.",
    "category_tests": "A category's values are the ssi of its prompts over all temperatures and seeds.",
}


def column_dictionary() -> str:
    """The column dictionary of all metric tables, as Markdown."""
    lines = ["# The metric tables", "", "Written by the `metrics` stage; definitions: docs/method.md.", ""]
    lines += [INTERVALS_EXPLAINED, ""]
    for path, contract in METRIC_TABLES.values():
        about = [f"A row for each {', '.join(contract.key)}.", TABLES_EXPLAINED.get(contract.name, "")]
        lines += [f"## {path.name}", "", " ".join(about).strip(), ""]
        lines += ["| column | kind | meaning |", "|---|---|---|"]
        lines += [f"| `{name}` | {kind} | {contract.meaning[name]} |" for name, kind in contract.columns.items()]
        lines.append("")
    return "\n".join(lines)


def metric_table(name: str) -> pd.DataFrame:
    """One of the metric tables, checked."""
    path, contract = METRIC_TABLES[name]
    return read_table(path, contract)


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` that takes its place only when all was written.

    A failed write (a full disk, a kill) leaves whatever stood at `path` before, and no temporary file where that can
    be helped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "b" not in mode
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, mode, encoding="utf-8" if text else None, newline="" if text else None) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ArtifactError(
            f"{path}: could not be written ({error.strerror or error}); free some space or check the folder's "
            "permissions, then run the same command again"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_table(table: pd.DataFrame, path: Path, contract: Contract) -> None:
    """Write a table in its contract's column order; raises `ArtifactError` where it breaks the contract."""
    import pyarrow as pa
    import pyarrow.csv

    checked = _checked(table, str(path), contract)
    try:
        arrow = pa.Table.from_pandas(checked, preserve_index=False)
    except (UnicodeEncodeError, pa.ArrowInvalid) as error:
        raise ArtifactError(f"{path}: a text cannot be written as UTF-8: {error}") from error
    with atomic_write(path, "wb") as file:
        pyarrow.csv.write_csv(arrow, file)


def read_table(path: Path, contract: Contract) -> pd.DataFrame:
    """Read a table and hold it to its contract: columns, kinds, unique keys.

    Raises
    ------
    ArtifactError
        Naming the file, the first row or column at fault, and the remedy.
    """
    import pyarrow as pa
    import pyarrow.csv

    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; run the stage that writes it (`dvc repro`)")
    # All as text first: a value of the wrong kind is then named with its row instead of failing inside the parser.
    options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(contract.columns, pa.string()), strings_can_be_null=False
    )
    try:
        raw = pyarrow.csv.read_csv(
            path, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True), convert_options=options
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: not a readable {contract.name} table: {error}") from error
    return _checked(raw.to_pandas(), str(path), contract)


def _checked(table: pd.DataFrame, where: str, contract: Contract) -> pd.DataFrame:
    missing = [c for c in contract.columns if c not in table.columns]
    unknown = [c for c in table.columns if c not in contract.columns]
    if missing or unknown:
        found = ", ".join(map(str, table.columns))
        problem = "; ".join(
            ([f"missing column {', '.join(missing)}"] if missing else [])
            + ([f"unknown column {', '.join(map(str, unknown))}"] if unknown else [])
        )
        raise ArtifactError(
            f"{where}: {problem}; found {found}; a {contract.name} table has {', '.join(contract.columns)}"
        )
    typed = pd.DataFrame(
        {name: _as_kind(table[name], kind, where, name) for name, kind in contract.columns.items()}, copy=False
    )
    if contract.key:
        repeated = typed.duplicated(list(contract.key), keep=False)
        if repeated.any():
            first = typed.loc[repeated.to_numpy(), list(contract.key)].iloc[0]
            same = (typed[list(contract.key)] == first).all(axis=1).to_numpy()
            rows = [int(i) + 2 for i in same.nonzero()[0][:5]]
            name = ", ".join(f"{k} {v}" for k, v in first.items())
            raise ArtifactError(f"{where}: rows {rows} share the key {name}; each {contract.name} row must be unique")
    return typed


def _as_kind(column: pd.Series[Any], kind: str, where: str, name: str) -> pd.Series[Any]:
    if kind == "text":
        return column.astype(object)
    text = column if column.dtype == object else None
    if kind == "flag":
        if text is None:
            return column.astype(bool)
        bad = ~text.isin(["true", "false", True, False])
        values: pd.Series[Any] = text.isin(["true", True])
    else:
        values = pd.to_numeric(column if text is None else text.replace("", None), errors="coerce")
        absent = values.isna()
        bad = absent & (column.notna() if text is None else ~text.isin(["", None]) & text.notna())
        if kind == "whole":
            bad = bad | absent | (values % 1 != 0)
    if bad.any():
        row = int(bad.to_numpy().argmax())
        noun = "whole number" if kind == "whole" else kind
        raise ArtifactError(f"{where}: row {row + 2}, column {name}: {column.iloc[row]!r} is not a {noun}")
    dtype: Any = KINDS[kind]
    typed: pd.Series[Any] = values.astype(dtype)
    return typed


def check_labels(table: pd.DataFrame, where: str) -> None:
    """Raise unless every row has a decision or a reason why there is none, and never both."""
    known = table["label"].isin([d.value for d in DECISIONS])
    bad = ~(known & (table["missing_reason"] == "")) & ~((table["label"] == "") & (table["missing_reason"] != ""))
    if bad.any():
        row = int(bad.to_numpy().argmax())
        values = table.iloc[row]
        raise ArtifactError(
            f"{where}: row {row + 2}: label {values['label']!r} with missing_reason {values['missing_reason']!r}; "
            f"allowed: {', '.join(map(str, DECISIONS))} and no reason, or an empty label and a reason"
        )


def write_json(value: Any, path: Path) -> None:
    """Write JSON for people: indented, keys in the given order, no NaN."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a broken one names itself."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file; run the stage that writes it (`dvc repro`)") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: not readable as JSON: {error}") from error


def write_files(folder: Path, names: Sequence[str], write: Callable[[Path], None]) -> None:
    """Write each named file of a folder through `write`, then remove what else lies there (files of an older study)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write(folder / name)
    for stray in folder.iterdir():
        if stray.is_file() and stray.name not in names and stray.name != ".gitignore":
            stray.unlink()
