"""Which judges params.yaml may describe; every error names the key."""

from pathlib import Path

import pytest
import yaml

from refusal_stability.params.checks import ParamsError
from refusal_stability.params.judges import JudgeParams
from refusal_stability.params.load import load_params

TABLE = {"kind": "recorded", "path": "old.csv", "settings": {"layout": "table", "models": {"m": "M"}}}


def load(tmp_path, judges, primary="rules", **more):
    study = {
        "study": "trial",
        "interventions": {"none": {}},
        "models": {"m": {"path": "nowhere"}},
        "judging": {"primary": primary, "judges": {"rules": {"kind": "rules"}} | judges} | more,
    }
    path = Path(tmp_path, "params.yaml")
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return load_params(path).judging


def test_the_majority_joins_the_panel_when_it_is_the_primary(tmp_path):
    judging = load(tmp_path, {"old": TABLE}, "majority")
    assert list(judging.judges) == ["rules", "old", "majority"]
    assert judging.judges["majority"] == JudgeParams(kind="majority")


def test_a_judge_on_call_that_nobody_calls_is_an_error(tmp_path):
    judges = {"rules": {"kind": "rules"}, "paid": {"kind": "rules", "on_call": True}}
    with pytest.raises(ParamsError, match=r"judges\.paid\.on_call: .*no judge hands over to it"):
        load(tmp_path, judges, "rules")


@pytest.mark.parametrize("path", ["j.json", "../data/raw/j.json", "data/raw/../j.json", "/models/judges/j.json"])
def test_a_rubric_or_classifier_that_dvc_does_not_watch_is_an_error(tmp_path, path):
    with pytest.raises(
        ParamsError, match=r"judges\.cheap\.path: .* under data/raw, models/judges, data/published: DVC"
    ):
        load(tmp_path, {"cheap": {"kind": "trained", "path": path}})
    model = {"kind": "model", "model": {"path": "/big/model"}}
    with pytest.raises(ParamsError, match=r"judges\.mine\.rubric: .*built-in rubric's name, or a file under data/raw"):
        load(tmp_path, {"mine": model | {"rubric": path}})


@pytest.mark.parametrize(
    "rubric", ["terse", "data/raw/mine.md", "./models/judges/mine.txt", Path("data/raw/m").absolute()]
)
def test_a_built_in_rubric_or_one_that_dvc_watches_is_allowed(tmp_path, rubric):
    model = {"kind": "model", "rubric": str(rubric), "model": {"path": "/big/model"}}
    assert load(tmp_path, {"mine": model}).judges["mine"].rubric == str(rubric)


def test_a_trained_judge_may_hand_over_to_a_judge_on_call(tmp_path):
    on_call = {"kind": "model", "on_call": True, "model": {"path": "nowhere"}}
    cheap = {
        "kind": "trained",
        "path": "models/judges/j.json",
        "settings": {"escalate_below": 0.8, "escalate_to": "paid"},
    }
    assert load(tmp_path, {"paid": on_call, "cheap": cheap}).judges["paid"].on_call


@pytest.mark.parametrize(
    ("judges", "primary", "said"),
    [
        ({"old": TABLE | {"path": None}}, "rules", r"judges\.old\.path: None .* file or folder"),
        ({"old": TABLE | {"settings": {"layout": "table"}}}, "rules", r"judges\.old\.settings\.models: {}"),
        (
            {"old": TABLE | {"settings": {"layout": "table", "models": {"x": "M"}}}},
            "rules",
            r"judges\.old\.settings\.models\.x: .*one of m",
        ),
        (
            {"old": TABLE | {"settings": {"layout": "pile", "models": {"m": "M"}}}},
            "rules",
            r"settings\.layout: 'pile' .*project, published, table",
        ),
        (
            {"old": TABLE | {"settings": {"layout": "published", "models": {"m": "../M"}}}},
            "rules",
            r"settings\.models\.m: '\.\./M'",
        ),
        (
            {"old": TABLE | {"settings": {"layout": "table", "models": {"m": "M"}, "columns": {"lable": "x"}}}},
            "rules",
            r"settings\.columns\.lable",
        ),
        (
            {"old": TABLE | {"settings": {"layuot": "table"}}},
            "rules",
            r"settings\.layuot: unknown key; allowed here: layout",
        ),
        (
            {"strict": {"kind": "rules", "settings": {"x": 1}}},
            "rules",
            r"judges\.strict\.settings\.x: unknown key; allowed here: escalate_below, escalate_to",
        ),
        ({"strict": {"kind": "rules", "path": "x"}}, "rules", r"judges\.strict\.path: 'x' .*null for kind"),
        (
            {"cheap": {"kind": "trained", "path": "models/judges/j", "settings": {"escalate_below": 0.5}}},
            "rules",
            r"settings\.escalate_to: None .*exactly if",
        ),
        (
            {
                "cheap": {
                    "kind": "trained",
                    "path": "models/judges/j",
                    "settings": {"escalate_below": 2, "escalate_to": "rules"},
                }
            },
            "rules",
            r"settings\.escalate_below: 2\.0",
        ),
        (
            {
                "cheap": {
                    "kind": "trained",
                    "path": "models/judges/j",
                    "settings": {"escalate_below": 0.5, "escalate_to": "cheap"},
                }
            },
            "rules",
            r"settings\.escalate_to: 'cheap' .*one of rules",
        ),
        (
            {
                "costly": {
                    "kind": "model",
                    "model": {"engine": "openai", "path": "x", "settings": {"base_url": "http://127.0.0.1:9"}},
                    "settings": {"escalate_below": 0.8, "escalate_to": "rules"},
                }
            },
            "rules",
            r"judges\.costly\.repeats: 1 .*at least 2: the share of repeats",
        ),
        ({"me": {"kind": "people"}}, "rules", r"judges\.me\.path: None .*the review file"),
        ({"me": {"kind": "people", "path": "me.csv"}}, "rules", r"judges\.me\.path: 'me\.csv' .*DVC notices no change"),
        ({"vote": {"kind": "majority"}}, "rules", r"judges\.vote: 'majority' .*under that name only"),
        ({"majority": {"kind": "rules"}}, "rules", r"judges\.majority: 'rules' .*under that name only"),
        ({"rules": {"kind": "rules", "on_call": True}}, "rules", r"judges: .*at least one judge that is not on call"),
        (
            {"second": {"kind": "rules", "on_call": True}},
            "second",
            r"primary: 'second' .*one of rules, majority",
        ),
        ({"response": {"kind": "rules"}}, "rules", r"judges\.response: 'response' .*a name other than"),
    ],
)
def test_a_judge_that_cannot_be_is_named_with_what_is_allowed(tmp_path, judges, primary, said):
    with pytest.raises(ParamsError, match=said) as error:
        load(tmp_path, judges, primary)
    assert "\n" not in str(error.value)


ON_CALL = {"kind": "rules", "on_call": True}
HANDS_OVER = {"kind": "rules", "settings": {"escalate_below": 0.5, "escalate_to": "old"}}


def test_thinking_is_not_judged_unless_a_judge_is_named(tmp_path):
    assert load(tmp_path, {}).thinking is None
    assert load(tmp_path, {"second": {"kind": "rules"}}, thinking="second").thinking == "second"


@pytest.mark.parametrize("name", ["nobody", "old", "majority", "called", "hands_over"])
def test_thinking_is_judged_by_a_judge_of_any_text_only(tmp_path, name):
    calls = {"kind": "rules", "settings": {"escalate_below": 0.5, "escalate_to": "called"}}
    judges = {"old": TABLE, "called": ON_CALL, "calls": calls, "hands_over": HANDS_OVER}
    with pytest.raises(ParamsError, match=rf"judging\.thinking: '{name}' .*null, or one of rules, calls$"):
        load(tmp_path, judges, "majority", thinking=name)
    with pytest.raises(ParamsError, match=r"thinking: 'rules' .*null: no judge of this study can judge any text"):
        load(tmp_path, {"old": TABLE, "rules": HANDS_OVER}, "old", thinking="rules")


def test_labels_are_copies_where_no_recorded_judge_may_differ_on_equal_texts(tmp_path):
    copied = TABLE | {"settings": TABLE["settings"] | {"judged_once": True}}
    for old, once in ((TABLE, False), (copied, True)):
        judging = load(tmp_path, {"old": old}, "majority")
        assert {name: judging.labels_texts_once(name) for name in judging.judges} == {
            "rules": True,
            "old": once,
            "majority": once,
        }
