"""Published figures find their place in our tables, and every difference has a reason."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pandas as pd
import pytest

from refusal_stability.files import ArtifactError
from refusal_stability.replication.comparison import (
    COMPARED,
    NO_NUMBER,
    NOT_EXPLAINED,
    PRINTED,
    Labels,
    bounds,
    compare_figures,
    place_of,
    read_figures,
    scopes_of,
    statement,
    with_models_of,
)
from refusal_stability.replication.over_models import OVER_MODELS
from refusal_stability.tables.metrics import METRIC_TABLES

HEADER = "quantity,model,judge,temperature,value,tolerance,source,note,reason\n"
FIGURES = Path(__file__).parents[2] / "studies/published/figures.csv"
# Two models are labelled by both judges, one by haiku only; haiku's labels of `gone-7b` are not at hand.
PUBLISHED = {"haiku": ["m-1-5", "other", "gone-7b"], "local": ["m-1-5", "other"]}
LABELS = Labels(PUBLISHED, PUBLISHED | {"haiku": ["m-1-5", "other"]})
ALL_THERE = Labels(PUBLISHED, PUBLISHED)


def figures(tmp_path: Path, *lines: str) -> pd.DataFrame:
    path = tmp_path / "figures.csv"
    # A line may leave out the reason.
    columns = HEADER.count(",")
    rows = [line if len(next(csv.reader([line]))) > columns else f"{line}," for line in lines]
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return read_figures(path)


def tables(name: str, primary: str) -> pd.DataFrame:
    """Small tables; `sample_size` is another one for another primary judge."""
    if name == "aggregate_by_judge":
        rows = [
            ("m-1-5", "haiku", float("nan"), 0.9),
            ("m-1-5", "haiku", 0.7, 0.8),
            ("other", "haiku", float("nan"), 0.5),
        ]
        return pd.DataFrame(rows, columns=["model", "judge", "temperature", "mean_ssi"])
    if name == "sample_size":
        agreement = {"haiku": 0.91, "local": 0.95}[primary]
        return pd.DataFrame(
            [("m-1-5", float("nan"), 3, agreement)], columns=["model", "temperature", "n_draws", "majority_agreement"]
        )
    if name == "temperature_pairs":
        columns = ["model", "temperature_a", "temperature_b", "mean_difference"]
        return pd.DataFrame([("*", 0.0, 1.0, -0.03)], columns=columns)
    if name == "judge_confusion":
        columns = ["model", "judge_a", "judge_b", "label_a", "label_b", "n_label"]
        return pd.DataFrame([("*", "local", "haiku-3-5", "REFUSE", "COMPLY", 7)], columns=columns)
    raise AssertionError(name)


def outcome(tmp_path: Path, line: str, absent: dict[str, str] | None = None, labels: Labels = ALL_THERE) -> pd.Series:
    return compare_figures(figures(tmp_path, line), tables, "haiku", absent or {}, labels).iloc[0]


def test_a_figure_within_its_tolerance_is_the_same(tmp_path: Path) -> None:
    row = outcome(tmp_path, "mean_ssi,m-1.5,haiku,,0.9004,0.0005,paper,")
    assert (row["ours"], row["outcome"], row["why"]) == (0.9, "same", "")
    assert row["difference"] == pytest.approx(-0.0004)
    assert row["table"] == "aggregate_by_judge.mean_ssi"


def test_a_temperature_is_looked_up_at_that_temperature(tmp_path: Path) -> None:
    assert outcome(tmp_path, "mean_ssi,m-1.5,haiku,0.7,0.8,0.0005,paper,")["outcome"] == "same"


def test_a_difference_takes_its_reason_from_the_figures_file(tmp_path: Path) -> None:
    row = outcome(tmp_path, "mean_ssi,m-1.5,haiku,,0.8,0.0005,paper,a remark,another definition")
    assert (row["outcome"], row["why"]) == ("differs", "another definition")
    assert row["difference"] == pytest.approx(0.1)


def test_a_difference_that_nobody_explained_says_so(tmp_path: Path) -> None:
    row = outcome(tmp_path, "mean_ssi,m-1.5,haiku,,0.8,0.0005,paper,a remark")
    assert row["outcome"] == NOT_EXPLAINED
    assert row["why"].startswith("not explained")
    assert row["why"].endswith("; a remark")


def test_a_pooled_figure_over_fewer_models_says_which_are_left_out(tmp_path: Path) -> None:
    line = "ssi_drop_t0_to_t1_pooled,,haiku,,0.05,0.0001,paper,"
    row = outcome(tmp_path, line, labels=LABELS)
    assert (row["outcome"], row["why"]) == ("differs", "over fewer models than published: without gone-7b")


def test_a_remark_does_not_hide_the_reason_of_a_difference(tmp_path: Path) -> None:
    line = "ssi_drop_t0_to_t1_pooled,,haiku,,0.05,0.0001,paper,the statistic comes out"
    assert outcome(tmp_path, line, labels=LABELS)["why"].startswith("over fewer models")
    row = outcome(tmp_path, "mean_ssi,m-1.5,haiku,,0.8,0.0005,paper,the statistic comes out")
    assert row["why"].startswith("not explained")


@pytest.mark.parametrize(
    ("judges", "lacking"),
    [
        ("haiku", ["gone-7b"]),
        ("local or haiku", ["gone-7b"]),
        ("haiku or local", []),
        ("local", []),
        ("local vs haiku", []),
        ("haiku and local", []),
        ("haiku beside local", []),
    ],
)
def test_only_models_that_a_figure_covers_as_published_can_be_lacking(judges: str, lacking: list[str]) -> None:
    assert LABELS.lacking(judges) == lacking
    assert ALL_THERE.lacking(judges) == []


def test_a_figure_of_two_judges_lacks_a_model_where_either_judges_labels_are_not_at_hand() -> None:
    labels = Labels(PUBLISHED, PUBLISHED | {"local": ["other"]})
    assert labels.lacking("local vs haiku") == ["m-1-5"]
    assert labels.lacking("local or haiku") == ["m-1-5"]
    assert labels.lacking("haiku") == []


def test_a_figure_whose_models_are_all_there_is_not_over_fewer_of_them(tmp_path: Path) -> None:
    line = "confusion_REFUSE_COMPLY,,local vs haiku-3.5,,8,0,paper,"
    labelled = {"local": ["m-1-5"], "haiku-3-5": ["m-1-5", "gone-7b"]}
    labels = Labels(labelled, labelled | {"haiku-3-5": ["m-1-5"]})
    row = outcome(tmp_path, line, {"gone-7b": "no file"}, labels)
    assert row["outcome"] == NOT_EXPLAINED
    assert "fewer models" not in row["why"]


def test_a_printed_number_that_is_not_at_hand_leaves_ours_to_read(tmp_path: Path) -> None:
    row = outcome(tmp_path, "mean_ssi,m-1.5,haiku,,,,paper,")
    assert (row["ours"], row["outcome"]) == (0.9, NO_NUMBER)
    assert row["why"] == "printed figure not at hand"
    assert row["difference"] != row["difference"]


def test_an_analysis_that_no_table_repeats_is_absent_with_the_reason(tmp_path: Path) -> None:
    row = outcome(tmp_path, "feature_auc,m-1.5,haiku,,0.5,0.1,paper,,no predictor here")
    assert (row["outcome"], row["why"]) == ("absent", "no predictor here")


def test_the_statement_counts_printed_figures_apart_from_our_own(tmp_path: Path) -> None:
    table = figures(
        tmp_path,
        "mean_ssi,m-1.5,haiku,,0.9,0.0005,paper,",
        "mean_ssi,m-1.5,haiku,,0.8,0.0005,first report,,another definition",
        "feature_auc,m-1.5,haiku,,0.5,0.1,paper,",
        "mean_ssi,other,haiku,,,,paper,",
        "mean_ssi,m-1.5,haiku,0.7,0.7,0.0005,paper,",
        "mean_ssi,other,haiku,,0.5,0.1,raw labels,",
    )
    printed, alone, own = statement(compare_figures(table, tables, "haiku", {}, ALL_THERE))
    assert printed == (
        "4 figures as printed: 1 the same, 1 different with the reason, 1 different and not explained, 1 not "
        "obtainable from the data."
    )
    assert alone == "1 more were printed, and their numbers are not at hand: ours stand alone."
    assert own.startswith("1 figure recomputed or defined here: 1 the same, 0 different")


def test_figures_over_models_name_their_judges_and_find_their_row() -> None:
    row = {"quantity": "over_models_pct_flipped", "model": "", "category": "", "temperature": 0.0}
    place = place_of(row | {"judge": "local or haiku-3.5"}, "haiku")
    assert (place.table, place.column) == ("over_models", "pct_flipped")
    assert place.where == {"judges": "local or haiku-3-5", "model": "*", "category": "", "temperature": 0.0}


def test_several_figures_over_the_same_models_share_a_row(tmp_path: Path) -> None:
    lines = [f"over_models_{name},,local,{t},0.5,0.1,paper," for name in ("mean_ssi", "pct_flipped") for t in ("", 0.0)]
    assert [scope[3] for scope in scopes_of(figures(tmp_path, *lines))] == [0.0, pytest.approx(math.nan, nan_ok=True)]


def test_a_model_that_the_data_lack_is_absent_with_the_reason(tmp_path: Path) -> None:
    row = outcome(tmp_path, "mean_ssi,gone-7b,haiku,,0.8,0.0005,paper,", {"gone-7b": "no file of that name"})
    assert (row["outcome"], row["why"]) == ("absent", "no file of that name")
    assert row["ours"] != row["ours"]


def test_another_primary_judges_table_is_asked_for(tmp_path: Path) -> None:
    row = outcome(tmp_path, "majority_agreement_n3,m-1.5,local,,0.95,0.001,paper,")
    assert (row["ours"], row["outcome"]) == (0.95, "same")


@pytest.mark.parametrize(
    ("interval", "expected", "difference"),
    [("[0.90, 0.96]", "same", 0.0), ("[0.96, 0.99]", NOT_EXPLAINED, -0.01), ("[0.90, 0.94]", NOT_EXPLAINED, 0.01)],
)
def test_an_interval_must_hold_ours(tmp_path: Path, interval: str, expected: str, difference: float) -> None:
    row = outcome(tmp_path, f'majority_agreement_n3,m-1.5,local,,"{interval}",inside,paper,')
    assert row["outcome"] == expected
    assert row["difference"] == pytest.approx(difference)


def test_a_drop_is_our_difference_turned_round(tmp_path: Path) -> None:
    assert outcome(tmp_path, "ssi_drop_t0_to_t1_pooled,,haiku,,0.03,0.0001,paper,")["ours"] == 0.03


def test_a_cell_between_two_judges_is_found_by_both_decisions(tmp_path: Path) -> None:
    row = outcome(tmp_path, "confusion_REFUSE_COMPLY,,local vs haiku-3.5,,7,0,paper,")
    assert (row["ours"], row["outcome"]) == (7, "same")


def test_bounds_are_those_of_a_number_or_of_an_interval() -> None:
    assert bounds("32.0", "0.5") == (31.5, 32.5)
    assert bounds("[1, 2.5]", "inside") == (1.0, 2.5)


@pytest.mark.parametrize("cells", ["a lot,0.1", "0.5,", "0.5,inside", '"[2, 1]",inside'])
def test_a_value_that_cannot_be_read_names_the_figure(tmp_path: Path, cells: str) -> None:
    with pytest.raises(ArtifactError, match="mean_ssi m"):
        figures(tmp_path, f"mean_ssi,m,haiku,,{cells},paper,")


def test_every_printed_figure_has_one_row() -> None:
    printed = [row for row in read_figures(FIGURES).to_dict("records") if row["source"] in PRINTED and row["value"]]
    stated = [(row["source"], row["value"]) for row in printed]
    assert len(set(stated)) == len(stated)


def test_every_figure_of_the_file_has_a_place_in_a_table_and_column_that_exist() -> None:
    for row in read_figures(FIGURES).to_dict("records"):
        place = place_of({str(k): v for k, v in row.items()}, "claude-3-5-haiku")
        if not place.table:
            assert row["reason"], row
            continue
        contract = OVER_MODELS if place.table == "over_models" else METRIC_TABLES[place.table][1]
        assert {place.column, *place.where} <= set(contract.columns), row


def test_the_comparison_has_the_columns_of_its_contract(tmp_path: Path) -> None:
    table = compare_figures(figures(tmp_path, "mean_ssi,m-1.5,haiku,,0.9,0.1,paper,"), tables, "haiku", {}, ALL_THERE)
    assert list(table.columns) == list(COMPARED.columns)


def test_a_figure_of_a_category_is_looked_up_there() -> None:
    row = {
        "quantity": "pct_flipped",
        "model": "org/m:1",
        "judge": "panel",
        "temperature": float("nan"),
        "category": "benign",
    }
    place = place_of(row, "panel")
    assert (place.table, place.column, place.primary) == ("categories", "pct_flipped", "panel")
    assert place.where == {"model": "org-m-1", "category": "benign"}


def test_a_figure_names_a_model_as_the_study_or_its_label_does(tmp_path: Path) -> None:
    lines = (f"mean_ssi,{model},haiku,,0.9,0.01,paper,," for model in ("M 1.5", "", "Our Model A", "other"))
    study = {"models": {"m-1-5": {"label": "M 1.5"}, "a": {"label": "Our Model A"}, "other": {}}}
    path = tmp_path / "figures.csv"
    named = with_models_of(study, figures(tmp_path, *lines), path)
    assert named["model"].tolist() == ["M 1.5", "", "a", "other"]
    with pytest.raises(ArtifactError, match=r"figures\.csv: model 'C': .*by its label: m-1-5, a, other"):
        with_models_of(study, figures(tmp_path, "mean_ssi,C,haiku,,0.9,0.01,paper,,"), path)
