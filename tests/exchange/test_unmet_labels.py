"""Labels that do not meet the response they mean are refused or left out, and the command says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from imported_study import import_files, run_imported
from test_tables import write

from refusal_stability.exchange.logged import LogError

CELLS = [{"model": "m", "prompt": f"Q{p}?", "temperature": t} for p in range(2) for t in (0.0, 0.7)]


def responses(numbers: Sequence[int], **more: object) -> Path:
    rows = [cell | {"repeat": k, "response": f"answer {k}"} | more for cell in CELLS for k in numbers]
    pd.DataFrame(rows).to_csv("responses.csv", index=False)
    return Path("responses.csv")


def labels(numbers: Sequence[int], judges: str = "x", name: str = "labels.csv") -> Path:
    rows = [cell | {"repeat": k, "judge": j, "label": "REFUSE"} for cell in CELLS for k in numbers for j in judges]
    pd.DataFrame(rows).to_csv(name, index=False)
    return Path(name)


def labelled(judge: str) -> dict[int, int]:
    """How many responses of each repeat the judge labels."""
    table = run_imported()
    return (table[judge].fillna("") != "").groupby(table["seed"]).sum().to_dict()


@pytest.mark.parametrize(("numbers", "told"), [((1, 2, 3), r"1\.\.3"), ((11, 12), r"11\.\.12"), ((3,), "3")])
def test_labels_numbered_otherwise_than_their_responses_are_an_error_that_names_both_files(
    numbers: Sequence[int], told: str
) -> None:
    both = [responses((0, 1, 2)), labels(numbers)]
    for files in (both, both[::-1]):
        with pytest.raises(
            LogError, match=r"labels\.csv: row \d+: judge 'x' .*responses\.csv: row \d+: .*alike"
        ) as found:
            import_files(*files)
        assert pd.Series([str(found.value)]).str.contains(rf"\(0\.\.2 of the responses, {told} of the labels").all()
    assert not Path("data/raw/imported").exists()


def test_each_judge_is_checked_for_itself() -> None:
    with pytest.raises(LogError, match=r"other\.csv: row .*: judge 'y' labels repeat 3, which no response has"):
        import_files(responses((0, 1, 2)), labels((0, 1, 2)), labels((1, 2, 3), "y", "other.csv"))


def test_labels_of_some_responses_and_of_responses_that_were_lost_are_taken() -> None:
    import_files(responses((0, 1, 2)), labels((2,)))
    assert labelled("x") == {0: 0, 1: 0, 2: 4}
    # All responses that are there have their label.
    import_files(responses((0, 1)), labels((0, 1, 2)))
    assert run_imported()["x"].tolist() == ["REFUSE"] * 12


def test_labels_of_missing_responses_are_left_out_wherever_they_stand_and_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = pd.read_csv(responses((1, 2, 3)))
    rows.loc[rows["repeat"] == 2, "response"] = ""
    rows["missing_reason"] = ["error: 500" if k == 2 else "" for k in rows["repeat"]]
    rows.to_csv("responses.csv", index=False)
    for files in ([Path("responses.csv"), labels((1, 2, 3), "xy")], [labels((1, 2, 3), "xy"), Path("responses.csv")]):
        import_files(*files)
        said = capsys.readouterr().out
        assert "judge x: 'REFUSE' (8)" in said
        for judge in "xy":
            assert f"judge {judge}: 4 labels of missing responses left out: no decision" in said
        assert labelled("x") == {1: 4, 2: 0, 3: 4}
        capsys.readouterr()
    rows.assign(label="COMPLY").to_csv("both.csv", index=False)
    import_files(Path("both.csv"))
    assert "judge source: 4 labels of missing responses left out: no decision" in capsys.readouterr().out
    assert sum(labelled("source").values()) == 8


def test_an_id_that_numbers_the_rows_is_left_out_by_an_option() -> None:
    rows = [cell | {"response": f"answer {k}"} for cell in CELLS for k in range(3)]
    pd.DataFrame([{"id": i} | row for i, row in enumerate(rows)]).to_csv("rows.csv", index=False)
    with pytest.raises(LogError, match=r"rows\.csv: row 3: .* have one text, .*--column prompt_id=none"):
        import_files(Path("rows.csv"))
    import_files(Path("rows.csv"), columns=["prompt_id=none"])
    assert run_imported().groupby(["prompt", "temperature"])["seed"].count().tolist() == [3] * 4


def test_a_file_of_labels_none_of_which_meets_a_response_is_an_error() -> None:
    about = {"model": "m", "temperature": 1.0, "repeat": 1}
    answers = write("answers.csv", [{"prompt_id": k, "prompt": f"Q{k}?", "response": "A."} | about for k in ("a", "b")])
    other = [{"prompt_id": f"x{k}", "judge": "gpt", "label": "COMPLY"} | about for k in ("a", "b")]
    with pytest.raises(
        LogError, match=r"labels\.csv: row 2: none of the 2 labels of this file meets .*their prompts are"
    ):
        import_files(answers, write("labels.csv", other))
    with pytest.raises(LogError, match=r"their models \('org/m', and 'm'\) are named otherwise"):
        import_files(answers, write("labels.csv", [row | {"model": "org/m", "prompt_id": "a"} for row in other[:1]]))
    import_files(answers, write("labels.csv", [*other, other[0] | {"prompt_id": "a"}]))
    import_files(write("labels.csv", other))


def test_ids_that_another_program_made_floats_meet_the_whole_numbers() -> None:
    about = {"model": "m", "temperature": 1.0, "repeat": 1}
    answers = write(
        "answers.parquet", [{"prompt_id": float(k), "prompt": f"Q{k}?", "response": "A."} | about for k in (1, 2)]
    )
    labels = write("labels.csv", [{"prompt_id": k, "judge": "gpt", "label": "REFUSE"} | about for k in (1, 2)])
    import_files(answers, labels)
    assert run_imported()["gpt"].tolist() == ["REFUSE", "REFUSE"]


def test_an_answer_that_is_a_scripts_error_is_missing_and_has_no_decision(capsys: pytest.CaptureFixture[str]) -> None:
    about = {"model": "m", "temperature": 1.0, "label": "COMPLY"}
    texts = ("[ERROR 404] not found", "A.")
    import_files(write("a.csv", [{"prompt": f"Q{k}?", "response": text} | about for k, text in enumerate(texts)]))
    said = capsys.readouterr().out
    assert "missing: 1 the source recorded '[ERROR'" in said
    assert "judge source: 1 label of missing responses left out: no decision" in said
    assert run_imported().set_index("prompt")["source"].fillna("").to_dict() == {"Q0?": "", "Q1?": "COMPLY"}


def test_a_row_for_each_judge_of_which_only_the_first_holds_the_text_is_one_response() -> None:
    about = {"model": "m", "temperature": 1.0, "prompt": "Q?", "repeat": 1}
    rows = [about | {"judge": judge, "label": "COMPLY", "response": text} for judge, text in (("a", "A."), ("b", ""))]
    import_files(write("a.csv", rows))
    (row,) = run_imported().to_dict("records")
    assert (row["response"], row["a"], row["b"]) == ("A.", "COMPLY", "COMPLY")


def test_a_label_that_no_study_file_can_hold_is_an_error() -> None:
    rows = [{"model": "m", "temperature": 1.0, "prompt": f"Q{k}?", "label": ("COMPLY", "???")[k]} for k in range(2)]
    with pytest.raises(
        LogError, match=r"the study file that this import would write: .*'\?\?\?' is not allowed; .*rename"
    ):
        import_files(write("a.csv", rows), missing=["???"])
    assert not Path("studies/imported.yaml").exists()


@pytest.mark.parametrize(
    ("given", "keeps"),
    [
        ({"response": "A.", "finish_reason": "stop"}, True),
        ({"response": "", "finish_reason": "refusal"}, True),
        ({"response": " ", "finish_reason": ""}, False),
        ({"response": "", "finish_reason": "length"}, False),
        ({"response": "Su", "finish_reason": "content_filter"}, False),
    ],
)
def test_a_label_of_what_the_study_takes_as_missing_is_no_decision(given: dict[str, str], keeps: bool) -> None:
    about = {"model": "m", "temperature": 1.0, "label": "REFUSE"}
    whole = {"prompt": "Other?", "response": "A.", "finish_reason": "stop"}
    import_files(write("a.csv", [about | {"prompt": "Q?"} | given, about | whole]))
    labelled_prompts = run_imported().set_index("prompt")["source"].fillna("").to_dict()
    assert labelled_prompts == {"Q?": "REFUSE" if keeps else "", "Other?": "REFUSE"}
