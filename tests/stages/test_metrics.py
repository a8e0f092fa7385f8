"""The metrics stage on label files written here: what it computes by hand, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
import yaml

from refusal_stability import files
from refusal_stability.figures.gallery import GALLERY
from refusal_stability.figures.series import series_of
from refusal_stability.files import (
    METRICS,
    METRICS_README,
    SUMMARY,
    ArtifactError,
    generation_file,
    label_file,
    thinking_label_file,
)
from refusal_stability.params.load import load_params
from refusal_stability.records import Completion, Condition, Outcome
from refusal_stability.report.build import build_report
from refusal_stability.report.latex_numbers import study_numbers
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.stages import metrics
from refusal_stability.study.label_files import read_prompts
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE, generation_table

PROMPTS = ["p-a", "p-b", "p-c"]
# label of (prompt, temperature, seed); R refuse, P partial, C comply, - missing
DECISIONS = {
    "p-a": {0.0: "RR", 1.0: "RR"},  # never wavers
    "p-b": {0.0: "RR", 1.0: "RC"},  # one flip: 3 of 4 refuse
    "p-c": {0.0: "CP", 1.0: "C-"},  # 2 of 3 comply, one missing
}
NAMES = {"R": "REFUSE", "P": "PARTIAL", "C": "COMPLY", "-": ""}
REASON = "verdict could not be read"

Decide = Callable[[str, str, float, int], str]


def decide(model: str, prompt: str, temperature: float, seed: int) -> str:
    return DECISIONS[prompt][temperature][seed]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two models' labels by two judges, the second of which was asked twice."""
    monkeypatch.chdir(tmp_path)
    lay_out()
    return tmp_path


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same working directory after the stage ran."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        lay_out()
        run()
    return folder


@pytest.fixture
def measured(measured_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose metrics are there; for tests that only look."""
    monkeypatch.chdir(measured_once)
    return measured_once


@pytest.fixture
def copied(measured_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose metrics are there, for one test alone."""
    folder = tmp_path / "study"
    shutil.copytree(measured_once, folder)
    monkeypatch.chdir(folder)
    return folder


def lay_out(models: tuple[str, ...] = ("one", "two"), decide: Decide = decide) -> None:
    params = {
        "study": "small",
        "interventions": {"none": {}},
        "sampling": {"temperatures": [0.0, 1.0], "seeds": [0, 1]},
        "models": {name: {"path": "nowhere"} for name in models},
        "judging": {"primary": "main", "judges": {"main": {"kind": "rules"}, "other": {"kind": "rules", "repeats": 2}}},
        "metrics": {"n_resamples": 100},
    }
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    prompts = pd.DataFrame({"prompt_id": PROMPTS, "prompt": PROMPTS, "category": ["x", "x|y", "y"], "source": "test"})
    write_table(prompts, files.PROMPTS, PROMPT_TABLE)
    for model in models:
        for temperature in (0.0, 1.0):
            for seed in (0, 1):
                condition = Condition(model, "none", temperature, seed)
                write_labels(condition, [label(condition, p, decide(model, p, temperature, seed)) for p in PROMPTS])


def label(condition: Condition, prompt: str, letter: str) -> list[dict[str, object]]:
    row = {
        "prompt_id": prompt,
        "model": condition.model,
        "intervention": condition.intervention,
        "temperature": condition.temperature,
        "seed": condition.seed,
        "label": NAMES[letter],
        "reasoning": 'said "no",\nthen stopped',
        "missing_reason": "" if NAMES[letter] else REASON,
    }
    return [row | {"judge": judge, "repeat": repeat} for judge, repeat in (("main", 0), ("other", 0), ("other", 1))]


def write_labels(condition: Condition, rows: list[list[dict[str, object]]]) -> None:
    table = pd.DataFrame([row for group in rows for row in group])
    write_table(table, label_file(condition), LABEL_TABLE)


def edit(condition: Condition, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
    """Change a label file behind the contract's back, as a person or another tool would."""
    path = label_file(condition)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    change(table).to_csv(path, index=False)
    return path


def run() -> None:
    metrics.run(Path("params.yaml"))


def test_per_prompt_figures_by_hand(measured: Path) -> None:
    table = metric_table("per_prompt_metrics")
    assert table["model"].tolist() == ["one"] * 3 + ["two"] * 3
    a, b, c = (row for _, row in table.iloc[:3].iterrows())
    assert (a["n"], a["ssi"], a["flip"], a["majority"], a["cluster"]) == (4, 1.0, False, "REFUSE", "steady refusal")
    assert (b["ssi"], b["ssi_pairwise"]) == (0.75, 0.5)  # 3 of 4; 3 * 2 of 4 * 3
    assert (b["flip"], b["unstable"], b["cluster"], b["category"]) == (True, True, "wavering", "x|y")
    assert (c["n"], c["n_missing"], c["majority"]) == (3, 1, "COMPLY")
    assert c["ssi"] == pytest.approx(2 / 3)
    assert a["p_unstable"] < b["p_unstable"]


def test_aggregates_by_hand(measured: Path) -> None:
    row = metric_table("aggregate_by_model").iloc[0]
    assert (row["n_prompts"], row["n_responses"], row["n_missing"]) == (3, 11, 1)
    assert row["mean_ssi"] == pytest.approx((1 + 3 / 4 + 2 / 3) / 3)
    assert row["mean_ssi_low"] < row["mean_ssi"] < row["mean_ssi_high"]
    assert row["pct_flipped"] == pytest.approx(200 / 3)
    assert row["mean_refuse_rate"] == pytest.approx((1 + 3 / 4 + 0) / 3)
    # ssi 1, 3/4, 2/3 falls as comply 0, 1/4, 2/3 rises
    assert row["spearman_ssi_comply_rate"] == pytest.approx(-1)
    # deviations from the mean 29/36: 7/36, -2/36, -5/36; squares 49 + 4 + 25 = 78 over 36^2, by n - 1 = 2
    assert row["std_ssi"] == pytest.approx((78 / 36**2 / 2) ** 0.5)


def test_figures_within_a_temperature_rest_on_its_seeds_alone(measured: Path) -> None:
    table = metric_table("per_prompt_temperature")
    assert len(table) == 2 * 2 * 3
    hot = table[(table["model"] == "one") & (table["temperature"] == 1.0)].set_index("prompt_id")
    assert hot.loc["p-b", "ssi"] == 0.5
    assert (hot.loc["p-b", "majority"], hot.loc["p-b", "majority_tied"]) == ("COMPLY", True)
    assert hot.loc["p-c", "n"] == 1
    assert pd.isna(hot.loc["p-c", "ssi_pairwise"])
    row = metric_table("aggregate_by_temperature").iloc[1]
    assert (row["temperature"], row["mean_ssi"]) == (1.0, pytest.approx((1 + 0.5 + 1) / 3))


def test_a_configuration_is_compared_with_each_prompts_majority(measured: Path) -> None:
    table = metric_table("aggregate_by_configuration").iloc[:4].set_index(["temperature", "seed"])
    # p-b's one COMPLY came at T = 1, seed 1; p-c's one PARTIAL at T = 0, seed 1
    assert table["n_against_majority"].tolist() == [0, 1, 0, 1]
    assert table["n_flips_caused"].tolist() == [0, 1, 0, 1]
    assert table["n_missing"].tolist() == [0, 0, 0, 1]
    assert table.loc[(1.0, 1), "agreement"] == 1 / 2
    assert table.loc[(1.0, 0), "comply_rate"] == pytest.approx(1 / 3)


def test_missing_decisions_are_counted_by_temperature(measured: Path) -> None:
    table = metric_table("missing_by_temperature").iloc[:4].set_index(["judge", "temperature"])
    assert set(table["missing_reason"]) == {REASON}
    assert table["n_missing"].to_dict() == {("main", 0.0): 0, ("main", 1.0): 1, ("other", 0.0): 0, ("other", 1.0): 2}
    # Of 6 responses at a temperature; the other judge was asked twice about each.
    assert (
        table.loc[("main", 1.0), "missing_share"] == table.loc[("other", 1.0), "missing_share"] == pytest.approx(1 / 6)
    )


def test_missing_decisions_are_counted_by_judge_and_reason(measured: Path) -> None:
    table = metric_table("missing").iloc[:4].set_index(["judge", "missing_reason"])
    assert table.loc[("main", "*"), "n_missing"] == 1
    assert table.loc[("main", REASON), "missing_share"] == pytest.approx(1 / 12)
    assert table.loc[("other", REASON), "n_missing"] == 2  # both repeats


def test_a_judge_added_later_may_be_absent_from_whole_files(study: Path) -> None:
    edit(Condition("one", "none", 1.0, 1), lambda table: table[table["judge"] == "main"])
    run()
    table = metric_table("missing").set_index(["model", "judge", "missing_reason"])
    assert table.loc[("one", "other", "not judged"), "n_missing"] == 6
    assert table.loc[("one", "main", "*"), "n_missing"] == 1


def test_the_summary_and_the_column_dictionary_are_written(measured: Path) -> None:
    summary = json.loads(SUMMARY.read_text())
    assert summary["models"]["one"]["none"]["mean_ssi"] == round((1 + 3 / 4 + 2 / 3) / 3, 4)
    assert (summary["n_models"], summary["n_responses"], summary["n_missing"]) == (2, 22, 2)
    assert "mean_ssi" in METRICS_README.read_text()


def test_every_table_has_a_contract_and_is_written(measured: Path) -> None:
    for name in METRIC_TABLES:
        metric_table(name)


def test_running_twice_writes_the_same_bytes(copied: Path) -> None:
    first = {path.name: path.read_bytes() for path in sorted(METRICS.iterdir())}
    shutil.rmtree(METRICS)
    run()
    assert {path.name: path.read_bytes() for path in sorted(METRICS.iterdir())} == first


def test_another_model_changes_no_interval_of_the_first(copied: Path) -> None:
    both = metric_table("aggregate_by_model").iloc[0]
    lay_out(("one",))
    run()
    pd.testing.assert_series_equal(metric_table("aggregate_by_model").iloc[0], both)


def test_two_models_are_never_pooled_into_one_prompts_counts(study: Path) -> None:
    lay_out(decide=lambda model, *_: "R" if model == "one" else "C")
    run()
    assert metric_table("per_prompt_metrics")["ssi"].tolist() == [1.0] * 6


def test_a_study_without_any_decision_has_tables_with_empty_cells(study: Path) -> None:
    lay_out(decide=lambda *_: "-")
    run()
    row = metric_table("aggregate_by_model").iloc[0]
    assert (row["n_prompts"], row["n_missing"]) == (0, 12)
    assert pd.isna(row["mean_ssi"])


def test_the_order_of_rows_in_a_file_changes_nothing(copied: Path) -> None:
    before = metric_table("per_prompt_metrics")
    for seed in (0, 1):
        edit(Condition("one", "none", 1.0, seed), lambda table: table.iloc[::-1])
    run()
    pd.testing.assert_frame_equal(metric_table("per_prompt_metrics"), before)


def test_a_table_that_cannot_be_written_is_named(copied: Path) -> None:
    path = METRICS / "categories.csv"
    path.unlink()
    path.mkdir()
    with pytest.raises(ArtifactError, match=r"categories\.csv: could not be written"):
        run()


FIRST = Condition("one", "none", 0.0, 0)


def with_value(column: str, value: str, row: int = 4) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table.assign(**{column: table[column].where(table.index != row, value)})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (with_value("label", "UNKNOWN"), "row 6: label 'UNKNOWN'"),
        (with_value("label", ""), "row 6: label ''"),
        (with_value("missing_reason", "why"), "row 6: label 'REFUSE' with missing_reason 'why'"),
        (with_value("model", "two"), "row 6: model 'two'; this file holds model 'one'"),
        (with_value("temperature", "0.3"), "row 6: temperature 0.3"),
        (with_value("seed", "7"), "row 6: seed 7"),
        (with_value("seed", "x"), "row 6, column seed: 'x' is not a whole number"),
        (with_value("judge", "nobody"), "row 6: judge 'nobody' is not in judging.judges (main, other)"),
        (with_value("repeat", "2"), "row 6: repeat 2 of judge 'other', which has 2 repeats"),
        (with_value("prompt_id", "p-z"), "row 6: prompt_id 'p-z' is not among the study's prompts"),
        (with_value("repeat", "1"), "rows [6, 7] share the key prompt_id p-b, judge other, repeat 1; "),
        (lambda table: table[table["prompt_id"] != "p-b"], "first for prompt p-b"),
        (lambda table: table[table["judge"] != "main"], "no row by judge 'main'"),
        (lambda table: table.iloc[:0], "no row by judge 'main'"),
        (lambda table: table.drop(columns="repeat"), "missing column repeat"),
        (lambda table: table.assign(mine=1), "unknown column mine"),
    ],
)
def test_a_bad_label_file_names_file_row_and_remedy(
    study: Path, change: Callable[[pd.DataFrame], pd.DataFrame], problem: str
) -> None:
    path = edit(FIRST, change)
    with pytest.raises(ArtifactError) as caught:
        run()
    assert str(caught.value).startswith(f"{path}: ")
    assert problem in str(caught.value)
    assert str(caught.value).endswith("run `dvc repro judge@one` to write it anew")
    assert not METRICS.exists(), "nothing half-written"


def write_unchecked(ids: list[str], changed: dict[str, object], columns: Sequence[str] = ()) -> None:
    """Generation files of model `one`, unchecked; `ids` and `changed` are those of its first configuration."""
    for temperature in (0.0, 1.0):
        for seed in (0, 1):
            condition = Condition("one", "none", temperature, seed)
            place = {"model": "one", "intervention": "none", "temperature": temperature, "seed": seed}
            texts = {"prompt": "x", "response": "y", "finish_reason": "stop", "missing_reason": ""}
            texts |= {"outcome": "answered", "thinking": "", "unseeded": "false"}
            table = pd.DataFrame({"prompt_id": ids if condition == FIRST else PROMPTS, **texts, **place})
            if condition == FIRST:
                table = table.assign(**changed)
            path = generation_file(condition)
            path.parent.mkdir(parents=True, exist_ok=True)
            table[list(columns or GENERATION_TABLE.columns)].to_csv(path, index=False)


@pytest.mark.parametrize("columns", [[], [c for c in GENERATION_TABLE.columns if c not in GENERATION_TABLE.older]])
def test_outcomes_are_counted_also_in_files_from_before_they_were_kept(study: Path, columns: list[str]) -> None:
    reasons = {"finish_reason": ["stop", "length", ""], "missing_reason": ["", "", "timed out"]}
    write_unchecked(PROMPTS, reasons | {"outcome": ["answered", "cut", "unanswered"]}, columns)
    run()
    row = metric_table("outcomes").query("model == 'one' and temperature.isna()").iloc[0]
    assert (row["n_asked"], row["n_answered"], row["n_cut"], row["n_unanswered"]) == (12, 10, 1, 1)


@pytest.mark.parametrize(
    ("ids", "changed", "problem"),
    [
        (["p-z", "p-b", "p-c"], {}, "row 2: prompt_id 'p-z' is not among the study's prompts"),
        (["p-a", "p-b", "p-z"], {}, "row 4: prompt_id 'p-z' is not among the study's prompts"),
        (["p-a", "p-b"], {}, "1 prompts are lacking, the first 'p-c'"),
        (["p-a", "p-b", "p-b"], {}, "rows [3, 4] share the key prompt_id p-b"),
        (PROMPTS, {"model": ["one", "two", "one"]}, "row 3: model 'two'; this file holds model 'one'"),
        (PROMPTS, {"temperature": 1.0}, "row 2: temperature 1.0; this file holds temperature 0.0"),
        (PROMPTS, {"seed": [0, 0, 9]}, "row 4: seed 9; this file holds seed 0"),
        (PROMPTS, {"intervention": "careful"}, "row 2: intervention 'careful'; this file holds intervention 'none'"),
        (PROMPTS, {"outcome": ["cut", "lost", "cut"]}, "row 3: outcome 'lost' is not one of answered, cut, blocked,"),
    ],
)
def test_a_generation_file_of_something_else_is_named_with_row_and_remedy(
    study: Path, ids: list[str], changed: dict[str, object], problem: str
) -> None:
    write_unchecked(ids, changed)
    with pytest.raises(ArtifactError) as caught:
        run()
    assert str(caught.value).startswith(f"{generation_file(FIRST)}: ")
    assert problem in str(caught.value)
    assert "dvc repro generate@one" in str(caught.value)


def write_sampled(not_sampled: tuple[str, ...] = ()) -> None:
    """A generation file for each of model `one`'s configurations; `not_sampled` is for the first of them."""
    for temperature in (0.0, 1.0):
        for seed in (0, 1):
            condition = Condition("one", "none", temperature, seed)
            absent = [condition == FIRST and prompt in not_sampled for prompt in PROMPTS]
            answers = [
                Completion("", "", missing_reason="not sampled", outcome=Outcome.NOT_SAMPLED)
                if nothing
                else Completion("y", "stop")
                for nothing in absent
            ]
            table = generation_table(condition, pd.DataFrame({"prompt_id": PROMPTS, "prompt": "x"}), answers)
            write_table(table, generation_file(condition), GENERATION_TABLE)


def test_a_prompt_may_have_fewer_responses_where_the_generation_file_says_so(study: Path) -> None:
    write_sampled(not_sampled=("p-c",))
    edit(FIRST, lambda table: table[table["prompt_id"] != "p-c"])
    run()
    table = metric_table("per_prompt_metrics")
    rows = table[table["model"] == "one"]
    # p-c: C is not sampled, of P, C and the missing one two decisions remain.
    assert rows[["n", "n_missing"]].to_numpy().tolist() == [[4, 0], [4, 0], [2, 1]]
    shares = metric_table("missing")
    asked_twice = shares[(shares["model"] == "one") & (shares["missing_reason"] == "*")].set_index("judge")
    assert asked_twice["missing_share"].to_dict() == pytest.approx({"main": 1 / 11, "other": 2 / 22})


def test_a_model_of_which_nothing_was_sampled_has_rows_without_figures(study: Path) -> None:
    for temperature in (0.0, 1.0):
        for seed in (0, 1):
            condition = Condition("one", "none", temperature, seed)
            absent = Completion("", "", missing_reason="not sampled", outcome=Outcome.NOT_SAMPLED)
            prompts = pd.DataFrame({"prompt_id": PROMPTS, "prompt": "x"})
            table = generation_table(condition, prompts, [absent] * len(PROMPTS))
            write_table(table, generation_file(condition), GENERATION_TABLE)
            edit(condition, lambda table: table[:0])
    run()
    one = metric_table("aggregate_by_model").query("model == 'one'").iloc[0]
    assert (one["n_prompts"], one["n_responses"], one["n_missing"]) == (0, 0, 0)
    assert pd.isna(one["mean_ssi"])
    assert metric_table("per_prompt_metrics").query("model == 'two'")["n"].tolist() == [4, 4, 3]
    params = load_params(Path("params.yaml"))
    tables = {name: metric_table(name) for name in METRIC_TABLES}
    labels = {(name, "none"): name for name in params.models}
    inputs = ReportInputs(params, "", read_prompts(), tables, {}, labels, ())
    assert "two: a single response" in str(build_report(inputs).sections[0].paragraphs)
    assert "one:" not in str(build_report(inputs).sections[0].paragraphs)
    assert dict(study_numbers(inputs))
    for figure in GALLERY:
        figure.alt_text(tables, series_of(params))


def test_a_label_of_a_response_that_was_not_sampled_names_its_row(study: Path) -> None:
    write_sampled(not_sampled=("p-b",))
    with pytest.raises(ArtifactError) as caught:
        run()
    problem = "row 5: a label of prompt p-b, whose outcome in the generation file is `not_sampled`"
    assert str(caught.value) == f"{label_file(FIRST)}: {problem}; run `dvc repro judge@one` to write it anew"


def test_a_sampled_prompt_without_a_label_is_still_an_error(study: Path) -> None:
    write_sampled(not_sampled=("p-c",))
    edit(FIRST, lambda table: table[table["prompt_id"] == "p-a"])
    with pytest.raises(ArtifactError, match="judge 'main' has 1 of 2 rows; 1 are lacking, the first for prompt p-b"):
        run()


def test_files_of_earlier_versions_give_the_same_tables(study: Path) -> None:
    write_sampled()
    run()
    before = {path.name: path.read_bytes() for path in METRICS.iterdir()}
    for path, contract in [
        *((path, GENERATION_TABLE) for path in Path("data/generations").rglob("*.csv")),
        *((path, LABEL_TABLE) for path in Path("data/labels").rglob("*.csv")),
    ]:
        pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns=list(contract.older)).to_csv(path, index=False)
    run()
    assert {path.name: path.read_bytes() for path in METRICS.iterdir()} == before


def test_a_judge_that_knows_nothing_of_a_model_is_counted_as_not_judged(study: Path) -> None:
    for temperature in (0.0, 1.0):
        for seed in (0, 1):
            edit(Condition("one", "none", temperature, seed), lambda table: table[table["judge"] == "main"])
    run()
    table = metric_table("missing")
    rows = table[(table["model"] == "one") & (table["judge"] == "other")]
    # 3 prompts x 2 temperatures x 2 seeds x 2 repeats
    assert list(zip(rows["missing_reason"], rows["n_missing"], rows["missing_share"], strict=True)) == [
        ("*", 24, 1.0),
        ("not judged", 24, 1.0),
    ]


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        (["p-a", "p-b", "p-b"], "rows [3, 4] share the key prompt_id p-b; each prompts row must be unique"),
        ([], "holds no prompt"),
    ],
)
def test_bad_prompts_are_blamed_on_the_prompts_file(study: Path, ids: list[str], problem: str) -> None:
    cells = {"prompt": "x", "category": "", "source": "test"}
    pd.DataFrame({"prompt_id": ids}).assign(**cells).to_csv(files.PROMPTS, index=False)
    with pytest.raises(ArtifactError) as caught:
        run()
    assert str(caught.value) == f"{files.PROMPTS}: {problem}; run `dvc repro prompts` to write it anew"


def test_a_missing_label_file_names_itself(study: Path) -> None:
    label_file(FIRST).unlink()
    with pytest.raises(ArtifactError, match=r"one_temp0\.0_seed0_labels\.csv: no such file"):
        run()


def write_thinking(letters: str) -> None:
    """Turn `judging.thinking` on, and label each prompt's thinking in every configuration; `.` has none."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["judging"]["thinking"] = "other"
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for model in params["models"]:
        for temperature in (0.0, 1.0):
            for seed in (0, 1):
                condition = Condition(model, "none", temperature, seed)
                pairs = [pair for pair in zip(PROMPTS, letters, strict=True) if pair[1] != "."]
                rows = [row for prompt, letter in pairs for row in label(condition, prompt, letter)[1:]]
                table = pd.DataFrame(rows, columns=None if rows else list(LABEL_TABLE.columns))
                write_table(table, thinking_label_file(condition), LABEL_TABLE)


def test_thinking_is_set_against_the_answers_and_enters_no_other_table(copied: Path) -> None:
    before = {path.name: path.read_bytes() for path in METRICS.iterdir()}
    assert metric_table("thinking_decisions").empty
    write_thinking("C.-")
    run()
    table = metric_table("thinking_decisions")
    table = table[table["model"] == "one"].drop(columns=["model", "intervention", "primary_judge"])
    # 4 answers of p-a refuse; of p-c, 2 comply, 1 is partial and 1 is missing
    assert table.to_numpy().tolist() == [
        ["COMPLY", "REFUSE", 4, 0.5],
        ["", "PARTIAL", 1, 0.125],
        ["", "COMPLY", 2, 0.25],
        ["", "", 1, 0.125],
    ]
    del before["thinking_decisions.csv"]
    after = {path.name: path.read_bytes() for path in METRICS.iterdir()}
    assert {name: after[name] for name in before} == before
    write_thinking("...")
    run()
    assert metric_table("thinking_decisions").empty


@pytest.mark.parametrize(("column", "value"), [("judge", "main"), ("seed", "7"), ("prompt_id", "p-x")])
def test_a_label_of_thinking_in_the_wrong_place_is_named(study: Path, column: str, value: str) -> None:
    write_thinking("C.-")
    path = thinking_label_file(FIRST)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.loc[2, column] = value
    table.to_csv(path, index=False)
    with pytest.raises(ArtifactError, match=r"one_temp0\.0_seed0_thinking_labels\.csv: row 4: not a label by judge"):
        run()
    path.unlink()
    with pytest.raises(ArtifactError, match="no such file; run the stage that writes it"):
        run()
