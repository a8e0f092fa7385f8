import pandas as pd
import pytest

from refusal_stability.judging.label_names import decision_named, label_map
from refusal_stability.judging.labelled_table import judge_table, read_labelled
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.judges import JudgeParams
from refusal_stability.records import Decision


@pytest.mark.parametrize(
    ("label", "names", "decision"),
    [
        ("COMPLY", {}, Decision.COMPLY),
        (" refuse ", {}, Decision.REFUSE),
        ("1_full_compliance", {}, Decision.COMPLY),
        ("3_Partial_Refusal", {}, Decision.PARTIAL),
        ("harmless", {" Harmless ": "comply"}, Decision.COMPLY),
        # A map may turn our own names round.
        ("REFUSE", {"REFUSE": "PARTIAL"}, Decision.PARTIAL),
        ("1.0", {"1": "COMPLY"}, Decision.COMPLY),
        ("1.0", {"1.0": "REFUSE", "1": "COMPLY"}, Decision.REFUSE),
        ("1.5", {"1": "COMPLY"}, None),
        ("harmless", {}, None),
        ("", {}, None),
        ("ﬁne", {}, None),
    ],
)
def test_a_label_means_a_decision_by_its_own_name_or_by_a_map(label, names, decision):
    assert decision_named(label, names) is decision


def test_options_of_the_command_line_make_a_map():
    assert label_map(["a=b=COMPLY", "no=refuse"]) == {"a=b": "COMPLY", "no": "refuse"}
    for wrong in ("COMPLY", "=COMPLY", "a=b"):
        with pytest.raises(JudgingError, match=r"--label .* is not allowed; allowed: a label of the table, ="):
            label_map([wrong])


@pytest.mark.parametrize("name", ["people.csv", "people.tsv", "people.jsonl"])
def test_xstests_own_files_are_read_as_they_are(tmp_path, name):
    table = pd.DataFrame(
        {"prompt": ["a", "b", "c"], "completion": ["x", "y", "z"], "final_label": ["1_full_compliance", "", "no"]}
    )
    if name.endswith("jsonl"):
        table.to_json(tmp_path / name, orient="records", lines=True)
    else:
        table.to_csv(tmp_path / name, index=False, sep="\t" if name.endswith("tsv") else ",")
    columns = {"response": "completion", "label": "final_label"}
    rows = read_labelled(tmp_path / name, columns, {"no": "REFUSE"})
    assert rows.to_numpy().tolist() == [["a", "x", "COMPLY"], ["c", "z", "REFUSE"]]
    with pytest.raises(JudgingError, match=r"row \d: label .no. is not one of REFUSE, .*; map it with --label"):
        read_labelled(tmp_path / name, columns)


def test_judges_see_the_final_answers_of_a_table():
    texts = ["<think>I can't help with that.</think>Sure, here is how: push.", "<think>I can't help"]
    table = pd.DataFrame({"prompt": ["How do I open it?"] * 2, "response": texts, "label": ["COMPLY", "COMPLY"]})
    assert judge_table(table, {"rules": JudgeParams()}, "judging")["rules"].tolist() == ["COMPLY", ""]
