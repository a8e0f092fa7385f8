"""What the user says on the command line, what the command says back, and which files it may replace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from imported_study import import_files, run_imported

from refusal_stability.exchange.logged import LogError
from refusal_stability.files import label_file
from refusal_stability.params.load import load_params
from refusal_stability.records import StudyError
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import LABEL_TABLE

LOGS = Path(__file__).parent / "logs"
ROW = {"model": "m", "prompt": "Q?", "temperature": 0.7, "seed": 1, "response": "a"}


def rows_of(*labels: str) -> list[dict[str, object]]:
    """A response for each label of the judge x."""
    return [ROW | {"seed": k, "judge": "x", "label": label} for k, label in enumerate(labels)]


def table(rows: list[dict[str, object]], name: str = "runs.csv") -> Path:
    pd.DataFrame(rows).to_csv(name, index=False)
    return Path(name)


def study() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = yaml.safe_load(Path("studies/imported.yaml").read_text())
    return found


def test_a_study_that_no_import_wrote_is_replaced_by_force_only() -> None:
    own = Path("studies/quickstart.yaml")
    own.parent.mkdir()
    own.write_text("study: quickstart\n")
    runs = table([ROW])
    with pytest.raises(LogError, match=r"^studies/quickstart\.yaml: is a study that no import wrote; .*-imported \(or"):
        import_files(runs, name="quickstart")
    assert own.read_text() == "study: quickstart\n"
    assert not Path("data").exists()
    import_files(runs, name="quickstart", force=True)
    assert Path("studies/quickstart.previous.yaml").read_text() == "study: quickstart\n"
    import_files(runs, name="quickstart")
    own.write_text("# Imported by `refusal-stability import`; as an older version wrote it.\n")
    import_files(runs, name="quickstart")


def test_the_model_of_logs_that_do_not_name_it_is_a_constant(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(LOGS / "lm-eval/toy-1", "logs")
    for results in Path("logs").glob("results_*"):
        results.unlink()
    import_files(Path("logs"))
    assert "the model is named after the folder: logs (another name: --constant model=NAME)" in capsys.readouterr().out
    import_files(Path("logs"), constants=["model=Mine", "category=refusals"])
    said = capsys.readouterr().out
    assert "folder" not in said
    assert "--constant" not in said
    assert study()["models"]["mine"]["label"] == "Mine"  # type: ignore[index]
    assert set(pd.read_csv("data/raw/imported/prompts.csv")["category"]) == {"refusals"}


def test_a_model_that_nothing_names_is_asked_for() -> None:
    asked = {"custom_id": "1", "body": {"messages": [{"role": "user", "content": "Q?"}], "temperature": 1}}
    message = {"message": {"content": "No."}, "finish_reason": "stop"}
    answered = {"custom_id": "1", "response": {"status_code": 200, "body": {"choices": [message]}}}
    for name, line in (("asked", asked), ("answered", answered)):
        Path(f"{name}.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(LogError, match=r"row 1: the log does not name the model; give it: --constant model=NAME"):
        import_files(Path("asked.jsonl"), Path("answered.jsonl"))
    import_files(Path("asked.jsonl"), Path("answered.jsonl"), constants=["model=x"])
    assert list(study()["models"]) == ["x"]


def test_what_the_logs_say_or_cannot_hold_is_told_as_unused(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(LOGS / "promptfoo.json", constants=["model=x", "repeat=1"], columns=["response=output"])
    said = capsys.readouterr().out
    assert "--constant model=x: not used for 24 records; the log counts, which says openai:chat:toy-1" in said
    assert "--constant repeat=1: not used, since these logs say it, or hold no such column" in said
    assert "Columns and judges of a map are those of plain tables, and there is none here: not used" in said


def test_what_a_log_says_otherwise_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(LOGS / "promptfoo.json", temperature=1.0)
    assert "--temperature 1: not used for 12 records; the log counts, which says 0\n" in capsys.readouterr().out
    runs = table([ROW | {"seed": k, "temperature": k / 10} for k in range(5)] + [ROW | {"seed": 9, "model": None}])
    import_files(runs, temperature=0.4, constants=["model=zzz"])
    said = capsys.readouterr().out
    assert "--temperature 0.4: not used for 5 records; the log counts, which says 0, 0.1, 0.2 and 2 more\n" in said
    assert "--constant model=zzz: not used for 5 records; the log counts, which says m\n" in said
    assert sorted(study()["models"]) == ["m", "zzz"]
    import_files(table([ROW | {"category": "b; a"}]), temperature=0.7, constants=["model=m", "category=b; a"])
    assert "not used" not in capsys.readouterr().out


def test_the_option_temperature_goes_before_a_constant_of_a_map() -> None:
    row = {name: value for name, value in ROW.items() if name != "temperature"}
    Path("map.yaml").write_text("constants: {temperature: 0.2}\n")
    import_files(table([row]), temperature=0.5, map_path=Path("map.yaml"))
    assert study()["sampling"]["temperatures"] == [0.5]


def test_a_constant_temperature_is_one_for_every_format() -> None:
    shutil.copytree(LOGS / "lm-eval", "logs")
    for samples in Path("logs/toy-1").glob("samples_*"):
        rows = [json.loads(line) for line in samples.read_text().splitlines()]
        for row in rows:
            del row["arguments"]["gen_args_0"]["arg_1"]["temperature"]
        samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_files(Path("logs"), constants=["temperature=0.5"])
    assert study()["sampling"]["temperatures"] == [0.5]
    for constant, allowed in (("temperature=warm", "a number from 0"), ("harm=evil", "harmful, benign")):
        with pytest.raises(StudyError, match=rf"import\.constants\.{constant[:4]}.*: '.*' is not allowed; .*{allowed}"):
            import_files(Path("logs"), constants=[constant])


def test_an_empty_label_is_one_that_the_judge_did_not_give(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(table(rows_of("REFUSE", "", "COMPLY", " ")))
    said = capsys.readouterr().out
    assert "judge x: 'REFUSE' (1), 'COMPLY' (1)\n" in said
    assert "runs.csv: 2 empty labels of judge x: not labelled by it" in said
    run_imported()
    params = load_params(Path("params.yaml"))
    labels = pd.concat(read_table(label_file(one), LABEL_TABLE) for one in params.conditions("m"))
    assert (
        labels.loc[labels["judge"] == "x", "missing_reason"].tolist() == ["", *["the source has no label", ""] * 2][:4]
    )


def test_a_judge_that_labels_one_of_two_models_is_not_the_primary_one() -> None:
    import_files(table([*rows_of("REFUSE", "COMPLY"), *(row | {"model": "n"} for row in rows_of("", ""))]))
    judging = study()["judging"]
    assert judging["primary"] == "rules"
    assert judging["judges"]["x"]["settings"]["models"] == {"m": "m"}  # type: ignore[index]


def test_labels_are_told_apart_from_their_counts(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(table(rows_of(*"1112234567")))
    assert "judge x: '1' (3), '2' (2), '3' (1), '4' (1), '5' (1), and 2 other labels" in capsys.readouterr().out


@pytest.mark.parametrize("mark", [";", "|", "\t"])
def test_a_table_separated_by_another_mark_is_read(mark: str) -> None:
    Path("runs.csv").write_text(f"model{mark}prompt{mark}temperature{mark}response\nm{mark}Q?{mark}0.7{mark}No, no.\n")
    import_files(Path("runs.csv"))
    assert run_imported()["response"].tolist() == ["No, no."]


def test_decimal_commas_and_the_line_that_names_the_separator_are_read() -> None:
    rows = 'm;Q?;"No, no.";0,7;1;x;REFUSE;0,95\r\nm;Q?;Yes.;0,7;2;x;COMPLY;"1,0"\r\n'
    for first in ("", "sep=;\r\n"):
        head = 'model;"the prompt, as sent";response;temperature;seed;judge;label;confidence\r\n'
        Path("runs.csv").write_text(f"{first}{head}{rows}", encoding="utf-8-sig", newline="")
        import_files(Path("runs.csv"), columns=["prompt=the prompt, as sent"])
        assert yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["temperatures"] == [0.7]
        found = read_table(next(Path("data/raw/imported").rglob("*seed1*labels*")), LABEL_TABLE)
        assert found["confidence"].tolist() == [0.95]
    for wrong, error in (
        ("0,7;1,5", r"row 2, column seed: 1,5 is no repeat"),
        ("1.000,7;1", r"row 2, column temper.*"),
    ):
        Path("runs.csv").write_text(f"model;prompt;response;temperature;seed\nm;Q?;No.;{wrong}\n")
        with pytest.raises(StudyError, match=error):
            import_files(Path("runs.csv"))


def test_repeats_in_columns_of_their_own_name_the_map_that_reads_them() -> None:
    wide = [{"model": "m", "question": "Q?", "temperature": 1, "answer_1": "a", "answer_2": "b", "gpt4": "c"}]
    with pytest.raises(
        StudyError,
        match=r"^runs\.csv: no column response or label; found .*; answer_1, answer_2 look like repeats in columns of "
        r"their own, which a --map reads: `responses: \[answer_1, answer_2\]`",
    ):
        import_files(table(wide))
