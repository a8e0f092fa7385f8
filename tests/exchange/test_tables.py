"""Plain tables of responses and labels become a study that its own stages run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from imported_study import import_files, run_imported

from refusal_stability.exchange.logged import LogError
from refusal_stability.records import StudyError

HOSTILE = 'Line one\r\nline "two", with a comma; \\ and <script>alert(1)</script> \u2028 and ' + "\t\U0001f600"
TEXTS = ["I'm sorry, but I can't help with that.", "Sure, here is how: mix the two and stir.", HOSTILE]


def write(path: str, rows: list[dict[str, object]]) -> Path:
    """Rows in the format of the file's name."""
    table = pd.DataFrame(rows)
    if path.endswith(".jsonl"):
        Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.endswith(".parquet"):
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, lineterminator="\n")
    return Path(path)


def long_rows() -> list[dict[str, object]]:
    """Two models, two prompts, two temperatures, three repeats; the second prompt of `org/B` has two of them."""
    return [
        {
            "model": model,
            "prompt": prompt,
            "temperature": temperature,
            "seed": seed,
            "response": TEXTS[(seed + int(10 * temperature)) % 3],
        }
        for model in ("org/A:1", "org/B.2")
        for prompt in ("First?", "Second?")
        for temperature in (0.0, 0.7)
        for seed in (1, 2, 3)
        if (model, prompt, seed) != ("org/B.2", "Second?", 3)
    ]


@pytest.mark.parametrize("name", ["runs.csv", "runs.jsonl", "runs.parquet"])
def test_a_long_table_becomes_a_study_with_the_same_texts(name: str) -> None:
    rows = long_rows()
    import_files(write(name, rows))
    table = run_imported()
    found = {
        (r.model, r.prompt, r.temperature, r.seed): r.response for r in table.itertuples() if r.outcome == "answered"
    }
    names = {"org/A:1": "org-a-1", "org/B.2": "org-b-2"}
    assert found == {(names[r["model"]], r["prompt"], r["temperature"], r["seed"]): r["response"] for r in rows}
    assert list(table["outcome"]).count("not_sampled") == 2
    assert set(table.loc[table["response"] == TEXTS[0], "rules"]) == {"REFUSE"}


def test_repeats_without_numbers_are_counted_from_one(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{name: row[name] for name in row if name != "seed"} for row in long_rows()]
    import_files(write("runs.csv", rows))
    params = yaml.safe_load(Path("studies/imported.yaml").read_text())
    assert params["sampling"] == {"temperatures": [0.0, 0.7], "seeds": [1, 2, 3]}
    assert "do not number the repeats" in capsys.readouterr().out
    assert "only count them" in Path("studies/imported.yaml").read_text()


def test_a_seed_of_its_own_for_each_response_is_no_shared_repeat() -> None:
    rows = [row | {"seed": 1000 + i} for i, row in enumerate(long_rows())]
    import_files(write("runs.csv", rows))
    assert yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["seeds"] == [1, 2, 3]


def test_several_columns_hold_one_repeat_each() -> None:
    rows = [
        {"model": "m", "prompt": f"Q{i}?", "one": TEXTS[0], "two": TEXTS[1], "l1": "no", "l2": "yes"} for i in range(3)
    ]
    Path("map.yaml").write_text(
        "responses: [one, two]\njudges: {people: {label: [l1, l2]}}\nlabels: {'no': REFUSE, 'yes': COMPLY}\n"
    )
    import_files(write("wide.csv", rows), map_path=Path("map.yaml"), temperature=0.7)
    table = run_imported()
    assert table.groupby("seed")["people-labels"].unique().map(list).to_dict() == {1: ["REFUSE"], 2: ["COMPLY"]}
    assert list(table.loc[table["seed"] == 2, "response"]) == [TEXTS[1]] * 3


def test_a_blank_cell_of_a_wide_table_was_not_sampled_unless_the_map_says_that_it_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = [("a", "b"), ("a", ""), ("", "")]
    rows = [{"model": "m", "prompt": f"Q{i}?", "one": a, "two": b} for i, (a, b) in enumerate(answers)]
    table, chosen = write("wide.csv", rows), Path("map.yaml")
    chosen.write_text("responses: [one, two]\n")
    import_files(table, map_path=chosen, temperature=0.7)
    said = capsys.readouterr().out
    assert "3 responses: 2 prompts, 1 model" in said
    assert "wide.csv: 3 blank cells in columns of repeats: not sampled; 1 row has no other cell and is left out" in said
    assert "(the first: wide.csv: row 4)" in said
    assert "max_missing" not in said
    assert sorted(run_imported()["outcome"]) == ["answered", "answered", "answered", "not_sampled"]
    chosen.write_text("responses: [one, two]\nblank: missing\n")
    import_files(table, map_path=chosen, temperature=0.7)
    said = capsys.readouterr().out
    assert "blank cells" not in said
    assert "judging.max_missing is set to 0.5" in said
    assert "not_sampled" not in set(run_imported()["outcome"])


def test_a_blank_label_of_a_wide_table_is_none_where_the_row_has_a_response_or_another_label() -> None:
    Path("map.yaml").write_text("judges: {x: {label: [x1, x2, x3]}, y: {label: [y1, y2, y3]}}\n")
    row = {"model": "m", "prompt": "Q?", "temperature": 1, "x1": "REFUSE", "x2": "", "y1": "REFUSE", "y2": "COMPLY"}
    import_files(write("wide.csv", [row | {"x3": "", "y3": " "}]), map_path=Path("map.yaml"))
    table = run_imported().set_index("seed").fillna("")
    assert table["y"].to_dict() == {1: "REFUSE", 2: "COMPLY"}
    assert table["x"].to_dict() == {1: "REFUSE", 2: ""}


def test_a_column_that_holds_one_value_for_several_responses_is_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    Path("map.yaml").write_text("responses: [one, two]\n")
    table = write("wide.csv", [{"model": "m", "prompt": "Q?", "one": "a", "two": "b", "label": "REFUSE", "seed": 7}])
    import_files(table, map_path=Path("map.yaml"), temperature=0.7)
    assert "wide.csv: columns not used: label, seed" in capsys.readouterr().out
    assert list(yaml.safe_load(Path("studies/imported.yaml").read_text())["judging"]["judges"]) == ["rules"]
    for option, told in (("columns", "label=label"), ("constants", "repeat=1")):
        with pytest.raises(StudyError, match=rf"import\.{option}: .*not allowed.*since a row holds several repeats"):
            import_files(table, map_path=Path("map.yaml"), temperature=0.7, **{option: [told]})


def test_a_temperature_on_the_command_line_fills_the_empty_cells() -> None:
    rows = [ROW | {"seed": seed, "temperature": temperature} for seed, temperature in ((1, ""), (2, 0.2))]
    import_files(write("runs.csv", rows), temperature=0.7)
    sampling = yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]
    assert sampling["temperatures"] == [0.2, 0.7]


def test_a_temperature_that_is_a_sum_of_floats_is_rounded() -> None:
    sums = [0.1 + 0.2, 0.3, 0.7000000000000001]
    import_files(write("runs.jsonl", [ROW | {"seed": k, "temperature": t} for k, t in enumerate(sums)]))
    assert yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["temperatures"] == [0.3, 0.7]
    with pytest.raises(LogError, match=r"runs\.jsonl: row 1: temperature 0\.12345678; round it to 6 digits"):
        import_files(write("runs.jsonl", [ROW | {"temperature": 0.12345678}]))


def test_a_column_that_begins_in_a_later_line_is_read() -> None:
    labelled = [ROW | {"seed": seed, "label": "REFUSE"} for seed in (2, 3)]
    import_files(write("runs.jsonl", [ROW, *labelled]))
    assert run_imported().set_index("seed")["source"].fillna("").to_dict() == {1: "", 2: "REFUSE", 3: "REFUSE"}


def test_one_label_of_a_row_of_several_responses_belongs_to_none_of_them() -> None:
    Path("map.yaml").write_text("responses: [one, two]\njudges: {people: {label: l1}}\n")
    with pytest.raises(LogError, match=r"map\.yaml: judges\.people\.label: .*allowed: one column for each column of"):
        import_files(write("wide.csv", [{"one": "a", "two": "b", "l1": "REFUSE"}]), map_path=Path("map.yaml"))


def test_several_columns_of_labels_alone_hold_one_repeat_each() -> None:
    Path("map.yaml").write_text("judges: {gpt: {label: [l1, l2]}}\n")
    rows = [{"model": "m", "prompt": f"Q{i}?", "temperature": 0, "l1": "REFUSE", "l2": "COMPLY"} for i in range(2)]
    import_files(write("wide.csv", rows), map_path=Path("map.yaml"))
    assert run_imported().groupby("seed")["gpt"].unique().map(list).to_dict() == {1: ["REFUSE"], 2: ["COMPLY"]}


def test_labels_that_nothing_joins_to_their_responses_are_an_error() -> None:
    cell = {"model": "m", "prompt": "Q?", "temperature": 0.7}
    answers, labels = write("a.csv", [cell | {"response": "a"}]), write("b.csv", [cell | {"label": "REFUSE"}])
    with pytest.raises(LogError, match=r"a\.csv: row 2 has a response, .*b\.csv: row 2 a label only, .*`repeat`"):
        import_files(answers, labels)
    both = write("c.csv", [cell | {"response": "a", "judge": judge, "label": "REFUSE"} for judge in "xy"])
    with pytest.raises(StudyError, match=r"c\.csv: row 3, column judge: 'x' labels this prompt too, .*column `repeat`"):
        import_files(both)


def test_rows_that_say_the_same_again_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [ROW | {"seed": 42, "label": "REFUSE"} for _ in range(5)]
    import_files(write("a.csv", rows), write("b.csv", long_rows()))
    said = capsys.readouterr().out
    assert "4 rows or samples say again what another says of the same repeat (the first: a.csv: row 3)" in said
    import_files(write("b.csv", [row | {"judge": j, "label": "REFUSE"} for row in long_rows() for j in "xy"]))
    assert "say again" not in capsys.readouterr().out


def test_one_seed_of_all_repeats_is_left_out_and_a_failed_response_has_no_label() -> None:
    rows = [ROW | {"seed": 42, "response": text, "label": "REFUSE", "missing_reason": ""} for text in ("a", "a", "b")]
    rows.append(rows[0] | {"response": "", "missing_reason": "error: 500"})
    write("runs.parquet", [row | {"temperature": np.float32(0.7)} for row in rows])
    with pytest.raises(LogError, match=r"hold two responses .*: --column repeat=NAME, or repeat=none"):
        import_files(Path("runs.parquet"))
    import_files(Path("runs.parquet"), columns=["repeat=none"])
    sampling = yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]
    assert sampling == {"temperatures": [0.7], "seeds": [1, 2, 3, 4]}
    assert run_imported()["source"].fillna("").tolist() == ["REFUSE"] * 3 + [""]


def test_labels_of_another_file_meet_their_responses_and_are_the_primary_judge() -> None:
    rows = long_rows()
    cell = ("model", "prompt", "temperature", "seed")
    labels = [
        {name: row[name] for name in cell} | {"judge": judge, "label": label}
        for row in rows
        for judge, label in (("gpt", "bad" if row["seed"] == 1 else "good"), ("human", "REFUSE"))
    ]
    labels = [row for row in labels if row["judge"] == "gpt" or row["seed"] == 2]
    import_files(write("a.csv", rows), write("b.csv", labels), labels=["bad=COMPLY", "good=REFUSE"])
    params = yaml.safe_load(Path("studies/imported.yaml").read_text())
    assert params["judging"]["primary"] == "gpt"
    table = run_imported()
    asked = table[table["outcome"] == "answered"]
    assert set(asked.loc[asked["seed"] == 1, "gpt"]) == {"COMPLY"}
    assert set(asked.loc[asked["seed"] != 1, "gpt"]) == {"REFUSE"}
    assert asked.groupby("seed")["human"].unique().map(list).to_dict() == {1: [""], 2: ["REFUSE"], 3: [""]}


def test_labels_without_responses_become_a_study_of_labels() -> None:
    rows = [
        {"model": "m", "prompt_id": f"p{i}", "temperature": 0.7, "trial": k, "label": "REFUSE" if k else "COMPLY"}
        for i in range(3)
        for k in range(4)
        if (i, k) != (2, 3)
    ]
    import_files(write("labels.csv", rows))
    table = run_imported()
    assert set(table["missing_reason"]) == {"labels only: the source has no response", "not sampled"}
    assert table.loc[table["seed"] == 0, "source"].tolist() == ["COMPLY"] * 3
    assert table["source"].isna().sum() == 1


def test_a_conversation_keeps_its_turns() -> None:
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Go on?"}]
    rows = [{"model": "m", "messages": turns, "temperature": 0, "response": "Yes."} for turns in (talk, talk[1:])]
    import_files(write("talk.jsonl", rows))
    run_imported()
    prompts = pd.read_csv("data/prompts/prompts.csv", keep_default_na=False)
    assert sorted(prompts["turns"] != "") == [False, True]


def test_responses_without_a_decision_are_told_and_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(write("runs.csv", [ROW, ROW | {"seed": 2, "response": " "}]))
    assert "judging.max_missing is set to 0.5" in capsys.readouterr().out
    labels = [ROW | {"seed": seed, "label": label} for seed, label in ((1, "REFUSE"), (2, "Odd"))]
    import_files(write("runs.csv", labels), missing=["odd"])
    assert "judging.max_missing is set to 0.5" in capsys.readouterr().out
    assert run_imported()["source"].fillna("").tolist() == ["REFUSE", ""]


def test_labels_that_are_no_decisions_are_told_and_not_used(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(write("runs.csv", [row | {"judge": "x", "label": "3/5"} for row in long_rows()]))
    assert yaml.safe_load(Path("studies/imported.yaml").read_text())["judging"]["primary"] == "rules"
    assert "judge x: not used, since its labels '3/5' (22)" in capsys.readouterr().out


@pytest.mark.parametrize("names", [["x:pass=REFUSE", "pass=COMPLY"], ["pass=COMPLY", "x:Pass=REFUSE"]])
def test_what_a_judges_own_label_means_goes_before_what_it_means_elsewhere(names: list[str]) -> None:
    cell = {"model": "m", "prompt": "Q?", "temperature": 0.7, "seed": 1, "label": "pass"}
    import_files(write("labels.csv", [cell | {"judge": judge} for judge in "xy"]), labels=names)
    table = run_imported()
    assert (table["x"].tolist(), table["y"].tolist()) == (["REFUSE"], ["COMPLY"])


def test_labels_only_that_mean_nothing_are_an_error_that_names_them() -> None:
    row = {"model": "m", "prompt": "Q?", "temperature": 0.7, "seed": 1, "label": "odd"}
    with pytest.raises(LogError, match=r"nothing to measure: .*; judge source: not used, since its labels 'odd' \(1\)"):
        import_files(write("labels.csv", [row]))
    with pytest.raises(LogError, match=r"nothing to measure: .*judge source: not used, since all its labels are mis"):
        import_files(write("labels.csv", [row]), missing=["odd"])
    assert not Path("data/raw/imported").exists()


def test_an_import_is_left_out_of_git_and_replaces_the_one_before() -> None:
    import_files(write("runs.csv", long_rows()))
    import_files(write("runs.csv", long_rows()[:3]))
    assert "*" in Path("data/raw/imported/.gitignore").read_text().splitlines()
    assert Path("studies/imported.previous.yaml").is_file()
    assert [p.name for p in Path("data/raw/imported/data/generations").iterdir()] == ["org-a-1"]


def test_an_import_never_replaces_what_no_import_wrote() -> None:
    own = Path("data/raw/mine")
    own.mkdir(parents=True)
    runs = write("data/raw/mine/runs.csv", long_rows())
    before = runs.read_bytes()
    with pytest.raises(LogError, match=r"data/raw/mine: holds files that no import wrote.*--name mine-imported"):
        import_files(own, name="mine")
    assert runs.read_bytes() == before
    assert not Path("studies").exists()
    import_files(own, name="mine-imported")
    assert runs.read_bytes() == before


ROW = {"model": "m", "prompt": "Q?", "temperature": 0.7, "seed": 1, "response": "a"}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"prompt": "Q?", "response": "a"}], r"no column model, temperature; .*--column ours=theirs"),
        ([{"model": "m", "temperature": 1, "response": "a"}], r"no column prompt, messages or prompt_id"),
        ([{"model": "m", "temperature": 1, "prompt": "Q?"}], r"no column response or label"),
        ([ROW, ROW | {"response": "b"}], r"row 2 and .*row 3 hold two responses for one repeat"),
        ([ROW | {"temperature": "warm"}], r"row 2, column temperature: 'warm' is not a number"),
        ([ROW | {"temperature": "nan"}], r"row 2, column temperature: 'nan' is not a number"),
        ([ROW | {"seed": "inf"}], r"row 2, column seed: 'inf' is no number of a repeat; name"),
        ([ROW, ROW | {"model": " ", "seed": 2}], r"row 3, column model: is empty; name the model"),
        (
            [{"answer" if name == "response" else name: v for name, v in ROW.items()} | {"generation": "b"}],
            r"answer, generation may each be the response; say which: --column response=generation",
        ),
        ([ROW | {"seed": 1.5}], r"row 2, column seed: 1\.5 is no repeat"),
        ([ROW | {"prompt": " "}], r"row 2, column prompt: the prompt is empty"),
        ([ROW | {"prompt_id": "a"}, ROW | {"prompt_id": "a", "prompt": "R?"}], r"the prompt id 'a' has two texts"),
        ([ROW | {"prompt_id": "a"}, ROW | {"prompt_id": "b"}], r"prompts 'a' and 'b' have one text"),
        ([ROW | {"model": "a b"}, ROW | {"model": "a/b"}], r"'a b' and 'a/b' would both be called a-b"),
        ([ROW | {"judge": j, "label": "REFUSE"} for j in ("G 4", "g-4")], r"judges 'G 4' and 'g-4' would both be"),
        ([ROW | {"label": "REFUSE"}, ROW | {"label": "COMPLY"}], r"labels one response as 'REFUSE' and as 'COMPLY'"),
        ([ROW | {"label": "REFUSE", "confidence": 7}], r"7\.0 is no confidence"),
    ],
)
def test_a_table_that_cannot_be_read_names_the_row_and_the_remedy(rows: list[dict[str, object]], problem: str) -> None:
    with pytest.raises(StudyError, match=problem):
        import_files(write("bad.csv", rows))
    assert not Path("studies/imported.yaml").exists()
    assert not Path("data/raw/imported").exists()


def test_what_is_no_log_is_an_error_unless_it_lies_in_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("logs").mkdir()
    write("logs/runs.csv", long_rows())
    Path("logs/notes.bin").write_bytes(b"\0")
    import_files(Path("logs"))
    assert "notes.bin: not a log of a known format; left out" in capsys.readouterr().out
    with pytest.raises(LogError, match=r"notes\.bin: not a log of a known format"):
        import_files(Path("logs/notes.bin"))
    with pytest.raises(LogError, match="nowhere: no such file or folder"):
        import_files(Path("nowhere"))


@pytest.mark.parametrize("name", ["prompt", "messages", "response", "label", "confidence", "reasoning"])
def test_what_differs_from_row_to_row_is_no_constant(name: str) -> None:
    with pytest.raises(StudyError, match=rf"constants.*{name}.* is not allowed; allowed: .*model"):
        import_files(write("runs.csv", long_rows()), constants=[f"{name}=x"])


def test_a_map_with_an_unknown_key_names_it() -> None:
    Path("map.yaml").write_text("column: {a: b}\n")
    with pytest.raises(LogError, match=r"map\.yaml: column: unknown key; .*did you mean columns"):
        import_files(write("runs.csv", long_rows()), map_path=Path("map.yaml"))
