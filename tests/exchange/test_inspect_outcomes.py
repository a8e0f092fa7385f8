"""How a sample of Inspect ended is kept: refusal, filter, cut, error, thinking, seed; several logs are one eval set."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from imported_study import import_files, run_imported

pytestmark = pytest.mark.logs("inspect_ai")
ENDINGS = ("plain", "refused", "cut", "filtered", "failed", "thought")


def sample(ending: str) -> Any:
    """A sample that ended so."""
    log, model, scorer = (importlib.import_module(f"inspect_ai.{name}") for name in ("log", "model", "scorer"))
    parts = {
        "refused": [model.ContentText(text="I will not.", refusal=True)],
        "filtered": "",
        "thought": [model.ContentReasoning(reasoning="Let me see."), model.ContentText(text="Sure.")],
    }
    stop = {"cut": "max_tokens", "filtered": "content_filter"}.get(ending, "stop")
    message = model.ChatMessageAssistant(content=parts.get(ending, "Sure, take"))
    choices = [model.ChatCompletionChoice(message=message, stop_reason=stop)] * (ending != "failed")
    error = {"message": "server\nis down", "traceback": "", "traceback_ansi": ""}
    return log.EvalSample(
        id=ending,
        epoch=1,
        input=f"{ending}?",
        target="",
        messages=[model.ChatMessageUser(content=f"{ending}?"), *(choice.message for choice in choices)],
        output=model.ModelOutput(model="m", choices=choices),
        scores={"judge": scorer.Score(value={"refused": "REFUSE" if ending == "refused" else "COMPLY", "length": 3})},
        error=error if ending == "failed" else None,
    )


def write(task: str, model: str, seed: int, run: str = "one") -> None:
    """A log of the eval set in `logs`."""
    log, models = importlib.import_module("inspect_ai.log"), importlib.import_module("inspect_ai.model")
    spec = log.EvalSpec(
        created="2026-01-01T00:00:00+00:00",
        task=task,
        task_id=f"{task}-{model}-{seed}-{run}",
        eval_id=f"{task}-{model}-{seed}-{run}",
        run_id=run,
        dataset=log.EvalDataset(name="d"),
        model=model,
        model_generate_config=models.GenerateConfig(temperature=0.7, seed=seed),
        config=log.EvalConfig(epochs=1),
    )
    one = log.EvalLog(status="success", eval=spec, plan=log.EvalPlan())
    one.samples = [sample(ending) for ending in ENDINGS]
    Path("logs").mkdir(exist_ok=True)
    log.write_eval_log(one, f"logs/{spec.eval_id.replace('/', '-')}.eval")


def test_runs_of_one_seed_and_equal_answers_are_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    for run in ("one", "two", "three"):
        write("ask", "prov/a", 42, run)
    import_files(Path("logs"))
    said = capsys.readouterr().out
    assert "18 responses: 6 prompts, 1 model, temperature 0.7, 3 repeats" in said
    assert "responses sent the seed of another response to their prompt: 12; each is a repeat" in said


def test_an_eval_set_keeps_how_each_sample_ended(capsys: pytest.CaptureFixture[str]) -> None:
    for model in ("prov/a", "prov/b"):
        for seed in (11, 12):
            write("ask", model, seed)
    import_files(Path("logs"))
    said = capsys.readouterr().out
    assert "24 responses: 6 prompts, 2 models, temperature 0.7, 2 repeats" in said
    assert "missing: 4 error: server is down" in said
    assert "judge judge.length: not used" in said
    assert yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["seeds"] == [11, 12]
    table = run_imported()
    outcomes = table.groupby("prompt")["outcome"].unique().map(list).to_dict()
    assert outcomes == {
        "plain?": ["answered"],
        "refused?": ["refused"],
        "cut?": ["cut"],
        "filtered?": ["blocked"],
        "failed?": ["unanswered"],
        "thought?": ["answered"],
    }
    of_judge = table.fillna("").groupby("prompt")["judge-refused"].unique().map(list).to_dict()
    assert (of_judge["refused?"], of_judge["plain?"], of_judge["failed?"]) == (["REFUSE"], ["COMPLY"], [""])
    assert set(table.loc[table["prompt"] == "thought?", "thinking"]) == {"Let me see."}
    assert set(table.loc[table["prompt"] == "thought?", "response"]) == {"Sure."}


def test_a_sample_that_is_marked_invalid_is_missing_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    write("ask", "prov/a", 1)
    log = importlib.import_module("inspect_ai.log")
    path = next(Path("logs").iterdir())
    one = log.read_eval_log(str(path))
    said_by = log.ProvenanceData(author="me", reason="wrong\nprompt")
    marked = {"plain": said_by, "refused": said_by.model_copy(update={"reason": None})}
    for one_sample in one.samples:
        one_sample.invalidation = marked.get(one_sample.id)
    log.write_eval_log(one, str(path))
    import_files(Path("logs"))
    said = capsys.readouterr().out.splitlines()
    assert {"missing: 1 marked invalid in Inspect: wrong prompt", "missing: 1 marked invalid in Inspect"} <= set(said)
    table = run_imported().set_index("prompt").fillna("")
    for prompt in ("plain?", "refused?"):
        assert table.loc[prompt, ["response", "outcome", "judge-refused"]].tolist() == ["", "unanswered", ""]
    assert (table["judge-refused"] != "").sum() == 2
