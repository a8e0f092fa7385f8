"""A study's export: complete, described, and a study again when it is imported."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from imported_study import import_files, run_imported
from judged_study import EVIL, make_study

from refusal_stability.commands import export
from refusal_stability.exchange.logged import LogError
from refusal_stability.files import ArtifactError, generation_file
from refusal_stability.params.load import load_params
from refusal_stability.stages import metrics
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import GENERATION_TABLE, PROMPT_TABLE

OUT = Path("reports/export/trial")
PARAMS = Path("params.yaml")
# Recorded labels may be unequal on equal texts, so these count their repeats.
OF_PROVENANCE = {"judge_noise"}


@pytest.fixture
def exported() -> Path:
    """The export of a small judged study, one of whose responses is missing."""
    make_study()
    params = load_params(PARAMS)
    file = generation_file(next(params.conditions("m")))
    table = read_table(file, GENERATION_TABLE)
    prompts = table[["prompt_id", "prompt"]].assign(
        category="a|b", source="here", turns="", harm="", language="en", intent=""
    )
    write_table(prompts, Path("data/prompts/prompts.csv"), PROMPT_TABLE)
    metrics.run(PARAMS)
    export.run(PARAMS, None)
    return OUT


def test_every_response_is_there_with_its_labels(exported: Path) -> None:
    rows = pq.read_table(exported / "responses.parquet").to_pylist()
    params = load_params(PARAMS)
    assert len(rows) == 12 * 2 * 2 * 2
    expected = {}
    for model in params.models:
        for condition in params.conditions(model):
            table = read_table(generation_file(condition), GENERATION_TABLE)
            cells = zip(table["prompt_id"], table["response"], strict=True)
            expected |= {(model, condition.temperature, condition.seed, prompt): text for prompt, text in cells}
    assert {(r["model"], r["temperature"], r["seed"], r["prompt_id"]): r["response"] for r in rows} == expected
    assert any(EVIL in row["response"] for row in rows)
    assert [label["judge"] for label in rows[0]["labels"]] == ["rules", "old"]
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
        assert resource["bytes"] == len(content)
        names = [field["name"] for field in resource["schema"]["fields"]]
        table = pd.read_csv(exported / path) if path.endswith(".csv") else pd.read_parquet(exported / path)
        assert names == list(table.columns)
        assert all(field["description"] for field in resource["schema"]["fields"])
        assert not table.duplicated(resource["schema"]["primaryKey"]).any()


def test_the_card_says_what_is_in_it(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["size_categories"] == ["n<1K"]
    assert "96 responses to 12 prompts by 2 models (m, n)" in card
    assert "`rules` is the judge behind the metric tables" in card


def test_an_export_twice_is_the_same(exported: Path) -> None:
    before = {file: file.read_bytes() for file in exported.rglob("*") if file.is_file()}
    export.run(PARAMS, None)
    assert {file: file.read_bytes() for file in exported.rglob("*") if file.is_file()} == before


def test_an_import_of_an_export_gives_the_same_tables(exported: Path) -> None:
    names = set(METRIC_TABLES) - OF_PROVENANCE
    before = {name: metric_table(name) for name in names}
    shutil.copy(exported / "responses.parquet", "given.parquet")
    import_files(Path("given.parquet"))
    study = yaml.safe_load(Path("studies/imported.yaml").read_text())
    assert study["judging"]["primary"] == "rules"
    assert study["judging"]["judges"]["rules"]["kind"] == "recorded"
    study["metrics"] = {"n_resamples": 200}
    Path("studies/imported.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    run_imported()
    metrics.run(PARAMS)
    assert len(names) > 30
    for name, table in before.items():
        pd.testing.assert_frame_equal(metric_table(name), table, obj=name)


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
