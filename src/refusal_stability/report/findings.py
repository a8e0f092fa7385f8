"""What the study found: models, temperature, categories, samples, sources of instability, judges."""

from __future__ import annotations

import math
from functools import partial

from refusal_stability.records import DECISIONS
from refusal_stability.report.content import Section
from refusal_stability.report.phrases import spelled
from refusal_stability.report.repeated_judging import repeats_advice
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.report.seeding import unseeded_counts, unseeded_reminder
from refusal_stability.report.unequal import MARK, paired_p, unequal_notes, unequal_temperatures
from refusal_stability.report.zero_events import FORECAST, forecast_share, prompts_with
from refusal_stability.tables.columns import POOLED
from refusal_stability.tables.layout import described, each, filled, laid_out, numbers, words
from refusal_stability.tables.number_format import UNKNOWN, Row, count, p_value

STABILITY = each("n_prompts mean_ssi mean_ssi_pairwise pct_unstable pct_flipped")
DECISION_SHARES = each(" ".join(f"mean_{decision.word}_rate" for decision in DECISIONS))
SAFETY_SHARES = each(" ".join(f"safety_{decision.word}_rate" for decision in DECISIONS))
COMPONENTS = {
    "prompt": "between prompts",
    "temperature": "between temperatures, within a prompt",
    "seed": "between seeds, within a temperature",
    "numerical": "  of it at temperature 0 (numerical)",
    "sampling": "  of it above temperature 0 (sampling)",
    "judge": "between repeats of the judge, one response",
}


def models(inputs: ReportInputs) -> Section:
    """The models compared."""
    rows = inputs.rows("aggregate_by_model")
    if not rows:
        return _absent("models", "Models compared", "aggregate_by_model")
    tables = filled(
        laid_out(
            "models",
            "Stability of each model, over all temperatures and seeds.",
            rows,
            inputs.who,
            *each("n_prompts mean_ssi mean_ssi_pairwise"),
            prompts_with(inputs, "unstable"),
            prompts_with(inputs, "flipped"),
        ),
        laid_out(
            "decisions",
            f"Mean decision shares of each model{_left_out(inputs)}.",
            rows,
            inputs.who,
            *SAFETY_SHARES,
            *(each("over_refusal n_benign") if inputs.has_benign else ()),
            notes=("Over-refusal: mean share of REFUSE on the benign prompts.",) if inputs.has_benign else (),
        ),
        laid_out(
            "model_pairs",
            "Differences between models, second minus first, paired by prompt.",
            inputs.rows("model_pairs"),
            words("First", lambda row: inputs.label(row, "_a")),
            words("Second", lambda row: inputs.label(row, "_b")),
            *each("n_pairs mean_n_a mean_n_b mean_difference pct_flipped_difference"),
            numbers("p (Holm)", paired_p),
            described("mean_ssi_pairwise_difference", "Difference in pairwise agreement"),
            notes=(
                "p: Wilcoxon's signed-rank test of the difference in SSI, after Holm's correction.",
                *unequal_notes(inputs.rows("model_pairs"), paired_p),
            ),
        ),
    )
    text = "Models are never pooled: each row is one model under one intervention."
    said = (text, *unseeded_counts(inputs))
    return Section("models", "Models compared", said, (), tables, inputs.show("models"))


def harm(inputs: ReportInputs) -> Section:
    """Safety on harmful prompts and over-refusal on benign ones."""
    shown = filled(
        laid_out(
            "harm",
            "Decisions and stability on harmful and on benign prompts.",
            inputs.rows("aggregate_by_harm"),
            inputs.who,
            described("harm"),
            described("n_prompts"),
            *DECISION_SHARES,
            *each("mean_ssi pct_unstable pct_flipped"),
            notes=("REFUSE on benign prompts is over-refusal.",),
        )
    )
    text = (
        "Elsewhere in this report, a model's decision shares, tail risk and forecasts leave benign prompts out. "
        "Stability is over all prompts."
    )
    if not shown:
        text = "No prompt says whether it is harmful or benign. Give the prompt table a column harm to see both."
    return Section("harm", "Harmful and benign prompts", (text,), (), shown)


def temperature(inputs: ReportInputs) -> Section:
    """Stability and compliance at each temperature, and whether temperatures differ."""
    rows = inputs.rows("aggregate_by_temperature")
    if not rows:
        return _absent("temperature", "Temperature", "aggregate_by_temperature")
    tests = [row for row in inputs.rows("temperature_tests") if math.isfinite(row["statistic"])]
    pairs = [row for row in inputs.rows("temperature_pairs") if row["model"] != POOLED]
    friedman_p = partial(_friedman_p, inputs)
    tables = filled(
        laid_out(
            "temperature",
            "Stability within each temperature, over seeds.",
            rows,
            inputs.who,
            described("temperature"),
            *STABILITY,
            described("safety_comply_rate"),
            notes=("COMPLY: benign prompts are left out.",) if inputs.has_benign else (),
        ),
        laid_out(
            "temperature_tests",
            "Does SSI depend on temperature? Friedman's test over prompts.",
            tests,
            inputs.who,
            described("n_blocks"),
            described("statistic", "Chi-square"),
            described("kendalls_w"),
            numbers("p", friedman_p),
            notes=("Kendall's W runs from 0 (no effect) to 1.", *unequal_notes(tests, friedman_p)),
        ),
        laid_out(
            "temperature_pairs",
            "Change in mean SSI from the lower to the higher temperature, paired by prompt.",
            pairs,
            inputs.who,
            *each("temperature_a temperature_b"),
            *each("mean_n_a mean_n_b"),
            described("mean_difference", "Change in mean SSI"),
            numbers("p (Holm)", paired_p),
            described("mean_ssi_pairwise_difference", "Change in pairwise agreement"),
            notes=unequal_notes(pairs, paired_p),
        ),
    )
    text = (
        "Within one temperature only the seed differs.",
        *unseeded_reminder(inputs),
        "The all-models row counts each prompt once per model, so its p-value is not valid. Use the per-model rows.",
    )
    return Section("temperature", "Temperature", text, (), tables, inputs.show("temperature"))


def _friedman_p(inputs: ReportInputs, row: Row) -> str:
    if not row["independent_blocks"]:
        return f"{p_value(row['p_value'])} (not valid)"
    unequal = unequal_temperatures(inputs, row["model"], row["intervention"])
    return p_value(row["p_value"]) + (f" {MARK}" if unequal else "")


def categories(inputs: ReportInputs) -> Section:
    """Stability by category."""
    rows = inputs.rows("categories")
    if not rows:
        return _absent("categories", "Categories", "categories")
    tests = {(row["model"], row["intervention"], row["category"]): row for row in inputs.rows("category_tests")}

    def differs(row: Row) -> str:
        test = tests.get((row["model"], row["intervention"], row["category"]))
        return p_value(test["p_holm"]) if test else UNKNOWN

    shown = laid_out(
        "categories",
        "Stability by category.",
        rows,
        words("Category", lambda row: spelled(row["category"]) + (" *" if row["small"] else "")),
        inputs.who,
        *each("n_prompts mean_ssi pct_unstable pct_flipped mean_comply_rate"),
        numbers("p (Holm)", differs),
        notes=(
            "p: SSI in the category against all other prompts (Mann-Whitney), after Holm's correction. Two "
            "categories that split the prompts alike are one test.",
            "*: fewer than 20 prompts. Read the figures as anecdotes.",
        ),
    )
    text = "A prompt with several categories counts in each of them."
    return Section("categories", "Categories", (text,), (), (shown,), inputs.show("categories"))


def samples(inputs: ReportInputs) -> Section:
    """How many samples it takes, and what rare compliance costs to find."""
    pooled = [row for row in inputs.rows("sample_size_least_n") if math.isnan(row["temperature"])]
    risk = [row for row in inputs.rows("tail_risk") if math.isnan(row["temperature"])]
    if not pooled and not risk:
        return _absent("samples", "How many samples are enough", "sample_size_least_n")
    tables = filled(
        laid_out(
            "least_samples",
            "Fewest responses per prompt that recover the full-sample majority at this rate.",
            pooled,
            inputs.who,
            described("target"),
            numbers("Responses", lambda row: _enough(row["least_n"], row["last_n"])),
            numbers("Whole interval reaches it", lambda row: _enough(row["least_n_sure"], row["last_n"])),
            described("n_prompts"),
            notes=("Prompts: those that have as many responses. Fewer than half of them are not used.",),
        ),
        laid_out(
            "tail_risk",
            f"Prompts with any COMPLY, and the number of queries to the first one{_left_out(inputs)}.",
            risk,
            inputs.who,
            prompts_with(inputs, "complied", "pct_ever_comply"),
            *each("mean_queries median_queries pct_within_5"),
        ),
        laid_out(
            "tail_forecast",
            f"Forecast: prompts with at least one COMPLY if attempts went on, and attempts to the first"
            f"{_left_out(inputs)}.",
            [row for row in inputs.rows("tail_forecast") if math.isfinite(row["pct_comply_forecast"])],
            inputs.who,
            numbers("Attempts", lambda row: count(row["n_attempts"]) + (" *" if row["far"] else "")),
            numbers(FORECAST.title, forecast_share),
            *each("mean_attempts_forecast pct_comply_plug_in pct_comply_log_log"),
            notes=("*: more than 20 times the attempts made. The forecast rests on the assumed shape of small rates.",),
        ),
    )
    text = (
        "The rates are exact: all ways to draw n of a prompt's responses are counted.",
        "The curve ends at 1 by construction, except for ties. Look at how fast it rises.",
    )
    return Section("samples", "How many samples are enough", text, (), tables, inputs.show("samples"))


def _left_out(inputs: ReportInputs) -> str:
    """What a title says of the prompts that a safety figure leaves out; nothing where none is benign."""
    return ", without the benign prompts" if inputs.has_benign else ""


def _enough(least: float, last: float) -> str:
    return count(least) if math.isfinite(least) else f"not reached by {count(last)}"


def sources(inputs: ReportInputs) -> Section:
    """Where the instability comes from."""
    rows = inputs.rows("decomposition")
    if not rows:
        return _absent("sources", "Where instability comes from", "decomposition")
    noise = [row for row in inputs.rows("judge_noise") if row["n_exchanges"]]
    tables = filled(
        laid_out(
            "decomposition",
            "Share of the variance of a decision by source.",
            [row for row in rows if row["component"] in COMPONENTS],
            inputs.who,
            words("Component", lambda row: COMPONENTS[row["component"]]),
            described("share"),
            notes=(
                "The estimates are unbiased, so a small share can come out negative.",
                "Seeds at temperature 0 and above it are weighted by their numbers of temperatures: 1 to 3 where one "
                "of four is 0. The figure shows each temperature without that weight.",
            ),
        ),
        laid_out(
            "t0_determinism",
            "Prompts with byte-identical responses at temperature 0, and those of them that were still judged "
            "differently.",
            [row for row in inputs.rows("t0_determinism") if row["n_all_present"]],
            inputs.who,
            *each("judge n_all_present pct_identical n_identical_decided pct_identical_flipped"),
            notes=(f"{UNKNOWN}: this judge labels equal responses once.",),
        ),
        laid_out(
            "judge_noise",
            "Judge noise on identical text: pairs of prompt and response that one judge labelled more than once.",
            noise,
            inputs.who,
            *each("judge n_exchanges pct_exchanges_flipped pairwise_disagreement"),
        ),
    )
    tables += filled(
        laid_out(
            "intents",
            "How often phrasings of one intent are decided differently, and seeds of one prompt.",
            inputs.rows("intents"),
            inputs.who,
            *each("n_intents n_phrasings pct_intents_split"),
            *each("phrasing_disagreement language_disagreement seed_disagreement"),
        ),
        laid_out(
            "intent_components",
            "Share of the variance of a decision among phrased intents. Intervals resample intents.",
            [row for row in inputs.rows("intent_components") if row["component"] != "total"],
            inputs.who,
            words("Component", lambda row: row["component"]),
            described("intent_share"),
        ),
    )
    text = [
        "The larger the share between prompts, the more a decision depends on the prompt. The rest is added by the "
        "seed, the temperature or the judge.",
        *unseeded_reminder(inputs),
    ]
    if inputs.rows("judge_noise") and not noise:
        text += repeats_advice(inputs.params)
    return Section("sources", "Where instability comes from", tuple(text), (), tables, inputs.show("sources"))


def judges(inputs: ReportInputs) -> Section:
    """How far the judges agree, and what stability is where they do."""
    agreement = inputs.rows("judge_agreement")
    if not agreement:
        text = "The study has one judge, so there is no agreement between judges to report."
        absent = "The table judge_agreement is absent." if "judge_agreement" not in inputs.tables else text
        return Section("judges", "Judge quality", (absent,))
    pair = (
        words("First judge", lambda row: "whole panel" if row["judge_a"] == POOLED else row["judge_a"]),
        words("Second judge", lambda row: "whole panel" if row["judge_b"] == POOLED else row["judge_b"]),
    )
    tables = filled(
        laid_out(
            "judge_agreement",
            "Agreement between judges. Intervals are over prompts.",
            agreement,
            inputs.who,
            *pair,
            *each("n_both n_prompts raw_agreement cohens_kappa krippendorff_alpha"),
        ),
        laid_out(
            "judge_by_decision",
            "The first judge against the second as reference, by decision, over all models that both judged.",
            [row for row in inputs.rows("judge_by_decision") if row["model"] == POOLED],
            *pair,
            words("Decision", lambda row: "mean" if row["decision"] == POOLED else row["decision"]),
            *each("support precision recall f1"),
        ),
        laid_out(
            "consensus",
            "Stability on the responses that all judges label alike: judge noise cannot explain it.",
            inputs.rows("consensus_stability"),
            inputs.who,
            words("Judges", lambda row: row["judges"].replace("+", ", ")),
            described("pct_agreed"),
            *STABILITY,
        ),
    )
    remark = "Agreement is not correctness. It limits how much of the instability can come from the judge."
    return Section("judges", "Judge quality", (remark,), (), tables, inputs.show("judges"))


def _absent(slug: str, title: str, name: str) -> Section:
    return Section(slug, title, (f"The table {name} has no rows, so there is nothing to show here.",))
