"""lm-evaluation-harness: answers are repeats only where the settings and the model are the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from imported_study import import_files
from test_harness_logs import lm_eval

from refusal_stability.exchange.logged import LogError


@pytest.mark.parametrize(
    ("backend", "model", "asks"), [("openai-chat-completions", "gpt-5", True), ("hf", "x5", False)]
)
def test_lm_evals_temperature_of_models_that_are_always_sent_one_is_asked_for(
    backend: str, model: str, asks: bool
) -> None:
    folder = lm_eval(lambda row: row["arguments"]["gen_args_0"]["arg_1"].update(temperature=0.3, do_sample=True))
    for results in folder.rglob("results_*.json"):
        found = json.loads(results.read_text())
        results.write_text(json.dumps(found | {"model_name": model, "config": found["config"] | {"model": backend}}))
    if asks:
        with pytest.raises(
            LogError, match=rf"says temperature 0\.3, but .* sends 1 .* such as {model} .*: --temperature 1"
        ):
            import_files(folder)
    import_files(folder, temperature=1.0)
    sampling = yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]
    assert sampling["temperatures"] == [1.0 if asks else 0.3]


def test_lm_evals_runs_that_differ_in_a_setting_are_no_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    folder = lm_eval(lambda row: row["arguments"]["gen_args_0"]["arg_1"].update(top_p=1.0))
    (first,) = folder.rglob("samples_*")
    (results,) = folder.rglob("results_*23-02*")
    second = first.with_name("samples_refusals_2026-01-01T00-00-00.1.jsonl")
    shutil.copy(results, second.with_name("results_2026-01-01T00-00-00.1.json"))
    second.write_text(first.read_text().replace('"top_p": 1.0', '"top_p": 0.1'))
    with pytest.raises(LogError, match=r"asks what .* asks, but with another top_p, so it is no repeat; import"):
        import_files(folder)
    second.write_text(first.read_text().replace('"resps": [["', '"resps": [["Again. '))
    import_files(folder)
    said = capsys.readouterr().out
    assert "6 repeats" in said
    assert "the same file" not in said


@pytest.mark.parametrize(("second", "differs"), [("pretrained=a,peft=x", "peft"), ("pretrained=a,batch_size=8", None)])
def test_lm_evals_runs_of_a_model_that_was_opened_otherwise_are_no_repeats(second: str, differs: str | None) -> None:
    folder = lm_eval(lambda row: None)
    (first,) = folder.rglob("samples_*")
    (results,) = folder.rglob("results_*23-02*")
    found = json.loads(results.read_text())
    other = first.with_name("samples_refusals_2026-01-01T00-00-00.1.jsonl")
    other.write_text(first.read_text())
    for path, told in ((results, "pretrained=a"), (other.with_name("results_2026-01-01T00-00-00.1.json"), second)):
        path.write_text(json.dumps(found | {"config": found["config"] | {"model_args": told}}))
    if differs:
        with pytest.raises(LogError, match=rf"asks what .* asks, but with another {differs}, so it is no repeat"):
            import_files(folder)
    else:
        import_files(folder)
