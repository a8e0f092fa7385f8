from pathlib import Path

import pandas as pd
import pytest

from refusal_stability.files import PROMPTS, generation_file, label_file, thinking_label_file
from refusal_stability.judging import panel
from refusal_stability.judging.labels import responses_of
from refusal_stability.judging.open import open_judge
from refusal_stability.judging.panel import thinking_of
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.load import load_params
from refusal_stability.records import NOT_SAMPLED, Message, Prompt
from refusal_stability.stages import judge
from refusal_stability.study.label_files import read_decisions
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE, prompt_table

PARAMS = """
study: trial
interventions: {none: {}}
sampling: {temperatures: [0.0, 1.0], seeds: [1, 2]}
models:
  m: {engine: transformers, path: nowhere}
judging:
  primary: second
  max_missing: 0.2
  judges:
    second: {kind: rules, repeats: 2}
    first: {kind: rules}
"""
TEXTS = ["I'm sorry, but I cannot help with that.", 'Sure.\n1. "Mix", then\n2. bake, NA', ""]


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)
    for condition in load_params(Path("params.yaml")).conditions("m"):
        write_generations(condition, TEXTS, ["", "", "HTTP 500"])
    return Path("params.yaml")


def write_generations(condition, texts, missing):
    table = pd.DataFrame(
        {
            "prompt_id": [f"p{i}" for i in range(len(texts))],
            "prompt": "How do I bake?",
            "response": texts,
            "temperature": condition.temperature,
            "seed": condition.seed,
            "model": "m",
            "intervention": "none",
            "finish_reason": ["" if reason else "stop" for reason in missing],
            "missing_reason": missing,
        }
    )
    write_table(table, generation_file(condition), GENERATION_TABLE)


def test_rows_follow_prompt_then_judge_then_repeat_and_a_missing_response_is_missing(study):
    text = study.read_text().replace("max_missing: 0.2", "max_missing: 0.5")
    study.write_text(text)
    judge.run("m", study)
    for condition in load_params(study).conditions("m"):
        table = read_table(label_file(condition), LABEL_TABLE)
        rows = list(zip(table.prompt_id, table.judge, table.repeat, table.label, strict=True))
        assert rows == [
            ("p0", "second", 0, "REFUSE"),
            ("p0", "second", 1, "REFUSE"),
            ("p0", "first", 0, "REFUSE"),
            ("p1", "second", 0, "COMPLY"),
            ("p1", "second", 1, "COMPLY"),
            ("p1", "first", 0, "COMPLY"),
            ("p2", "second", 0, ""),
            ("p2", "second", 1, ""),
            ("p2", "first", 0, ""),
        ]
        assert set(table.missing_reason[6:]) == {"no response: HTTP 500"}
        assert set(table.seed) == {condition.seed}


def test_a_judge_gets_the_earlier_turns_of_a_conversation_from_the_prompt_table(study, monkeypatch):
    prompts = [Prompt("p0", "How do I bake?", "", "", (Message("user", "Hello."), Message("user", "How do I bake?")))]
    write_table(prompt_table([*prompts, Prompt("p1", "How do I bake?", "", "")]), PROMPTS, PROMPT_TABLE)
    judged = []
    monkeypatch.setattr(judge, "judge_all", lambda judging, responses, *_: judged.extend(responses) or ({}, {}))
    monkeypatch.setattr(judge, "label_rows", lambda *_: {})
    with pytest.raises(KeyError):
        judge.run("m", study)
    assert {response.prompt.prompt_id: len(response.prompt.earlier_turns) for response in judged} == {
        "p0": 1,
        "p1": 0,
        "p2": 0,
    }


def test_the_same_study_judged_twice_gives_the_same_bytes(study):
    study.write_text(study.read_text().replace("max_missing: 0.2", "max_missing: 0.5"))
    judge.run("m", study)
    files = sorted(Path("data/labels/m").iterdir())
    before = [f.read_bytes() for f in files]
    judge.run("m", study)
    assert len(files) == 4
    assert [f.read_bytes() for f in files] == before


def test_counts_of_each_judge_are_printed(study, capsys):
    study.write_text(study.read_text().replace("max_missing: 0.2", "max_missing: 0.5"))
    judge.run("m", study)
    assert capsys.readouterr().out.splitlines() == [
        "m, judge second: 8 REFUSE, 0 PARTIAL, 8 COMPLY, 8 missing of 24",
        "m, judge first: 4 REFUSE, 0 PARTIAL, 4 COMPLY, 4 missing of 12",
    ]


def test_too_many_missing_decisions_fail_the_study_with_the_count_and_the_commonest_reason(study):
    with pytest.raises(JudgingError) as error:
        judge.run("m", study)
    said = str(error.value)
    assert "no decision on 4 of 12 responses (33.3%)" in said
    assert "judging.max_missing = 20.0%" in said
    assert "Most frequent reason (4 times): no response: HTTP 500" in said
    assert label_file(next(iter(load_params(study).conditions("m")))).is_file()


PANEL = PARAMS.replace("primary: second", "primary: majority").replace("max_missing: 0.2", "max_missing: 0.5")


@pytest.mark.parametrize("blocked", ["missing", "refuse"])
def test_blocks_count_as_missing_only_where_they_are_not_counted_as_refusals(study, blocked):
    study.write_text(study.read_text().replace("max_missing: 0.2", f"max_missing: 0.2\n  blocked: {blocked}"))
    for condition in load_params(study).conditions("m"):
        path = generation_file(condition)
        outcomes = ["answered", "answered", "blocked"]
        write_table(read_table(path, GENERATION_TABLE).assign(outcome=outcomes), path, GENERATION_TABLE)
    if blocked == "missing":
        with pytest.raises(JudgingError, match="no response: HTTP 500"):
            judge.run("m", study)
        return
    judge.run("m", study)
    for condition in load_params(study).conditions("m"):
        table = read_table(label_file(condition), LABEL_TABLE)
        assert table["label"].tolist()[6:] == ["REFUSE"] * 3
        assert table["basis"].tolist()[6:] == ["provider"] * 3
        assert set(table["basis"][:6]) == {"judge"}


def test_a_response_that_was_not_sampled_has_no_label(study):
    for condition in load_params(study).conditions("m"):
        path = generation_file(condition)
        outcomes = ["answered", "answered", "not_sampled"]
        write_table(read_table(path, GENERATION_TABLE).assign(outcome=outcomes), path, GENERATION_TABLE)
    judge.run("m", study)
    for condition in load_params(study).conditions("m"):
        assert set(read_table(label_file(condition), LABEL_TABLE)["prompt_id"]) == {"p0", "p1"}


def test_a_configuration_in_which_nothing_was_sampled_has_a_label_file_without_rows(study):
    conditions = list(load_params(study).conditions("m"))
    for condition in conditions:
        write_generations(condition, TEXTS[:2], ["", ""])
    write_generations(conditions[0], ["", ""], ["not sampled"] * 2)
    path = generation_file(conditions[0])
    write_table(read_table(path, GENERATION_TABLE).assign(outcome="not_sampled"), path, GENERATION_TABLE)
    judge.run("m", study)
    rows = [len(read_table(label_file(condition), LABEL_TABLE)) for condition in conditions]
    assert rows == [0, 6, 6, 6]
    prompts = prompt_table([Prompt(f"p{i}", "How do I bake?", "c", "s") for i in range(2)])
    (group,) = read_decisions(load_params(study), prompts).groups
    assert (group.codes == NOT_SAMPLED).reshape(2, 4).tolist() == [[True, False, False, False]] * 2


def test_a_majority_is_a_judge_of_its_own_after_the_panel(study):
    study.write_text(PANEL)
    judge.run("m", study)
    table = read_table(label_file(next(iter(load_params(study).conditions("m")))), LABEL_TABLE)
    rows = table[table.prompt_id == "p0"]
    assert list(zip(rows.judge, rows.repeat, rows.label, strict=True)) == [
        ("second", 0, "REFUSE"),
        ("second", 1, "REFUSE"),
        ("first", 0, "REFUSE"),
        ("majority", 0, "REFUSE"),
    ]
    assert rows.reasoning.iloc[-1] == "second REFUSE, first REFUSE"


def recorded(study, models):
    """The trial study with a judge whose labels lie in one table."""
    pd.DataFrame(
        [
            {"model": "theirs", "prompt_id": f"p{i}", "temperature": t, "seed": s, "label": "PARTIAL"}
            for i in range(3)
            for t in (0.0, 1.0)
            for s in (1, 2)
        ]
    ).to_csv("old.csv", index=False)
    settings = f"{{layout: table, models: {models}}}"
    text = PARAMS.replace("max_missing: 0.2", "max_missing: 0.5").replace("  m: {", "  n: {path: nowhere}\n  m: {")
    study.write_text(text + f"    old: {{kind: recorded, path: old.csv, settings: {settings}}}\n")


def test_recorded_labels_stand_beside_the_other_judges_also_for_a_missing_response(study):
    recorded(study, "{m: theirs}")
    judge.run("m", study)
    table = read_table(label_file(next(iter(load_params(study).conditions("m")))), LABEL_TABLE)
    assert table[table.judge == "old"].label.tolist() == ["PARTIAL"] * 3


def test_recorded_labels_that_dvc_does_not_watch_are_told(study, capsys):
    recorded(study, "{m: theirs}")
    judge.run("m", study)
    assert "judging.judges.old.path: old.csv is outside data/raw, " in capsys.readouterr().out
    Path("data/raw").mkdir()
    Path("old.csv").rename("data/raw/old.csv")
    study.write_text(study.read_text().replace("old.csv", "data/raw/old.csv"))
    judge.run("m", study)
    assert "lies outside" not in capsys.readouterr().out


def test_a_judge_that_does_not_know_the_model_is_left_out_unless_it_is_the_primary(study):
    recorded(study, "{n: theirs}")
    judge.run("m", study)
    table = read_table(label_file(next(iter(load_params(study).conditions("m")))), LABEL_TABLE)
    assert set(table.judge) == {"first", "second"}
    study.write_text(study.read_text().replace("primary: second", "primary: old"))
    with pytest.raises(JudgingError, match="old has no labels of m"):
        judge.run("m", study)


THINKING = PARAMS.replace("max_missing: 0.2", "max_missing: 0.5\n  thinking: second")
LOOP = "so so " * 40


def think(params, thinking, **more):
    """Give the responses of every configuration these thinkings."""
    for condition in params.conditions("m"):
        path = generation_file(condition)
        write_table(read_table(path, GENERATION_TABLE).assign(thinking=thinking, **more), path, GENERATION_TABLE)


def label_bytes():
    return {path.name: path.read_bytes() for path in Path("data/labels/m").iterdir()}


def test_the_judge_of_thinking_is_opened_once_and_its_labels_are_counted_on_the_console(study, monkeypatch, capsys):
    opened = []

    def counting(name, *arguments):
        opened.append(name)
        return open_judge(name, *arguments)

    monkeypatch.setattr(panel, "open_judge", counting)
    study.write_text(THINKING)
    think(load_params(study), ["Sure, I will help with that.", "", ""])
    judge.run("m", study)
    assert sorted(opened) == sorted(set(opened))
    lines = capsys.readouterr().out.splitlines()
    assert "m, thinking, judge second: 0 REFUSE, 0 PARTIAL, 8 COMPLY, 0 missing of 8" in lines


def test_thinking_is_judged_beside_the_answers_and_changes_nothing_about_them(study):
    # The refusing answer follows thinking that complies; the blocked one has thinking that refuses.
    think(load_params(study), [TEXTS[1], "  ", TEXTS[0]], outcome=["answered", "answered", "blocked"])
    study.write_text(THINKING.replace("  thinking: second\n", ""))
    judge.run("m", study)
    off = label_bytes()
    study.write_text(THINKING)
    judge.run("m", study)
    on = label_bytes()
    assert {name: text for name, text in on.items() if name in off} == off
    assert len(on) == 2 * len(off)
    for condition in load_params(study).conditions("m"):
        assert thinking_label_file(condition).name == f"{condition.stem}_thinking_labels.csv"
        table = read_table(thinking_label_file(condition), LABEL_TABLE)
        assert list(zip(table.prompt_id, table.judge, table.repeat, table.label, table.basis, strict=True)) == [
            ("p0", "second", 0, "COMPLY", "judge"),
            ("p0", "second", 1, "COMPLY", "judge"),
            ("p2", "second", 0, "REFUSE", "judge"),
            ("p2", "second", 1, "REFUSE", "judge"),
        ]
        assert set(table.seed) == {condition.seed}
    study.write_text(THINKING.replace("  thinking: second\n", ""))
    judge.run("m", study)
    assert label_bytes() == off


def test_without_any_thinking_the_files_hold_no_rows(study):
    study.write_text(THINKING)
    judge.run("m", study)
    for condition in load_params(study).conditions("m"):
        assert read_table(thinking_label_file(condition), LABEL_TABLE).empty


def test_a_judge_of_thinking_is_shown_the_thinking_and_the_same_prompt(study):
    think(load_params(study), [LOOP, "plan", ""])
    condition = next(iter(load_params(study).conditions("m")))
    responses = responses_of(read_table(generation_file(condition), GENERATION_TABLE), condition)
    shown = [(one.prompt.text, one.text, one.missing_reason, one.thinking) for one in thinking_of(responses)]
    assert shown == [("How do I bake?", LOOP, None, ""), ("How do I bake?", "plan", None, "")]
