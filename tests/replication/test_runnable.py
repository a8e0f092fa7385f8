"""What the data hold runs; what they lack is left out with the reason."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from refusal_stability.params.load import load_params
from refusal_stability.replication.runnable import params_text, read_study_file, runnable_study
from refusal_stability.replication.source import PublishedDataError

GRID = list(product((0.0, 1.0), (42, 43)))
ROOT = Path(__file__).parents[2]


def study(**changes: Any) -> dict[str, Any]:
    """Three models: one with all, one by the local judge only, one with labels only."""
    table = {"layout": "table", "files": ["paid.csv"], "models": {"one": "org/One", "bare": "org_Bare"}}
    local = {"layout": "published", "models": {"one": "One", "two": "Two"}}
    return {
        "study": "small",
        "sampling": {"temperatures": [0.0, 1.0], "seeds": [42, 43]},
        "models": {
            "one": {"engine": "recorded", "label": "One 1.0", "settings": {"layout": "published", "name": "One"}},
            "two": {"engine": "recorded", "settings": {"layout": "published", "name": "Two"}},
            "bare": {"engine": "recorded", "settings": {"layout": "published", "labels_only": True}},
        },
        "judging": {
            "primary": "paid",
            "judges": {
                "paid": {"kind": "recorded", "settings": table},
                "local": {"kind": "recorded", "settings": local},
                "rules": {"kind": "rules"},
            },
        },
    } | changes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder in ("generations", "labels"):
        (tmp_path / "data/results" / folder).mkdir(parents=True)
    for name, (temperature, seed) in product(("One", "Two"), GRID):
        stem = f"{name}_temp{temperature}_seed{seed}"
        (tmp_path / f"data/results/generations/{stem}.csv").write_text("prompt_id,response\n")
        (tmp_path / f"data/results/labels/{stem}_labels.csv").write_text("prompt_id,label\n")
    write_table(tmp_path, ["org/One", "org_Bare"])
    return tmp_path


def write_table(data: Path, models: list[str], grid: list[tuple[float, int]] = GRID) -> None:
    lines = [f"{model},p1,{temperature},{seed},REFUSE" for model in models for temperature, seed in grid]
    text = "model,prompt_id,temperature,seed,label\n" + "\n".join(lines) + "\n"
    (data / "data/results/labels/paid.csv").write_text(text)


def test_a_model_without_labels_by_the_primary_judge_is_left_out_and_named(data: Path) -> None:
    runnable = runnable_study(study(), data)
    assert list(runnable.params["models"]) == ["one", "bare"]
    assert runnable.absent == {
        "two": "labels by paid for 0 of 4 configurations; PRIMARY=local measures every model by that judge, "
        "judging.by_model in the study file only this one (its max_missing is how much the judge may leave undecided)"
    }
    assert (
        runnable.lines()[0] == "One 1.0: responses 4 of 4, labels by paid 4 of 4, labels by local 4 of 4 configurations"
    )
    assert runnable.params["judging"]["judges"]["local"]["settings"]["models"] == {"one": "One"}


def test_another_primary_judge_measures_its_own_models_under_another_name(data: Path) -> None:
    runnable = runnable_study(study(), data, "local")
    assert list(runnable.params["models"]) == ["one", "two"]
    assert runnable.params["study"] == "small-local"
    assert runnable.params["judging"]["primary"] == "local"


def test_a_model_of_which_nothing_is_there_is_absent(data: Path) -> None:
    for file in data.rglob("Two_*"):
        file.unlink()
    runnable = runnable_study(study(), data)
    assert runnable.absent["two"] == "the data hold neither responses nor labels of it under the names in the study"


def test_missing_response_files_leave_the_labels(data: Path) -> None:
    (data / "data/results/generations/One_temp1.0_seed43.csv").unlink()
    runnable = runnable_study(study(), data)
    assert runnable.params["models"]["one"]["settings"]["labels_only"] is True
    assert "responses 3 of 4" in runnable.lines()[0]


def test_incomplete_labels_by_another_judge_are_not_used(data: Path) -> None:
    (data / "data/results/labels/One_temp1.0_seed43_labels.csv").unlink()
    runnable = runnable_study(study(), data)
    assert list(runnable.params["judging"]["judges"]) == ["paid", "rules"]
    assert "labels by local 3 of 4" in runnable.lines()[0]


def test_a_label_table_that_is_not_there_is_not_read(data: Path) -> None:
    judges = study()["judging"]["judges"]
    judges["paid"]["settings"]["files"].append("elsewhere.csv")
    runnable = runnable_study(study(judging={"primary": "paid", "judges": judges}), data)
    assert runnable.params["judging"]["judges"]["paid"]["settings"]["files"] == ["paid.csv"]


def test_a_judge_that_reads_responses_needs_responses(data: Path) -> None:
    judging = study()["judging"] | {"primary": "rules"}
    runnable = runnable_study(study(judging=judging), data)
    assert list(runnable.params["models"]) == ["one", "two"]
    assert runnable.absent == {"bare": "the data hold 0 of 4 response files"}


def test_no_model_at_all_is_an_error_that_says_why(data: Path) -> None:
    write_table(data, [])
    with pytest.raises(PublishedDataError, match=r"no model can run: One 1\.0: labels by paid for 0 of 4"):
        runnable_study(study(), data)


def test_a_primary_judge_that_does_not_exist_is_an_error_that_lists_the_judges(data: Path) -> None:
    with pytest.raises(PublishedDataError, match="PRIMARY=nobody: no such judge; one of paid, local, rules"):
        runnable_study(study(), data, "nobody")


def test_files_that_no_model_uses_are_named(data: Path) -> None:
    for temperature, seed in GRID:
        (data / f"data/results/labels/Three_temp{temperature}_seed{seed}_labels.csv").write_text("")
    (data / "data/results/labels/notes.csv").write_text("")
    runnable = runnable_study(study(), data)
    assert runnable.unclaimed == ["data/results/labels/Three_temp* (4 files)", "data/results/labels/notes.csv"]


def test_a_label_table_without_the_columns_names_the_file(data: Path) -> None:
    (data / "data/results/labels/paid.csv").write_text("model,label\n")
    with pytest.raises(PublishedDataError, match=r"paid\.csv: not a label table with model, temperature, seed"):
        runnable_study(study(), data)


def test_the_study_file_itself_is_taken_where_all_of_it_runs(data: Path, tmp_path: Path) -> None:
    complete = study()
    del complete["models"]["two"], complete["judging"]["judges"]["local"]["settings"]["models"]["two"]
    source = tmp_path / "small.yaml"
    source.write_text("# a remark\n" + yaml.safe_dump(complete))
    assert params_text(runnable_study(read_study_file(source), data), source) == source.read_text()


def test_what_is_left_of_the_study_says_what_was_left_out(data: Path, tmp_path: Path) -> None:
    source = tmp_path / "small.yaml"
    source.write_text(yaml.safe_dump(study(), sort_keys=False))
    text = params_text(runnable_study(read_study_file(source), data), source)
    assert "# Left out: two: labels by paid for 0 of 4" in text
    assert list(yaml.safe_load(text)["models"]) == ["one", "bare"]


@pytest.mark.parametrize("name", ["published", "rejudge"])
def test_the_studies_run_on_the_part_of_the_data_that_is_here(name: str, shared: Path, tmp_path: Path) -> None:
    source = ROOT / f"studies/{name}.yaml"
    runnable = runnable_study(read_study_file(source), shared / "published-study")
    (tmp_path / "params.yaml").write_text(params_text(runnable, source))
    params = load_params(tmp_path / "params.yaml")
    expected = {"llama-3-1-8b", "qwen-2-5-7b"} | ({"qwen3-8b", "gemma-3-12b"} if name == "published" else set())
    assert set(params.models) == expected
    assert sum(len(list(params.conditions(model))) for model in params.models) == 20 * len(expected)
