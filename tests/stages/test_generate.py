"""The generate stage: a file a configuration, resumed by look-up, nothing left over from another study."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store
from refusal_stability.files import STORE
from refusal_stability.params.checks import ParamsError
from refusal_stability.params.load import load_params
from refusal_stability.records import sampler_stream
from refusal_stability.stages import generate
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import GENERATION_TABLE, PROMPT_TABLE, prompts_of

PROMPTS = ["How do kites fly?", 'A "quoted"\nprompt, with a comma']


@pytest.fixture
def study(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A study of one model in an empty folder, written by `save`."""
    monkeypatch.chdir(tmp_path)
    import pandas as pd

    table = pd.DataFrame({"prompt_id": ["p0", "p1"], "prompt": PROMPTS, "category": "", "source": "test"})
    write_table(table, Path("data/prompts/prompts.csv"), PROMPT_TABLE)
    return {
        "study": "test",
        "interventions": {"none": {}},
        "sampling": {"temperatures": [0.0, 1.0], "seeds": [1, 2], "max_tokens": 8},
        "models": {"tiny": {"path": str(tiny_model), "settings": {"dtype": "float32", "device": "cpu"}}},
        "judging": {"primary": "rules", "judges": {"rules": {}}},
    }


def run(study: dict[str, Any]) -> dict[str, bytes]:
    """Run the stage and return every file's bytes by name."""
    Path("params.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    generate.run("tiny", Path("params.yaml"))
    return {file.name: file.read_bytes() for file in Path("data/generations/tiny").iterdir()}


def generated() -> int:
    with Store(STORE) as store:
        return sum(session.completions for session in store.sessions())


def test_every_configuration_has_a_file_with_every_prompt(study: dict[str, Any]) -> None:
    files = run(study)
    assert sorted(files) == [f"tiny_temp{t}_seed{s}_generations.csv" for t in ("0.0", "1.0") for s in (1, 2)]
    for name in files:
        table = read_table(Path("data/generations/tiny") / name, GENERATION_TABLE)
        assert table["prompt"].tolist() == PROMPTS
        assert set(table["missing_reason"]) == {""}


def test_a_second_run_generates_nothing_and_writes_the_same_bytes(study: dict[str, Any]) -> None:
    first = run(study)
    assert generated() == 8
    assert run(study) == first
    assert generated() == 8


def test_a_new_seed_and_a_new_temperature_generate_only_the_new_rows(study: dict[str, Any]) -> None:
    before = run(study)
    study["sampling"]["seeds"] = [1, 2, 3]
    after = run(study)
    assert generated() == 8 + 4
    study["sampling"]["temperatures"] = [0.0, 0.5, 1.0]
    run(study)
    assert generated() == 12 + 6
    assert before.items() <= after.items()


def test_a_dropped_seed_leaves_no_file_behind(study: dict[str, Any]) -> None:
    run(study)
    study["sampling"]["seeds"] = [2]
    assert sorted(run(study)) == ["tiny_temp0.0_seed2_generations.csv", "tiny_temp1.0_seed2_generations.csv"]


def test_large_files_are_parquet_and_take_the_place_of_csv(study: dict[str, Any]) -> None:
    in_csv = run(study)
    tables = {name: read_table(Path("data/generations/tiny") / name, GENERATION_TABLE) for name in in_csv}
    study["files"] = {"parquet_above_mb": 0}
    in_parquet = run(study)
    assert sorted(in_parquet) == sorted(name.replace(".csv", ".parquet") for name in in_csv)
    for name, table in tables.items():
        found = read_table(Path("data/generations/tiny") / name.replace(".csv", ".parquet"), GENERATION_TABLE)
        assert found.equals(table)
    assert run(study) == in_parquet
    del study["files"]
    assert run(study) == in_csv
    assert generated() == 8


def test_an_intervention_has_files_of_its_own_and_reaches_the_model(study: dict[str, Any]) -> None:
    study["interventions"]["safety"] = {
        "system": "Be safe.",
        "turns": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}],
    }
    files = run(study)
    assert len(files) == 8
    plain = read_table(Path("data/generations/tiny/tiny_temp0.0_seed1_generations.csv"), GENERATION_TABLE)
    guarded = read_table(Path("data/generations/tiny/tiny_safety_temp0.0_seed1_generations.csv"), GENERATION_TABLE)
    assert set(guarded["intervention"]) == {"safety"}
    assert (plain["response"] != guarded["response"]).all()


def test_no_two_requests_of_a_study_share_a_random_stream(study: dict[str, Any]) -> None:
    study["interventions"]["safety"] = {"system": "Be safe."}
    study["sampling"] = {"temperatures": [0.0, 0.3, 0.7, 1.0], "seeds": list(range(20))}
    Path("params.yaml").write_text(yaml.safe_dump(study))
    params = load_params(Path("params.yaml"))
    prompts = read_table(Path("data/prompts/prompts.csv"), PROMPT_TABLE)
    cells = list(params.requests("tiny", prompts_of(prompts)))
    streams = {request.sampling.stream for _, request in cells}
    assert len(streams) == len(cells) == 2 * 2 * 4 * 20
    for condition, request in cells:
        assert request.sampling.seed == condition.seed
        assert request.sampling.stream == sampler_stream(request.messages, condition.temperature, condition.seed)


def test_an_unknown_model_names_those_there_are(study: dict[str, Any]) -> None:
    run(study)
    with pytest.raises(ParamsError, match="no model 'tni'; there are: tiny"):
        generate.run("tni", Path("params.yaml"))


def test_a_model_folder_that_does_not_exist_leaves_nothing_half_written(study: dict[str, Any]) -> None:
    study["models"]["tiny"]["path"] = "models/nowhere/x"
    with pytest.raises(EngineError, match="no such folder"):
        run(study)
    assert not Path("data/generations").exists()


def reject_system_texts(study: dict[str, Any], folder: Path) -> None:
    """Give the study's model a template without a system role, and the study an intervention with a system text."""
    shutil.copytree(study["models"]["tiny"]["path"], folder)
    study["models"]["tiny"]["path"] = str(folder)
    rejection = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    template = folder / "chat_template.jinja"
    template.write_text(rejection + template.read_text())
    study["interventions"]["safety"] = {"system": "Be safe."}


def test_a_template_without_a_system_role_is_known_before_anything_is_asked(
    study: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reject_system_texts(study, tmp_path / "gemma")
    with pytest.raises(EngineError, match=r"8 of 16 requests cannot be asked: .*System role.*set fold_system: true"):
        run(study)
    assert generated() == 0
    study["judging"]["max_missing"] = 0.5
    run(study)
    assert "warning: tiny: 8 of 16 requests cannot be asked" in capsys.readouterr().err
    control = read_table(Path("data/generations/tiny/tiny_temp0.0_seed1_generations.csv"), GENERATION_TABLE)
    guarded = read_table(Path("data/generations/tiny/tiny_safety_temp0.0_seed1_generations.csv"), GENERATION_TABLE)
    assert set(control["missing_reason"]) == {""}
    assert guarded["missing_reason"].str.contains("fold_system").all()
    study["judging"]["max_missing"] = 0.02
    study["models"]["tiny"]["settings"]["fold_system"] = True
    run(study)
    folded = read_table(Path("data/generations/tiny/tiny_safety_temp0.0_seed1_generations.csv"), GENERATION_TABLE)
    assert set(folded["missing_reason"]) == {""}
