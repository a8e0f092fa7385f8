"""Reviews go out and come home: as forms, and through a real MLflow server."""

from pathlib import Path

import pandas as pd
import pytest
from judged_study import make_study, truth
from mlflow_server import running_server

from refusal_stability.commands import judge_report, review, review_waiting
from refusal_stability.files import PEOPLE_LABELS, PROMPTS, REVIEW_GUIDE, REVIEW_SAMPLE, generation_file, label_file
from refusal_stability.judging.model.rubric import guide, load_rubric
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.load import load_params
from refusal_stability.stages import judge
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.review import PEOPLE_TABLE, SAMPLE_TABLE
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE, PROMPT_TABLE
from refusal_stability.tracking.server import TrackingError

PARAMS = Path("params.yaml")


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_study(6)


def fill(path, answer):
    form = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    form["label"] = [answer(response) for response in form["response"]]
    form.to_csv(path, index=False)


def test_forms_go_out_and_come_home(study, capsys):
    review.export(["anna", "ben"], 10, 0, False, study)
    anna, ben = Path("data/people/forms/anna.csv"), Path("data/people/forms/ben.csv")
    fill(anna, truth)
    fill(ben, lambda response: "")
    fill(anna, lambda response: "")
    review.import_labels([anna], False, study)
    assert "0 new labels; nobody has labelled an item yet" in capsys.readouterr().out
    fill(anna, truth)
    review.import_labels([anna, ben], False, study)
    labels = read_table(PEOPLE_LABELS, PEOPLE_TABLE)
    assert set(labels["reviewer"]) == {"anna"}
    assert len(labels) == 10
    assert "10 new labels; anna 10 of 10" in capsys.readouterr().out
    fill(ben, truth)
    review.import_labels([ben], False, study)
    assert read_table(PEOPLE_LABELS, PEOPLE_TABLE).groupby("reviewer").size().to_dict() == {"anna": 10, "ben": 10}


QUEUE = Path("data/raw/waiting.csv")


def hand_over(study, below):
    """Let a person decide what the rules are not sure of, however much of it waits."""
    cascade = f"rules: {{kind: rules, settings: {{escalate_below: {below}, escalate_to: person}}}}"
    cascade += f"\n    person: {{kind: people, path: {QUEUE}, on_call: true}}"
    text = study.read_text().replace("rules: {kind: rules}", cascade)
    study.write_text(text.replace("judging:\n", "judging:\n  max_missing: 1\n"))
    return judged_again(study)


def judged_again(study):
    """(response, label, reason) of every response, by the rules and whom they hand over to."""
    found = []
    params = load_params(study)
    for model in params.models:
        judge.run(model, study)
        for condition in params.conditions(model):
            labels = read_table(label_file(condition), LABEL_TABLE)
            texts = read_table(generation_file(condition), GENERATION_TABLE)["response"]
            rules = labels[labels["judge"] == "rules"]
            found += zip(texts, rules["label"], rules["missing_reason"], rules["reasoning"], strict=True)
    return found


def test_what_the_rules_are_unsure_of_waits_for_a_person_until_it_has_a_label(study, capsys):
    before = hand_over(study, 0.99)
    waiting = {text for text, _, reason, _ in before if reason.startswith("waits for a person")}
    assert 0 < len(waiting) < len({text for text, *_ in before})
    capsys.readouterr()
    review_waiting.run(study)
    assert f"{len(waiting)} responses wait for a label ({len(waiting)} new rows), 0 have one" in capsys.readouterr().out
    form = pd.read_csv(QUEUE, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    assert list(form) == ["item_id", "prompt", "response", "label", "note"]
    assert set(form["response"]) == waiting
    labelled = form["response"].iloc[0]
    fill(QUEUE, lambda response: "partial" if response == labelled else "")
    capsys.readouterr()
    review_waiting.run(study)
    assert f"{len(waiting) - 1} responses wait for a label (0 new rows), 1 have one" in capsys.readouterr().out
    after = judged_again(study)
    decided = [(label, why) for text, label, _, why in after if text == labelled]
    assert {label for label, _ in decided} == {"PARTIAL"}
    assert all(why.startswith("handed over (") and why.endswith("): a person's label") for _, why in decided)
    assert {text for text, _, reason, _ in after if reason.startswith("waits")} == waiting - {labelled}
    assert [row for row in after if row[0] not in waiting] == [row for row in before if row[0] not in waiting]
    # Asked again, the file keeps its rows and its label.
    kept = QUEUE.read_bytes()
    capsys.readouterr()
    review_waiting.run(study)
    assert f"{len(waiting) - 1} responses wait for a label (0 new rows), 1 have one" in capsys.readouterr().out
    assert QUEUE.read_bytes() == kept


def test_new_rows_follow_those_that_are_there(study):
    hand_over(study, 0.9)
    review_waiting.run(study)
    few = QUEUE.read_text(encoding="utf-8-sig")
    study.write_text(study.read_text().replace("escalate_below: 0.9,", "escalate_below: 1.0,"))
    judged_again(study)
    review_waiting.run(study)
    more = QUEUE.read_text(encoding="utf-8-sig")
    assert more.startswith(few)
    assert len(more) > len(few)


def test_a_file_of_another_format_is_refused_before_anything_is_written(study):
    hand_over(study, 0.9)
    study.write_text(study.read_text().replace(str(QUEUE), str(other := QUEUE.with_suffix(".tsv"))))
    with pytest.raises(JudgingError, match=rf"{other.name}: review files are CSV"):
        review_waiting.run(study)
    assert not other.exists()


def test_nothing_waits_where_no_person_judges(study):
    with pytest.raises(JudgingError, match=r"no judge of kind `people` in judging\.judges"):
        review_waiting.run(study)


def test_a_reviewer_reads_the_whole_conversation(study):
    asked = read_table(generation_file(next(load_params(PARAMS).conditions("m"))), GENERATION_TABLE)
    table = asked[["prompt_id", "prompt"]].assign(category="", source="test", turns="")
    table.loc[0, "turns"] = '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "=1+1"}]'
    write_table(table, PROMPTS, PROMPT_TABLE)
    review.export(["anna"], 24, 0, False, study)
    form = pd.read_csv("data/people/forms/anna.csv", encoding="utf-8-sig")
    last = table.loc[0, "prompt"]
    shown = set(form["prompt"])
    assert f"[system]\nBe brief.\n\n[user]\n=1+1\n\n[user]\n{last}" in shown
    assert last not in shown
    assert table.loc[1, "prompt"] in shown
    assert last in set(read_table(REVIEW_SAMPLE, SAMPLE_TABLE)["prompt"])


def test_a_later_reviewer_gets_the_same_sample(study):
    review.export(["anna"], 10, 0, False, study)
    before = REVIEW_SAMPLE.read_bytes()
    review.export(["ben"], None, None, False, study)
    review.export(["carl"], 10, 0, False, study)
    assert REVIEW_SAMPLE.read_bytes() == before
    ids = [pd.read_csv(f"data/people/forms/{r}.csv", encoding="utf-8-sig")["item_id"] for r in ("anna", "ben")]
    assert set(ids[0]) == set(ids[1])


@pytest.mark.parametrize(("size", "seed"), [(11, None), (10, 7), (None, 7)])
def test_another_size_or_seed_than_the_samples_is_an_error(study, size, seed):
    review.export(["anna"], 10, 0, False, study)
    with pytest.raises(JudgingError, match=r"give another sample than data/people/sample.csv, which has 10 responses"):
        review.export(["ben"], size, seed, False, study)
    assert not Path("data/people/forms/ben.csv").exists()


def test_a_sample_of_another_study_is_not_handed_out(study):
    review.export(["anna"], 10, 0, False, study)
    path = generation_file(next(iter(load_params(study).conditions("m"))))
    table = read_table(path, GENERATION_TABLE)
    write_table(table.assign(response=table["response"] + " Indeed."), path, GENERATION_TABLE)
    with pytest.raises(JudgingError, match=r"drawn from other responses than the study has now.*move data/people away"):
        review.export(["ben"], None, None, False, study)


def test_labels_whose_sample_is_gone_are_not_passed_over(study):
    review.export(["anna"], 10, 0, False, study)
    fill(Path("data/people/forms/anna.csv"), truth)
    review.import_labels([Path("data/people/forms/anna.csv")], False, study)
    REVIEW_SAMPLE.unlink()
    gone = "sample.csv: no such file, but data/people/labels.csv holds labels of its items; restore it"
    with pytest.raises(JudgingError, match=gone):
        review.export(["ben"], None, None, False, study)
    assert not REVIEW_SAMPLE.exists()
    with pytest.raises(JudgingError, match=gone):
        judge_report.of_study(study)


def test_no_form_is_written_where_one_of_them_is_there_already(study):
    review.export(["anna"], 10, 0, False, study)
    with pytest.raises(JudgingError, match=r"anna\.csv: already exists"):
        review.export(["ben", "anna"], None, None, False, study)
    assert not Path("data/people/forms/ben.csv").exists()


def test_reviewers_are_told_what_the_default_rubric_says(study, capsys):
    review.export(["anna"], 10, 0, False, study)
    told = REVIEW_GUIDE.read_text()
    assert "data/people/README.md: what the labels mean" in capsys.readouterr().out
    rubric = load_rubric("default").text
    assert all(line in rubric for line in told.splitlines()[2:])
    for rule in ("REFUSE - ", "PARTIAL - ", "COMPLY - ", "a mistaken or meaningless one", "Judge the whole response"):
        assert rule in told
    assert "JSON" not in told


def test_a_form_named_after_a_judge_is_not_imported(study):
    review.export(["anna"], 10, 0, False, study)
    fill(Path("data/people/forms/anna.csv"), truth)
    form = Path("data/people/forms/anna.csv").rename("data/people/forms/rules.csv")
    with pytest.raises(JudgingError, match="'rules' has the name of a judge"):
        review.import_labels([form], False, study)


def test_a_changed_label_is_refused_and_nothing_of_its_form_is_taken(study):
    review.export(["anna"], 10, 0, False, study)
    form = Path("data/people/forms/anna.csv")
    fill(form, truth)
    review.import_labels([form], False, study)
    before = PEOPLE_LABELS.read_bytes()
    fill(form, lambda response: "PARTIAL")
    with pytest.raises(JudgingError, match="never overwritten"):
        review.import_labels([form], False, study)
    assert PEOPLE_LABELS.read_bytes() == before


def test_an_import_without_a_sample_or_a_source_says_so(study):
    with pytest.raises(JudgingError, match="either forms or --mlflow"):
        review.import_labels([], False, study)
    with pytest.raises(JudgingError, match=r"sample\.csv: no such file; draw one with `refusal-stability review"):
        review.import_labels([Path("anna.csv")], False, study)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


def answer_in_mlflow(reviewer, answer):
    """Give the answers that a person gives on the review page."""
    import mlflow
    from mlflow.entities import AssessmentSource
    from mlflow.genai.review_queues import list_review_queue_items, list_review_queues

    experiment = mlflow.get_experiment_by_name("trial review").experiment_id
    (queue,) = [q for q in list_review_queues(experiment_id=experiment) if q.name == f"review-{reviewer}"]
    for item in list_review_queue_items(queue.queue_id):
        trace = mlflow.get_trace(item.item_id)
        response = trace.data.spans[0].outputs["response"]
        person = AssessmentSource(source_type="HUMAN", source_id="someone")
        mlflow.log_feedback(trace_id=item.item_id, name="decision", value=answer(response), source=person)
    return queue


def test_a_review_queue_in_mlflow_comes_home(study, server, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    with pytest.raises(TrackingError, match="no review of study trial"):
        review.export(["nobody"], 10, 0, False, study)
        review.import_labels([], True, study)
    review.export(["anna", "ben"], 10, 0, True, study)
    review.export(["anna", "ben"], 10, 0, True, study)
    said = capsys.readouterr().out
    assert "20 new items in 2 review queues" in said
    assert "0 new items in 2 review queues" in said
    queue = answer_in_mlflow("anna", truth)
    answer_in_mlflow("ben", lambda response: "PARTIAL")
    review.import_labels([], True, study)
    labels = read_table(PEOPLE_LABELS, PEOPLE_TABLE)
    sample = read_table(REVIEW_SAMPLE, SAMPLE_TABLE).set_index("item_id")["response"]
    anna = labels[labels["reviewer"] == "anna"]
    assert anna["label"].tolist() == [truth(sample[item]) for item in anna["item_id"]]
    assert labels.groupby("reviewer").size().to_dict() == {"anna": 10, "ben": 10}
    assert set(labels[labels["reviewer"] == "ben"]["label"]) == {"PARTIAL"}
    blind(queue)
    review.import_labels([], True, study)
    assert len(read_table(PEOPLE_LABELS, PEOPLE_TABLE)) == 20


def blind(queue):
    """The question has the three decisions, and a trace tells neither the model nor what a judge said."""
    import mlflow
    from mlflow.genai.label_schemas import get_label_schema
    from mlflow.genai.review_queues import list_review_queue_items

    schema = get_label_schema(schema_id=queue.schema_ids[0])
    assert schema.input.options == ["REFUSE", "PARTIAL", "COMPLY"]
    assert schema.instruction == guide("terse")
    trace = mlflow.get_trace(list_review_queue_items(queue.queue_id)[0].item_id)
    span = trace.data.spans[0]
    assert list(span.inputs) == ["request"]
    assert list(span.outputs) == ["response"]
    own = {k for k in trace.info.tags if not k.startswith("mlflow.")}
    assert own == {"review.item", "review.reviewer"}
