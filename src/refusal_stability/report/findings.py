"""What the study found: models, temperature, categories, samples, sources of instability, judges."""

from __future__ import annotations

import math

from refusal_stability.report.content import Section
from refusal_stability.report.number_format import Row, count, estimate, number, p_value, percent, share, spelled
from refusal_stability.report.report_inputs import ALL, Evidence, Shown, table

STABILITY: tuple[Shown, ...] = (
    ("Prompts", "number", lambda row: count(row["n_prompts"])),
    ("Mean SSI", "number", lambda row: estimate(row, "mean_ssi")),
    ("Two samples agree", "number", lambda row: estimate(row, "mean_ssi_pairwise")),
    ("Unstable", "number", lambda row: percent(row, "pct_unstable")),
    ("Flipped", "number", lambda row: percent(row, "pct_flipped")),
)
DECISIONS: tuple[Shown, ...] = (
    ("REFUSE", "number", lambda row: share(row, "mean_refuse_rate")),
    ("PARTIAL", "number", lambda row: share(row, "mean_partial_rate")),
    ("COMPLY", "number", lambda row: share(row, "mean_comply_rate")),
)
COMPONENTS = {
    "prompt": "between prompts",
    "temperature": "between temperatures, within a prompt",
    "seed": "between seeds, within a temperature",
    "numerical": "  of it at temperature 0 (numerical)",
    "sampling": "  of it above temperature 0 (sampling)",
    "judge": "between repeats of the judge, one response",
}


def models(evidence: Evidence) -> Section:
    """The models compared."""
    rows = evidence.rows("aggregate_by_model")
    who: Shown = ("Model", "text", evidence.label)
    tables = (
        *table("models", "Stability of each model, over all temperatures and seeds.", rows, who, *STABILITY),
        *table("decisions", "Mean decision shares of each model.", rows, who, *DECISIONS),
        *table(
            "model_pairs",
            "Differences in mean SSI, second minus first, paired by prompt; Wilcoxon's p after Holm's correction.",
            evidence.rows("model_pairs"),
            ("First", "text", lambda row: evidence.label(row, "_a")),
            ("Second", "text", lambda row: evidence.label(row, "_b")),
            ("Prompts", "number", lambda row: count(row["n_pairs"])),
            ("Difference in mean SSI", "number", lambda row: estimate(row, "mean_difference")),
            ("Difference in flipped, points", "number", lambda row: estimate(row, "pct_flipped_difference", 1)),
            ("p (Holm)", "number", lambda row: p_value(row["p_holm"])),
        ),
    )
    names = ("model_comparison", "ssi_distribution", "flip_rate", "stability_vs_compliance", "threshold_sensitivity")
    if not rows:
        return _absent("models", "Models compared", "aggregate_by_model")
    text = "Models are never pooled: each row is one model under one intervention."
    return Section("models", "Models compared", (text,), (), tables, evidence.show(names))


def temperature(evidence: Evidence) -> Section:
    """Stability and compliance at each temperature, and whether temperatures differ."""
    rows = evidence.rows("aggregate_by_temperature")
    if not rows:
        return _absent("temperature", "Temperature", "aggregate_by_temperature")
    who: Shown = ("Model", "text", evidence.label)
    at: Shown = ("Temperature", "number", lambda row: f"{row['temperature']:g}")
    tables = (
        *table("temperature", "Within each temperature: seeds only.", rows, who, at, *STABILITY, DECISIONS[-1]),
        *table(
            "temperature_tests",
            "Friedman's test that SSI does not depend on temperature; Kendall's W from 0 (no effect) to 1.",
            [row for row in evidence.rows("temperature_tests") if math.isfinite(row["statistic"])],
            who,
            ("Prompts", "number", lambda row: count(row["n_blocks"])),
            ("Chi-square", "number", lambda row: number(row["statistic"], 2)),
            ("Kendall's W", "number", lambda row: number(row["kendalls_w"])),
            (
                "p",
                "number",
                lambda row: p_value(row["p_value"]) + ("" if row["independent_blocks"] else " (too small)"),
            ),
        ),
        *table(
            "temperature_pairs",
            "Change in mean SSI from the lower to the higher temperature, paired by prompt.",
            [row for row in evidence.rows("temperature_pairs") if row["model"] != ALL],
            who,
            ("From", "number", lambda row: f"{row['temperature_a']:g}"),
            ("To", "number", lambda row: f"{row['temperature_b']:g}"),
            ("Change in mean SSI", "number", lambda row: estimate(row, "mean_difference")),
            ("p (Holm)", "number", lambda row: p_value(row["p_holm"])),
        ),
    )
    text = (
        "Within one temperature nothing but the seed differs. In the test's row for all models a prompt appears "
        "once a model, so its blocks are not independent and its p is too small.",
    )
    figures = evidence.show(("temperature_effect", "within_temperature_stability"))
    return Section("temperature", "Temperature", text, (), tables, figures)


def categories(evidence: Evidence) -> Section:
    """Stability by harm category."""
    rows = evidence.rows("categories")
    if not rows:
        return _absent("categories", "Harm categories", "categories")
    tests = {(row["model"], row["intervention"], row["category"]): row for row in evidence.rows("category_tests")}

    def differs(row: Row) -> str:
        test = tests.get((row["model"], row["intervention"], row["category"]))
        return p_value(test["p_holm"]) if test else number(math.nan)

    shown = table(
        "categories",
        "Stability by harm category; p: the category against all other prompts (Mann-Whitney, Holm); *: "
        "fewer than 20 prompts.",
        rows,
        ("Category", "text", lambda row: spelled(row["category"]) + (" *" if row["small"] else "")),
        ("Model", "text", evidence.label),
        *(shown for shown in STABILITY if shown[0] != "Two samples agree"),
        DECISIONS[-1],
        ("p (Holm)", "number", differs),
    )
    text = "Categories with fewer than 20 prompts are marked with a star: read their figures as anecdotes."
    return Section("categories", "Harm categories", (text,), (), shown, evidence.show(["category_stability"]))


def samples(evidence: Evidence) -> Section:
    """How many samples it takes, and what rare compliance costs to find."""
    pooled = [row for row in evidence.rows("sample_size_least_n") if math.isnan(row["temperature"])]
    risk = [row for row in evidence.rows("tail_risk") if math.isnan(row["temperature"])]
    if not pooled and not risk:
        return _absent("samples", "How many samples are enough", "sample_size_least_n")
    who: Shown = ("Model", "text", evidence.label)
    tables = (
        *table(
            "least_samples",
            "The least number of responses to a prompt whose majority is the prompt's majority this often.",
            pooled,
            who,
            ("Agreement asked for", "number", lambda row: number(100 * row["target"], 0, "%")),
            ("Responses", "number", lambda row: _enough(row["least_n"])),
            ("Whole interval reaches it", "number", lambda row: _enough(row["least_n_sure"])),
        ),
        *table(
            "tail_risk",
            "Prompts with any COMPLY, and how many queries it takes to see the first.",
            risk,
            who,
            ("Ever COMPLY", "number", lambda row: percent(row, "pct_ever_comply")),
            ("Mean queries to it", "number", lambda row: estimate(row, "mean_queries", 1)),
            ("Median queries", "number", lambda row: estimate(row, "median_queries", 1)),
            ("Within 5 queries", "number", lambda row: percent(row, "pct_within_5")),
        ),
    )
    text = (
        "Exact, by counting how often n of a prompt's responses, drawn without replacement, have its majority. The "
        "curve reaches 1 at all responses by construction, but for prompts whose decisions tie: it says how soon fewer "
        "do as well.",
    )
    return Section("samples", "How many samples are enough", text, (), tables, evidence.show(["sample_size"]))


def _enough(least: float) -> str:
    return count(least) if math.isfinite(least) else "not reached"


def sources(evidence: Evidence) -> Section:
    """Where the instability comes from."""
    rows = evidence.rows("decomposition")
    if not rows:
        return _absent("sources", "Where instability comes from", "decomposition")
    who: Shown = ("Model", "text", evidence.label)
    tables = (
        *table(
            "decomposition",
            "Shares of the variance of a decision; unbiased components, so a small one can come out negative.",
            [row for row in rows if row["component"] in COMPONENTS],
            who,
            ("Component", "text", lambda row: COMPONENTS[row["component"]]),
            ("Share", "number", lambda row: share(row, "share")),
        ),
        *table(
            "t0_determinism",
            "At temperature 0: prompts whose responses are the same bytes under every seed, and those judged apart (–: "
            "equal responses are judged once).",
            [row for row in evidence.rows("t0_determinism") if row["n_all_present"]],
            who,
            ("Judge", "text", lambda row: row["judge"]),
            ("Prompts", "number", lambda row: count(row["n_all_present"])),
            ("Identical", "number", lambda row: percent(row, "pct_identical")),
            ("Of these, judged apart", "number", lambda row: percent(row, "pct_identical_flipped")),
        ),
        *table(
            "judge_noise",
            "One judge on identical text: pairs of prompt and response that it decided more than once.",
            [row for row in evidence.rows("judge_noise") if row["n_exchanges"]],
            who,
            ("Judge", "text", lambda row: row["judge"]),
            ("Pairs", "number", lambda row: count(row["n_exchanges"])),
            ("Decided apart", "number", lambda row: percent(row, "pct_exchanges_flipped")),
            ("Two decisions differ", "number", lambda row: share(row, "pairwise_disagreement", 2)),
        ),
    )
    text = [
        "The larger the share between prompts, the more a decision belongs to the prompt; what is left is what "
        "another roll of the dice, another temperature or the judge adds."
    ]
    if evidence.rows("judge_noise") and "judge_noise" not in {shown.name for shown in tables}:
        text.append(
            "No judge decided the same text twice (that takes `repeats` above 1, or recorded labels), so the judge's "
            "own noise is not known apart: it is in the share of the seeds."
        )
    return Section("sources", "Where instability comes from", tuple(text), (), tables, evidence.show(["decomposition"]))


def judges(evidence: Evidence) -> Section:
    """How far the judges agree, and what stability is where they do."""
    agreement = evidence.rows("judge_agreement")
    if not agreement:
        text = "The study has one judge, so there is no agreement between judges to report."
        absent = "The table `judge_agreement` is absent." if "judge_agreement" not in evidence.tables else text
        return Section("judges", "Judge quality", (absent,))
    pair: tuple[Shown, ...] = (
        ("Model", "text", evidence.label),
        ("First judge", "text", lambda row: "whole panel" if row["judge_a"] == ALL else row["judge_a"]),
        ("Second judge", "text", lambda row: "whole panel" if row["judge_b"] == ALL else row["judge_b"]),
    )
    tables = (
        *table(
            "judge_agreement",
            "Agreement between judges; intervals over responses.",
            agreement,
            *pair,
            ("Responses", "number", lambda row: count(row["n_both"])),
            ("Agree", "number", lambda row: share(row, "raw_agreement")),
            ("Cohen's kappa", "number", lambda row: estimate(row, "cohens_kappa")),
            ("Krippendorff's alpha", "number", lambda row: estimate(row, "krippendorff_alpha")),
        ),
        *table(
            "judge_by_decision",
            "The first judge held against the second, decision by decision, over all models.",
            [row for row in evidence.rows("judge_by_decision") if row["model"] == ALL],
            *pair[1:],
            ("Decision", "text", lambda row: "mean" if row["decision"] == ALL else row["decision"]),
            ("Responses", "number", lambda row: count(row["support"])),
            ("Precision", "number", lambda row: estimate(row, "precision")),
            ("Recall", "number", lambda row: estimate(row, "recall")),
            ("F1", "number", lambda row: estimate(row, "f1")),
        ),
        *table(
            "consensus",
            "Stability on the responses that all the judges decide alike: what judge noise cannot explain.",
            evidence.rows("consensus_stability"),
            pair[0],
            ("Judges", "text", lambda row: row["judges"].replace("+", ", ")),
            ("Agreed", "number", lambda row: number(row["pct_agreed"], 1, "%")),
            *STABILITY,
        ),
    )
    remark = "Agreement between judges is not correctness: it bounds how much of the instability can be the judge's."
    return Section("judges", "Judge quality", (remark,), (), tables, evidence.show(["judge_confusion"]))


def _absent(slug: str, title: str, name: str) -> Section:
    return Section(slug, title, (f"The table {name} has no rows, so there is nothing to show here.",))
