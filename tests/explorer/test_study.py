"""What the explorer reads from a study's files, and what it says when they are not there or not right."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from explored_study import (
    CONFIDENCE,
    EARLIER_TURNS,
    IMAGE,
    MISSING_AT,
    MISSING_PROMPT,
    N_PROMPTS,
    NO_ANSWER,
    PARAMS,
    PROMPT_TEXTS,
    REASONING,
    THINKING,
    UNSAMPLED_AT,
    UNSAMPLED_PROMPT,
    write_explored_study,
)

from refusal_stability.commands import explore
from refusal_stability.explorer import study, views
from refusal_stability.explorer.links import View
from refusal_stability.files import GENERATIONS, LABELS, METRICS, PROMPTS, generation_file, label_file
from refusal_stability.local_port import require_free
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Condition, StudyError
from refusal_stability.tables.csv_files import write_table
from refusal_stability.tables.optional import PROMPT_CONFIDENCE


@pytest.fixture(scope="module")
def folder(made_once: Callable[..., Path], write_study: Callable[..., None]) -> Path:
    return made_once("explored", lambda: write_explored_study(write_study))


@pytest.fixture
def params(folder: Path, monkeypatch: pytest.MonkeyPatch) -> StudyParams:
    monkeypatch.chdir(folder)
    return load_params(PARAMS)


def conditions(params: StudyParams) -> list[Condition]:
    return [c for model in params.models for c in params.conditions(model)]


def test_the_earlier_turns_of_a_conversation_come_with_its_prompt(params: StudyParams) -> None:
    table = study.prompt_rows(params).drop_duplicates("prompt_id").sort_values("position")
    found = [study.earlier_turns(turns) for turns in table["turns"]]
    assert found[1] == [(turn["role"], turn["content"]) for turn in EARLIER_TURNS]
    assert [turns for turns in found if turns] == [found[1]]


def test_the_list_has_a_row_a_series_and_prompt_with_its_text(params: StudyParams) -> None:
    table = study.prompt_rows(params)
    assert len(table) == 2 * 2 * N_PROMPTS
    assert set(PROMPT_TEXTS) <= set(table["prompt"])
    assert set(table["position"]) == set(range(N_PROMPTS))
    assert table["label"].nunique() == 4


def test_the_list_has_the_primary_judges_lowest_confidence_and_is_read_again_with_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A copy: other tests, in other processes too, read the study.
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "copy"))
    path, contract = PROMPT_CONFIDENCE
    assert study.prompts_now(PARAMS)["lowest_confidence"].isna().all()
    row = {"model": "answering", "intervention": "none", "prompt_id": "0003", "primary_judge": "rules"}
    row |= {"n_with_confidence": 6, "mean_confidence": 0.8, "lowest_confidence": 0.25}
    write_table(pd.DataFrame([row]), path, contract)
    table = study.prompts_now(PARAMS)
    assert len(table) == 2 * 2 * N_PROMPTS
    first = views.filtered(table, View(order="unsure")).iloc[0]
    assert (first["model"], first["intervention"], first["prompt_id"]) == ("answering", "none", "0003")
    assert first["lowest_confidence"] == 0.25


def test_the_grids_of_every_prompt_hold_what_its_metrics_were_counted_from(params: StudyParams) -> None:
    labels = study.read_labels(conditions(params))
    for row in study.prompt_rows(params).to_dict("records"):
        own = [c for c in conditions(params) if (c.model, c.intervention) == (row["model"], row["intervention"])]
        decided = views.decided(labels, own, row["prompt_id"], params.judging.primary, study.unsampled_now)
        assert len(decided) == 6
        assert not views.disagrees(row, decided)


def test_what_is_missing_has_its_reason_everywhere(params: StudyParams) -> None:
    labels = study.read_labels([MISSING_AT])
    decided = views.decided(labels, [MISSING_AT], MISSING_PROMPT, "rules", study.unsampled_now)
    assert decided == {MISSING_AT: views.Decided("", NO_ANSWER)}
    assert study.read_answer(MISSING_AT, MISSING_PROMPT) == study.Answer(None, "", NO_ANSWER, "unanswered", THINKING)
    unheard = views.decided(labels, [MISSING_AT], MISSING_PROMPT, "unheard-of", study.unsampled_now)
    assert unheard[MISSING_AT].reason == views.NO_ROW


def test_a_response_that_was_never_asked_for_is_not_sampled_and_not_missing(params: StudyParams) -> None:
    labels = study.read_labels([UNSAMPLED_AT])
    decided = views.decided(labels, [UNSAMPLED_AT], UNSAMPLED_PROMPT, "rules", study.unsampled_now)
    assert decided == {UNSAMPLED_AT: views.Decided("", views.UNSAMPLED, sampled=False)}
    assert study.read_answer(UNSAMPLED_AT, UNSAMPLED_PROMPT).outcome == "not_sampled"
    # Without a row in the label file, but asked: not judged.
    assert views.decided(labels, [UNSAMPLED_AT], "0099", "rules", study.unsampled_now)[UNSAMPLED_AT].sampled


def test_files_of_a_version_without_outcome_thinking_and_confidence_are_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file, new in ((generation_file, ["outcome", "thinking"]), (label_file, ["confidence", "basis"])):
        table = pd.read_csv(folder / file(MISSING_AT), dtype=str, keep_default_na=False)
        file(MISSING_AT).parent.mkdir(parents=True)
        table.drop(columns=new).to_csv(file(MISSING_AT), index=False)
    assert study.read_answer(MISSING_AT, "0003").outcome == "answered"
    assert study.read_answer(MISSING_AT, MISSING_PROMPT).outcome == "unanswered"
    assert {v.confidence for v in study.read_verdicts(MISSING_AT, "0003")} == {None}
    assert {v.basis for v in study.verdicts_of(study.read_labels([MISSING_AT]), MISSING_AT, "0003")} == {"judge"}


def test_a_cell_has_every_judges_verdict_and_its_response_word_for_word(params: StudyParams) -> None:
    condition = Condition("answering", "cautious", 0.0, 42)
    verdicts = study.read_verdicts(condition, "0003")
    assert [(v.judge, v.repeat, v.reasoning) for v in verdicts] == [("rules", 0, REASONING), ("other", 0, REASONING)]
    answer = study.read_answer(condition, "0003")
    assert answer.text is not None
    assert answer.text.endswith(condition.stem)
    assert (answer.finish_reason, answer.outcome, answer.thinking) == ("stop", "answered", THINKING)
    assert [v.confidence for v in verdicts] == [None, CONFIDENCE]
    folded = study.verdicts_of(study.read_labels([condition]), condition, "0003")
    assert folded == [replace(verdict, reasoning="") for verdict in verdicts]


def test_the_page_reads_what_the_check_before_the_server_has_read_and_again_only_after_a_change(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(folder, tmp_path, PROMPTS, "fifth", "fifth")
    monkeypatch.chdir(tmp_path)
    first = study.prompts_now(PARAMS)
    assert study.prompts_now(Path("params.yaml")) is first
    conditions_now = conditions(study.params_now(PARAMS))
    labels = study.labels_now(conditions_now)
    assert study.labels_now(list(conditions_now)) is labels
    spoil(folder, tmp_path, PROMPTS, "fifth", "fifth and last")
    again = study.prompts_now(PARAMS)
    assert set(again["prompt"]) - set(first["prompt"]) == {"two\nlines fifth and last"}


def test_absent_files_leave_cells_missing_with_the_reason(
    params: StudyParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert study.read_labels([MISSING_AT]) == {}
    assert views.decided({}, [MISSING_AT], "0001", "rules", study.unsampled_now)[MISSING_AT].reason == views.NO_LABELS
    assert study.read_verdicts(MISSING_AT, "0001") == []
    assert study.verdicts_of({}, MISSING_AT, "0001") == []
    assert str(generation_file(MISSING_AT)) in study.read_answer(MISSING_AT, "0001").missing_reason


def test_a_rewritten_file_changes_the_state(tmp_path: Path) -> None:
    path = tmp_path / "x"
    absent = study.state_of([path])
    path.write_text("1")
    there = study.state_of([path])
    path.write_text("12")
    assert len({absent, there, study.state_of([path])}) == 3


def spoil(folder: Path, target: Path, path: Path, old: str, new: str) -> None:
    """Copy a study's files and change one text in one of them."""
    for part in (PARAMS, PROMPTS, METRICS, LABELS, GENERATIONS):
        source = folder / part
        for file in [source] if source.is_file() else [f for f in source.rglob("*") if f.is_file()]:
            copy = target / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    text = (target / path).read_text(encoding="utf-8")
    assert old in text
    (target / path).write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "old", "new", "says"),
    [
        (label_file(MISSING_AT), '"REFUSE"', '"MAYBE"', "MAYBE"),
        (label_file(MISSING_AT), '"label"', '"lable"', "lable"),
        (label_file(MISSING_AT), ',0.7,44,"rules",0,', ',0.7,44,"rules",x,', "repeat"),
        (study.PER_PROMPT, '"labelled"', '"renamed"', "'renamed'"),
        (study.PER_PROMPT, '"0004"', '"9999"', "'9999'"),
    ],
)
def test_a_broken_file_is_named_with_the_remedy(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path, old: str, new: str, says: str
) -> None:
    spoil(folder, tmp_path, path, old, new)
    monkeypatch.chdir(tmp_path)
    params = load_params(PARAMS)
    with pytest.raises(StudyError, match=str(path)) as error:
        study.prompt_rows(params)
        study.read_labels(conditions(params))
    assert says in str(error.value)


def test_without_a_study_one_line_says_how_to_run_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / PARAMS).write_bytes((folder / PARAMS).read_bytes())
    with pytest.raises(StudyError, match=r"prompts.csv: no such file; .*make repro"):
        explore.run(PARAMS, 8501, headless=True)


def test_a_taken_port_is_named_with_the_remedy() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind((explore.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StudyError, match=f"port {port} .*PORT="):
            require_free(port, "make explore PORT=8502")
    require_free(port, "make explore PORT=8502")


def test_the_server_listens_on_this_machine_only_and_tells_nobody() -> None:
    flags = explore.arguments(PARAMS, 8511, headless=True)
    for flag in (
        "--server.address=127.0.0.1",
        "--server.port=8511",
        "--server.headless=true",
        "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none",
    ):
        assert flag in flags
    assert Path(flags[1]).is_file()
    assert flags[-2:] == ["--", "params.yaml"]
    assert IMAGE not in " ".join(flags)


def test_the_page_asks_nobody_for_this_machines_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit import net_util
    from streamlit.web import cli

    for name in ("get_external_ip", "get_internal_ip"):
        monkeypatch.setattr(net_util, name, getattr(net_util, name))
    monkeypatch.setattr(explore.study, "prompts_now", lambda _: None)
    served: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda arguments, **_: served.append(arguments))
    explore.run(Path("params.yaml"), 0, headless=True)
    assert len(served) == 1
    assert net_util.get_external_ip() is None
    assert net_util.get_internal_ip() is None


def test_the_page_offers_nothing_that_writes_into_the_project(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from streamlit import config, net_util
    from streamlit.web import cli, skills

    monkeypatch.setattr(net_util, "get_external_ip", net_util.get_external_ip)
    monkeypatch.setattr(explore.study, "prompts_now", lambda _: None)
    monkeypatch.setattr(skills, "agent_harness_present", lambda: True)
    served: list[str] = []
    monkeypatch.setattr(cli, "main", lambda arguments, **_: served.extend(arguments))
    explore.run(Path("params.yaml"), 0, headless=False)
    asked = {"logger.hideWelcomeMessage": None, "server.headless": None}
    for flag in served:
        name, _, value = flag.removeprefix("--").partition("=")
        if name in asked:
            asked[name] = value == "true"
    before = {name: config.get_option(name) for name in asked}
    try:
        for name, value in asked.items():
            config.set_option(name, value)
        assert skills.nudge_suppression_reason() == "welcome_hidden"
    finally:
        for name, value in before.items():
            config.set_option(name, value)
    assert f"http://{explore.HOST}:0" in capsys.readouterr().out
