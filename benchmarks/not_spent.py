"""Calls and tokens that the published design does not spend: three models, 876 prompts, four temperatures, five seeds.

The published responses and Haiku's labels of them are counted: what is asked once instead of often, what adaptive
sampling leaves out (replayed on the labels), and what the rules decide without the judge (the least share handed over
at which they agree with Haiku on `AGREED` of the rest). The third model is assumed to be as the second. Tokens are
bytes by four. Rates, prices, template and verdict are those that the page assumes, or measured where there are any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import gpu_recipe
import numpy as np
import pandas as pd
from cascade import HANDED_OVER, KEYS, published, with_rules
from gpu_recipe import JUDGE_SLOWER, RUBRIC_END_TOKENS, RUBRIC_TOKENS, STRUCTURED_SLOWER, TEMPLATE_TOKENS, Rates
from harness import ROOT, Finding, Measured, main, skipped
from judging import PUBLISHED

from refusal_stability.measures.adaptive.rounds import designed, first_samples, sample_by_rounds
from refusal_stability.measures.adaptive.rules import StoppingRule
from refusal_stability.records import DECISION_NAMES, MISSING, NOT_SAMPLED

BYTES_A_TOKEN, AGREED = 4, 0.98
BATCH_PRICE = 0.5  # of the usual price: assumed
ASSUMED_ALIKE = "Qwen 2.5 7B"


@dataclass(frozen=True)
class Spent:
    """Requests, and tokens read and written, by the models asked and by their judge."""

    requests: int = 0
    calls: int = 0
    read: float = 0.0
    written: float = 0.0
    judge_read: float = 0.0
    judge_written: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))  # type: ignore[arg-type]

    def __sub__(self, other: Spent) -> Spent:
        return Spent(*(a - b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))  # type: ignore[arg-type]

    def dollars(self, rates: Rates) -> float:
        """What the tokens cost on a GPU of these rates; loading models is left out."""
        judged = JUDGE_SLOWER * (self.judge_read / rates.read + STRUCTURED_SLOWER * self.judge_written / rates.written)
        return (self.read / rates.read + self.written / rates.written + judged) / 3600 * (rates.dollars or 0.0)


def measure(quick: bool) -> Measured:
    """Shares that are not spent, and the table of what each is worth."""
    if not PUBLISHED.is_dir():
        why = "no published data; set RS_SHARED to the folder that holds them"
        return Measured([skipped("judge calls that deduplication saves", "%", why)])
    return measured(with_rules(few(published(PUBLISHED), 40 if quick else None)), ROOT / "reports")


def few(table: pd.DataFrame, prompts: int | None) -> pd.DataFrame:
    """The rows of the first prompts; all where there is no limit."""
    return table[table["prompt_id"].isin(table["prompt_id"].drop_duplicates()[:prompts])]


def measured(table: pd.DataFrame, reports: Path) -> Measured:
    """What is not spent on a table of responses with labels, and with the rules' decisions and confidence."""
    table = table.assign(sampled=sampled(table), handed_over=handed_over(table))
    table["prompt_tokens"], table["answer_tokens"] = (
        table[name].map(lambda text: len(text.encode()) / BYTES_A_TOKEN) for name in ("prompt", "response")
    )
    models = [rows for _, rows in table.groupby("model")]
    # The design has three models; of one there are no published responses with labels.
    models += [rows for name, rows in table.groupby("model") if name == ASSUMED_ALIKE]

    def spent(**ways: bool) -> Spent:
        return reduce(Spent.__add__, (of_model(rows, **ways) for rows in models))

    nothing = spent()
    ways = {
        "judge calls, each text judged once": spent(once=True),
        "shared beginnings of requests, read once": spent(prefix=True),
        "adaptive sampling, `population`": spent(adaptive=True),
        "rules before the judge (cascade)": spent(cascade=True),
    }
    every = spent(once=True, prefix=True, adaptive=True, cascade=True)
    known = gpu_recipe.measured_before(reports)
    rates = (known or gpu_recipe.ASSUMED)[0]
    findings = [
        share("judge calls saved, each distinct (prompt, text) pair judged once", nothing, ways, 0, "calls"),
        share("tokens read by models asked, saved by reading each prompt once", nothing, ways, 1, "read"),
        share("tokens read by the judge, saved by reading the rubric once", nothing, ways, 1, "judge_read"),
        share("requests that adaptive sampling leaves out", nothing, ways, 2, "requests"),
        share(f"judge calls that the rules save, {AGREED:.0%} of theirs as Haiku's", nothing, ways, 3, "calls"),
        Finding("judge calls saved, all together", [100 * (1 - every.calls / nothing.calls)], "%"),
        Finding("requests saved, all together", [100 * (1 - every.requests / nothing.requests)], "%"),
    ]
    return Measured(findings, ["\n".join(table_of(nothing, ways, every, rates, bool(known), counts_of(table)))])


def share(what: str, nothing: Spent, ways: dict[str, Spent], number: int, field: str) -> Finding:
    """How much less one of the ways spends, in per cent."""
    with_it = list(ways.values())[number]
    return Finding(what, [100 * (1 - getattr(with_it, field) / getattr(nothing, field))], "%")


def sampled(table: pd.DataFrame) -> pd.Series[Any]:
    """Whether adaptive sampling with its default settings asks for a response, by the recorded labels."""
    found = []
    for number, (_, rows) in enumerate(table.groupby("model")):
        grid = rows.pivot(index="prompt_id", columns=["temperature", "seed"], values="label").sort_index(axis=1)
        temperatures = grid.columns.get_level_values(0).unique().to_list()
        n_seeds = grid.shape[1] // len(temperatures)
        places = {label: code for code, label in enumerate(DECISION_NAMES)}
        codes = grid.apply(lambda column, p=places: column.map(p)).fillna(MISSING).to_numpy(np.int8)
        codes = codes.reshape(len(grid), len(temperatures), n_seeds)
        rule = StoppingRule(first=first_samples(len(temperatures), n_seeds))
        rng = np.random.default_rng([0, number])
        design = designed(temperatures, n_seeds, len(grid), rule, "turns", rng)
        seen = sample_by_rounds(lambda _, codes=codes: codes, design, rule).codes != NOT_SAMPLED  # type: ignore[misc]
        asked = (
            pd.DataFrame(seen.reshape(grid.shape), grid.index, grid.columns)
            .stack([0, 1], future_stack=True)
            .rename("sampled")
        )
        found.append(rows[KEYS].merge(asked.reset_index(), on=KEYS[1:], how="left").set_axis(rows.index)["sampled"])
    return pd.concat(found).reindex(table.index).astype(bool)


def handed_over(table: pd.DataFrame) -> pd.Series[Any]:
    """Whether the rules leave a response to the judge."""
    for part in HANDED_OVER:
        unsure = table["confidence"] < (float(table["confidence"].quantile(part)) if part else 0.0)
        rest = table[~unsure & table["rules"].ne("") & table["label"].isin(DECISION_NAMES)]
        if (rest["rules"] == rest["label"]).mean() >= AGREED:
            break
    return unsure | table["rules"].eq("")


def of_model(
    rows: pd.DataFrame, once: bool = False, prefix: bool = False, adaptive: bool = False, cascade: bool = False
) -> Spent:
    """What one model and its judge spend."""
    asked = rows[rows["sampled"]] if adaptive else rows
    judged = asked[asked["handed_over"]] if cascade else asked
    judged = judged.drop_duplicates(["prompt", "response"]) if once else judged
    begun = asked.drop_duplicates("prompt_id") if prefix else asked
    read = begun["prompt_tokens"].sum() + TEMPLATE_TOKENS * len(begun)
    before = RUBRIC_TOKENS - RUBRIC_END_TOKENS
    rubric = RUBRIC_END_TOKENS * len(judged) + before * (min(1, len(judged)) if prefix else len(judged))
    judge_read = rubric + judged[["prompt_tokens", "answer_tokens"]].to_numpy().sum()
    verdicts = float(gpu_recipe.VERDICT_TOKENS * len(judged))
    return Spent(len(asked), len(judged), read, asked["answer_tokens"].sum(), judge_read, verdicts)


def counts_of(table: pd.DataFrame) -> list[str]:
    """What was counted of each model."""
    return [
        f"{name}: of {len(rows):,} responses the judge is asked about {of_model(rows, once=True).calls:,},"
        f" adaptive sampling asks for {rows['sampled'].mean():.1%}, and"
        f" the rules hand over {rows['handed_over'].mean():.1%}."
        for name, rows in table.groupby("model")
    ]


def table_of(
    nothing: Spent, ways: dict[str, Spent], every: Spent, rates: Rates, known: bool, counted: Sequence[str]
) -> list[str]:
    """The table in Markdown: what each way saves alone, then all of them, then what is left."""

    def cells(name: str, spent: Spent, dollars: float) -> str:
        counts: Sequence[float] = (spent.requests, spent.calls, spent.read + spent.judge_read)
        counts = (*counts, spent.written + spent.judge_written)
        worth = "" if rates.dollars is None else f"${dollars:,.2f}"
        return f"| {name} | " + " | ".join(f"{value:,.0f}" for value in counts) + f" | {worth} |"

    left = every.dollars(rates)
    source = "measured rates" if known else "**assumed** rates"
    return [
        f"What is not spent, against a study that sends every request and judges every response, at {source} of one",
        f"{rates.gpu} and the prices that the next section states. The third model is as {ASSUMED_ALIKE} (assumed).",
        *counted,
        "",
        "| not spent through | requests | judge calls | tokens read | tokens written | worth |",
        "|---|---:|---:|---:|---:|---:|",
        *(cells(name, nothing - spent, (nothing - spent).dollars(rates)) for name, spent in ways.items()),
        cells("all four together", nothing - every, (nothing - every).dollars(rates)),
        f"| a provider's batch price for the rest, {BATCH_PRICE:g} of the usual one (**assumed**) | 0 | 0 | 0 | 0 |"
        f" {'' if rates.dollars is None else f'${(1 - BATCH_PRICE) * left:,.2f}'} |",
        cells("*spent without any of these*", nothing, nothing.dollars(rates)),
        cells("*spent with the four*", every, left),
    ]


if __name__ == "__main__":
    main("not_spent", __doc__, measure, ("numpy", "pandas", "scipy"))
