"""The metric tables: which columns each holds, and its key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from refusal_stability.files import METRICS
from refusal_stability.records import DECISIONS
from refusal_stability.tables.columns import COLUMNS
from refusal_stability.tables.contract import Contract
from refusal_stability.tables.csv_files import read_table


def _of_each(pattern: str) -> str:
    """One column for each decision, `{}` being its word."""
    return " ".join(pattern.format(decision.word) for decision in DECISIONS)


PRIMARY = "primary_judge"
# Tables whose figures are estimates of the full grid in a study sampled by rounds: each says so in a column.
ESTIMATED = "estimated"
ESTIMATED_TABLES = (
    *("aggregate_by_model", "aggregate_by_temperature", "aggregate_by_judge", "aggregate_by_harm", "categories"),
    *("aggregate_by_configuration", "threshold_sensitivity", "temperature_pairs", "model_pairs", "interventions"),
    *("per_prompt_metrics", "per_prompt_temperature"),
)
STABILITY_COLUMNS = (
    "n_prompts n_responses n_missing mean_ssi std_ssi mean_ssi_pairwise mean_ssi_entropy mean_ssi_entropy_observed "
    f"pct_unstable pct_flipped {_of_each('mean_{}_rate')}"
)
PROMPT_COLUMNS = (
    f"n n_missing {_of_each('n_{}')} {_of_each('{}_rate:')} ssi ssi_pairwise ssi_entropy "
    "ssi_entropy_observed flip unstable majority majority_tied p_unstable"
)
OUTCOME_COLUMNS = "n_asked n_answered n_cut n_blocked n_refused n_unanswered n_unseeded"
AGGREGATE_COLUMNS = (
    f"{STABILITY_COLUMNS} spearman_ssi_comply_rate pct_unstable_entropy_observed pct_majority_tied "
    "pct_expected_unstable n_steady_refusal n_steady_help n_wavering " + _of_each("prior_{}")
)
SAFETY_COLUMNS = f"n_benign {_of_each('safety_{}_rate')} over_refusal"
TESTED_CHANGES = (
    "mean_difference pct_flipped_difference safety_refuse_rate_difference safety_comply_rate_difference "
    "over_refusal_difference"
)
CHANGE_COLUMNS = (
    "control n_pairs n_benign n_different mean_n_a mean_n_b mean_a mean_b mean_ssi_pairwise_difference "
    + " ".join(f"{name} {name}_p {name}_p_holm" for name in TESTED_CHANGES.split())
    + "".join(f" n_became_{state}{end}" for state in ("stable", "unstable") for end in ("", "_refuse", "_comply"))
)


def _unknown(_: pd.DataFrame) -> str:
    """What a text column holds in a table from before that column was kept."""
    return ""


def _as_seen(_: pd.DataFrame) -> bool:
    """What `estimated` holds in a table from before that column was kept."""
    return False


def _metric_table(name: str, key: str, columns: str) -> tuple[Path, Contract]:
    """A metric table's place and contract; a column written `name:` goes without its interval."""
    kinds: dict[str, str] = {}
    meaning: dict[str, str] = {}
    stated = "" if "judge" in f"{key} {columns}" else PRIMARY
    marked = ESTIMATED if name in ESTIMATED_TABLES else ""
    for word in f"{key} {stated} {columns} {marked}".split():
        column = COLUMNS[word.rstrip(":")]
        kinds[column.name], meaning[column.name] = column.kind, column.meaning
        if column.over and word == column.name:
            for end, side in (("low", "lower"), ("high", "upper")):
                kinds[f"{column.name}_{end}"] = "number"
                meaning[f"{column.name}_{end}"] = (
                    f"{side} end of {column.name}'s bootstrap interval at `metrics.confidence`, "
                    f"resampling {column.over}"
                )
    lacking = [name for name in (PRIMARY, "harm") if name in kinds and name not in key.split()]
    older: dict[str, Callable[[pd.DataFrame], object]] = dict.fromkeys(lacking, _unknown)
    older |= {ESTIMATED: _as_seen} if marked else {}
    return METRICS / f"{name}.csv", Contract(name, kinds, tuple(key.split()), meaning, older, opened_by_people=True)


# name -> (path, contract), in the order in which a reader would want them
METRIC_TABLES: dict[str, tuple[Path, Contract]] = {
    name: _metric_table(name, key, columns)
    for name, key, columns in (
        ("aggregate_by_model", "model intervention", f"{AGGREGATE_COLUMNS} {SAFETY_COLUMNS}"),
        ("aggregate_by_temperature", "model intervention temperature", f"{AGGREGATE_COLUMNS} {SAFETY_COLUMNS}"),
        (
            "aggregate_by_configuration",
            "model intervention temperature seed",
            f"n_responses n_missing {_of_each('{}_rate')} {SAFETY_COLUMNS} agreement n_against_majority n_flips_caused",
        ),
        ("aggregate_by_judge", "model intervention judge temperature", f"{AGGREGATE_COLUMNS} {SAFETY_COLUMNS}"),
        ("aggregate_by_harm", "model intervention harm", AGGREGATE_COLUMNS),
        ("per_prompt_metrics", "model intervention prompt_id", f"category harm {PROMPT_COLUMNS} cluster"),
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
        ("interventions", "model intervention temperature", CHANGE_COLUMNS),
        (
            "intervention_prompts",
            "model intervention temperature prompt_id",
            "control category harm became towards ssi_a ssi_b majority_a majority_b",
        ),
        ("sample_size", "model intervention temperature n_draws", "n_prompts majority_agreement"),
        ("sample_size_least_n", "model intervention temperature target", "least_n least_n_sure n_prompts last_n"),
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
        (
            "tail_forecast",
            "model intervention n_attempts",
            "n_prompts n_ever_comply pct_comply_forecast mean_attempts_forecast pct_comply_plug_in pct_comply_log_log "
            "attempts_ratio far",
        ),
        ("decomposition", "model intervention component", "variance share degrees_of_freedom mean_square"),
        (
            "t0_determinism",
            "model intervention judge",
            "n_all_present n_identical pct_identical n_flipped n_identical_decided n_identical_flipped "
            "pct_identical_flipped",
        ),
        (
            "judge_noise",
            "model intervention judge",
            "n_exchanges n_decisions pct_exchanges_flipped pairwise_disagreement",
        ),
        (
            "intents",
            "model intervention",
            "n_intents n_phrasings pct_intents_split phrasing_disagreement language_disagreement seed_disagreement",
        ),
        ("intent_components", "model intervention component", "intent_variance intent_share"),
        (
            "judge_agreement",
            "model intervention judge_a judge_b",
            "n_both n_prompts raw_agreement cohens_kappa krippendorff_alpha",
        ),
        ("judge_confusion", "model intervention judge_a judge_b label_a label_b", "n_label"),
        ("judge_by_decision", "model intervention judge_a judge_b decision", "support precision recall f1"),
        ("consensus_stability", "model intervention judges", f"n_agreed pct_agreed {STABILITY_COLUMNS}"),
        ("categories", "model intervention category", f"small {STABILITY_COLUMNS}"),
        (
            "category_tests",
            "model intervention category",
            "test n_inside n_outside mean_difference statistic degrees_of_freedom p_value p_from p_holm differs small",
        ),
        ("zero_events", "model intervention event", "n_prompts pct_at_most"),
        ("missing", "model intervention judge missing_reason", "n_missing missing_share"),
        ("missing_by_temperature", "model intervention temperature judge missing_reason", "n_missing missing_share"),
        ("outcomes", "model intervention temperature", OUTCOME_COLUMNS),
        ("outcomes_by_configuration", "model intervention temperature seed", OUTCOME_COLUMNS),
        ("blocks", "model intervention temperature blocks", STABILITY_COLUMNS),
        (
            "thinking_decisions",
            "model intervention thinking_decision answer_decision",
            "n_thinking thinking_share",
        ),
        (
            "adaptive",
            "model intervention",
            "stopping_rule alpha n_samples n_grid pct_saved n_called_stable n_called_unstable n_undecided n_audited",
        ),
        ("adaptive_stops", "model intervention verdict stop_reason", "n_stopped mean_taken"),
        (
            "adaptive_audit",
            "model intervention full_grid",
            "n_in_audit n_called_stable n_called_unstable n_undecided pct_called_wrong wrong_from wrong_to",
        ),
        (
            "adaptive_prompts",
            "model intervention prompt_id",
            "n_spent verdict stop_reason audited p_verdict_unstable",
        ),
        (
            "adaptive_estimates",
            "model intervention estimated_figure temperature",
            "estimate estimate_from estimate_to predicted as_sampled",
        ),
    )
}
INTERVALS_EXPLAINED = (
    "`<name>_low` and `<name>_high` are the ends of the interval of `<name>`, in its unit: percentiles of "
    "`metrics.n_resamples` bootstrap resamples at the confidence `metrics.confidence` of params.yaml (0.95: a 95 % "
    "interval), expanded for few prompts. Whole prompts are resampled, or what else the column says. The "
    "interval says how far the figure could be off for other prompts of the same kind. It is empty where `<name>` is "
    "not defined. Where every prompt shows the same value, a share or mean has the exact bound of what prompts that "
    "were not seen may change, and other figures have an interval without width. A figure that rests on a handful of "
    "prompts (flips of a steady model, prompts that ever comply) is "
    "covered less often than promised: docs/coverage.md measures by how much."
)
NOT_BENIGN = "Benign prompts are left out. A prompt that does not say counts as harmful."
ROUNDS_EXPLAINED = (
    "In a study sampled by rounds (`sampling.adaptive`), prompts have unequal numbers of samples, and a figure of the "
    "samples as they are is biased. Where `estimated` is true, figures are estimates of the full grid, with t "
    "intervals over prompts that hold the uncertainty of the prediction. Numbers without an estimate are empty, and "
    "so are tables without any (docs/adaptive.md). n, n_refuse, n_partial, n_comply, flip and majority stay "
    "those of the samples that were taken."
)
# What a table's columns mean beyond what they mean everywhere.
TABLES_EXPLAINED = {
    "aggregate_by_harm": "On benign prompts mean_refuse_rate is over-refusal. Prompts that do not say are left out.",
    "zero_events": "A row for an event only where it happened to no prompt. `complied` leaves benign prompts out, and "
    "`over-refused` is over benign ones.",
    "outcomes": "A study of labels only has no rows: what became of its responses is not known.",
    "blocks": "A model has rows where a block has a decision (`judging.blocked: refuse`).",
    "thinking_decisions": "A model has rows where thinking was judged on its own (`judging.thinking`, first repeat). "
    "The final answer's decision is the primary judge's. Pairs that do not occur have no row.",
    "binary_scoring": "Where PARTIAL counts as another decision, two are possible and ssi_entropy divides by log2 2.",
    "stability_by_draws": "Every figure is its exact expectation over all ways to draw n_draws of a prompt's "
    "responses, averaged over the prompts that have that many, up to half of them. A smaller study would report this.",
    "sample_size": "Draws are without replacement; a figure is the mean over the prompts with n_draws responses. The "
    "curve ends where fewer than half of the prompts have as many.",
    "sample_size_least_n": "n_prompts is that of the point of the curve that reaches the target, or of its last point.",
    "tail_risk": NOT_BENIGN,
    "tail_risk_draws": f"{NOT_BENIGN} Draws are without replacement; a figure is the mean over the prompts with "
    "n_draws responses, up to half of them.",
    "tail_forecast": f"{NOT_BENIGN} Attempts at all temperatures are pooled. Empty where no prompt complied.",
    "temperature_pairs": "ssi is taken within one temperature, over its seeds.",
    "model_pairs": "ssi is taken over all temperatures and seeds.",
    "interventions": "A row for each intervention but the control. The first side is the control, the second the "
    "intervention. ssi is taken over all temperatures and seeds where temperature is empty, else over the seeds. "
    "n_benign counts pairs. No rows in a study of one intervention.",
    "intervention_prompts": "Only prompts that are stable on one side and unstable on the other.",
    "category_tests": "A category's values are the ssi of its prompts over all temperatures and seeds.",
}


def column_dictionary() -> str:
    """The column dictionary of all metric tables, as Markdown."""
    lines = ["# The metric tables", "", "Written by the `metrics` stage; definitions: docs/method.md.", ""]
    lines += [INTERVALS_EXPLAINED, "", ROUNDS_EXPLAINED, ""]
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
