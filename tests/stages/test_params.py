"""The stage that writes every parameter out in full, for DVC to compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from refusal_stability.files import PARAMS_IN_FULL
from refusal_stability.params.checks import ParamsError
from refusal_stability.stages import params as stage

SHORT: dict[str, Any] = {"study": "short", "models": {"one": {"path": "m"}, "two": {"path": "m", "label": "Two"}}}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(study: dict[str, Any]) -> dict[str, Any]:
    """What the stage writes: path below data/params -> content."""
    Path("params.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    stage.run(Path("params.yaml"))
    files = PARAMS_IN_FULL.rglob("*.json")
    return {str(file.relative_to(PARAMS_IN_FULL)): json.loads(file.read_text()) for file in files}


def test_a_short_study_is_written_with_every_default() -> None:
    found = written(SHORT)
    assert found["sampling.json"]["seeds"] == [42, 43, 44, 45, 46]
    assert found["interventions.json"] == {"none": {"system": None, "turns": []}}
    assert found["judging/judges.json"]["rules"]["kind"] == "rules"
    assert found["judging/max_missing.json"] == 0.02
    assert found["models/two.json"]["label"] == "Two"
    # Also what the engine's settings are where the study says nothing.
    assert (
        found["models/one.json"]["settings"].items() >= {"dtype": "auto", "device": "auto", "batch_size": 128}.items()
    )
    assert not [name for name in found if name.startswith("reference_models")]


def test_what_a_study_spells_out_and_what_it_leaves_out_are_the_same_files() -> None:
    short = written(SHORT)
    spelled_out = SHORT | {
        "prompts": {"source": "builtin", "limit": None},
        "interventions": {"none": {}},
        "judging": {"primary": "rules", "judges": {"rules": {"kind": "rules"}}},
        "metrics": {"threshold": 0.8},
        "reference_models": {},
    }
    assert written(spelled_out) == short


def test_a_model_that_leaves_the_study_leaves_no_file() -> None:
    assert "models/two.json" in written(SHORT)
    assert "models/two.json" not in written(SHORT | {"models": {"one": {"path": "m"}}})


def test_another_models_parameters_leave_a_models_file_as_it_is() -> None:
    before = written(SHORT)
    after = written(SHORT | {"models": {"one": {"path": "m"}, "two": {"path": "m", "label": "Other"}}})
    assert {name for name in before if before[name] != after[name]} == {"models/two.json"}


def test_a_prompt_source_that_does_not_exist_is_an_error_before_anything_runs() -> None:
    with pytest.raises(ParamsError, match=r"prompts.source: 'beaver' is not allowed; allowed: one of advbench"):
        written(SHORT | {"prompts": {"source": "beaver"}})
    assert not PARAMS_IN_FULL.exists()
