"""What each metric column means, described once."""

from __future__ import annotations

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
# All other intervals resample prompts.
OVER_RESPONSES = {"raw_agreement", "cohens_kappa", "krippendorff_alpha", "precision", "recall", "f1"}
