"""The settings of an answer are those that its harness sent, wherever else the log names others."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from imported_study import import_files, run_imported

from refusal_stability.exchange.logged import LogError
from refusal_stability.exchange.recorded_files import IMPORTED_PROMPTS
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import PROMPT_TABLE


def sampling() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]
    return found


def result(output: str, config: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A result of promptfoo, whose prompt holds the settings that stood above the provider's."""
    prompt = {"raw": "Q?"} if config is None else {"raw": "Q?", "config": config}
    return {"provider": {"id": "toy"}, "prompt": prompt, "testIdx": 0, "response": {"output": output}} | more


def promptfoo(results: list[dict[str, Any]], *providers: dict[str, Any]) -> Path:
    log = {"evalId": "e", "results": {"results": results}, "config": {"providers": list(providers)}}
    Path("pf.json").write_text(json.dumps(log))
    return Path("pf.json")


def labelled(label: str, **config: Any) -> dict[str, Any]:
    return {"id": "toy", "label": label, "config": config}


HALF = {"id": "toy", "config": {"temperature": 0.5}}


def test_promptfoo_puts_the_prompts_and_the_tests_settings_above_the_providers() -> None:
    results = [
        result("provider", {}),
        result("prompt", {"temperature": 0}),
        # What is sent of a test stands in the prompt of the result.
        result("test", {"temperature": 0.9}, testCase={"options": {"temperature": 0.9}}),
        # Older results name the prompt by its text.
        result("old", testCase={"options": {"temperature": 0.8}}) | {"prompt": "Q?"},
    ]
    import_files(promptfoo(results, HALF))
    assert run_imported().set_index("response")["temperature"].to_dict() == {
        "provider": 0.5,
        "prompt": 0.0,
        "test": 0.9,
        "old": 0.8,
    }


def test_a_temperature_that_promptfoos_prompt_takes_back_or_fills_in_is_asked_for() -> None:
    for above in (None, "{{t}}"):
        with pytest.raises(LogError, match="the log does not say the temperature"):
            import_files(promptfoo([result("a", {"temperature": above})], HALF))


def test_promptfoos_providers_of_one_name_need_no_labels_where_the_prompt_says_the_temperature() -> None:
    providers = [{"id": "toy", "config": {"temperature": t}} for t in (0.1, 0.2)]
    import_files(promptfoo([result("a", {"temperature": 0.7}), result("b", {"temperature": 0.7})], *providers))
    assert sampling() == {"temperatures": [0.7], "seeds": [1, 2]}


def test_promptfoos_provider_may_be_a_map_from_its_id() -> None:
    import_files(promptfoo([result("a", {})], {"toy": {"config": {"temperature": 0.3}}}))  # type: ignore[arg-type]
    assert sampling()["temperatures"] == [0.3]
    for unknown in ({"toy": {"config": {}}}, "file://toy.yaml"):
        log = promptfoo([result("a", {})], unknown)  # type: ignore[arg-type]
        with pytest.raises(LogError, match=r"results: row 0: the log does not say the temp.* --temperature 0\.7"):
            import_files(log)
        import_files(log, constants=["temperature=0.4"])
        assert sampling()["temperatures"] == [0.4]


def turns_of(prompt: str) -> tuple[str, str]:
    """The prompt of a study of one result, and its turns before that as JSON."""
    import_files(promptfoo([result("a", prompt={"raw": prompt})], HALF))
    run_imported()
    table = read_table(Path("data/prompts/prompts.csv"), PROMPT_TABLE)
    return str(table["prompt"].item()), str(table["turns"].item())


def test_promptfoos_chat_prompt_in_yaml_is_the_turns_that_it_sends() -> None:
    as_json = turns_of(json.dumps([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "yes"}]))
    as_yaml = turns_of("\n- role: system\n  content: Be brief.\n- role: user\n  content: yes\n")
    assert as_yaml == as_json
    assert (as_yaml[0], json.loads(as_yaml[1])) == ("yes", [{"role": "system", "content": "Be brief."}])


def test_a_prompt_in_yaml_that_lists_no_turns_with_texts_stays_as_it_is() -> None:
    for prompt in (
        "Say:\n- role: user\n  content: hello",
        "- role: user\n  content: [a",
        "- role: !!python/object/apply:os.getcwd []",
        "- role: user\n  content: {a: b}",
        "- role: &a user\n  content: &b " + "x" * 60 + "\n- {role: *a, content: *b}\n- {role: *a, content: *b}\n",
        "- role: user\n  content: " + "[" * 3000,
    ):
        assert turns_of(prompt) == (prompt, "")
    with pytest.raises(LogError, match=r"row 0: a prompt of 300,\d+ characters of YAML; at most 262,144 are read"):
        turns_of("- role: user\n  content: " + "x" * 300_000)


def test_promptfoos_seeds_are_the_repeats_of_one_model_unless_two_answers_share_one() -> None:
    providers = [labelled("x", temperature=1, seed=9), labelled("y", temperature=1, seed=4)]
    results = [result(label, {}, provider={"id": "toy", "label": label}) for label in ("x", "y")]
    results.append(result("z", {"seed": 6}, provider={"id": "toy", "label": "x"}))
    import_files(promptfoo(results, *providers))
    assert run_imported().sort_values("seed")["response"].tolist() == ["y", "z", "x"]
    assert sampling()["seeds"] == [4, 6, 9]
    results.append(result("y again", {}, provider={"id": "toy", "label": "y"}))
    import_files(promptfoo(results, *providers))
    assert run_imported().sort_values("seed")["response"].tolist() == ["y", "y again", "z", "x"]
    assert sampling()["seeds"] == [1, 2, 3, 4]


def test_promptfoos_providers_of_other_settings_go_by_their_labels_and_need_them() -> None:
    settings = ({"temperature": 0, "top_p": 0.1}, {"temperature": 1, "top_p": 1})
    results = [result(label, {}, provider={"id": "toy", "label": label}) for label in ("low", "high")]
    import_files(
        promptfoo(results, *[labelled(name, **one) for name, one in zip(("low", "high"), settings, strict=True)])
    )
    assert set(run_imported()["model"]) == {"low", "high"}
    unnamed = [{"id": "toy", "config": one | {"temperature": 1}} for one in settings]
    with pytest.raises(LogError, match=r"row 0: the providers named 'toy' differ in top_p and nothing .*a label each"):
        import_files(promptfoo([result("a", {})], *unnamed))


def test_promptfoos_answers_of_different_lengths_allowed_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = "toy: answers of different max_tokens to one prompt count as its repeats"
    import_files(promptfoo([result("a", {}), result("b", {"max_tokens": 9})], HALF))
    assert told in capsys.readouterr().out
    import_files(promptfoo([result("a", {"max_tokens": 9}), result("b", {"max_tokens": 9})], HALF))
    assert told not in capsys.readouterr().out


def inspect_log(
    path: str,
    *,
    own: float | None = None,
    task: float | None = None,
    step: float | None = None,
    calls: tuple[tuple[str, float], ...] = (),
    model_name: str = "m",
    texts: tuple[str, ...] = ("final",),
    model_args: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """A log of one sample; `calls` are its model's answers and the temperature of each."""
    log, model, event, scorer = (
        importlib.import_module(f"inspect_ai.{name}") for name in ("log", "model", "event", "scorer")
    )

    def output(*answers: str) -> Any:
        message = [model.ChatMessageAssistant(id=f"id of {text}", content=text) for text in answers]
        return model.ModelOutput(model="m", choices=[model.ChatCompletionChoice(message=one) for one in message])

    spec = log.EvalSpec(
        created="2026-01-01T00:00:00+00:00",
        task="ask",
        task_id=path,
        eval_id=path,
        run_id="one",
        dataset=log.EvalDataset(name="d"),
        model=model_name,
        model_args=model_args or {},
        model_generate_config=model.GenerateConfig(temperature=own, **settings),
        config=log.EvalConfig(epochs=1),
    )
    steps = [log.EvalPlanStep(solver="generate", params={} if step is None else {"temperature": step})]
    events = [
        event.ModelEvent(
            model="m",
            input=[model.ChatMessageUser(content="Q?")],
            tools=[],
            tool_choice="auto",
            config=model.GenerateConfig(temperature=temperature),
            output=output(text),
            cache="read",
        )
        for text, temperature in calls
    ]
    sample = log.EvalSample(
        id="q",
        epoch=1,
        input="Q?",
        target="",
        messages=[model.ChatMessageUser(content="Q?")],
        output=output(*texts),
        scores={"judge": scorer.Score(value="COMPLY")},
        events=events,
    )
    plan = log.EvalPlan(steps=steps, config=model.GenerateConfig(temperature=task))
    log.write_eval_log(log.EvalLog(status="success", eval=spec, plan=plan, samples=[sample]), path)
    return Path(path)


@pytest.mark.logs("inspect_ai")
@pytest.mark.parametrize("path", ["ask.eval", "ask.json"])
@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ({"own": 0.1}, 0.1),
        ({"own": 0.1, "task": 0.9}, 0.9),
        ({"own": 0.1, "task": 0.9, "step": 0.3}, 0.3),
        ({"own": 0.1, "task": 0.9, "step": 0.3, "calls": (("draft", 0.5), ("final", 0.7), ("grade", 0.0))}, 0.7),
        ({"own": 0.1, "calls": (("another", 0.5),)}, 0.1),
        ({"own": 0.1, "calls": (("draft", 0.5), ("failed", 0.7)), "texts": ()}, 0.7),
    ],
    ids=["model", "task", "step", "call", "no call of this answer", "no answer"],
)
def test_inspects_temperature_is_that_of_the_call_or_of_what_inspect_puts_first(
    said: dict[str, Any], sent: float, path: str
) -> None:
    import_files(inspect_log(path, **said))
    assert sampling()["temperatures"] == [sent]


@pytest.mark.logs("inspect_ai")
def test_inspects_answer_is_of_the_model_that_gave_it(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(inspect_log("ask.eval", model_name="none/none", calls=(("final", 0.7),)))
    said = capsys.readouterr().out
    assert "ask: m gave the answers, not the task's model none/none; they are its answers" in said
    assert "ask: answers came from Inspect's cache: repeats there are no fresh draws" in said
    assert set(run_imported()["model"]) == {"m"}


@pytest.mark.logs("inspect_ai")
@pytest.mark.parametrize("name", ["top_p", "max_tokens", "reasoning_effort"])
def test_inspects_samples_that_differ_in_a_setting_are_no_repeats(name: str) -> None:
    values = ("low", "high") if name == "reasoning_effort" else (1, 2)
    logs = [inspect_log(f"{value}.eval", own=1.0, **{name: value}) for value in values]
    with pytest.raises(LogError, match=rf"asks what .* asks, but with another {name}, so it is no repeat; import"):
        import_files(*logs)


@pytest.mark.logs("inspect_ai")
def test_inspects_samples_of_a_model_that_was_opened_otherwise_are_no_repeats() -> None:
    logs = [inspect_log(f"{step}.eval", own=1.0, model_args={"revision": step}) for step in ("one", "two")]
    with pytest.raises(LogError, match=r"asks what .* asks, but with another model_args\.revision, so it is no repeat"):
        import_files(*logs)
    import_files(*[inspect_log(f"{k}.eval", own=1.0, model_args={"device": k}) for k in ("a", "b")])


@pytest.mark.logs("inspect_ai")
def test_inspects_system_message_is_part_of_the_prompt() -> None:
    import_files(inspect_log("kind.eval", own=1.0, system_message="Be kind."), inspect_log("ask.eval", own=1.0))
    turns = read_table(Path("data/raw/imported/prompts.csv"), IMPORTED_PROMPTS)["messages"]
    assert sorted(len(json.loads(text)) for text in turns) == [1, 2]


@pytest.mark.logs("inspect_ai")
def test_inspects_choices_are_repeats_and_the_score_is_of_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(inspect_log("ask.eval", own=1.0, texts=("a", "b", "c")))
    said = capsys.readouterr().out
    assert "3 responses: 1 prompt, 1 model, temperature 1, 3 repeats" in said
    assert "ask: samples of several choices: each is a repeat; scores are of the first alone" in said
    table = run_imported().sort_values("seed")
    assert table["response"].tolist() == ["a", "b", "c"]
    assert table["judge"].fillna("").tolist() == ["COMPLY", "", ""]
