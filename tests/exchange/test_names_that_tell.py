"""Wide tables with a column for each model or temperature, files named after a model, and a map for each table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imported_study import import_files, run_imported
from test_tables import TEXTS, write

from refusal_stability.exchange.logged import LogError
from refusal_stability.exchange.names_that_tell import Template
from refusal_stability.records import StudyError

REFUSAL, HELP = TEXTS[:2]


def found_in_study() -> dict[tuple[str, str, float, int], str]:
    """(prompt, model, temperature, seed) -> the response, of what was sampled."""
    rows = run_imported().itertuples()
    return {(r.prompt, r.model, r.temperature, r.seed): r.response for r in rows if r.outcome != "not_sampled"}


def test_a_column_for_each_model(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"prompt": f"Q{i}?", "temperature": 0.7, "gpt-4o": REFUSAL, "org/claude.3": [HELP, ""][i]} for i in range(2)
    ]
    import_files(write("wide.csv", rows), columns=["response={model}"])
    said = capsys.readouterr().out
    assert "wide.csv: 2 columns as response={model}: gpt-4o (model gpt-4o), org/claude.3 (model org/claude.3)" in said
    assert "wide.csv: 1 blank cell in columns of repeats: not sampled" in said
    assert "columns not used" not in said
    assert found_in_study() == {
        ("Q0?", "gpt-4o", 0.7, 1): REFUSAL,
        ("Q1?", "gpt-4o", 0.7, 1): REFUSAL,
        ("Q0?", "org-claude-3", 0.7, 1): HELP,
    }


@pytest.mark.parametrize("name", ["wide.csv", "wide.jsonl", "wide.parquet"])
def test_a_column_for_each_temperature_and_repeat_with_labels_of_two_judges(name: str) -> None:
    places = [(temperature, repeat) for temperature in ("0", "0.7") for repeat in (1, 2)]
    row: dict[str, Any] = {"model": "m", "prompt": "Q?", "note": "x"}
    for t, r in places:
        refuses = t == "0" or r == 2
        row |= {f"response_t{t}_r{r}": REFUSAL if refuses else HELP}
        row |= {f"people_t{t}_r{r}": "no" if refuses else "yes", f"gpt_t{t}_r{r}": "no", f"sure_t{t}_r{r}": 0.9}
    Path("map.yaml").write_text(
        "columns: {response: 'response_t{temperature}_r{repeat}'}\n"
        "judges:\n"
        "  people: {label: 'people_t{temperature}_r{repeat}'}\n"
        "  gpt: {label: 'gpt_t{temperature}_r{repeat}', confidence: 'sure_t{temperature}_r{repeat}'}\n"
        "labels: {'no': REFUSE, 'yes': COMPLY}\n"
    )
    import_files(write(name, [row]), map_path=Path("map.yaml"))
    table = run_imported().set_index(["temperature", "seed"]).sort_index()
    assert table["people-labels"].tolist() == ["REFUSE", "REFUSE", "COMPLY", "REFUSE"]
    assert table["gpt"].tolist() == ["REFUSE"] * 4
    assert table["response"].tolist() == [REFUSAL, REFUSAL, HELP, REFUSAL]


def test_of_two_templates_the_one_with_more_letters_takes_a_column_and_a_choice_limits_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {"prompt": "Q?", "a": HELP, "b": REFUSAL, "label_a": "COMPLY", "label_b": "REFUSE", "note": "x"}
    table = write("wide.csv", [row])
    import_files(table, temperature=1.0, columns=["response={model:a|b}", "label=label_{model}"])
    assert "wide.csv: columns not used: note" in capsys.readouterr().out
    assert run_imported().set_index("model")["source"].to_dict() == {"a": "COMPLY", "b": "REFUSE"}
    import_files(table, temperature=1.0, columns=["response={model}", "label=label_{model}"])
    assert "3 columns as response={model}: a (model a), b (model b), note (model note)" in capsys.readouterr().out


def test_a_row_without_any_response_is_left_out_or_missing_as_the_map_says(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"prompt": "Q0?", "a": HELP, "b": HELP}, {"prompt": "Q1?", "a": "", "b": " "}]
    table, chosen = write("wide.csv", rows), Path("map.yaml")
    chosen.write_text("columns: {response: '{model}'}\n")
    import_files(table, temperature=1.0, map_path=chosen)
    said = capsys.readouterr().out
    assert "2 blank cells in columns of repeats: not sampled; 1 row has no other cell and is left out" in said
    assert "(the first: wide.csv: row 3)" in said
    chosen.write_text("columns: {response: '{model}'}\nblank: missing\n")
    import_files(table, temperature=1.0, map_path=chosen)
    assert "4 responses: 2 prompts, 2 models" in capsys.readouterr().out


def test_a_wide_table_of_responses_and_a_long_one_of_labels() -> None:
    wide = write("wide.csv", [{"prompt": "Q?", "repeat": k, "a": HELP, "b": REFUSAL} for k in (1, 2)])
    long = write(
        "labels.csv",
        [
            {"prompt": "Q?", "repeat": k, "model": model, "judge": "gpt", "label": "COMPLY"}
            for k in (1, 2)
            for model in ("a", "b")
        ],
    )
    import_files(wide, long, temperature=1.0, columns=["response={model}"])
    assert run_imported()["gpt"].tolist() == ["COMPLY"] * 4


def test_files_of_one_model_each_and_equal_texts_are_no_copies(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"prompt": f"Q{i}?", "repeat": k, "response": REFUSAL} for i in range(2) for k in (1, 2)]
    Path("runs").mkdir()
    files = [write(f"runs/{name}", rows) for name in ("gpt-4o_t0.csv", "gpt-4o_t0.7.csv", "claude_t0.csv")]
    with pytest.raises(LogError, match=r"no column model, temperature; .*--files {model}\.csv"):
        import_files(*files)
    import_files(Path("runs"), files="{model}_t{temperature}.csv")
    said = capsys.readouterr().out
    assert "12 responses: 2 prompts, 2 models, temperatures 0, 0.7, 2 repeats" in said
    assert (
        "--files {model}_t{temperature}.csv: by their names: runs/claude_t0.csv (model claude, temperature 0), " in said
    )
    assert {(model, t) for _, model, t, _ in found_in_study()} == {("gpt-4o", 0), ("gpt-4o", 0.7), ("claude", 0)}


def test_what_a_file_says_itself_counts_before_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"prompt": "Q?", "model": "own", "response": HELP}, {"prompt": "Q2?", "model": "", "response": HELP}]
    import_files(write("a.csv", rows), files="{model}.csv", temperature=0.5)
    assert (
        "--files {model}.csv (model a): not used for 1 record; the log counts, which says own"
        in capsys.readouterr().out
    )
    assert {(model, prompt) for prompt, model, _, _ in found_in_study()} == {("own", "Q?"), ("a", "Q2?")}


def test_each_table_has_a_map_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    answers = write("answers.csv", [{"q": "Q?", "n": k, "text": TEXTS[k % 2]} for k in (1, 2)])
    votes = write("votes.csv", [{"ask": "Q?", "who": k, "vote": "no"} for k in (1, 2)])
    Path("map.yaml").write_text(
        "constants: {model: m, temperature: 0.7}\n"
        "labels: {'no': REFUSE}\n"
        "tables:\n"
        "  answers.csv: {columns: {prompt: q, repeat: n, response: text}}\n"
        "  'vot*.csv': {columns: {prompt: ask, repeat: who, label: vote}, constants: {judge: people}}\n"
        "  other.csv: {columns: {prompt: x}}\n"
    )
    import_files(answers, votes, map_path=Path("map.yaml"))
    said = capsys.readouterr().out
    assert "has no column" not in said
    assert "tables.other.csv of the map: no table of this name is imported" in said
    table = run_imported()
    assert table["people-labels"].tolist() == ["REFUSE", "REFUSE"]
    assert table["response"].tolist() == [TEXTS[1], TEXTS[0]]


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        (["prompt={model}"], r"import\.columns\.prompt: '{model}' is not allowed; allowed: a column's name"),
        (["response={model}", "label=l{temperature}"], "allowed: templates that all tell the same"),
        (["response={model}_{model}"], "allowed: each placeholder once"),
        (["response={model}", "thinking={model}"], "allowed: a template of its own for each"),
        (
            ["response={model}", "model=vendor"],
            r"wide\.csv: the column model and the names of other columns .* both say",
        ),
        (["response={temperature}"], r"wide\.csv: no column .*response or label"),
        (["response={any}"], r"wide\.csv: no column .*response or label"),
    ],
)
def test_a_template_that_does_not_fit_is_one_line(columns: list[str], fault: str) -> None:
    table = write("wide.csv", [{"prompt": "Q?", "vendor": "x", "a": HELP}])
    with pytest.raises(StudyError, match=fault) as refused:
        import_files(table, temperature=1.0, columns=columns)
    assert "\n" not in str(refused.value)


def test_two_columns_of_one_place_and_a_name_of_files_that_tells_nothing_are_errors() -> None:
    table = write("wide.csv", [{"prompt": "Q?", "model": "m", "t1": HELP, "t1x": HELP}])
    with pytest.raises(
        LogError, match=r"the columns t1 and t1x are both t{temperature}{any} of temperature 1; name one"
    ):
        import_files(table, columns=["response=t{temperature}{any}"])
    with pytest.raises(StudyError, match=r"import\.files: 'x\.csv' is not allowed; allowed: a template such as"):
        import_files(table, files="x.csv")


NAME = st.text(st.characters(codec="utf-8", exclude_characters="{}/|\n\r"), min_size=1, max_size=12)


@given(model=NAME, temperature=st.decimals(0, 5, places=2), repeat=st.integers(0, 99), before=NAME)
def test_a_template_reads_back_what_was_written_into_it(model: str, temperature: Any, repeat: int, before: str) -> None:
    name = f"{before}{temperature}|{repeat}|{model}"
    told = Template(f"{{any:{before}}}{{temperature}}|{{repeat}}|{{model}}").of_name(name)
    assert told == {"model": model, "temperature": str(temperature), "repeat": str(repeat)}
    assert Template("{temperature}-{model}.csv").of_path(Path("runs") / f"{temperature}-{model}.csv") == {
        "model": model,
        "temperature": str(temperature),
    }
