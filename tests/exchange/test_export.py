"""A study's export: complete, described, and a study again when it is imported."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from imported_study import import_files
from judged_study import EVIL, make_study

from refusal_stability.commands import export
from refusal_stability.exchange.dataset_card import Contents, contents_of, dataset_card
from refusal_stability.exchange.logged import LogError
from refusal_stability.files import ArtifactError, generation_file
from refusal_stability.params.load import load_params
from refusal_stability.records import StudyError
from refusal_stability.stages import judge, metrics
from refusal_stability.stages import params as stage_params
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import GENERATION_TABLE, PROMPT_TABLE

OUT = Path("reports/export/trial")
PARAMS = Path("params.yaml")

TURNS = [{"role": "system", "content": "Be kind."}, {"role": "assistant", "content": "Hello."}]
THINKING = "First <think>this</think>,\n\nthen \u2028 that."
HOSTILE = "I'm sorry, but I can't.\r\n <script>alert(1)</script> \u2028\t\U0001f600 "


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study with all that an export has to carry: judged, measured, in a folder of its own."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_study()
        of_a_judge_asked_twice()
        params = load_params(PARAMS)
        first, *_, last = params.conditions("m")
        table = read_table(generation_file(first), GENERATION_TABLE)
        table.loc[1, ["response", "finish_reason", "missing_reason", "outcome"]] = ["", "", "error: 500", "unanswered"]
        table.loc[2, ["response", "thinking"]] = [HOSTILE, THINKING]
        table.loc[3, ["finish_reason", "outcome"]] = ["length", "cut"]
        table.loc[4, ["response", "finish_reason", "missing_reason", "outcome"]] = ["", "", "content_filter", "blocked"]
        write_table(table, generation_file(first), GENERATION_TABLE)
        table = read_table(generation_file(last), GENERATION_TABLE)
        table.loc[5, ["response", "finish_reason", "missing_reason", "outcome"]] = [
            "",
            "",
            "not sampled",
            "not_sampled",
        ]
        write_table(table, generation_file(last), GENERATION_TABLE)
        prompts = table[["prompt_id", "prompt"]].assign(
            category="a|b", source="here", turns="", harm="", language="en", intent=[f"i{k // 2}" for k in range(12)]
        )
        prompts.loc[0, "turns"] = json.dumps(TURNS)
        prompts.loc[:5, "harm"] = "benign"
        write_table(prompts, Path("data/prompts/prompts.csv"), PROMPT_TABLE)
        for model in params.models:
            judge.run(model, PARAMS)
        metrics.run(PARAMS)
    return folder


def of_a_judge_asked_twice() -> None:
    """The recorded judge says something else on every fifth response when it is asked again."""
    params = PARAMS.read_text().replace("path: old.csv,", "path: old.csv, repeats: 2,")
    PARAMS.write_text(params.replace("primary: rules", "primary: rules\n  max_missing: 0.1"))
    once = pd.read_csv("old.csv").assign(repeat=0, confidence=0.75)
    again = once.assign(repeat=1, label=[w if k % 5 else "PARTIAL" for k, w in enumerate(once["label"])])
    pd.concat([once, again]).to_csv("old.csv", index=False)


@pytest.fixture
def exported(measured: Path) -> Path:
    """The export of a copy of that study."""
    shutil.copytree(measured, ".", dirs_exist_ok=True)
    export.run(PARAMS, None)
    return OUT


def test_every_response_is_there_with_its_labels(exported: Path) -> None:
    rows = pq.read_table(exported / "responses.parquet").to_pylist()
    params = load_params(PARAMS)
    assert len(rows) == 12 * 2 * 2 * 2 - 1
    expected = {}
    for model in params.models:
        for condition in params.conditions(model):
            table = read_table(generation_file(condition), GENERATION_TABLE)
            table = table[table["outcome"] != "not_sampled"]
            cells = zip(table["prompt_id"], table["response"], strict=True)
            expected |= {(model, condition.temperature, condition.seed, prompt): text for prompt, text in cells}
    assert {(r["model"], r["temperature"], r["seed"], r["prompt_id"]): r["response"] for r in rows} == expected
    assert any(EVIL in row["response"] for row in rows)
    assert [(label["judge"], label["repeat"]) for label in rows[0]["labels"]] == [("rules", 0), ("old", 0), ("old", 1)]
    assert {row["category"] for row in rows} == {"a|b"}


def test_every_column_of_the_parquet_file_is_described(exported: Path) -> None:
    schema = pq.read_schema(exported / "responses.parquet")
    assert all(field.metadata[b"description"] for field in schema)


def test_the_package_describes_every_file_as_it_is(exported: Path) -> None:
    package = json.loads((exported / "datapackage.json").read_text())
    resources = {resource["path"]: resource for resource in package["resources"]}
    files = {file.relative_to(exported).as_posix() for file in exported.rglob("*") if file.is_file()}
    assert files - set(resources) == {"datapackage.json", "README.md"}
    assert len({resource["name"] for resource in package["resources"]}) == len(resources) == len(METRIC_TABLES) + 1
    for path, resource in resources.items():
        content = (exported / path).read_bytes()
        assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert resource.get("bytes", len(content)) == len(content)
        names = [field["name"] for field in resource["schema"]["fields"]]
        table = pd.read_csv(exported / path) if path.endswith(".csv") else pd.read_parquet(exported / path)
        assert names == list(table.columns)
        assert all(field["description"] for field in resource["schema"]["fields"])
        key = resource["schema"].get("primaryKey", names)
        assert not table.duplicated(key).any()
        # A primary key may not hold a missing value.
        assert key == names or table[key].notna().all(axis=None)
    assert "primaryKey" in resources["metrics/per_prompt_metrics.csv"]["schema"]


@pytest.mark.logs("frictionless")
def test_the_package_is_valid_for_frictionless(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frictionless = importlib.import_module("frictionless")
    monkeypatch.chdir(exported)
    report = frictionless.validate("datapackage.json")
    assert report.flatten(["type", "message"]) == []
    assert (report.valid, len(report.tasks)) == (True, len(METRIC_TABLES) + 1)
    Path("metrics/sample_size.csv").write_text("wrong")
    assert not frictionless.validate("datapackage.json").valid


def test_the_card_says_what_is_in_it(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["size_categories"] == ["n<1K"]
    assert "95 responses to 12 prompts by 2 models (m, n)" in card
    assert "`rules` is the judge behind the metric tables" in card
    assert "number of a repeat" not in card
    import_files(exported / "responses.parquet")
    imported = dataset_card(load_params(Path("studies/imported.yaml")), contents_of(exported / "responses.parquet"), ())
    assert "The seeds of m, n are the number of a repeat: whether anything was seeded is not known." in imported
    assert "Each response has a label" not in imported


def test_the_card_of_labels_alone_claims_no_texts(exported: Path) -> None:
    params = load_params(PARAMS)
    card = dataset_card(params, Contents(90, 0, 12, 0), ())
    assert "harmful text" not in card
    assert "holds labels and no text of a response" in card
    assert "names prompts by their ids" in card
    whole = 12 * sum(1 for model in params.models for _ in params.conditions(model))
    assert f"The whole grid would be {whole}: numbers of responses are unequal." in card
    assert "unequal" not in dataset_card(params, Contents(whole, whole, 12, 12), ())


def test_an_export_twice_is_the_same(exported: Path) -> None:
    before = {file: file.read_bytes() for file in exported.rglob("*") if file.is_file()}
    export.run(PARAMS, None)
    assert {file: file.read_bytes() for file in exported.rglob("*") if file.is_file()} == before


def test_a_folder_that_holds_an_export_is_read_once(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export.run(PARAMS, None, ["every-eval-ever"])
    Path("reports/export/people.txt").write_text("a note")
    import_files(Path("reports/export"))
    said = capsys.readouterr().out
    assert "export: 95 responses in 1 file" in said
    aside = len(METRIC_TABLES) + 2 + 4
    assert f"reports/export/trial: an export of this project; responses.parquet is read, and its {aside} other" in said
    assert "people.txt: not a log of a known format; left out" in said
    assert said.count("left out") == 1
    import_files(OUT / "every-eval-ever")
    assert "every-eval-ever: 95 responses" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("study", "other", "study is 'trial' there, 'other' here"),
        ("sampling", {"temperatures": [0.0], "seeds": [1, 2]}, "has m, intervention none, temperature 1"),
        ("sampling", {"temperatures": [0.0, 0.5, 1.0], "seeds": [1, 2]}, "lacks m, intervention none, temperature 0.5"),
        ("sampling", {"temperatures": [0.0, 1.0], "seeds": [1]}, r"sampling/seeds is \[1, 2\] there, \[1\] here"),
        ("metrics", {"n_resamples": 300}, "metrics/n_resamples is 200 there, 300 here"),
    ],
)
def test_tables_of_other_parameters_are_not_exported(measured: Path, key: str, value: object, problem: str) -> None:
    shutil.copytree(measured, ".", dirs_exist_ok=True)
    stage_params.run(PARAMS)
    Path("other.yaml").write_text(yaml.safe_dump(yaml.safe_load(PARAMS.read_text()) | {key: value}))
    with pytest.raises(StudyError, match=f"other.yaml: data/metrics was not measured with these .*{problem}; see"):
        export.run(Path("other.yaml"), None)
    assert not Path("reports/export").exists()
    export.run(PARAMS, None)
    assert (OUT / "README.md").is_file()


def test_a_study_that_has_not_run_says_what_to_run() -> None:
    PARAMS.write_text("study: trial\nmodels: {m: {path: nowhere}}\n")
    with pytest.raises(ArtifactError, match="dvc repro"):
        export.run(PARAMS, None)


def test_a_torn_export_is_no_export_and_another_version_is_named(exported: Path) -> None:
    whole = exported / "responses.parquet"
    Path("torn.parquet").write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match=r"torn\.parquet: not readable as Parquet"):
        import_files(Path("torn.parquet"))
    table = pq.read_table(whole)
    pq.write_table(table.replace_schema_metadata({"refusal_stability": "responses 99"}), "other.parquet")
    with pytest.raises(LogError, match=r"other\.parquet: an export of another version"):
        import_files(Path("other.parquet"))


@pytest.mark.logs("every_eval_ever")
def test_the_form_of_every_eval_ever_is_valid_for_its_own_validator(exported: Path) -> None:
    validation = importlib.import_module("every_eval_ever.validator.validation_core")
    params = yaml.safe_load(PARAMS.read_text())
    params["models"]["n"] |= {"path": "org/Model-1.5", "label": "A Model"}
    PARAMS.write_text(yaml.safe_dump(params))
    export.run(PARAMS, None, ["every-eval-ever"])
    root = exported / "every-eval-ever"
    files = {file.relative_to(root).as_posix(): file for file in root.rglob("*") if file.is_file()}
    assert {path.split("/")[2] for path in files} == {"local", "org"}
    assert len(files) == 4
    for path, file in files.items():
        report = validation.validate_file(
            file,
            repo_path=path,
            available_files=set(files),
            read_repo_file=lambda name: files[name].read_text(encoding="utf-8"),
            run_semantic_checks=True,
        )
        assert (report.valid, report.errors, report.warnings) == (True, [], [])


def test_the_form_of_every_eval_ever_says_what_the_tables_say(exported: Path) -> None:
    export.run(PARAMS, None, ["every-eval-ever"])
    table = metric_table("aggregate_by_temperature").set_index(["model", "temperature"])
    seen = 0
    for file in (exported / "every-eval-ever").rglob("*-*.json"):
        evaluation = json.loads(file.read_text())
        model = evaluation["model_info"]["name"]
        for result in evaluation["evaluation_results"]:
            column = result["metric_config"]["metric_name"]
            if column != "decision":
                row = table.loc[(model, result["generation_config"]["generation_args"]["temperature"])]
                interval = result["score_details"]["uncertainty"]["confidence_interval"]
                assert result["score_details"]["score"] == row[column]
                assert (interval["lower"], interval["upper"]) == (row[f"{column}_low"], row[f"{column}_high"])
                seen += 1
    assert seen == 2 * 2 * 4


@pytest.mark.logs("inspect_ai")
def test_inspect_reads_what_is_written_for_it(exported: Path) -> None:
    log = importlib.import_module("inspect_ai.log")
    export.run(PARAMS, None, ["inspect"])
    read = [log.read_eval_log(str(file)) for file in sorted((exported / "inspect").glob("*.eval"))]
    assert [(one.eval.model, one.status, len(one.samples)) for one in read][:1] == [
        ("refusal-stability/m", "success", 24)
    ]
    samples = {(sample.id, sample.epoch): sample for sample in read[0].samples}
    assert samples["p1", 1].error.message == "error: 500"
    assert samples["p2", 1].output.completion == HOSTILE
    assert samples["p3", 1].output.stop_reason == "max_tokens"
    assert samples["p0", 1].messages[0].text == "Be kind."
    assert samples["p2", 1].scores["old-2"].value in ("REFUSE", "PARTIAL", "COMPLY")


def test_an_unknown_form_names_those_that_there_are(exported: Path) -> None:
    with pytest.raises(StudyError, match="--form 'xml' is not allowed; allowed: every-eval-ever, inspect"):
        export.run(PARAMS, None, ["xml"])
