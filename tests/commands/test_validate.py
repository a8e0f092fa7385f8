"""`validate` on a trained, far too small model: it measures, writes its page, and fails."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from refusal_stability.commands import validate
from refusal_stability.files import STORE, VALIDATION
from refusal_stability.params.checks import ParamsError
from refusal_stability.records import DECISIONS, Decision, StudyError
from refusal_stability.stages import train_reference

PARAMS = """
study: trial
interventions: {none: {}}
models:
  small: {engine: transformers, path: models/reference/small, settings: {device: cpu, batch_size: 256}}
judging:
  primary: rules
  judges: {rules: {kind: rules}}
reference_models:
  small: {seed: 1, samples_per_prompt: 40, batch_size: 32, hidden_size: 64, heads: 2, layers: 1, task: chat}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "params.yaml").write_text(PARAMS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train_reference.run("small", Path("params.yaml"))
    return folder


def stored() -> int:
    with sqlite3.connect(STORE) as database:
        return database.execute("SELECT count(*) FROM completions").fetchone()[0]


def test_a_failed_validation_fails_the_command_after_the_page_is_written(study, monkeypatch):
    monkeypatch.chdir(study)
    with pytest.raises(StudyError, match=r"validation failed for small"):
        validate.run(Path("params.yaml"), 3)
    page = VALIDATION.read_text()
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| small")
    ]
    assert [row[1] for row in rows] == ["grammar", "rules"]
    assert [row[2] for row in rows] == ["252", "252"]  # 84 prompts x 3 samples
    assert "failed" in {row[-1] for row in rows}
    # A model this small garbles many texts. The grammar recognises none of them, the rule judge nearly all.
    assert float(rows[1][3].rstrip("%")) < 2
    assert float(rows[0][3].rstrip("%")) > 5
    assert stored() == 252
    with pytest.raises(StudyError):
        validate.run(Path("params.yaml"), 3)
    assert VALIDATION.read_text() == page
    assert stored() == 252


def test_training_leaves_the_model_and_nothing_unfinished(study):
    assert sorted(p.name for p in (study / "models/reference").iterdir()) == ["small"]
    assert (study / "models/reference/small/model.safetensors").stat().st_size < 40e6


def test_an_interrupted_training_leaves_the_earlier_model_as_it_was(study, monkeypatch):
    monkeypatch.chdir(study)
    before = {f.name: f.read_bytes() for f in Path("models/reference/small").iterdir()}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_reference, "train_reference_model", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_reference.run("small", Path("params.yaml"))
    assert {f.name: f.read_bytes() for f in Path("models/reference/small").iterdir()} == before
    assert [p.name for p in Path("models/reference").iterdir()] == ["small"]


def test_an_unknown_reference_model_is_named_with_those_that_there_are(study, monkeypatch):
    monkeypatch.chdir(study)
    with pytest.raises(ParamsError, match=r"params.yaml: reference_models: no model 'large'; the models are: small"):
        train_reference.run("large", Path("params.yaml"))


def test_a_model_that_is_not_trained_names_the_command_that_trains_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)
    with pytest.raises(StudyError, match=re.escape("models/reference/small: no such model")):
        validate.run(Path("params.yaml"), 1)


@pytest.mark.parametrize(("profile", "samples"), [("chat", 0), ("judge", 5)])
def test_nothing_to_validate_is_an_error(tmp_path, monkeypatch, profile, samples):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS.replace("task: chat", f"task: {profile}"))
    with pytest.raises(StudyError, match=f"--samples {samples}"):
        validate.run(Path("params.yaml"), samples)


def test_decisions_are_counted_per_prompt_and_the_undecided_nowhere():
    refuse, partial, comply = DECISIONS
    decisions: list[Decision | None] = [refuse, comply, None, refuse, partial, partial]
    assert validate.counted(decisions, 2).tolist() == [[1, 0, 1], [1, 2, 0]]
