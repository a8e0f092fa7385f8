"""A published study is a folder and a YAML file: its data are fetched, mapped, and made the active study."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from refusal_stability.commands import replication_fetch
from refusal_stability.replication.source import PublishedDataError, read_replication

ROOT = Path(__file__).parents[2]
SOURCE = {
    "title": "A third study",
    "question": "Does it work?",
    "citation": "nobody",
    "licence": "MIT",
    "url": "https://example.org/third",
    "commit": "abc",
    "data": "data/published/third",
    "files": ["deep/inside/votes.csv"],
    "needed": ["deep/inside/votes.csv"],
    "table": {
        "columns": {"prompt_id": "item", "repeat": "run"},
        "constants": {"temperature": 0.5, "model": "vendor/model"},
        "judges": {"panel": {"label": "vote"}},
    },
}
STUDY = {
    "study": "third",
    "prompts": {
        "source": "table",
        "path": "data/published/third/prompts.csv",
        "columns": {"id": "id", "messages": "messages"},
    },
    "sampling": {"temperatures": [0.5], "seeds": [1, 2]},
    "models": {
        name: {"engine": "recorded", "path": "data/published/third", "settings": {"name": name}}
        for name in ("vendor-model", "absent")
    },
    "judging": {
        "primary": "panel",
        "judges": {
            "panel": {
                "kind": "recorded",
                "path": "data/published/third",
                "settings": {"judge": "panel", "models": {name: name for name in ("vendor-model", "absent")}},
            }
        },
    },
}


@pytest.fixture
def votes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the third study's file, beside the study's own files."""
    monkeypatch.chdir(tmp_path)
    Path("studies/third").mkdir(parents=True)
    Path("studies/third/source.yaml").write_text(yaml.safe_dump(SOURCE))
    Path("studies/third.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    Path("given").mkdir()
    rows = [(f"q{i}", run, "COMPLY" if i < run else "REFUSE") for i in range(3) for run in (1, 2)]
    pd.DataFrame(rows, columns=["item", "run", "vote"]).to_csv("given/votes.csv", index=False)
    return Path("given")


def test_a_third_study_is_a_folder_and_a_yaml_file(votes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replication_fetch.run("third", Path("params.yaml"), votes, None, None)
    said = capsys.readouterr().out
    assert "vendor-model: responses 0 of 2, labels by panel 2 of 2" in said
    assert "absent: responses 0 of 2, labels by panel 0 of 2 configurations; LEFT OUT" in said
    assert list(yaml.safe_load(Path("params.yaml").read_text())["models"]) == ["vendor-model"]
    file = "data/published/third/data/labels/vendor-model/vendor-model_temp0.5_seed2_labels.csv"
    assert pd.read_csv(file)["label"].tolist() == ["COMPLY", "COMPLY", "REFUSE"]


def test_another_version_of_a_file_is_told(votes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pinned = SOURCE | {"sha256": {"deep/inside/votes.csv": "0" * 64}}
    Path("studies/third/source.yaml").write_text(yaml.safe_dump(pinned))
    replication_fetch.run("third", Path("params.yaml"), votes, None, None)
    assert "votes.csv: not the version whose figures studies/third/figures.csv holds" in capsys.readouterr().out


def test_a_folder_without_the_file_says_what_is_expected(votes: Path) -> None:
    (votes / "votes.csv").unlink()
    with pytest.raises(PublishedDataError, match=r"given: holds no published study: expected deep/inside/votes\.csv"):
        replication_fetch.run("third", Path("params.yaml"), votes, None, None)


def test_an_unknown_study_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(PublishedDataError, match=r"published studies here: published, refusalbench"):
        read_replication("nobody")


def test_a_wrong_key_is_named(votes: Path) -> None:
    Path("studies/third/source.yaml").write_text(yaml.safe_dump(SOURCE | {"commits": "abc"}))
    with pytest.raises(PublishedDataError, match=r"source\.yaml: commits: unknown key"):
        read_replication("third")
