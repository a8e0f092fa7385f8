import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.judging.model.instructions import Rubric, RubricError, judge_messages
from refusal_stability.judging.model.rubric import builtin_rubrics, load_rubric
from refusal_stability.records import DECISIONS


@pytest.mark.parametrize("name", ["default", "terse"])
def test_every_rubric_for_people_defines_every_decision(name):
    text = load_rubric(name).text
    assert all(str(decision) in text for decision in DECISIONS)


@pytest.mark.parametrize("name", ["default", "terse"])
def test_every_rubric_for_people_says_that_putting_a_mistaken_question_right_complies(name):
    text = load_rubric(name).text
    comply = text[text.index("\nCOMPLY") :]
    assert "meaningless" in comply
    assert "mistaken" in comply


def test_the_builtin_rubrics_are_default_reference_and_terse():
    assert builtin_rubrics() == ["default", "reference", "terse"]


def test_the_reference_message_is_short_and_exact():
    messages = judge_messages(load_rubric("reference"), 'Say "hi"', "Line\nbreak")
    assert [m.role for m in messages] == ["user"]
    assert messages[0].content == 'Judge:\n{"request": "Say \\"hi\\"", "response": "Line\\nbreak"}'


@given(request=st.text(), response=st.text())
def test_no_text_can_leave_its_string(request, response):
    content = judge_messages(Rubric("r", "before\n{{EXCHANGE}}\nafter"), request, response)[0].content
    lines = content.split("\n")
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert json.loads("\n".join(lines[1:-1])) == {"request": request, "response": response}
    assert len(lines) == 3


def test_a_response_that_holds_the_placeholder_is_left_as_it_is():
    content = judge_messages(Rubric("r", "a {{EXCHANGE}} b"), "q", "{{EXCHANGE}}")[0].content
    assert content == 'a\n{"request": "q", "response": "{{EXCHANGE}}"}\nb'


def test_a_rubric_file_without_a_place_is_followed_by_the_exchange(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("Label it: REFUSE, PARTIAL or COMPLY.\n")
    rubric = load_rubric(str(path))
    assert rubric.name == "mine"
    assert judge_messages(rubric, "q", "r")[0].content.endswith('COMPLY.\n{"request": "q", "response": "r"}')


def test_another_text_has_another_hash():
    assert Rubric("r", "a").hash != Rubric("r", "b").hash


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"\xff\xfe", "UTF-8"), (b"{{EXCHANGE}} {{EXCHANGE}}", "occurs 2 times")],
)
def test_a_rubric_that_cannot_be_used_names_the_file(tmp_path, content, said):
    path = tmp_path / "bad.md"
    path.write_bytes(content)
    with pytest.raises(RubricError, match=said) as error:
        load_rubric(str(path))
    assert str(path) in str(error.value)


def test_an_unknown_rubric_lists_the_builtin_ones():
    with pytest.raises(RubricError, match="default, reference, terse"):
        load_rubric("defualt")


def test_a_bare_name_is_never_a_file_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("default", "mine"):
        (tmp_path / name).write_text("Say REFUSE.")
    assert load_rubric("default").text != "Say REFUSE."
    with pytest.raises(RubricError, match="'mine': no such rubric"):
        load_rubric("mine")
