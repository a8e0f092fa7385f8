"""The replication as it is written out: every published figure beside ours, nothing of it stored in the code."""

from __future__ import annotations

import csv
import math
import os
import re
from pathlib import Path

import pandas as pd
import pytest

from refusal_stability.files import replication_page, replication_tables
from refusal_stability.replication.comparison import NO_NUMBER, NOT_EXPLAINED
from refusal_stability.replication.over_models import OVER_MODELS
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import GENERATION_TABLE

SOURCE = Path(__file__).parents[2] / "src"
GOLDEN = Path(os.environ.get("RS_SHARED", Path(__file__).parents[3] / "shared")) / "golden/published_study.csv"
pytestmark = pytest.mark.timeout(1800)  # whichever comes first runs the whole study
START = 20
CODE = (".py", ".csv", ".md", ".json", ".txt", ".j2", ".html", ".css", ".mplstyle", ".yaml")


def code() -> dict[Path, str]:
    return {f: f.read_text(encoding="utf-8") for f in SOURCE.rglob("*") if f.is_file() and f.suffix in CODE}


def test_every_recomputed_figure_comes_out_and_each_printed_one_that_does_not_has_a_reason(
    comparison: pd.DataFrame,
) -> None:
    differs = comparison[~comparison["outcome"].isin(["same", NO_NUMBER])]
    assert differs[["quantity", "source", "outcome"]].to_numpy().tolist() == [
        ["ssi_drop_t0_to_t1_pooled_low", "paper", "differs"],
        ["ssi_drop_t0_to_t1_pooled_high", "paper", "differs"],
        ["mean_ssi_entropy_observed", "first report", NOT_EXPLAINED],
        ["over_models_mean_ssi_pooled", "paper", "differs"],
        ["feature_auc", "paper", "absent"],
    ]
    assert (differs["why"].str.startswith("not explained") == (differs["outcome"] == NOT_EXPLAINED)).all()
    assert not differs["why"].str.contains("fewer models").any()
    unknown = comparison[comparison["outcome"] == NO_NUMBER]
    assert (unknown["source"] == "paper").all()
    assert unknown["why"].str.startswith("printed figure not at hand").all()


def test_every_table_names_its_judge_and_no_p_value_is_printed_as_0(published: Path) -> None:
    page = (published / replication_page("published")).read_text(encoding="utf-8")
    place = replication_tables("published") / "latex"
    for file in (published / place).glob("*.tex"):
        if file.stem not in ("published_outcome", "published_data"):
            assert re.search("[Jj]udge", re.findall(r"\\caption.*", file.read_text(encoding="utf-8"))[0]), file.name
    rows = [line for line in page.splitlines() if line.startswith(r"| p\_holm")]
    assert len(rows) == 6
    assert all(re.search(r"\| (\\<0\.001|0\.\d{3}) \|", row) for row in rows)


def test_the_conclusions_flip_rates_need_two_judges(published: Path) -> None:
    table = read_table(published / replication_tables("published") / "over_models.csv", OVER_MODELS)
    mixed = table[table["judges"] == "llama-judge or claude-3-5-haiku"].set_index("temperature")
    assert mixed["pct_flipped"].round(2).to_dict() == {0.0: 9.5, 0.3: 14.7, 0.7: 17.47, 1.0: 19.58}
    assert (mixed["n_models"] == 4).all()


def test_the_figures_file_holds_every_golden_figure_with_its_value_and_tolerance(comparison: pd.DataFrame) -> None:
    figures = ["quantity", "model", "judge", "temperature", "value", "tolerance"]
    ours = {tuple("" if c != c else str(c) for c in row) for row in comparison[figures].to_numpy(object)}
    with GOLDEN.open(encoding="utf-8") as file:
        golden = {tuple(row[name] for name in figures) for row in csv.DictReader(file)}
    assert golden <= ours


def test_the_first_reports_index_is_another_definition(comparison: pd.DataFrame) -> None:
    llama = (comparison["model"] == "llama-3.1-8b") & (comparison["judge"] == "llama-judge")
    pooled = comparison[llama & comparison["temperature"].isna()]
    printed = pooled[pooled["source"] == "first report"].set_index("quantity")
    assert printed["outcome"].to_dict() == {
        "mean_ssi_entropy_observed": "same",
        "pct_unstable_entropy_observed": "same",
    }
    own = pooled[pooled["source"] == "raw labels"].set_index("quantity")
    # Under it "unstable" and "flipped" are the same prompts.
    assert printed.loc["pct_unstable_entropy_observed", "ours"] == own.loc["pct_flipped", "ours"]
    assert own.loc["mean_ssi", "ours"] > printed.loc["mean_ssi_entropy_observed", "ours"]


def test_pooling_the_models_hides_what_temperature_does(published: Path) -> None:
    pooled = pd.read_csv(published / replication_tables("published") / "pooling.csv").set_index("temperature")
    assert (pooled["mean_ssi_pooled"] < pooled["mean_ssi_by_model"]).all()
    drop = pooled.loc[0.0] - pooled.loc[1.0]
    assert drop["mean_ssi_pooled"] < drop["mean_ssi_by_model"]


def test_a_smaller_study_of_the_same_models_would_have_looked_more_stable(published: Path) -> None:
    draws = pd.read_csv(published / "data/metrics/stability_by_draws.csv")
    pooled = draws[draws["temperature"].isna() & (draws["n_prompts"] == 876)]
    for _, rows in pooled.groupby("model"):
        assert (rows["mean_ssi"].diff().dropna() <= 1e-12).all()
        assert (rows["pct_flipped"].diff().dropna() >= -1e-9).all()
        assert rows["mean_ssi_pairwise"].dropna().max() - rows["mean_ssi_pairwise"].dropna().min() < 1e-9


def test_the_page_and_its_tables_are_there_in_every_format(published: Path) -> None:
    page = (published / replication_page("published")).read_text(encoding="utf-8")
    for heading in ("What the data hold", "What differs, and why", "pooled per", "number of responses", "Confusion"):
        assert heading in page
    assert "mistral" in page
    html = (published / replication_tables("published") / "published.html").read_text(encoding="utf-8")
    latex = {file.stem for file in (published / replication_tables("published") / "latex").glob("*.tex")}
    wanted = ["models", "within_temperature", "sample_size", "judge_validation", "confusion", "consensus", "binary"]
    wanted += ["thresholds", "tail_risk", "determinism", "draws", "published_figures"]
    assert set(wanted) <= latex
    for name in wanted:
        text = (published / replication_tables("published") / "latex" / f"{name}.tex").read_text(encoding="utf-8")
        assert "\\toprule" in text
        assert "\\bottomrule" in text
        # No label of the report's own tables.
        assert f"\\label{{tab:published-{name}}}" in text
    confusion = (published / replication_tables("published") / "latex/confusion.tex").read_text(encoding="utf-8")
    assert re.search(r"& [1-9][\d,]* ?\\\\", confusion)
    assert not re.search(r"& 0 ?\\\\", confusion)
    assert html.count("<table") >= len(wanted)


def test_models_without_responses_have_labels_and_say_why_there_is_no_response(published: Path) -> None:
    file = published / "data/generations/qwen3-8b/qwen3-8b_temp0.7_seed42_generations.csv"
    rows = read_table(file, GENERATION_TABLE)
    assert (rows["response"] == "").all()
    assert rows["missing_reason"].str.startswith("labels only").all()
    missing = pd.read_csv(published / "data/metrics/missing.csv")
    failed = missing[(missing["model"] == "qwen3-8b") & (missing["judge"] == "claude-3-5-haiku")]
    assert dict(zip(failed["missing_reason"], failed["n_missing"], strict=True))["*"] == 8


def test_no_golden_value_stands_in_the_code() -> None:
    numbers = {0.799, 32.0, 396.81}
    with GOLDEN.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers |= {float(n) for n in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", row["value"])}
    # As they stand, and rounded. With fewer than four digits a number could be anyone's, but for those printed.
    texts = {"0.799", "396.8"}
    for n in map(abs, numbers):
        roundings = {repr(n), *(f"{n:.{digits}f}" for digits in range(1, 9))}
        texts |= {t for t in roundings if len(t.replace(".", "").lstrip("0").rstrip("0")) >= 4}
        texts |= {f"{n:.0f}", f"{n:,.0f}", f"{n:_.0f}"} if n.is_integer() and n >= 1000 else set()
    found = []
    for file, source in code().items():
        there = set(re.findall(r"(?<![\w.])\d[\d_,]*\.?\d*", source))
        found += [f"{file.name}: {text}" for text in sorted(texts & there)]
    assert len(texts) > 500
    assert not found


def test_no_published_response_stands_in_the_code(published: Path) -> None:
    sentences = set()
    for file in published.glob("data/generations/*/*.csv"):
        for response in read_table(file, GENERATION_TABLE)["response"].unique():
            sentences |= {s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+", response) if len(s.split()) >= 8}
    assert len(sentences) > 10_000
    starts: dict[str, list[str]] = {}
    for sentence in sentences:
        starts.setdefault(sentence[:START], []).append(sentence)
    found = []
    for file, source in code().items():
        flat = " ".join(source.split())
        for i in range(len(flat) - START):
            found += [(file.name, s) for s in starts.get(flat[i : i + START], []) if flat.startswith(s, i)]
    assert not found


@pytest.mark.parametrize("value", ["0.5", "1.5"])
def test_a_difference_is_ours_minus_the_published_one(comparison: pd.DataFrame, value: str) -> None:
    numbers = comparison[comparison["outcome"].isin(["same", "differs"]) & (comparison["tolerance"] != "inside")]
    offset = float(value)
    shifted = numbers["value"].astype(float) + offset
    assert all(
        math.isclose(ours - published, difference - offset, abs_tol=1e-9)
        for ours, published, difference in zip(numbers["ours"], shifted, numbers["difference"], strict=True)
    )
