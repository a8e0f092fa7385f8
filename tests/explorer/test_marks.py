"""Prompts marked by their labels or responses, and all responses to a prompt at once."""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from explored_study import CONFIDENCE, MISSING_AT, MISSING_PROMPT, N_PROMPTS, PARAMS, UNSAMPLED_AT, write_explored_study
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.explorer import marks, study
from refusal_stability.explorer.all_responses import grouped_as_html, marked
from refusal_stability.explorer.study import Answer
from refusal_stability.explorer.views import Decided
from refusal_stability.files import label_file
from refusal_stability.params.load import load_params
from refusal_stability.plain_text import visible
from refusal_stability.records import Condition
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import LABEL_TABLE


@pytest.fixture(scope="module", autouse=True)
def conditions(
    tmp_path_factory: pytest.TempPathFactory, made_once: Callable[..., Path], write_study: Callable[..., None]
) -> Iterator[list[Condition]]:
    folder, before = tmp_path_factory.mktemp("marked") / "study", Path.cwd()
    shutil.copytree(made_once("explored", lambda: write_explored_study(write_study)), folder)
    os.chdir(folder)
    params = load_params(PARAMS)
    every = [c for model in params.models for c in params.conditions(model)]
    for condition in every[:2]:
        labels = read_table(label_file(condition), LABEL_TABLE)
        labels.loc[labels[labels["judge"] == "other"].index[3], "label"] = "PARTIAL"
        labels.loc[labels[labels["judge"] == "rules"].index[3], "label"] = "REFUSE"
        write_table(labels, label_file(condition), LABEL_TABLE)
    yield every
    os.chdir(before)


def test_judges_disagree_where_their_labels_of_one_response_differ(conditions: list[Condition]) -> None:
    expected = set()
    for condition in conditions:
        labels = read_table(label_file(condition), LABEL_TABLE)
        kinds = labels[labels["label"] != ""].groupby("prompt_id")["label"].nunique()
        expected |= {(condition.model, condition.intervention, i) for i in kinds[kinds > 1].index}
    assert len(expected) == 1
    assert marks.marked_by([marks.DISAGREE], conditions) == expected


def test_low_confidence_is_that_of_any_judge(conditions: list[Condition], monkeypatch: pytest.MonkeyPatch) -> None:
    assert marks.marked_by([marks.UNSURE], conditions) == set()
    monkeypatch.setattr(marks, "LOW_CONFIDENCE", CONFIDENCE + 0.01)
    found = marks.marked_by([marks.UNSURE], conditions)
    assert {(model, intervention) for model, intervention, _ in found} == {
        (c.model, c.intervention) for c in conditions
    }
    both = marks.marked_by([marks.UNSURE, marks.DISAGREE], conditions)
    assert both == marks.marked_by([marks.DISAGREE], conditions)


def test_outcomes_are_those_of_any_response(conditions: list[Condition]) -> None:
    mine = [c for c in conditions if c.model == "answering"]
    assert marks.with_outcomes({"unanswered"}, mine) == {(MISSING_AT.model, MISSING_AT.intervention, MISSING_PROMPT)}
    skipped = marks.with_outcomes({"not_sampled"}, mine)
    assert {(model, intervention) for model, intervention, _ in skipped} == {("answering", UNSAMPLED_AT.intervention)}
    assert len(marks.with_outcomes({"unanswered", "answered"}, mine)) == 2 * N_PROMPTS


def test_rows_of_the_list_are_marked(conditions: list[Condition]) -> None:
    table = study.prompt_rows(load_params(PARAMS))
    found = table[marks.rows_marked(table, {("answering", "none", MISSING_PROMPT)})]
    assert found[["model", "intervention", "prompt_id"]].to_numpy().tolist() == [["answering", "none", MISSING_PROMPT]]


TEXTS = st.text(st.sampled_from("ab <>&\n\u202e"), max_size=30)


@given(TEXTS, TEXTS)
def test_marking_differences_changes_no_text_and_lets_no_markup_in(first: str, text: str) -> None:
    shown = marked(first, text)
    assert html.unescape(re.sub(r"</?mark>", "", shown)) == visible(text)
    assert not re.sub(r"</?mark>", "", shown).count("<")


def test_only_what_differs_is_marked() -> None:
    assert marked("I cannot help with that", "I cannot help with this") == "I cannot help with <mark>this</mark>"
    assert "<mark>" not in marked("the same", "the same")


def test_responses_are_grouped_by_decision_and_equal_texts_stand_once() -> None:
    places = [Condition("m", "none", 0.7, seed) for seed in range(4)]
    labels = ("REFUSE", "REFUSE", "COMPLY", "REFUSE")
    decisions = {c: Decided(label) for c, label in zip(places, labels, strict=True)}
    texts = ("No, I <b>will not</b>.", "No, I <b>will not</b>.", "Sure.", "No, I shall not.")
    answers = {c: Answer(text, "stop", "") for c, text in zip(places, texts, strict=True)}
    shown = grouped_as_html(decisions, answers)
    assert [" ".join(h.split()) for h in re.findall(r"</span> (\d of \d)</h5>", shown)] == ["3 of 4", "1 of 4"]
    assert "2 times the same text: T=0.7 seed 0; T=0.7 seed 1" in shown
    assert shown.count("will not") == 1
    assert "<b>" not in shown
    missing = {places[0]: Decided("", "no response")}
    assert "(no response: &lt;i&gt;)" in grouped_as_html(missing, {places[0]: Answer(None, "", "<i>")})
