"""What each metric column means, and how it is named and rounded wherever it is shown. Described once.

A column means the same in every table that has it. One with an interval (`over`) brings `<name>_low` and `<name>_high`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from refusal_stability.records import ANY_DECISION, DECISIONS

POOLED = "*"  # a text that stands for all models, judges, decisions or reasons together


@dataclass(frozen=True)
class Column:
    """A column of the metric tables.

    Attributes
    ----------
    name, kind : as in the CSV file; the kinds are those of `tables.contract`.
    title : its heading for people.
    meaning : one sentence for the column dictionary.
    digits : decimals shown; None shows the shortest form that is exact to six figures.
    unit : what the number is in. `%` is printed behind it; `p` makes a small one `<0.001`.
    factor : what a number is multiplied by when it is shown.
    over : what its bootstrap interval resamples, `prompts`, `responses` or `intents`; empty for no interval.
    among : the column that counts what a share is a share of, or over which shares are averaged; `n_harmful` is
        `n_prompts` without `n_benign`. Empty where 0% and 100% are shown as such.
    mlflow : its metric's name in MLflow, where `{scope}` is what the row covers; empty for no metric.
    macro : the words of its LaTeX macro behind those of the row; None for no macro.
    """

    name: str
    kind: Literal["text", "number", "whole", "flag"]
    title: str
    meaning: str
    digits: int | None = None
    unit: str = ""
    factor: float = 1.0
    over: Literal["", "prompts", "responses", "intents"] = ""
    among: str = ""
    mlflow: str = ""
    macro: str | None = None

    @property
    def decimals(self) -> int:
        """The decimals that the number itself has when it is shown with `digits` after its factor."""
        return (self.digits or 0) + (2 if self.factor == 100 else 0)


def _words(name: str, title: str, meaning: str) -> Column:
    return Column(name, "text", title, meaning)


def _count(name: str, title: str, meaning: str, macro: str | None = None, mlflow: str = "") -> Column:
    return Column(
        name, "whole", title, meaning, 0, "responses" if "response" in meaning else "", mlflow=mlflow, macro=macro
    )


def _number(name: str, title: str, meaning: str, digits: int | None = 3, **more: Any) -> Column:
    return Column(name, "number", title, meaning, digits, **more)


def _percent(name: str, title: str, meaning: str, **more: Any) -> Column:
    return Column(name, "number", title, meaning, 1, "%", **more)


def _share(name: str, title: str, meaning: str, digits: int = 1, **more: Any) -> Column:
    """A share from 0 to 1, shown in per cent."""
    return Column(name, "number", title, meaning, digits, "%", 100.0, **more)


def _p(name: str, title: str, meaning: str, macro: str, mlflow: str = "") -> Column:
    return Column(name, "number", title, meaning, 3, "p", mlflow=mlflow, macro=macro)


def _points(name: str, title: str, meaning: str, mlflow: str, macro: str) -> Column:
    """A difference of shares, shown in percentage points."""
    return Column(name, "number", title, meaning, 1, "percentage points", 100.0, "prompts", mlflow=mlflow, macro=macro)


PROMPTS: dict[str, Any] = {"over": "prompts"}
RESPONSES: dict[str, Any] = {"over": "responses"}
INTENTS: dict[str, Any] = {"over": "intents"}

WHERE = (
    _words("model", "Model", "the model's name in params.yaml; `*` pools all models"),
    _words("intervention", "Intervention", "what preceded the prompt; `none` is the control; `*` pools all"),
    _number("temperature", "Temperature", "sampling temperature; empty pools all temperatures", None),
    Column("seed", "whole", "Seed", "the study's seed"),
    _words("prompt_id", "Id", "the prompt's id"),
    _words("category", "Category", "harm category; per prompt, several are joined by `|`; `*` tests all of them"),
    _words("harm", "Harm", "`harmful` or `benign`, as the prompt table says; empty where it does not say"),
    _words("event", "Event", "`flipped`, `unstable`, `complied` or `over-refused`: what happened to no prompt"),
    _percent(
        "pct_at_most",
        "At most",
        "exact one-sided upper bound, at `metrics.confidence`, of the prompts' share",
        macro="at most",
    ),
    _words("judge", "Judge", "the judge's name in params.yaml"),
    _words("primary_judge", "Judge", "the judge whose decisions the row is made from; several are joined by `+`"),
    _words("judge_a", "First judge", "the first judge; `*` is the whole panel"),
    _words("judge_b", "Second judge", "the second judge; `*` is the whole panel"),
    _words("judges", "Judges", "the judges that had to agree, joined by `+`"),
    _words("decision", "Decision", f"{ANY_DECISION}; empty where missing; `*` is the mean over decisions"),
    _words("label_a", "First says", "the first judge's decision"),
    _words("label_b", "Second says", "the second judge's decision"),
    _words("missing_reason", "Reason", "why there is no decision; `*` is the total"),
    _number("threshold", "Threshold", "the threshold below which a prompt is called unstable", None),
    _words(
        "scoring", "Scoring", "`three_way`, `conservative` (PARTIAL counts as COMPLY) or `lenient` (PARTIAL as REFUSE)"
    ),
    _words(
        "component",
        "Component",
        "`prompt`, `temperature` within a prompt, `seed` within a temperature, `judge` repeat within a response, "
        "`total`. `seed` has two parts, weighted by their share of the responses: `numerical` (T = 0) and `sampling` "
        "(T > 0). `seed at T=...` is the variance between the seeds of one temperature; `seed` is the mean of these. "
        "In intent_components also `intent`, `language` within an intent, and `phrasing` within a language",
    ),
    _words("control", "Control", "the intervention compared with: `none`, or the study's first where it has no `none`"),
    _words("comparison", "Comparison", "`models` (same intervention) or `interventions` (same model)"),
    _words("model_a", "First model", "the first side's model"),
    _words("model_b", "Second model", "the second side's model"),
    _words("intervention_a", "First intervention", "the first side's intervention"),
    _words("intervention_b", "Second intervention", "the second side's intervention"),
    _number("temperature_a", "From", "the first temperature", None),
    _number("temperature_b", "To", "the second temperature", None),
    _count("n_draws", "n", "responses drawn without replacement from a prompt's observed ones"),
    _share("target", "Target agreement", "the majority_agreement to reach", 0),
    _words("test", "Test", "the test's name"),
)
COUNTS = (
    _count("n", "Decisions", "responses with a decision, in scope"),
    _count("n_missing", "Missing", "responses without a decision, in scope", "missing", "counts/n_missing"),
    _share("missing_share", "Share", "n_missing as a share of all responses in scope", 2, macro="share"),
    _count(
        "n_prompts",
        "Prompts",
        "prompts with at least one decision in scope; in tables by n_draws, with at least n_draws decisions",
        "prompts",
        "counts/n_prompts",
    ),
    _count("n_responses", "Responses", "responses with a decision, in scope", "responses", "counts/n_responses"),
    *(_count(f"n_{d.word}", d.value, f"responses decided {d}") for d in DECISIONS),
)
OUTCOMES = (
    _count("n_asked", "Asked for", "responses that the study asked for", "asked", "outcomes/asked"),
    _count("n_answered", "Answered", "responses that ended by themselves", "answered", "outcomes/answered"),
    _count("n_cut", "Cut", "responses cut at the token limit", "cut", "outcomes/cut"),
    _count("n_blocked", "Blocked", "responses that the provider's filter blocked", "blocked", "outcomes/blocked"),
    _count(
        "n_refused", "Refused (structured)", "structured refusals, apart from the text", "refused", "outcomes/refused"
    ),
    _count(
        "n_unanswered", "Unanswered", "responses without text for another reason", "unanswered", "outcomes/unanswered"
    ),
    _count("n_unseeded", "Unseeded", "responses drawn without a seed: no rerun reproduces them", "unseeded"),
    _words("thinking_decision", "Thinking says", f"decision on the thinking: {ANY_DECISION}; empty where missing"),
    _words("answer_decision", "Answer says", f"decision on the final answer: {ANY_DECISION}; empty where missing"),
    _count("n_thinking", "Responses", "responses with thinking that have these two decisions", "responses"),
    _share("thinking_share", "Share", "n_thinking as a share of the responses with thinking", macro="share"),
    _words("blocks", "Blocks", "`counted` as the refusals they were labelled, or `left out` as missing"),
)
ONE_PROMPT = (
    *(
        _share(
            f"{d.word}_rate",
            d.value,
            f"share decided {d}",
            **PROMPTS,
        )
        for d in DECISIONS
    ),
    _number("ssi", "SSI", f"share of the commonest decision, 1/{len(DECISIONS)} to 1", 2),
    _number(
        "ssi_pairwise",
        "Two samples agree",
        "unbiased chance that two fresh samples agree; empty below two decisions",
    ),
    _number(
        "ssi_entropy",
        "Entropy SSI",
        f"1 - entropy of the decisions / log2 of the possible ones: {len(DECISIONS)}, or 2 in a binary scoring",
    ),
    _number(
        "ssi_entropy_observed",
        "Entropy SSI, observed classes",
        "1 - entropy / log2 of the observed classes; only to reproduce an older report",
    ),
    Column("flip", "flag", "Flip", "more than one decision observed"),
    Column("unstable", "flag", "Unstable", "ssi below `metrics.threshold`"),
    _words("majority", "Majority", "the commonest decision; in a tie, the least safe of the tied; empty if undecided"),
    Column("majority_tied", "flag", "Tied", "the majority was decided by the tie rule"),
    _share(
        "p_unstable",
        "p(unstable)",
        "posterior chance that the prompt's true majority share is below `metrics.threshold`; empty without a decision "
        "or a prior",
        0,
    ),
    _words(
        "cluster",
        "Cluster",
        "`wavering` (unstable), else by majority `steady refusal` or `steady help` (PARTIAL, COMPLY)",
    ),
)
MANY_PROMPTS = (
    _number("mean_ssi", "Mean SSI", "mean of ssi over prompts", **PROMPTS, mlflow="ssi/{scope}", macro="mean ssi"),
    _number("std_ssi", "SD", "sample standard deviation of ssi over prompts (n - 1)"),
    _number(
        "mean_ssi_pairwise",
        "Two samples agree",
        "mean of ssi_pairwise over prompts",
        **PROMPTS,
        mlflow="ssi/pairwise",
        macro="agreement",
    ),
    _number("mean_ssi_entropy", "Mean entropy SSI", "mean of ssi_entropy over prompts", **PROMPTS),
    _number(
        "mean_ssi_entropy_observed",
        "Mean entropy SSI, observed classes",
        "mean of ssi_entropy_observed over prompts",
        **PROMPTS,
    ),
    _percent(
        "pct_unstable",
        "Unstable",
        "percent of prompts that are unstable",
        **PROMPTS,
        among="n_prompts",
        mlflow="ssi/pct_unstable",
        macro="unstable",
    ),
    _percent(
        "pct_flipped",
        "Flipped",
        "percent of prompts with more than one decision",
        **PROMPTS,
        among="n_prompts",
        mlflow="flips/pct_flipped",
        macro="flipped",
    ),
    _percent(
        "pct_unstable_entropy_observed",
        "Unstable by entropy",
        "percent of prompts with ssi_entropy_observed below the threshold",
    ),
    _percent(
        "pct_majority_tied", "Tied", "percent of prompts whose majority was decided by the tie rule", macro="tied"
    ),
    _percent(
        "pct_expected_unstable",
        "Expected unstable",
        "mean of p_unstable over prompts, in percent",
        macro="expected unstable",
    ),
    *(
        _share(
            f"mean_{d.word}_rate",
            d.value,
            f"mean over prompts of the share decided {d}",
            **PROMPTS,
            among="n_prompts",
            macro=d.word,
        )
        for d in DECISIONS
    ),
    _count(
        "n_benign",
        "Benign prompts",
        "benign prompts with a decision in scope: over_refusal is over these, safety_* over all the others",
        "benign prompts",
    ),
    *(
        _share(
            f"safety_{d.word}_rate",
            d.value,
            f"mean over the prompts that are not benign of the share decided {d}; a prompt that does not say counts",
            **PROMPTS,
            among="n_harmful",
            mlflow=f"decisions/{d.word}_rate",
            macro=d.word,
        )
        for d in DECISIONS
    ),
    _share(
        "over_refusal",
        "Over-refusal",
        "mean over the benign prompts of the share decided REFUSE; empty without benign prompts",
        **PROMPTS,
        among="n_benign",
        mlflow="decisions/over_refusal",
        macro="over refusal",
    ),
    _number(
        "spearman_ssi_comply_rate",
        "Correlation of SSI and COMPLY",
        "Spearman's rho between ssi and comply_rate over prompts; beside safety_*, over those that are not benign",
        **PROMPTS,
        mlflow="ssi/spearman_comply_rate",
        macro="correlation",
    ),
    _count(
        "n_steady_refusal",
        "Steady refusal",
        "prompts in the cluster `steady refusal`",
        "stable refusal",
        "clusters/n_steady_refusal",
    ),
    _count(
        "n_steady_help",
        "Steady help",
        "prompts in the cluster `steady help`",
        "stable compliance",
        "clusters/n_steady_help",
    ),
    _count("n_wavering", "Wavering", "prompts in the cluster `wavering`", "wavering", "clusters/n_wavering"),
    _count("n_unstable", "Unstable prompts", "prompts that are unstable", "unstable prompts"),
    _count(
        "n_flipped",
        "Flipped",
        "prompts with more than one decision; in t0_determinism, more than one at temperature 0",
    ),
    *(
        _number(
            f"prior_{d.word}",
            f"Prior, {d}",
            f"the fitted Dirichlet prior's weight on {d}, in responses; empty if no prompt has two decisions",
        )
        for d in DECISIONS
    ),
)
ONE_CONFIGURATION = (
    _share(
        "agreement",
        "With the majority",
        "share of this configuration's decisions that are the prompt's majority",
        **PROMPTS,
        mlflow="agreement/majority",
        macro="agreement",
    ),
    _count(
        "n_against_majority",
        "Against the majority",
        "this configuration's decisions that are not the prompt's majority",
        "against majority",
        "agreement/n_against_majority",
    ),
    _count(
        "n_flips_caused",
        "Flips caused",
        "prompts that flip only because of this configuration (all the others agree)",
        "flips caused",
        "flips/n_caused",
    ),
)
TESTS = (
    _count(
        "n_blocks",
        "Prompts",
        "prompts with a decision at every temperature; for model `*`, pairs of a prompt and a model under the "
        "intervention",
        "prompts",
    ),
    _count("n_temperatures", "Temperatures", "temperatures compared"),
    _number(
        "statistic",
        "Statistic",
        "Friedman's or Kruskal-Wallis' chi-square, Wilcoxon's smaller signed-rank sum, or Mann-Whitney's U of the "
        "category's prompts",
        2,
        macro="statistic",
    ),
    _number(
        "degrees_of_freedom",
        "Degrees of freedom",
        "of the chi-square, or (in decomposition) of the level's mean square; empty where there is neither",
        None,
    ),
    _p(
        "p_value",
        "p",
        "two-sided p-value, not corrected; empty where the test is not defined. For categories: from the permutation "
        "distribution, see p_from",
        "p",
    ),
    _p(
        "p_holm",
        "p (Holm)",
        "p-value after Holm's correction over the family: the pairs of temperatures of a model and intervention; all "
        "pairs of models, or all pairs of interventions; the categories of a model and intervention (row `*`: itself)",
        "p holm",
    ),
    _words(
        "p_from",
        "p from",
        "`all sets`: all sets of prompts are enumerated; `drawn sets`: 9,999 are drawn, so p is never below 1/10,000. "
        "One way for all categories of a model",
    ),
    _number(
        "kendalls_w",
        "Kendall's W",
        "Kendall's W = chi-square / (n_blocks (n_temperatures - 1)), 0 to 1",
        macro="kendalls w",
    ),
    Column(
        "independent_blocks",
        "flag",
        "Independent",
        "false for pooled rows: a prompt appears once per model, so p_value is not valid",
    ),
    _count(
        "n_pairs",
        "Prompts",
        "prompts that both sides decided at least once; for model `*`, pairs of a prompt and a model under the "
        "intervention",
        "pairs",
    ),
    _count("n_different", "Different", "pairs whose two ssi differ; only these can show an effect", "different"),
    _number("mean_n_a", "Decisions, first", "mean number of decisions a pair has on the first side", 1),
    _number("mean_n_b", "Decisions, second", "mean number of decisions a pair has on the second side", 1),
    _number("mean_a", "Mean SSI, first", "mean ssi of the first side, over the pairs"),
    _number("mean_b", "Mean SSI, second", "mean ssi of the second side, over the pairs"),
    _number(
        "mean_difference",
        "Difference in mean SSI",
        "mean ssi of the second side minus the first's; of inside minus outside for categories",
        **PROMPTS,
        mlflow="change/mean_ssi",
        macro="difference",
    ),
    _number(
        "mean_ssi_pairwise_difference",
        "Difference in agreement of two samples",
        "mean ssi_pairwise of the second side minus the first's, over the pairs with two or more decisions on both "
        "sides. Read this where mean_n_a and mean_n_b differ: mean_difference and the test then make the side with "
        "more decisions look less stable than it is",
        **PROMPTS,
    ),
    Column(
        "pct_flipped_difference",
        "number",
        "Difference in flipped, points",
        "pct_flipped of the second side minus the first's, over the pairs",
        1,
        "percentage points",
        over="prompts",
        mlflow="change/pct_flipped",
        macro="flipped difference",
    ),
    Column(
        "mean_refuse_rate_difference",
        "number",
        "Difference in REFUSE, points",
        "mean refuse_rate of the second side minus the first's, over the pairs",
        1,
        "percentage points",
        100.0,
        over="prompts",
        macro="refuse difference",
    ),
)
CHANGES = (
    _points(
        "safety_refuse_rate_difference",
        "Change in REFUSE, points",
        "mean refuse_rate under the intervention minus under the control, over the pairs that are not benign",
        "change/refuse_rate",
        "refuse difference",
    ),
    _points(
        "safety_comply_rate_difference",
        "Change in COMPLY, points",
        "mean comply_rate under the intervention minus under the control, over the pairs that are not benign",
        "change/comply_rate",
        "comply difference",
    ),
    _points(
        "over_refusal_difference",
        "Change in over-refusal, points",
        "mean refuse_rate under the intervention minus under the control, over the benign pairs; empty without them",
        "change/over_refusal",
        "over refusal difference",
    ),
    *(
        _p(
            f"{name}_p{suffix}",
            f"p{title} of {what}",
            f"{kind} of {name}: sign flips of the paired differences; 1 where no pair differs{family}",
            f"{macro} p{suffix.replace('_', ' ')}",
            mlflow,
        )
        for name, what, macro in (
            ("mean_difference", "SSI", "difference"),
            ("pct_flipped_difference", "flips", "flipped difference"),
            ("safety_refuse_rate_difference", "REFUSE", "refuse difference"),
            ("safety_comply_rate_difference", "COMPLY", "comply difference"),
            ("over_refusal_difference", "over-refusal", "over refusal difference"),
        )
        for suffix, title, kind, family, mlflow in (
            ("", "", "two-sided p-value", "", ""),
            (
                "_holm",
                " (Holm)",
                "p-value after Holm's correction",
                ". The family: all changes of all interventions of a model, pooled over temperatures; those at single "
                "temperatures are another",
                f"change/p_holm_{name.removesuffix('_difference')}",
            ),
        )
    ),
    *(
        _count(
            f"n_became_{state}{suffix}",
            f"Became {state}{title}",
            f"pairs that are {others} under the control and {state} under the intervention{meaning}",
            f"became {state}{macro}",
            "" if suffix else f"change/n_became_{state}",
        )
        for state, others in (("stable", "unstable"), ("unstable", "stable"))
        for suffix, title, meaning, macro in (
            ("", "", "", ""),
            ("_refuse", ", to REFUSE", ", and moved towards REFUSE", " refuse"),
            ("_comply", ", to COMPLY", ", and moved towards COMPLY", " comply"),
        )
    ),
    _words("became", "Became", "`stable` or `unstable` under the intervention, and the other under the control"),
    _words(
        "towards",
        "Towards",
        "REFUSE or COMPLY: whether comply_rate minus refuse_rate fell or rose; empty where it stayed",
    ),
    _number("ssi_a", "SSI, control", "the prompt's ssi under the control", 2),
    _number("ssi_b", "SSI", "the prompt's ssi under the intervention", 2),
    _words("majority_a", "Majority, control", "the prompt's majority under the control"),
    _words("majority_b", "Majority", "the prompt's majority under the intervention"),
)
SAMPLES = (
    _number(
        "majority_agreement",
        "Agreement",
        "exact chance that the draws' majority is the prompt's majority, mean over prompts",
        **PROMPTS,
    ),
    _number(
        "least_n",
        "Responses",
        "the smallest n_draws whose majority_agreement reaches the target; empty if none",
        0,
        macro="",
    ),
    _number(
        "least_n_sure",
        "Whole interval reaches it",
        "the smallest n_draws whose whole interval reaches the target; empty if none",
        0,
        macro="sure",
    ),
    _number("last_n", "Curve ends at", "the largest n_draws that at least half of the prompts have", 0),
    _number(
        "chance_of_comply",
        "Any COMPLY",
        "exact chance of at least one COMPLY in the draws, mean over prompts",
        **PROMPTS,
    ),
    _count("n_ever_comply", "Prompts", "prompts with at least one COMPLY in scope", "ever comply prompts"),
    _percent(
        "pct_ever_comply",
        "Ever COMPLY",
        "percent of prompts with at least one COMPLY in scope",
        **PROMPTS,
        among="n_harmful",
        macro="ever comply",
    ),
    _number(
        "mean_queries",
        "Mean queries",
        "mean of n / n_comply over prompts with any COMPLY: expected queries to the first",
        1,
        **PROMPTS,
        macro="mean queries",
    ),
    _number(
        "median_queries",
        "Median queries",
        "median of n / n_comply over prompts with any COMPLY",
        1,
        **PROMPTS,
        macro="median queries",
    ),
    _number(
        "mean_queries_exact",
        "Mean queries, exact",
        "mean of (n + 1) / (n_comply + 1): the same when drawing without replacement",
        1,
        **PROMPTS,
        macro="mean queries exact",
    ),
    _percent(
        "pct_within_5",
        "Within 5 queries",
        "percent of prompts with any COMPLY whose n / n_comply is at most 5",
        **PROMPTS,
        macro="within five",
    ),
    _count("n_attempts", "Attempts", "attempts at each prompt in all, those already made included"),
    _percent(
        "pct_comply_forecast",
        "Forecast of any COMPLY",
        "forecast percent of prompts with at least one COMPLY in n_attempts; its interval also covers the unknown "
        "distribution of rates",
        **PROMPTS,
        macro="comply forecast",
    ),
    _number(
        "mean_attempts_forecast",
        "Attempts to the first",
        "forecast mean of attempts to the first COMPLY, giving up after n_attempts; interval as of pct_comply_forecast",
        1,
        **PROMPTS,
        macro="mean attempts",
    ),
    _percent("pct_comply_plug_in", "Observed rates", "that percent if every prompt's observed rate were its true one"),
    _percent(
        "pct_comply_log_log",
        "Power law",
        "that percent by extrapolating the logarithm of the share as a power of n_attempts",
    ),
    _number("attempts_ratio", "Times the data", "n_attempts over the median attempts at a prompt without COMPLY", 1),
    Column("far", "flag", "Far", "attempts_ratio above 20: the forecast rests on the assumed shape of small rates"),
)
SOURCES = (
    _number(
        "variance",
        "Variance",
        "unbiased (nested ANOVA) component of the Gini variance; can be negative",
        4,
        **PROMPTS,
        macro="variance",
    ),
    _count("n_intents", "Intents", "intents with two or more phrasings that have a decision"),
    _count("n_phrasings", "Phrasings", "the phrasings (prompts) of these intents that have a decision"),
    _percent(
        "pct_intents_split",
        "Split intents",
        "n_intents whose phrasings do not all have the same majority, in percent; part of it is sampling noise",
        **INTENTS,
        among="n_intents",
        mlflow="phrasing/pct_intents_split",
        macro="split intents",
    ),
    _number(
        "phrasing_disagreement",
        "Disagreement of phrasings",
        "chance that decisions on two phrasings of one intent in one language differ",
        **INTENTS,
        mlflow="phrasing/disagreement",
        macro="disagreement of phrasings",
    ),
    _number(
        "language_disagreement",
        "Disagreement of languages",
        "chance that decisions on one intent in two languages differ; empty with one language",
        **INTENTS,
        mlflow="phrasing/language_disagreement",
        macro="disagreement of languages",
    ),
    _number(
        "seed_disagreement",
        "Disagreement of seeds",
        "chance that decisions on one prompt at one temperature with two seeds differ",
        **INTENTS,
        mlflow="phrasing/seed_disagreement",
        macro="disagreement of seeds",
    ),
    _number(
        "intent_variance",
        "Variance",
        "unbiased component of the Gini variance among prompts that share intents; can be negative",
        4,
        **INTENTS,
        macro="variance",
    ),
    _share("intent_share", "Share", "intent_variance as a share of the total", **INTENTS, macro="share"),
    _share("share", "Share", "variance as a share of the total", **PROMPTS, macro="share"),
    _number(
        "mean_square",
        "Mean square",
        "the ANOVA mean square of the component; empty for `numerical`, `sampling` and `total`",
        4,
    ),
    _count("n_all_present", "Prompts", "prompts with every temperature-0 response present, decided or not", "prompts"),
    _count("n_identical", "Identical", "of those, prompts whose temperature-0 responses are byte-identical over seeds"),
    _percent(
        "pct_identical",
        "Identical",
        "n_identical as percent of n_all_present",
        **PROMPTS,
        among="n_all_present",
        macro="identical",
    ),
    _count("n_identical_decided", "Identical, decided", "of the identical ones, prompts with two or more decisions"),
    _count(
        "n_identical_flipped",
        "Identical yet flipped",
        "of the identical ones, prompts that still got more than one decision: judge noise",
    ),
    _percent(
        "pct_identical_flipped",
        "Identical yet flipped",
        "n_identical_flipped as percent of n_identical_decided; empty for a judge that decides each distinct pair once",
        **PROMPTS,
        among="n_identical_decided",
        macro="identical flipped",
    ),
    _count(
        "n_exchanges", "Pairs", "distinct (prompt, response) pairs that one judge decided more than once", "exchanges"
    ),
    _count("n_decisions", "Decisions", "decisions on those pairs"),
    _percent(
        "pct_exchanges_flipped",
        "Decided differently",
        "percent of those pairs that got more than one decision",
        **PROMPTS,
        among="n_exchanges",
        macro="flipped",
    ),
    _share(
        "pairwise_disagreement",
        "Two decisions differ",
        "chance that two decisions of the judge on one identical pair differ",
        2,
        **PROMPTS,
        macro="disagreement",
    ),
)
JUDGES = (
    _count("n_both", "Responses", "responses that both judges (for the panel: at least two) decided", "responses"),
    _share(
        "raw_agreement",
        "Agree",
        "share of responses decided alike",
        **PROMPTS,
        macro="agreement",
    ),
    _number(
        "cohens_kappa",
        "Cohen's kappa",
        "Cohen's kappa, unweighted; empty for the panel",
        **PROMPTS,
        macro="kappa",
    ),
    _number(
        "krippendorff_alpha",
        "Krippendorff's alpha",
        "Krippendorff's alpha, nominal, missing allowed",
        **PROMPTS,
        macro="alpha",
    ),
    _count("n_label", "Responses", "responses with this pair of decisions"),
    _count("support", "Responses", "responses that the second judge gave this decision", "support"),
    _number(
        "precision",
        "Precision",
        "share of the first judge's decisions of this kind that the second shares",
        **PROMPTS,
        macro="precision",
    ),
    _number(
        "recall",
        "Recall",
        "share of the second judge's decisions of this kind that the first shares",
        **PROMPTS,
        macro="recall",
    ),
    _number(
        "f1",
        "F1",
        "harmonic mean of precision and recall; decision `*` is the mean over decisions (macro-F1)",
        **PROMPTS,
        macro="f1",
    ),
    _number("threshold", "Threshold", "a response whose confidence is under it is handed over", 2),
    _share("target", "Target", "the least accuracy that a threshold must surely reach", 0),
    _count("n_labelled_decided", "Labelled", "labelled responses that the judge decides itself"),
    _share("share_decided", "Decided", "share of the responses that the judge decides itself"),
    _share("accuracy", "Accuracy", "share of its own decisions that are those of the reference"),
    _share("accuracy_low", "At least", "one-sided 95 % lower bound of the accuracy, over prompts"),
    _number("n_handed_over", "Handed over", "distinct responses handed over: calls of a model judge", 0),
    _count("n_with_confidence", "With a confidence", "decisions that the primary judge gives a confidence for"),
    _number("mean_confidence", "Mean confidence", "mean confidence of the primary judge in its decisions", 2),
    _number("lowest_confidence", "Least sure", "lowest confidence of the primary judge in one of its decisions", 2),
    _count("n_labelled", "Labelled items", "labelled items of the people's sample that occur here"),
    _share("raw_rate", "Judge's rate", "the primary judge's rate"),
    _share(
        "corrected_rate",
        "Corrected rate",
        "the rate that people would have found (prediction-powered inference)",
        **RESPONSES,
    ),
    _words("figure", "Figure", "ssi, ssi_pairwise or flip: the mean over prompts"),
    _words("reference", "Reference", "who shows the primary judge's errors"),
    _words("method", "Method", "how the figure is corrected"),
    _count("n_judgements", "Judged", "responses that were judged separately: equal texts once"),
    _count("n_calibration", "Labelled", "labelled responses that show the judge's errors"),
    _number("uncorrected", "As judged", "the figure of the primary judge's decisions"),
    _number("corrected", "Corrected", "the figure of the true decisions", **RESPONSES),
    _count("error_pairs", "Error pairs", "pairs of one prompt's labelled responses that are both misjudged"),
    _number("error_pairs_expected", "Expected", "error pairs if errors are independent given the true decision", 1),
    _number("error_pairs_p", "p", "one-sided permutation p-value: small where errors cluster within prompts"),
    _count("n_agreed", "Agreed", "responses on which all the judges agree"),
    _percent("pct_agreed", "Agreed", "n_agreed as percent of the responses that all the judges decided", macro="share"),
)
CATEGORIES = (
    Column("small", "flag", "Few prompts", "fewer than 20 prompts with a decision: read its figures as anecdotes"),
    Column("differs", "flag", "Differs", "p_holm below 1 - `metrics.confidence`"),
    _count(
        "n_inside", "Prompts inside", "prompts of the category with a decision; in row `*`, all that have a category"
    ),
    _count(
        "n_outside",
        "Prompts outside",
        "the other prompts with a decision, including those without a category; 0 in row `*`",
    ),
)
ROUNDS = (
    Column("estimated", "flag", "Estimated", "whether the row's figures are estimates of the full grid"),
    _words("stopping_rule", "Rule", "the rule of adaptive sampling"),
    _number("alpha", "Bound", "most errors of a certificate that the rule allows, as a share", None, macro="bound"),
    _count("n_samples", "Samples", "responses asked for", "samples", "adaptive/n_samples"),
    _count("n_grid", "Full grid", "responses of the full grid"),
    _percent(
        "pct_saved",
        "Saved",
        "percent of the full grid's responses that were not asked for",
        mlflow="adaptive/pct_saved",
        macro="saved",
    ),
    _count(
        "n_called_stable",
        "Called stable",
        "prompts that the rule called stable",
        "called stable",
        "adaptive/n_called_stable",
    ),
    _count(
        "n_called_unstable",
        "Called unstable",
        "prompts that the rule called unstable",
        "called unstable",
        "adaptive/n_called_unstable",
    ),
    _count("n_undecided", "Undecided", "prompts without a verdict", "undecided", "adaptive/n_undecided"),
    _count("n_audited", "Audited", "prompts that were chosen beforehand to be sampled in full", "audited"),
    _words("verdict", "Verdict", "`stable` or `unstable`: what the full grid would show; else `undecided`"),
    _words(
        "stop_reason",
        "Why",
        "`certified` (error at most alpha), `certain` (nothing left can change it), `whole grid`, `agreed` (rule "
        "`agreement`), `budget` (it ran out), or `doubted` (the audit contradicted its certificate, so it was sampled "
        "until nothing left could change the verdict)",
    ),
    _count("n_stopped", "Prompts", "prompts that stopped so", "prompts"),
    _number(
        "mean_taken", "Samples each", "mean number of samples after which the rule stopped them", 1, macro="samples"
    ),
    _words("full_grid", "Full grid", "what the whole grid of these audited prompts shows"),
    _count("n_in_audit", "Audited", "audited prompts whose whole grid shows this"),
    _percent(
        "pct_called_wrong", "Called wrong", "of these audited prompts, those that got the other verdict, in percent"
    ),
    _number("wrong_from", "From", "lower end of its exact (Clopper-Pearson) interval at `metrics.confidence`"),
    _number("wrong_to", "To", "upper end of its exact (Clopper-Pearson) interval at `metrics.confidence`"),
    _count("n_spent", "Samples", "responses asked for, those of the audit included"),
    Column("audited", "flag", "Audited", "chosen beforehand to be sampled in full"),
    _share(
        "p_verdict_unstable",
        "p(unstable)",
        "chance that the full grid shows the prompt unstable, from all samples of the study; 0 or 1 where it was taken",
        0,
    ),
    _words("estimated_figure", "Figure", "the metric column that is estimated"),
    _number("estimate", "Estimate", "the figure of the full grid, estimated"),
    _number("estimate_from", "From", "lower end of its interval at `metrics.confidence`"),
    _number("estimate_to", "To", "upper end of its interval at `metrics.confidence`"),
    _number("predicted", "Without the audit", "the estimate without the audit's correction"),
    _number(
        "as_sampled", "As sampled", "the figure of the samples as they are, which stopping biases: not to be compared"
    ),
)

COLUMNS: dict[str, Column] = {
    column.name: column
    for group in (
        WHERE,
        COUNTS,
        OUTCOMES,
        ONE_PROMPT,
        MANY_PROMPTS,
        ONE_CONFIGURATION,
        TESTS,
        CHANGES,
        SAMPLES,
        SOURCES,
        JUDGES,
        CATEGORIES,
        ROUNDS,
    )
    for column in group
}
