"""Models of different judges, measured in one run: a made-up study whose second model lacks 40 % of its labels."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from refusal_stability.figures.series import series_of
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.checks import ParamsError
from refusal_stability.params.load import load_params
from refusal_stability.replication.page import model_column
from refusal_stability.replication.runnable import Held, RunnableStudy, runnable_study
from refusal_stability.report.build import build_report
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.stages import generate, judge, metrics, prompts
from refusal_stability.study.label_files import read_prompts
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tracking.identity import cell_of

GRID = list(product((0.0, 1.0), (1, 2)))
PROMPTS = [f"p{number}" for number in range(10)]
LACKING = 4  # of each configuration's ten labels by the local judge
STUDY: dict[str, Any] = {
    "study": "made-up",
    "prompts": {"source": "table", "path": "data/raw/prompts.csv", "columns": {"id": "id", "prompt": "prompt"}},
    "sampling": {"temperatures": [0.0, 1.0], "seeds": [1, 2]},
    "models": {
        name: {"engine": "recorded", "path": "data/raw", "settings": {"layout": "published", "name": name}}
        for name in ("first", "second")
    },
    "judging": {
        "primary": "paid",
        "by_model": {"second": {"primary": "local", "max_missing": 0.4}},
        "judges": {
            "paid": {
                "kind": "recorded",
                "path": "data/raw/data/results/labels",
                "settings": {"layout": "table", "files": ["paid.csv"], "models": {"first": "first"}},
            },
            "local": {
                "kind": "recorded",
                "path": "data/raw",
                "settings": {"layout": "published", "models": {"second": "second"}},
            },
        },
    },
    "metrics": {"n_resamples": 200},
}


def configuration(model: str, temperature: float, seed: int) -> pd.DataFrame:
    table = pd.DataFrame({"prompt_id": PROMPTS, "prompt": [f"Ask {name}?" for name in PROMPTS]})
    return table.assign(model=model, temperature=temperature, seed=seed, response="No.", label="REFUSE", reasoning="")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's folder after `metrics`."""
    folder = tmp_path_factory.mktemp("made-up")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for kind in ("generations", "labels"):
            Path("data/raw/data/results", kind).mkdir(parents=True)
        configuration("", 0, 0)[["prompt_id", "prompt"]].rename(columns={"prompt_id": "id"}).to_csv(
            "data/raw/prompts.csv", index=False
        )
        paid = []
        for model, (temperature, seed) in product(("first", "second"), GRID):
            rows, stem = configuration(model, temperature, seed), f"{model}_temp{temperature}_seed{seed}"
            rows.drop(columns=["label", "reasoning"]).to_csv(f"data/raw/data/results/generations/{stem}.csv")
            if model == "first":
                paid.append(rows)
            else:
                rows.loc[: LACKING - 1, "label"] = "UNKNOWN"
                rows.to_csv(f"data/raw/data/results/labels/{stem}_labels.csv", index=False)
        pd.concat(paid).to_csv("data/raw/data/results/labels/paid.csv", index=False)
        runnable = runnable_study(STUDY, Path("data/raw"))
        assert not runnable.absent
        path = Path("params.yaml")
        path.write_text(yaml.safe_dump(runnable.params, sort_keys=False))
        prompts.run(path)
        for model in ("first", "second"):
            generate.run(model, path)
            judge.run(model, path)
        metrics.run(path)
    return folder


@pytest.fixture
def folder(measured: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(measured)
    return measured


def test_both_models_are_measured_each_by_its_own_judge_with_unequal_numbers(folder: Path) -> None:
    table = metric_table("aggregate_by_model").set_index("model")
    assert table["primary_judge"].to_dict() == {"first": "paid", "second": "local"}
    assert table["n_responses"].to_dict() == {"first": 40, "second": 24}
    assert table["n_missing"].to_dict() == {"first": 0, "second": 16}


def test_every_metric_table_states_the_judge(folder: Path) -> None:
    for name, (_, contract) in METRIC_TABLES.items():
        assert any("judge" in column for column in contract.columns), name
        table = metric_table(name)
        if "primary_judge" in table and "model" in table:
            stated = dict(zip(table["model"], table["primary_judge"], strict=True))
            assert stated.items() <= {"first": "paid", "second": "local", "*": "paid+local"}.items(), name
    assert metric_table("model_pairs")["primary_judge"].tolist() == ["paid+local"]


def test_report_and_figures_name_the_judge_beside_the_model_and_warn_of_the_unequal_numbers(folder: Path) -> None:
    params = load_params(Path("params.yaml"))
    series = series_of(params)
    assert [one.label for one in series.series] == ["first (paid)", "second (local)"]
    labels = {(one.model, one.intervention): one.label for one in series.series}
    tables = {name: metric_table(name) for name in METRIC_TABLES}
    report = build_report(ReportInputs(params, "", read_prompts(), tables, {}, labels, ()))
    said = str(report)
    captions = [table.title for table in report.tables if table.name != "versions"]
    assert captions
    assert all(caption.endswith(" Primary judge: paid for first; local for second.") for caption in captions)
    assert "first (paid) 40 of 40 (0.0% missing), second (local) 24 of 40 (40.0% missing)" in said
    assert "paid (primary for first); local (primary for second)" in said.replace(", local", "; local")


def test_the_replication_page_names_the_judge_beside_the_model_where_models_differ_in_it() -> None:
    held = [Held(name, name.title(), 4, 4) for name in ("first", "second")]
    alike = STUDY | {"judging": STUDY["judging"] | {"by_model": {}}}
    rows = [{"model": "first", "primary_judge": "paid"}, {"model": "*", "primary_judge": "paid+local"}]
    named = [[model_column(RunnableStudy(study, held, [])).read(row) for row in rows] for study in (STUDY, alike)]
    assert named == [["First (paid)", "all models (paid+local)"], ["First", "all models"]]
    assert model_column(RunnableStudy(STUDY, held, [])).read({"model": "second", "judge": "paid"}) == "Second"


def test_more_missing_than_the_model_may_have_fails_and_names_its_own_limit(folder: Path) -> None:
    study = STUDY | {"judging": STUDY["judging"] | {"by_model": {"second": {"primary": "local"}}}}
    path = folder / "strict.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    with pytest.raises(JudgingError, match=r"16 of 40 responses \(40\.0%\).*by_model\.second\.max_missing"):
        judge.run("second", path)


def test_a_runs_name_in_mlflow_depends_on_its_own_models_judge_only(folder: Path) -> None:
    one, other = load_params(Path("params.yaml")), load_params(Path("params.yaml"))
    del other.judging.by_model["second"]
    names = [[cell_of(params, "", model, "none", 0.0, 1.0) for model in ("first", "second")] for params in (one, other)]
    assert names[0][0] == names[1][0]
    assert names[0][1] != names[1][1]


@pytest.mark.parametrize(
    ("by_model", "key"),
    [
        ({"third": {"primary": "paid"}}, r"judging\.by_model\.third"),
        ({"first": {"primary": "nobody"}}, r"judging\.by_model\.first\.primary"),
        ({"first": {"max_missing": 2}}, r"judging\.by_model\.first\.max_missing"),
    ],
)
def test_an_exception_that_fits_no_model_or_judge_is_refused(tmp_path: Path, by_model: Any, key: str) -> None:
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump(STUDY | {"judging": STUDY["judging"] | {"by_model": by_model}})
    )
    with pytest.raises(ParamsError, match=key):
        load_params(tmp_path / "params.yaml")
