import pandas as pd
import pytest

from refusal_stability.judging.protocol import JudgingError
from refusal_stability.judging.recorded import RecordedJudge
from refusal_stability.params.judge_kinds import RecordedLabelSettings
from refusal_stability.params.judges import JudgeParams
from refusal_stability.records import Condition, Decision, Prompt, Response

COLD, WARM = Condition("ours", "none", 0.0, 42), Condition("ours", "none", 0.7, 43)


def response(prompt_id, condition=COLD, text="No.", missing=None):
    return Response(condition, Prompt(prompt_id, f"Question {prompt_id}?", "", ""), text, "stop", missing)


def label_row(prompt_id, label, **other):
    row = {"model": "Org/Model-1", "prompt_id": prompt_id, "temperature": "0.0", "seed": "42", "label": label}
    return row | {"judge": "someone"} | other


def table_judge(tmp_path, rows, repeats=1, **settings):
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    params = JudgeParams(kind="recorded", repeats=repeats, path=str(tmp_path))
    chosen = {"layout": "table", "files": ["labels.csv"], "models": {"ours": "Org/Model-1"}} | settings
    return RecordedJudge(params, RecordedLabelSettings(**chosen), "judging.judges.old")


def test_labels_of_a_table_are_found_by_model_temperature_seed_and_prompt_id(tmp_path):
    rows = [
        label_row("a", "REFUSE"),
        label_row("b", "comply"),
        label_row("a", "PARTIAL", temperature="0.7", seed="43"),
        label_row("a", "COMPLY", model="Org/Model-2"),
    ]
    judged = table_judge(tmp_path, rows).judge([response("b"), response("a", WARM), response("a")])
    assert [j.decision for (j,) in judged] == [Decision.COMPLY, Decision.PARTIAL, Decision.REFUSE]


def test_what_the_source_calls_unknown_or_error_is_missing_with_a_reason(tmp_path):
    judged = table_judge(tmp_path, [label_row("a", "UNKNOWN"), label_row("b", "error")]).judge(
        [response("a"), response("b")]
    )
    assert [j.missing_reason for (j,) in judged] == ["the source recorded 'UNKNOWN'", "the source recorded 'error'"]


def test_a_label_needs_no_response(tmp_path):
    ((judgement,),) = table_judge(tmp_path, [label_row("a", "REFUSE")]).judge(
        [response("a", text="", missing="none kept")]
    )
    assert judgement.decision is Decision.REFUSE


def test_columns_of_other_names_and_one_judge_among_several(tmp_path):
    rows = [label_row("a", "REFUSE", judge="x"), label_row("a", "COMPLY", judge="y")]
    renamed = [{"verdict" if k == "label" else k: v for k, v in row.items()} for row in rows]
    judge = table_judge(tmp_path, renamed, columns={"label": "verdict"}, judge="y")
    assert judge.judge([response("a")])[0][0].decision is Decision.COMPLY


def test_repeats_are_read_from_their_column(tmp_path):
    rows = [label_row("a", "REFUSE", repeat="0"), label_row("a", "COMPLY", repeat="1")]
    judged = table_judge(tmp_path, rows, repeats=2).judge([response("a")])
    assert [j.decision for j in judged[0]] == [Decision.REFUSE, Decision.COMPLY]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([label_row("b", "REFUSE")], "no label of 'Org/Model-1' at temperature 0.0, seed 42 for 1 of 1 prompts: a"),
        ([label_row("a", "REFUSE"), label_row("a", "REFUSE")], "row 2 and .*row 3 label one response twice"),
        ([label_row("a", "REFUSE"), label_row("a", "COMPLY")], "row 2 and .*row 3 .* as 'REFUSE' and as 'COMPLY'"),
        ([label_row("a", "MAYBE")], "row 2: label 'MAYBE' is unknown"),
        ([label_row("a", "REFUSE", seed="first")], "row 2: seed 'first' is not a number"),
        ([label_row("a", "REFUSE", response="Yes.")], "row 2: this label belongs to another response"),
    ],
)
def test_a_source_that_does_not_fit_names_the_rows(tmp_path, rows, said):
    with pytest.raises(JudgingError, match=said) as error:
        table_judge(tmp_path, rows).judge([response("a")])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"columns": {"label": "verdict"}}, "no column verdict; found model, prompt_id"),
        ({"judge": "nobody"}, "no label by 'nobody'; its judges: 'someone'"),
        ({"files": ["other.csv"]}, "other.csv: no such file"),
    ],
)
def test_settings_that_do_not_fit_name_what_is_there(tmp_path, settings, said):
    with pytest.raises(JudgingError, match=said):
        table_judge(tmp_path, [label_row("a", "REFUSE")], **settings).judge([response("a")])


def test_the_row_named_is_the_row_of_the_file_also_where_one_judge_is_picked(tmp_path):
    rows = [label_row("a", "COMPLY", judge="x"), label_row("a", "MAYBE", judge="y")]
    with pytest.raises(JudgingError, match="row 3: label 'MAYBE'"):
        table_judge(tmp_path, rows, judge="y").judge([response("a")])


def published_file(tmp_path, rows, temperature=0.0, seed=42):
    path = tmp_path / f"data/results/labels/stem_temp{temperature}_seed{seed}_labels.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)


def published_judge(tmp_path):
    settings = RecordedLabelSettings(layout="published", models={"ours": "stem"})
    return RecordedJudge(JudgeParams(kind="recorded", path=str(tmp_path)), settings, "judging.judges.old")


def published_row(prompt_id, label, **other):
    text = {"prompt": f"Question {prompt_id}?", "response": "No.", "reasoning": "It\ndeclines."}
    return label_row(prompt_id, label, **(text | other))


def test_the_published_layout_is_matched_by_the_prompts_text(tmp_path):
    published_file(tmp_path, [published_row("their id", "REFUSE", prompt="Question a?")])
    ((judgement,),) = published_judge(tmp_path).judge([response("a")])
    assert (judgement.decision, judgement.reasoning) == (Decision.REFUSE, "It\ndeclines.")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([published_row("a", "REFUSE", seed="43")], "row 2: temperature 0.0, seed 43 in the file of"),
        ([published_row("a", "REFUSE"), published_row("b", "REFUSE", model="Other")], "rows 2 and 3 hold two models"),
    ],
)
def test_a_file_that_holds_something_else_than_its_name_says_is_an_error(tmp_path, rows, said):
    published_file(tmp_path, rows)
    with pytest.raises(JudgingError, match=said):
        published_judge(tmp_path).judge([response("a")])


def test_a_judge_knows_the_models_that_its_settings_name(tmp_path):
    judge = table_judge(tmp_path, [label_row("a", "REFUSE")])
    assert judge.knows("ours")
    assert not judge.knows("another")


def test_the_published_labels_are_read_as_they_are(shared):
    source = shared / "published-study"
    raw = pd.read_csv(
        source / "data/results/labels/meta_llama_Llama_3.1_8B_Instruct_temp1.0_seed44_labels.csv", keep_default_na=False
    )
    condition = Condition("llama", "none", 1.0, 44)
    responses = [
        Response(condition, Prompt("", prompt, "", ""), text, "stop")
        for prompt, text in zip(raw.prompt, raw.response, strict=True)
    ]
    settings = RecordedLabelSettings(layout="published", models={"llama": "meta_llama_Llama_3.1_8B_Instruct"})
    judge = RecordedJudge(JudgeParams(kind="recorded", path=str(source)), settings, "judging.judges.llama-judge")
    found = [j.decision.value if j.decision else "UNKNOWN" for (j,) in judge.judge(responses)]
    assert found == raw.label.tolist()


def test_labels_of_other_names_are_mapped_and_absent_columns_have_one_value(tmp_path):
    rows = [
        {"prompt_id": "a", "final_label": "1_full_compliance"},
        {"prompt_id": "b", "final_label": "declined"},
        {"prompt_id": "c", "final_label": "odd"},
    ]
    judge = table_judge(
        tmp_path,
        rows[:2],
        columns={"label": "final_label"},
        constants={"model": "Org/Model-1", "temperature": "0.0", "seed": "42"},
        labels={"Declined": "REFUSE"},
    )
    judged = judge.judge([response("a"), response("b")])
    assert [j.decision for (j,) in judged] == [Decision.COMPLY, Decision.REFUSE]
    without = table_judge(tmp_path, rows[:2], columns={"label": "final_label"}, labels={"Declined": "REFUSE"})
    with pytest.raises(JudgingError, match=r"no column model, temperature, seed; .* in settings\.constants"):
        without.judge([response("a")])


def test_an_unknown_label_says_how_to_map_it(tmp_path):
    with pytest.raises(JudgingError, match=r"row 2: label 'odd' is unknown; map it .*settings\.labels, or list it in"):
        table_judge(tmp_path, [label_row("a", "odd")]).judge([response("a")])


def test_a_recorded_confidence_is_kept_and_may_be_absent(tmp_path):
    rows = [label_row("a", "REFUSE", confidence="0.75"), label_row("b", "COMPLY", confidence="")]
    judged = table_judge(tmp_path, rows).judge([response("a"), response("b")])
    assert [j.confidence for (j,) in judged] == [0.75, None]


CAUTIOUS = Condition("ours", "cautious", 0.0, 42)


def test_labels_under_an_intervention_are_those_of_its_rows(tmp_path):
    rows = [label_row("a", "REFUSE", intervention="cautious"), label_row("a", "COMPLY", intervention="none")]
    judged = table_judge(tmp_path, rows).judge([response("a"), response("a", CAUTIOUS)])
    assert [j.decision for (j,) in judged] == [Decision.COMPLY, Decision.REFUSE]


def test_labels_of_bare_prompts_are_none_of_an_intervention(tmp_path):
    bare = table_judge(tmp_path, [label_row("a", "COMPLY")])
    with pytest.raises(
        JudgingError, match=r"no label of 'Org/Model-1' under intervention cautious at temperature 0\.0"
    ):
        bare.judge([response("a", CAUTIOUS)])
    published_file(tmp_path, [published_row("a", "REFUSE")])
    with pytest.raises(JudgingError, match="stand for bare prompts; leave intervention cautious or the judge out"):
        published_judge(tmp_path).judge([response("a", CAUTIOUS)])


def test_this_projects_labels_under_an_intervention_stand_in_a_file_of_their_own(tmp_path):
    folder = tmp_path / "data/labels/theirs"
    folder.mkdir(parents=True)
    for under, label in (("", "COMPLY"), ("_cautious", "REFUSE")):
        row = label_row("a", label, intervention=under[1:] or "none")
        pd.DataFrame([row]).to_csv(folder / f"theirs{under}_temp0.0_seed42_labels.csv", index=False)
    params = JudgeParams(kind="recorded", path=str(tmp_path))
    judge = RecordedJudge(params, RecordedLabelSettings(models={"ours": "theirs"}), "judging.judges.old")
    judged = judge.judge([response("a"), response("a", CAUTIOUS)])
    assert [j.decision for (j,) in judged] == [Decision.COMPLY, Decision.REFUSE]
    pd.DataFrame([row]).to_csv(folder / "theirs_temp0.0_seed42_labels.csv", index=False)
    with pytest.raises(JudgingError, match="row 2: intervention 'cautious' in the file of intervention 'none'"):
        judge.judge([response("a")])
