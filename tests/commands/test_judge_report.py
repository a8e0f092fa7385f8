import re
from pathlib import Path

import pandas as pd
import pytest
from judged_study import EVIL, make_study, truth
from typer.testing import CliRunner

from refusal_stability.cli import app
from refusal_stability.commands import judge_report, review, train_judge
from refusal_stability.files import JUDGE_REPORT, PEOPLE_LABELS, PROMPTS, ArtifactError, generation_file, label_file
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.measures.latent_decisions import FIGURES
from refusal_stability.params.load import load_params
from refusal_stability.report.confidence import least_sure
from refusal_stability.report.content import Report
from refusal_stability.report.html import html_report
from refusal_stability.report.people import people
from refusal_stability.report.report_inputs import ReportInputs
from refusal_stability.stages import judge, metrics
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.judge_report import JUDGE_REPORT_TABLES
from refusal_stability.tables.optional import OPTIONAL_TABLES, PEOPLE_TABLES
from refusal_stability.tables.study import LABEL_TABLE, PROMPT_TABLE


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_study()
    return folder


@pytest.fixture(autouse=True)
def here(study, monkeypatch):
    monkeypatch.chdir(study)
    PEOPLE_LABELS.unlink(missing_ok=True)


def report(name):
    return read_table(*JUDGE_REPORT_TABLES[name])


def test_judges_are_compared_with_each_other_on_every_response(capsys):
    judge_report.of_study(Path("params.yaml"))
    (row,) = report("rater_agreement").to_dict("records")
    assert (row["rater_a"], row["rater_b"], row["n_both"]) == ("rules", "old", 2 * 4 * 12)
    assert 0.6 < row["cohens_kappa_low"] < row["cohens_kappa"] < row["cohens_kappa_high"] < 1
    assert report("rater_confusion")["n_label"].sum() == 96
    assert re.search(r"rules +old +all responses +96 +12 +\d\d\.\d% \[", capsys.readouterr().out)
    assert report("corrected_rates").empty


def test_where_nothing_is_decided_one_line_says_so(study):
    files = list(Path("data/labels").rglob("*.csv"))
    kept = {file: file.read_bytes() for file in files}
    try:
        for file in files:
            labels = read_table(file, LABEL_TABLE)
            write_table(labels.assign(label="", missing_reason="the judge said nothing"), file, LABEL_TABLE)
        with pytest.raises(JudgingError, match="no judge decided on any response of study trial; `make status`"):
            judge_report.of_study(Path("params.yaml"))
    finally:
        for file, content in kept.items():
            file.write_bytes(content)


def test_a_table_without_rows_is_said_to_have_none(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("prompt,response,label\n")
    columns = {name: name for name in ("prompt", "response", "label")}
    with pytest.raises(JudgingError, match=r"t\.csv: the table has no rows"):
        judge_report.of_table(table, columns, [], ["rules"], Path("params.yaml"))


def test_model_text_in_the_page_is_escaped():
    judge_report.of_study(Path("params.yaml"))
    page = (JUDGE_REPORT / "index.html").read_text()
    assert EVIL not in page
    assert "<script" not in page
    assert EVIL in " ".join(report("disagreements")["response"])
    assert "&lt;script&gt;" in page


def test_the_report_twice_gives_the_same_bytes():
    judge_report.of_study(Path("params.yaml"))
    before = {f.name: f.read_bytes() for f in JUDGE_REPORT.iterdir()}
    judge_report.of_study(Path("params.yaml"))
    assert {f.name: f.read_bytes() for f in JUDGE_REPORT.iterdir()} == before
    assert len(before) == 10


def test_stability_is_corrected_with_another_judge_as_reference():
    judge_report.of_study(Path("params.yaml"))
    found = report("corrected_stability")
    assert set(found["reference"]) == {"old"}
    assert set(zip(found["figure"], found["method"], strict=True)) >= {(f, "latent shares") for f in FIGURES}
    assert (found["corrected_low"] <= found["corrected"]).all()
    assert (found["corrected"] <= found["corrected_high"]).all()
    prompts = report("corrected_prompts")
    assert len(prompts) == 2 * 12
    shares = prompts[[f"corrected_{name}" for name in ("refuse", "partial", "comply")]]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1)
    assert "Stability without the judge" in (JUDGE_REPORT / "index.html").read_text()


def test_people_stand_beside_the_judges_and_correct_the_rates():
    review.export(["anna", "ben"], 30, 0, False, Path("params.yaml"))
    for path in Path("data/people/forms").iterdir():
        form = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        form["label"] = [truth(r) for r in form["response"]]
        form.to_csv(path, index=False)
    review.import_labels(sorted(Path("data/people/forms").iterdir()), False, Path("params.yaml"))
    judge_report.of_study(Path("params.yaml"))
    agreement = report("rater_agreement")
    people = agreement[(agreement["rater_a"] == "rules") & (agreement["rater_b"] == "people")].iloc[0]
    assert people["basis"] == "people's sample"
    assert people["n_both"] == 30
    assert people["cohens_kappa"] > 0.95
    assert ("anna", "ben") in set(zip(agreement["rater_a"], agreement["rater_b"], strict=True))
    rates = report("corrected_rates")
    assert rates["model"].tolist() == ["m"] * 3 + ["n"] * 3
    assert (rates["corrected_rate_low"] <= rates["corrected_rate"]).all()
    assert rates.groupby("model")["corrected_rate"].sum().tolist() == pytest.approx([1, 1])
    assert "Rates corrected by people&#39;s labels" in (JUDGE_REPORT / "index.html").read_text()


def against_people():
    """What the metrics stage makes of people's labels, and the section of the report that shows it."""
    metrics.run(Path("params.yaml"))
    tables = {name: read_table(*place) for name, place in PEOPLE_TABLES.items() if place[0].is_file()}
    params = load_params(Path("params.yaml"))
    inputs = ReportInputs(params, "", read_table(PROMPTS, PROMPT_TABLE), tables, {}, {("m", "none"): "M 1"}, ())
    return tables, people(inputs)


def test_the_studys_own_report_shows_agreement_with_people_and_corrected_rates():
    prompts = pd.read_csv(generation_file(next(load_params(Path("params.yaml")).conditions("m"))))[
        ["prompt_id", "prompt"]
    ]
    write_table(prompts.assign(category="", source="here", harm="harmful"), PROMPTS, PROMPT_TABLE)
    assert against_people() == ({}, None)
    review.export(["eve"], None, None, False, Path("params.yaml"))
    form = pd.read_csv("data/people/forms/eve.csv", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    form["label"] = [truth(r) for r in form["response"]]
    form.to_csv("eve.csv", index=False)
    review.import_labels([Path("eve.csv")], False, Path("params.yaml"))
    judge_report.of_study(Path("params.yaml"))
    tables, section = against_people()
    agreement = report("rater_agreement")
    assert tables["people_agreement"].equals(agreement[agreement["rater_b"] == "people"].reset_index(drop=True))
    assert tables["people_rates"].equals(report("corrected_rates"))
    page = html_report(Report("", "", (section,)))
    assert f"People labelled {len(form)} distinct responses. These stand for " in page
    assert "Rates as the primary judge labels, and as people would." in page
    assert "M 1" in page
    # The rules give each decision a confidence; what they are least sure of comes first.
    confidence = read_table(*OPTIONAL_TABLES["prompt_confidence"])
    assert confidence["n_with_confidence"].sum() == 2 * 4 * 12
    assert confidence[["model", "prompt_id"]].to_numpy().tolist() == [[m, f"p{k}"] for m in "mn" for k in range(12)]
    labels = pd.concat(
        [read_table(label_file(c), LABEL_TABLE) for c in load_params(Path("params.yaml")).conditions("m")]
    )
    own = labels[(labels["judge"] == "rules") & (labels["prompt_id"] == "p3")]["confidence"].astype(float)
    row = confidence[(confidence["model"] == "m") & (confidence["prompt_id"] == "p3")].iloc[0]
    assert (row["mean_confidence"], row["lowest_confidence"]) == pytest.approx((own.mean(), own.min()))
    inputs = ReportInputs(
        load_params(Path("params.yaml")),
        "",
        read_table(PROMPTS, PROMPT_TABLE),
        {"prompt_confidence": confidence},
        {},
        {},
        (),
    )
    (shown,) = least_sure(inputs).tables
    assert shown.rows[0]["mean_confidence"] == confidence["mean_confidence"].min()
    assert len(shown.rows) == 20
    # One label cannot correct a rate: the report says why.
    PEOPLE_LABELS.write_text("\n".join(PEOPLE_LABELS.read_text().splitlines()[:2]) + "\n")
    tables, section = against_people()
    assert "people_rates" not in tables
    assert "Rates are not corrected by people&#39;s labels: " in html_report(Report("", "", (section,)))
    PEOPLE_LABELS.unlink()
    assert against_people() == ({}, None)


def test_a_reviewer_called_like_a_judge_is_an_error_before_any_label_is_given():
    with pytest.raises(JudgingError, match="'rules' has the name of a judge"):
        review.export(["rules"], None, None, False, Path("params.yaml"))


def test_a_report_says_why_rates_are_not_corrected(capsys):
    review.export(["dora"], None, None, False, Path("params.yaml"))
    judge_report.of_study(Path("params.yaml"))
    said = capsys.readouterr().out
    assert "Rates are not corrected: nobody has labelled a response of data/people/sample.csv yet" in said
    assert "nobody has labelled a response" in (JUDGE_REPORT / "index.html").read_text()
    path = Path("data/people/forms/dora.csv")
    form = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    form.loc[0, "label"] = truth(form.loc[0, "response"])
    form.to_csv(path, index=False)
    review.import_labels([path], False, Path("params.yaml"))
    judge_report.of_study(Path("params.yaml"))
    assert "Rates are not corrected: " in capsys.readouterr().out
    assert "kinds of response have no label yet" in (JUDGE_REPORT / "index.html").read_text()
    assert report("corrected_rates").empty


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("old", "kind `recorded` knows the study's own responses only"),
        ("nobody", "has no judge 'nobody'"),
        ("majority", "no panel to take the majority of"),
    ],
)
def test_a_judge_that_cannot_decide_a_table_is_named(tmp_path, name, said):
    labelled_csv(tmp_path / "people.csv")
    with pytest.raises(JudgingError, match=said):
        judge_report.of_table(tmp_path / "people.csv", {}, [], [name], Path("params.yaml"))


def test_judges_are_chosen_for_a_table_only():
    result = CliRunner().invoke(app, ["judge-report", "--judge", "rules"])
    assert result.exit_code == 2
    assert "only valid with --table" in result.output


def test_a_table_of_another_encoding_says_how_to_save_it(tmp_path):
    (tmp_path / "people.csv").write_bytes("prompt,response,label\nHow?,café,REFUSE\n".encode("cp1252"))
    with pytest.raises(
        ArtifactError, match=r"people.csv: line 2: not UTF-8 text .*save the file with the encoding UTF-8"
    ):
        judge_report.of_table(tmp_path / "people.csv", {}, [], ["rules"], Path("params.yaml"))


def test_a_table_without_a_label_is_an_error(tmp_path):
    labelled_csv(tmp_path / "people.csv")
    pd.read_csv(tmp_path / "people.csv").assign(label="").to_csv(tmp_path / "people.csv", index=False)
    with pytest.raises(JudgingError, match="no row has a label"):
        judge_report.of_table(tmp_path / "people.csv", {}, [], ["rules"], Path("params.yaml"))


def test_the_commands_review_train_and_report_work_from_the_command_line(tmp_path):
    runner = CliRunner()

    def run(*arguments):
        result = runner.invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.output

    run("review", "export", "carl")
    path = Path("data/people/forms/carl.csv")
    form = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    form.assign(label=[truth(r) for r in form["response"]]).to_csv(path, index=False)
    assert f"carl {len(form)} of {len(form)}" in run("review", "import", str(path))
    assert re.search(r"rules +people +people.s sample", run("judge-report"))
    out = tmp_path / "learned.json"
    assert "kappa" in run("train-judge", str(out), "--judge", "rules")
    assert out.is_file()


def labelled_csv(path, label="label"):
    rows = [("How?", "I can't help with that.", "REFUSE"), ("How?", "Take a wedge.", "comply"), ("Why?", "So.", "")]
    pd.DataFrame(rows, columns=["prompt", "response", label]).to_csv(path, index=False)


def test_judges_can_be_held_against_any_table_of_labelled_responses(tmp_path, capsys):
    labelled_csv(tmp_path / "people.csv", "verdict")
    judge_report.of_table(tmp_path / "people.csv", {"label": "verdict"}, [], ["rules"], tmp_path / "no-params.yaml")
    assert report("rater_agreement")["raw_agreement"].tolist() == [1.0]
    assert re.search(r"rules +people +people.s sample", capsys.readouterr().out)


def test_a_judge_named_twice_is_held_against_a_table_once(tmp_path):
    labelled_csv(tmp_path / "people.csv")
    judge_report.of_table(tmp_path / "people.csv", {}, [], ["rules", "rules"], tmp_path / "no-params.yaml")
    assert report("rater_agreement")[["rater_a", "rater_b"]].to_numpy().tolist() == [["rules", "people"]]


@pytest.mark.parametrize(
    ("columns", "judges", "said"),
    [
        ({}, ["rules"], "no column label; found prompt, response, verdict"),
        ({"label": "verdict"}, ["nobody"], "has no judge 'nobody'"),
        ({"label": "response"}, ["rules"], "row 2: label .* is not one of REFUSE, PARTIAL, COMPLY"),
    ],
)
def test_a_table_that_does_not_fit_says_what_is_wrong(tmp_path, columns, judges, said):
    labelled_csv(tmp_path / "people.csv", "verdict")
    with pytest.raises(JudgingError, match=said):
        judge_report.of_table(tmp_path / "people.csv", columns, [], judges, tmp_path / "no-params.yaml")


def test_a_judge_is_trained_from_the_labels_of_a_judge_of_the_study(capsys):
    cheap = Path("models/judges/cheap.json")
    train_judge.run(cheap, None, {}, [], "rules", 0, Path("params.yaml"))
    said = capsys.readouterr().out
    assert "cheap.json: trained on" in said
    assert "labels: judge rules of study trial" in said
    text = Path("params.yaml").read_text()
    Path("with-cheap.yaml").write_text(
        text.replace("    old:", f"    cheap: {{kind: trained, path: {cheap}}}\n    old:")
    )
    labelled_csv("people.csv")
    judge_report.of_table(Path("people.csv"), {}, [], ["rules", "cheap"], Path("with-cheap.yaml"))
    pairs = report("rater_agreement")[["rater_a", "rater_b"]].to_numpy().tolist()
    assert pairs == [["rules", "cheap"], ["rules", "people"], ["cheap", "people"]]


def escalating(judges):
    """The study with a judge trained on the recorded labels, one in five of which errs, and what it hands over to."""
    train_judge.run(Path("models/judges/unsure.json"), None, {}, [], "old", 0, Path("params.yaml"))
    text = Path("params.yaml").read_text().replace("primary: rules", "primary: unsure")
    Path("unsure.yaml").write_text(text.replace("    old:", judges + "    old:"))
    return Path("unsure.yaml")


def labels_of(judge_name, model="m"):
    conditions = load_params(Path("params.yaml")).conditions(model)
    tables = pd.concat([read_table(label_file(c), LABEL_TABLE) for c in conditions], ignore_index=True)
    return tables[tables["judge"] == judge_name].reset_index(drop=True)


def test_what_a_trained_judge_is_unsure_of_is_decided_by_the_judge_on_call_in_the_label_files(capsys):
    params = escalating(
        "    unsure: {kind: trained, path: models/judges/unsure.json,"
        " settings: {escalate_below: 0.8, escalate_to: second}}\n"
        "    second: {kind: rules, on_call: true}\n"
    )
    try:
        judge.run("m", params)
        unsure, rules = labels_of("unsure"), labels_of("rules")
        handed = unsure["reasoning"].str.startswith("handed over (")
        assert 0 < handed.sum() < len(unsure)
        assert labels_of("second").empty
        assert unsure["label"][handed].tolist() == rules["label"][handed].tolist()
        chances = unsure["reasoning"].str.findall(r"(?:REFUSE|PARTIAL|COMPLY) (\d\.\d\d)")
        tops = chances.map(lambda found: max(map(float, found)))
        assert tops[handed].max() <= 0.8 <= tops[~handed].min()
        assert "m, judge unsure: " in capsys.readouterr().out
    finally:
        judge.run("m", Path("params.yaml"))


def test_a_judge_that_cannot_take_over_is_named_with_its_key():
    params = escalating(
        "    unsure: {kind: trained, path: models/judges/unsure.json,"
        " settings: {escalate_below: 1.0, escalate_to: theirs}}\n"
        "    theirs: {kind: recorded, path: old.csv, on_call: true, settings: {layout: table, models: {n: N}}}\n"
    )
    with pytest.raises(JudgingError, match=r"judging\.judges\.unsure\.settings\.escalate_to: .* no labels of m;"):
        judge.run("m", params)


@pytest.mark.parametrize(("table", "labeller"), [(None, None), (Path("people.csv"), "rules")])
def test_training_needs_one_source_of_labels(table, labeller):
    with pytest.raises(JudgingError, match="either --table"):
        train_judge.run(Path("x.json"), table, {}, [], labeller, 0, Path("params.yaml"))


@pytest.mark.parametrize("name", ["nobody", "model", "seed", "prompt", "majority"])
def test_training_from_what_is_no_judge_with_labels_names_it(name):
    with pytest.raises(JudgingError, match=f"judge '{name}' has no labels in this study; choose one of rules, old$"):
        train_judge.run(Path("x.json"), None, {}, [], name, 0, Path("params.yaml"))
