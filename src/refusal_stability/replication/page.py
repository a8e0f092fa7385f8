"""The replication's own report: what the data hold, each published figure beside ours, and why some differ."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from refusal_stability.measures.stability import ssi_entropy_observed
from refusal_stability.replication.comparison import Tables, records
from refusal_stability.replication.plan import Plan
from refusal_stability.replication.reader_tables import LAYOUTS
from refusal_stability.report.content import Column, Report, Section, Table
from refusal_stability.report.number_format import count, number

FIRST_REPORT = "first report"
SHORT = 8  # a number as it was printed; longer ones are recomputed
OUTCOMES = ("same", "differs", "absent")
NAMES = tuple(Column(heading, "text") for heading in ("Figure", "Model", "Judge", "T", "Source"))
NUMBERS = (Column("Published"), Column("Ours"), Column("Difference"))


def page(
    plan: Plan, compared: pd.DataFrame, pooled: pd.DataFrame, tables: Tables, n_responses: int, threshold: float
) -> Report:
    """The whole page.

    Parameters
    ----------
    plan : what the data hold and what was left out.
    compared : every published figure beside ours.
    pooled : the per-temperature figures with the models pooled.
    tables : reads our metric tables.
    n_responses : responses a prompt in all.
    threshold : under which a prompt counts as unstable.
    """
    labels = {held.model: held.label for held in plan.held}

    def label(model: str) -> str:
        return labels.get(model, "all models" if model == "*" else model)

    readers = {layout.name: layout.table(tables(layout.source, ""), label) for layout in LAYOUTS}
    sections = (
        _outcome(compared),
        _data(plan),
        _differences(compared),
        _first_report(compared, n_responses, threshold),
        _pooling(pooled),
        _draws(readers.pop("draws")),
        Section(
            "tables",
            "The study's tables",
            ("Figures in brackets are intervals over prompts (over responses where judges are compared).",),
            tables=tuple(table for table in readers.values() if table.rows),
        ),
        _everything(compared),
    )
    title = f"The published study, replicated from its raw data ({plan.params['study']})"
    question = "Do the published figures come out of the published responses and labels, and where not, why?"
    return Report(title, question, sections)


def _outcome(compared: pd.DataFrame) -> Section:
    by_source = {source: Counter(rows["outcome"]) for source, rows in compared.groupby("source", sort=False)}
    rows = [(str(source), *(count(seen[outcome]) for outcome in OUTCOMES)) for source, seen in by_source.items()]
    total = Counter(compared["outcome"])
    rows.append(("all", *(count(total[outcome]) for outcome in OUTCOMES)))
    columns = (Column("Source", "text"), Column("Same"), Column("Different"), Column("Absent"))
    return Section(
        "outcome",
        "What came out",
        (
            f"{total['same']} of {len(compared)} published figures come out of the raw labels through this project's "
            f"own tables, {total['differs']} differ, {total['absent']} cannot be had from the data at hand.",
            "Source: paper and first report, as printed there; raw labels, recomputed from the published labels to "
            "nine decimals; definition, defined by this project and never published.",
        ),
        tables=(Table("published_outcome", "Published figures by where they stand.", columns, tuple(rows)),),
    )


def _data(plan: Plan) -> Section:
    judges = list(dict.fromkeys(judge for held in plan.held for judge in held.labels))
    rows = []
    for held in plan.held:
        cells = [f"{held.responses} of {held.wanted}"]
        cells += [f"{held.labels[j]} of {held.wanted}" if j in held.labels else "none" for j in judges]
        rows.append((held.label, *cells, held.left_out or "runs"))
    columns = (Column("Model", "text"), Column("Responses"), *map(Column, judges), Column("Outcome", "text"))
    unused = "Not used by any model of the study: " + "; ".join(plan.unclaimed) + "." if plan.unclaimed else ""
    return Section(
        "data",
        "What the data hold",
        ("Configurations (temperature x seed) with responses, and with labels by each judge.", *filter(None, [unused])),
        tables=(Table("published_data", "What the data hold of each model.", columns, tuple(rows)),),
    )


def _differences(compared: pd.DataFrame) -> Section:
    rows = compared[compared["outcome"] != "same"]
    if rows.empty:
        return Section("differences", "What differs", ("Nothing differs and nothing is absent.",))
    return Section(
        "differences",
        "What differs, and why",
        ("Every figure that does not come out within its tolerance, with the reason.",),
        tables=(_figures("published_differences", "Figures that differ or are absent.", rows),),
    )


def _first_report(compared: pd.DataFrame, n_responses: int, threshold: float) -> Section:
    one_flip = float(ssi_entropy_observed(np.array([[n_responses - 1, 0, 1]]))[0])
    return Section(
        "first-report",
        "The first report's stability index",
        (
            "The first report measured stability as 1 - H / log2 k, with k the number of decisions that a prompt's "
            "responses show (our ssi_entropy_observed). Its figures come out under that definition and under no other.",
            f"By that definition one deviating response among {n_responses} gives {number(one_flip)}, below the "
            f"threshold of {threshold:g}, and every further one gives less. So each prompt that flips at all is "
            "called unstable, and the report's finding that the unstable prompts are exactly those that flip follows "
            "from the definition, not from the model. Under the share of the commonest decision (our ssi) the two "
            "part: a prompt can flip once and still be stable.",
        ),
        tables=(
            _figures(
                "published_first_report",
                "The first report's figures under its definition and under ours.",
                compared[compared["source"] == FIRST_REPORT],
            ),
        ),
    )


def _pooling(pooled: pd.DataFrame) -> Section:
    headings = {"mean_ssi": "Mean SSI", "pct_unstable": "Unstable %", "pct_flipped": "Flipped %"}
    columns = [Column("T", "text"), Column("Decisions a prompt")]
    columns += [Column(f"{heading}, {way}") for heading in headings.values() for way in ("pooled", "by model")]
    rows = []
    for row in records(pooled):
        cells = ["all" if pd.isna(row["temperature"]) else number(row["temperature"], 1)]
        cells.append(number(row["responses_a_prompt"], 1))
        for name in headings:
            digits = 3 if name == "mean_ssi" else 1
            cells += [number(row[f"{name}_{way}"], digits) for way in ("pooled", "by_model")]
        rows.append(tuple(cells))
    return Section(
        "pooling",
        "The pooled per-temperature table",
        (
            "The published code counted labels by prompt and temperature and left the model out, so that one prompt's "
            "decisions are those of all the models together. A prompt on which every model is steady, but one refuses "
            "and another helps, then looks unstable. The columns named pooled repeat that; those named by model are "
            "the mean of the models' own figures, which is what a temperature does to a model.",
        ),
        tables=(
            Table("published_pooling", "The models' decisions pooled, and kept apart.", tuple(columns), tuple(rows)),
        ),
    )


def _draws(table: Table) -> Section:
    return Section(
        "draws",
        "How the figures depend on the number of responses",
        (
            "The share of the commonest decision falls, and the share of flipped prompts rises, with the number of "
            "responses a prompt although the model is the same: figures of studies with different numbers must not be "
            "compared, and a row of a single temperature has fewer responses than a pooled one. The pairwise form does "
            "not depend on the number. (The share of unstable prompts jumps with the shares that are possible: under "
            "a threshold of 0.8, 2 of 3 is unstable and 4 of 5 is not.)",
        ),
        tables=(table,),
    )


def _everything(compared: pd.DataFrame) -> Section:
    return Section(
        "figures",
        "Every published figure beside ours",
        ("The same as a table: reports/published/comparison.csv.",),
        tables=(_figures("published_figures", "Every published figure.", compared),),
    )


def _figures(name: str, caption: str, rows: pd.DataFrame) -> Table:
    columns = (*NAMES, *NUMBERS, Column("Outcome", "text"), Column("Remark", "text"))
    return Table(name, caption, columns, tuple(_figure(row) for row in records(rows)))


def _figure(row: dict[str, object]) -> tuple[str, ...]:
    temperature = float(str(row["temperature"]))
    published = str(row["value"])
    ours, difference = float(str(row["ours"])), float(str(row["difference"]))
    whole = row["tolerance"] == "0"
    return (
        str(row["quantity"]),
        str(row["model"]),
        str(row["judge"]),
        "" if temperature != temperature else number(temperature, 1),
        str(row["source"]),
        published if len(published) <= SHORT or published.startswith("[") else f"{float(published):.6f}",
        count(ours) if whole else number(ours, 6).rstrip("0").rstrip("."),
        "" if difference != difference else f"{difference:.2g}",
        str(row["outcome"]),
        str(row["why"]),
    )
