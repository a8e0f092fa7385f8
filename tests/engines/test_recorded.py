"""Responses that exist already, looked up in this project's and the published study's file layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.recorded import RecordedEngine
from refusal_stability.engines.store import Store
from refusal_stability.files import PARQUET, generation_file, generation_place
from refusal_stability.params.checks import ParamsError, parsed
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.recorded import RecordedSettings
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Completion, Condition, Message, Outcome, Request, Sampling, sampler_stream
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import GENERATION_TABLE

PROMPTS = ['first "quoted", with a comma', "second\nwith a newline", "third"]
TEMPERATURES = (0.0, 0.7)
SEEDS = (42, 43)


def text_of(prompt: str, temperature: float, seed: int) -> str:
    return f'response,\n"{prompt}" {temperature} {seed} NA'


def requests(prompts: list[str] = PROMPTS, temperatures: tuple[float, ...] = TEMPERATURES) -> list[Request]:
    return [
        Request((Message("user", p),), Sampling(t, s, sampler_stream((Message("user", p),), t, s)))
        for p in prompts
        for t in temperatures
        for s in SEEDS
    ]


Edit = Callable[[pd.DataFrame], pd.DataFrame]


def published(folder: Path, edit: Edit = lambda table: table) -> Path:
    """The published layout, with `edit` applied to the file of temperature 0.7 and seed 43."""
    (folder / "data/results/generations").mkdir(parents=True)
    for temperature in TEMPERATURES:
        for seed in SEEDS:
            table = pd.DataFrame(
                {
                    "prompt_id": ["a", "b", "c"],
                    "prompt": PROMPTS,
                    "response": [text_of(p, temperature, seed) for p in PROMPTS],
                    "model": "vendor/Model-1",
                    "temperature": temperature,
                    "seed": seed,
                    "generation_time_ms": 1.5,
                }
            )
            if (temperature, seed) == (0.7, 43):
                table = edit(table)
            table.to_csv(
                folder / f"data/results/generations/vendor_Model-1_temp{temperature}_seed{seed}.csv", index=False
            )
    return folder


def engine(folder: Path, **settings: Any) -> RecordedEngine:
    chosen = {"layout": "published", "name": "vendor_Model-1"} | settings
    return RecordedEngine(
        ModelParams("recorded", str(folder), settings=chosen), RecordedSettings(**chosen), "params.yaml: models.m"
    )


def texts(engine: RecordedEngine, asked: list[Request]) -> list[Completion]:
    return [completion for _, completion in sorted(engine.complete(asked), key=lambda pair: pair[0])]


def test_every_cell_gets_the_response_recorded_for_its_prompt_temperature_and_seed(tmp_path: Path) -> None:
    asked = requests()
    got = texts(engine(published(tmp_path)), asked)
    assert [c.text for c in got] == [
        text_of(r.messages[0].content, r.sampling.temperature, r.sampling.seed) for r in asked
    ]
    assert len({c.text for c in got}) == len(asked)  # no two configurations share a row
    assert {c.finish_reason for c in got} == {"unknown"}


def test_responses_go_through_the_store_like_any_other(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        first = complete_stored(engine(published(tmp_path / "source")), requests(), store, "m")
        assert [c.text for c in first] == [c.text for c in texts(engine(tmp_path / "source"), requests())]


@pytest.mark.parametrize("suffix", [".csv", PARQUET])
def test_this_projects_own_files_are_read_back_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    texts_written = ["", "NA", 'a "b"\r\nc,\td']
    for temperature in TEMPERATURES:
        for seed in SEEDS:
            condition = Condition("some-model", "none", temperature, seed)
            table = pd.DataFrame(
                {
                    "prompt_id": ["a", "b", "c"],
                    "prompt": PROMPTS,
                    "response": texts_written,
                    "temperature": temperature,
                    "seed": seed,
                    "model": "some-model",
                    "intervention": "none",
                    "finish_reason": ["", "stop", "length"],
                    "missing_reason": ["timed out", "", ""],
                }
            )
            path = tmp_path / generation_place(condition, suffix)
            write_table(table.assign(unseeded=seed == SEEDS[0]), path, GENERATION_TABLE)
            assert list(read_table(path, GENERATION_TABLE)["response"]) == texts_written
    got = texts(engine(tmp_path, layout="project", name="some-model"), requests()[::4])
    assert [c.text for c in got] == texts_written
    assert [c.finish_reason for c in got] == ["", "stop", "length"]
    assert [c.missing_reason for c in got] == ["timed out", None, None]
    assert [c.details for c in got] == [{"unseeded": True}] * 3
    identity = engine(tmp_path, layout="project", name="some-model").identity
    write_table(table.assign(response="other"), path, GENERATION_TABLE)
    assert engine(tmp_path, layout="project", name="some-model").identity != identity


def test_outcome_and_thinking_of_this_projects_own_files_are_taken_over(tmp_path: Path) -> None:
    for temperature in TEMPERATURES:
        for seed in SEEDS:
            place = {"temperature": temperature, "seed": seed, "model": "some-model", "intervention": "none"}
            told = {
                "response": ["", "I cannot.", "so"],
                "finish_reason": ["", "stop", "stop"],
                "missing_reason": ["the provider's filter", "", ""],
                "outcome": ["blocked", "refused", "answered"],
                "thinking": ["", "", "hm"],
            }
            table = pd.DataFrame({"prompt_id": ["a", "b", "c"], "prompt": PROMPTS, **told, **place})
            condition = Condition("some-model", "none", temperature, seed)
            write_table(table, tmp_path / generation_file(condition), GENERATION_TABLE)
    got = texts(engine(tmp_path, layout="project", name="some-model"), requests()[::4])
    assert [c.outcome for c in got] == [Outcome.BLOCKED, Outcome.REFUSED, Outcome.ANSWERED]
    assert [c.thinking for c in got] == ["", "", "hm"]


def test_a_source_may_have_unequal_numbers_of_responses_where_the_study_says_so(tmp_path: Path) -> None:
    folder = published(tmp_path, lambda table: table.iloc[:2])
    asked = requests(temperatures=(0.7,))[1::2]
    with pytest.raises(EngineError, match=r"set params.yaml: models\.m\.settings\.unequal: true"):
        texts(engine(folder), asked)
    got = texts(engine(folder, unequal=True), asked)
    assert [c.outcome for c in got] == [Outcome.ANSWERED, Outcome.ANSWERED, Outcome.NOT_SAMPLED]


def test_an_error_stored_as_a_response_is_missing_with_a_reason(tmp_path: Path) -> None:
    folder = published(tmp_path, lambda table: table.assign(response=["[ERROR: timeout]", "fine", "not an [ERROR"]))
    got = texts(engine(folder), requests(temperatures=(0.7,))[1::2])
    assert [c.missing_reason for c in got] == ["the source recorded '[ERROR'", None, None]
    assert [c.text for c in got] == ["", "fine", "not an [ERROR"]
    kept = texts(engine(folder, missing=[]), requests(temperatures=(0.7,))[1::2])
    assert kept[0].text == "[ERROR: timeout]"


def test_a_model_with_labels_only_is_missing_throughout_and_reads_no_file(tmp_path: Path) -> None:
    got = texts(engine(tmp_path, labels_only=True), requests())
    assert {c.missing_reason for c in got} == {"labels only: the source has no response"}
    assert {c.text for c in got} == {""}


def columns_renamed(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"response": "completion"})


def test_columns_are_mapped_by_name(tmp_path: Path) -> None:
    folder = published(tmp_path, columns_renamed)
    asked = requests(temperatures=(0.7,))[1::2]
    got = texts(engine(folder, columns={"response": "completion"}), asked)
    assert [c.text for c in got] == [text_of(p, 0.7, 43) for p in PROMPTS]


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda t: t.iloc[:2], "1 of the study's 3 prompts have no row: 'third'"),
        (lambda t: pd.concat([t, t.iloc[[1]]]), "rows 3 and 5 hold the same text for one prompt"),
        (
            lambda t: pd.concat([t, t.iloc[[0]].assign(response="another")]),
            "rows 2 and 5 hold two texts for one prompt",
        ),
        (lambda t: t.assign(model=["vendor/Model-1", "vendor/Model-1", "other"]), "row 4: model 'other'"),
        (lambda t: t.assign(temperature=[0.7, 0.3, 0.7]), "row 3: temperature '0.3' in a file of temperature 0.7"),
        (lambda t: t.assign(seed=[43, 43, 42]), "row 4: seed '42' in a file of seed 43"),
        (columns_renamed, "no column response; found prompt_id, prompt, completion"),
    ],
)
def test_counts_that_do_not_add_up_are_errors_that_name_file_and_rows(tmp_path: Path, edit: Edit, told: str) -> None:
    folder = published(tmp_path, edit)
    with pytest.raises(EngineError) as raised:
        texts(engine(folder), requests())
    assert told in str(raised.value)
    assert "vendor_Model-1_temp0.7_seed43.csv" in str(raised.value)


def test_another_models_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"row 2: model 'vendor/Model-1', expected 'vendor/Model-2'"):
        texts(engine(published(tmp_path), model="vendor/Model-2"), requests())


def test_a_configuration_that_was_not_recorded_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"vendor_Model-1_temp1\.0_seed42\.csv: no such file"):
        texts(engine(published(tmp_path)), requests(temperatures=(1.0,)))


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(EngineError, match=r"models\.m\.path: 'nowhere' is no folder"):
        engine(Path("nowhere"))


def test_what_cannot_have_been_recorded_is_not_answered(tmp_path: Path) -> None:
    source = engine(published(tmp_path))
    turns = (Message("system", "be safe"), Message("user", PROMPTS[0]))
    with pytest.raises(EngineError, match="intervention"):
        texts(source, [Request(turns, Sampling(0.0, 42, 1))])
    with pytest.raises(EngineError, match="kind: recorded"):
        texts(source, [Request(turns[1:], Sampling(0.0, 42, 1), schema={"type": "object"})])


def conversation(*texts: str) -> tuple[Message, ...]:
    """User and assistant in turn, ending in a user turn."""
    return tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts))


def asked_at_43(*conversations: tuple[Message, ...]) -> list[Request]:
    return [Request(messages, Sampling(0.7, 43, 1)) for messages in conversations]


def with_turns(table: pd.DataFrame) -> pd.DataFrame:
    """The third prompt bare, and as the last turn of two conversations."""
    turns = ["", *(json.dumps([m.identity() for m in conversation(opening, "Yes?")]) for opening in ("Hello.", "Hey."))]
    return table.assign(prompt="third", turns=turns, response=["bare", "hello", "hey"])


def test_a_conversation_is_found_by_its_last_user_turn(tmp_path: Path) -> None:
    got = texts(
        engine(published(tmp_path)), asked_at_43(conversation("Hello.", "Yes?", "third"), conversation(PROMPTS[0]))
    )
    assert [c.text for c in got] == [text_of("third", 0.7, 43), text_of(PROMPTS[0], 0.7, 43)]


def test_conversations_that_end_alike_are_an_error_that_names_the_file_and_the_turn(tmp_path: Path) -> None:
    alike = asked_at_43(conversation("Hello.", "Yes?", "third"), conversation("third"))
    told = r"seed43\.csv: no column `turns`, and 1 of the study's prompts .* ends in too: 'third'; add the column"
    with pytest.raises(EngineError, match=told):
        texts(engine(published(tmp_path)), alike)


def test_where_the_source_has_turns_the_whole_conversation_is_what_is_found(tmp_path: Path) -> None:
    source = engine(published(tmp_path, with_turns))
    hey, hello = (conversation(opening, "Yes?", "third") for opening in ("Hey.", "Hello."))
    assert [c.text for c in texts(source, asked_at_43(hey, conversation("third"), hello))] == ["hey", "bare", "hello"]
    for other in (conversation("Hi.", "Yes?", "third"), (Message("system", "be safe"), *hey)):
        with pytest.raises(EngineError, match="1 of the study's 1 prompts have no row: 'third'"):
            texts(source, asked_at_43(other))


def test_few_shot_turns_are_never_taken_for_a_recorded_conversation() -> None:
    turns = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Yes?"}]
    settings = {"layout": "published", "name": "m"}
    study = {
        "study": "s",
        "interventions": {"few": {"turns": turns}},
        "models": {"m": {"engine": "recorded", "path": "folder", "settings": settings}},
    }
    with pytest.raises(ParamsError, match=r"models\.m\.engine: 'recorded'.*interventions\.few adds turns"):
        parsed(StudyParams, study, "params.yaml")
    settings["labels_only"] = True
    assert parsed(StudyParams, study, "params.yaml").models["m"].engine == "recorded"


def test_whole_conversations_are_never_found_by_their_last_turn(tmp_path: Path) -> None:
    source = engine(published(tmp_path), whole_conversations=True)
    assert [c.text for c in texts(source, asked_at_43(conversation("third")))] == [text_of("third", 0.7, 43)]
    for asked in (conversation("Hello.", "Yes?", "third"), (Message("system", "be safe"), *conversation("third"))):
        with pytest.raises(EngineError, match="1 of the study's 1 prompts have no row: 'third'"):
            texts(source, asked_at_43(asked))
    settings = {"name": "m", "whole_conversations": True}
    turns = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Yes?"}]
    study = {
        "study": "s",
        "interventions": {"few": {"turns": turns}},
        "models": {"m": {"engine": "recorded", "path": "folder", "settings": settings}},
    }
    assert parsed(StudyParams, study, "params.yaml").interventions["few"].turns


@pytest.mark.parametrize("turns", ["[", "7", '["Hello."]', '[{"role": "user"}]'])
def test_turns_that_are_no_list_of_turns_name_their_row(tmp_path: Path, turns: str) -> None:
    source = engine(published(tmp_path, lambda table: table.assign(turns=["", turns, ""])))
    with pytest.raises(EngineError, match="row 3, column turns: not a JSON list of turns"):
        texts(source, asked_at_43(conversation("third")))


def test_the_identity_changes_with_the_recorded_bytes_and_not_with_the_folder(tmp_path: Path) -> None:
    one = engine(published(tmp_path / "one")).identity
    assert engine(published(tmp_path / "two")).identity == one
    edited = published(tmp_path / "three", lambda table: table.assign(response="x"))
    assert engine(edited).identity != one


def test_settings_are_checked_and_named() -> None:
    for settings, told in [
        ({"layout": "other", "name": "m"}, "settings.layout"),
        ({"layout": "published"}, "settings.name"),
        ({"name": "m", "columns": {"text": "t"}}, "settings.columns"),
        ({"name": "m", "missing": ["("]}, "settings.missing"),
    ]:
        with pytest.raises(ParamsError, match=told):
            parsed(ModelParams, {"engine": "recorded", "path": "folder", "settings": settings}, "models.m")


def test_the_published_responses_are_all_found(shared: Path) -> None:
    folder = shared / "published-study"
    prompts = pd.read_csv(folder / "data/processed/prompts.csv", keep_default_na=False)["prompt"].tolist()
    settings = {
        "layout": "published",
        "name": "meta_llama_Llama_3.1_8B_Instruct",
        "model": "meta-llama/Llama-3.1-8B-Instruct",
    }
    source = open_engine(ModelParams("recorded", str(folder), settings=settings), "models.llama")
    asked = [Request((Message("user", p),), Sampling(t, s, 0)) for p in prompts for t in (0.0, 1.0) for s in (42, 46)]
    got = dict(source.complete(asked))
    assert len(got) == 876 * 4
    assert all(c.missing_reason is None and c.text for c in got.values())


@pytest.mark.parametrize(
    ("finish_reason", "outcome", "kept"),
    [
        ("unknown", Outcome.ANSWERED, True),
        ("end_turn", Outcome.ANSWERED, True),
        ("MAX_TOKENS", Outcome.CUT, True),
        ("SAFETY", Outcome.BLOCKED, False),
        ("content_filter", Outcome.BLOCKED, False),
        ("refusal", Outcome.REFUSED, False),
        ("error", Outcome.UNANSWERED, False),
    ],
)
def test_finish_reasons_of_a_source_mean_what_they_mean_anywhere(
    tmp_path: Path, finish_reason: str, outcome: Outcome, kept: bool
) -> None:
    folder = tmp_path / "data/generations/m"
    folder.mkdir(parents=True)
    header = "prompt,response,model,temperature,seed,finish_reason"
    (folder / "m_temp0.7_seed1_generations.csv").write_text(f"{header}\nWhy?,Sure,m,0.7,1,{finish_reason}\n")
    model = ModelParams(engine="recorded", path=str(tmp_path), settings={"name": "m"})
    engine = RecordedEngine(model, RecordedSettings(name="m"))
    found = dict(engine.complete([Request((Message("user", "Why?"),), Sampling(0.7, 1, 1))]))[0]
    assert (found.outcome, found.text) == (outcome, "Sure" if kept else "")
