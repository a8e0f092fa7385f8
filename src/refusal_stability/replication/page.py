"""The replication's own report: what the data hold, each published figure beside ours, and why some differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd

from refusal_stability.measures.stability import ssi_entropy_observed
from refusal_stability.replication.comparison import NO_NUMBER, NOT_EXPLAINED, PRINTED, Tables, records, statement
from refusal_stability.replication.reader_tables import READER_TABLES, TEMPERATURE
from refusal_stability.replication.runnable import RunnableStudy, primary_of
from refusal_stability.replication.source import Replication
from refusal_stability.report.content import Report, Section
from refusal_stability.report.primary_judge import primary_judges, with_primary_judge
from refusal_stability.tables.columns import COLUMNS, POOLED
from refusal_stability.tables.layout import Layout, Shown, described, filled, laid_out, numbers, words
from refusal_stability.tables.number_format import Row, count, number, p_value

FIRST_REPORT = "first report"
OUR_DEFINITION = ("mean_ssi", "pct_unstable", "pct_flipped")
SHORT = 8  # a number as it was printed; longer ones are recomputed
SOURCES = {
    "paper": "as printed",
    FIRST_REPORT: "as printed",
    "raw labels": "recomputed from the published labels to nine decimals",
    "definition": "defined by this project and never published",
}
OUTCOMES = {
    "same": "Same",
    "differs": "Different, with the reason",
    NOT_EXPLAINED: "Different, not explained",
    "absent": "Not obtainable",
    NO_NUMBER: "Printed figure not at hand",
}


def page(
    entry: Replication,
    runnable: RunnableStudy,
    compared: pd.DataFrame,
    pooled: pd.DataFrame | None,
    tables: Tables,
    n_responses: int,
    threshold: float,
) -> Report:
    """The whole page.

    Parameters
    ----------
    entry : where the study comes from.
    runnable : what the data hold and what was left out.
    compared : the published figures beside ours.
    pooled : the per-temperature figures with the models pooled; None for a study that does not ask for them.
    tables : reads our metric tables.
    n_responses : responses a prompt in all.
    threshold : under which a prompt counts as unstable.
    """
    who = model_column(runnable)
    readers = {one.name: one.layout(tables(one.source, ""), who) for one in READER_TABLES}
    judging = runnable.params["judging"]
    judges = primary_judges(
        {held.label: primary_of(judging, held.model) for held in runnable.held if not held.left_out}
    )
    sections = (
        _outcome(compared),
        _data(entry, runnable),
        _differences(compared),
        *([_first_report(compared, n_responses, threshold)] if FIRST_REPORT in set(compared["source"]) else []),
        *([_pooling(pooled, judging["primary"])] if pooled is not None else []),
        with_primary_judge(_draws(readers.pop("draws")), judges),
        with_primary_judge(_readers(readers.values()), judges),
        _everything(entry, compared),
    )
    return Report(f"{entry.source.title} ({runnable.params['study']})", entry.source.question, sections)


def _readers(tables: Iterable[Layout]) -> Section:
    brackets = "Figures in brackets are intervals over prompts."
    return Section("tables", "The study's tables", (brackets,), tables=filled(*tables))


def model_column(runnable: RunnableStudy) -> Shown:
    """A row's model, and where models differ in their primary judge, the judge whose decisions the row is made from."""
    labels = {held.model: held.label for held in runnable.held}
    several = bool(runnable.params["judging"].get("by_model"))

    def named(row: Row) -> str:
        name = labels.get(row["model"], row["model"].replace(POOLED, "all models"))
        judge = row.get("primary_judge") if several else None
        return f"{name} ({judge})" if judge else name

    return words("Model", named)


def _outcome(compared: pd.DataFrame) -> Section:
    rows = [{"source": source, **Counter(found["outcome"])} for source, found in compared.groupby("source", sort=False)]
    total = Counter(compared["outcome"])
    rows.append({"source": "all", **total})
    seen = (_outcomes(name, title) for name, title in OUTCOMES.items())
    return Section(
        "outcome",
        "Result",
        (
            *statement(compared),
            "Sources: "
            + "; ".join(f"{source}, {SOURCES[source]}" for source in SOURCES if source in set(compared["source"]))
            + ".",
        ),
        tables=(laid_out("published_outcome", "Figures by source.", rows, words("Source", "source"), *seen),),
    )


def _outcomes(name: str, title: str) -> Shown:
    return numbers(title, lambda row: count(row.get(name, 0)))


def _labels_by(judge: str) -> Shown:
    return numbers(judge, lambda row: row.get(judge, "none"))


def _data(entry: Replication, runnable: RunnableStudy) -> Section:
    judges = dict.fromkeys(judge for held in runnable.held for judge in held.labels)
    rows: list[Row] = [
        {
            "model": held.label,
            "responses": f"{held.responses} of {held.wanted}",
            "outcome": held.left_out or "runs",
            **{judge: f"{count} of {held.wanted}" for judge, count in held.labels.items()},
        }
        for held in runnable.held
    ]
    columns = (
        words("Model", "model"),
        words("Responses", "responses", "number"),
        *map(_labels_by, judges),
        words("Outcome", "outcome"),
    )
    unused = "Not used by any model of the study: " + "; ".join(runnable.unclaimed) + "." if runnable.unclaimed else ""
    return Section(
        "data",
        "What the data hold",
        (
            f"Source: {entry.source.citation}; {entry.source.url} at commit {entry.source.commit}; licence "
            f"{entry.source.licence}.",
            "Configurations (temperature x seed) with responses, and with labels by each judge.",
            *filter(None, [unused]),
        ),
        tables=(laid_out("published_data", "What the data hold of each model.", rows, *columns),),
    )


def _differences(compared: pd.DataFrame) -> Section:
    rows = compared[~compared["outcome"].isin(["same", NO_NUMBER])]
    if rows.empty:
        return Section("differences", "What differs", ("Nothing differs and nothing is absent.",))
    return Section(
        "differences",
        "What differs, and why",
        ("Every figure outside its tolerance, with the reason where one is known.",),
        tables=(
            _figures("published_differences", "Figures that differ or are absent. Each row names its judge.", rows),
        ),
    )


def _first_report(compared: pd.DataFrame, n_responses: int, threshold: float) -> Section:
    printed = compared["source"] == FIRST_REPORT
    ours = compared["quantity"].isin(OUR_DEFINITION) & compared["temperature"].isna()
    for column in ("model", "judge"):
        ours &= compared[column].isin(compared.loc[printed, column])
    rows = compared[printed | ours]
    one_flip = float(ssi_entropy_observed(np.array([[n_responses - 1, 0, 1]]))[0])
    return Section(
        "first-report",
        "The first report's stability index",
        (
            "The first report measured stability as 1 - H / log2 k, where k is the number of decisions that a prompt's "
            "responses show (our ssi_entropy_observed). The table shows which of its figures follow from that "
            "definition, and what the share of the commonest decision (our ssi) gives on the same labels.",
            f"By that definition one deviating response among {n_responses} gives {number(one_flip)}, below the "
            f"threshold of {threshold:g}. Every further one gives less. So each prompt that flips at all is called "
            "unstable. The report finds that the unstable prompts are exactly those that flip: this follows from the "
            "definition, not from the model.",
            "Under the share of the commonest decision, a prompt can flip once and still be stable.",
        ),
        tables=(
            _figures(
                "published_first_report",
                "The first report's figures under its definition, and the same labels under ours. Each row names its "
                "judge.",
                rows,
            ),
        ),
    )


def _pooling(pooled: pd.DataFrame, judge: str) -> Section:
    columns = (
        described(name, f"{title}, {shown}", key=f"{name}_{way}")
        for name, title in (("mean_ssi", "Mean SSI"), ("pct_unstable", "Unstable"), ("pct_flipped", "Flipped"))
        for way, shown in (("pooled", "pooled"), ("by_model", "by model"))
    )
    return Section(
        "pooling",
        "The pooled per-temperature table",
        (
            "The published code counted labels by prompt and temperature and left the model out. One prompt's "
            "decisions are then those of all models together. A prompt that one model always refuses and another "
            "always answers looks unstable.",
            "The columns named pooled repeat that. Those named by model are the mean of the models' own figures: "
            "what a temperature does to a model.",
        ),
        tables=(
            laid_out(
                "published_pooling",
                f"The models' decisions pooled, and kept apart. Judge: {judge}.",
                records(pooled),
                TEMPERATURE,
                numbers("Decisions per prompt", lambda row: number(row["responses_a_prompt"], 1)),
                *columns,
            ),
        ),
    )


def _draws(table: Layout) -> Section:
    return Section(
        "draws",
        "How the figures depend on the number of responses",
        (
            "With more responses per prompt, the share of the commonest decision falls and the share of flipped "
            "prompts rises, although the model is the same. Do not compare studies with different numbers. A row of a "
            "single temperature has fewer responses than a pooled one. The pairwise form does not depend on the "
            "number.",
            "The share of unstable prompts jumps with the possible shares: under a threshold of 0.8, 2 of 3 is "
            "unstable and 4 of 5 is not.",
        ),
        tables=(table,),
    )


def _everything(entry: Replication, compared: pd.DataFrame) -> Section:
    printed = compared["source"].isin(PRINTED)
    return Section(
        "figures",
        "The figures beside ours",
        (f"The same as a table: reports/{entry.name}/comparison.csv.",),
        tables=filled(
            _figures(
                "published_figures",
                "Printed figures: those of the paper and of the first report. Each row names its judge.",
                compared[printed],
                "Published",
            ),
            _figures(
                "recomputed_figures",
                "Figures of our own: recomputed from the published labels, or defined by this project. Each row names "
                "its judge.",
                compared[~printed],
                "Expected",
            ),
        ),
    )


def _figures(name: str, title: str, rows: pd.DataFrame, wanted: str = "Published or expected") -> Layout:
    """Figures beside ours; `wanted` heads the column of those."""
    return laid_out(
        name,
        title,
        records(rows),
        words("Figure", "quantity"),
        words("Model", "model"),
        words("Judge", "judge"),
        words("T", lambda row: "" if pd.isna(row["temperature"]) else f"{row['temperature']:g}"),
        words("Category", "category"),
        words("Source", "source"),
        numbers(wanted, _wanted),
        numbers("Ours", _ours),
        numbers("Difference", _difference),
        words("Outcome", "outcome"),
        words("Remark", "why"),
    )


def _wanted(row: Row) -> str:
    value = str(row["value"])
    return value if not value or len(value) <= SHORT or value.startswith("[") else f"{float(value):.6f}"


def _difference(row: Row) -> str:
    # What is left of two computations with other roundings is none.
    return "" if pd.isna(row["difference"]) else f"{round(row['difference'], 12) + 0:.2g}"


def _ours(row: Row) -> str:
    column = COLUMNS.get(str(row["table"]).rpartition(".")[2])
    if column is not None and column.unit == "p":
        return p_value(row["ours"])
    return count(row["ours"]) if row["tolerance"] == "0" else number(row["ours"], 6).rstrip("0").rstrip(".")
