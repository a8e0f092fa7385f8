from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.judging.model.judge import with_shares
from refusal_stability.judging.people import PeopleJudge, item_of_pair, labels_in, waits_for
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.records import DECISIONS, Condition, Decision, Judgement, Message, Prompt, Response

R, P, C = DECISIONS


def response(text: str, prompt: str = "How?", missing: str | None = None) -> Response:
    return Response(Condition("m", "none", 0.0, 1), Prompt("p", prompt, "", ""), text, "stop", missing)


def review_file(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "waiting.csv"
    path.write_text("\n".join(["item_id,label", *rows]), encoding="utf-8-sig")
    return path


def test_what_a_person_labelled_counts_and_the_rest_waits(tmp_path: Path) -> None:
    labelled, empty = item_of_pair(("How?", "yes")), item_of_pair(("How?", "no"))
    path = review_file(tmp_path, f"{labelled}, partial ", f"{empty},", "of-another-study,COMPLY")
    decided, waiting, other, missing = PeopleJudge(path, 2).judge(
        [response("yes"), response("no"), response("yes", "Why?"), response("", missing="HTTP 500")]
    )
    assert decided == (Judgement(P, "a person's label"),) * 2
    assert waiting == other == (Judgement(None, "", waits_for(path)),) * 2
    assert missing[0].missing_reason == "no response: HTTP 500"


def test_without_a_file_everything_waits_and_the_reason_names_it(tmp_path: Path) -> None:
    ((judged,),) = PeopleJudge(tmp_path / "none.csv").judge([response("yes")])
    assert judged.decision is None
    assert str(judged.missing_reason).startswith(
        f"waits for a person: no label in {(tmp_path / 'none.csv').as_posix()}"
    )


def test_a_label_belongs_to_the_whole_conversation(tmp_path: Path) -> None:
    prompt = Prompt("p", "How?", "", "", messages=(Message("system", "Be brief."), Message("user", "How?")))
    path = review_file(tmp_path, f"{item_of_pair(('How?', 'yes'))},COMPLY")
    ((judged,),) = PeopleJudge(path).judge([replace(response("yes"), prompt=prompt)])
    assert judged.decision is None


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["a,MAYBE"], r"row 2: label 'MAYBE' is not allowed; allowed: REFUSE, PARTIAL or COMPLY, or empty"),
        (["a,COMPLY", "a,REFUSE"], r"row 3: item_id 'a' has another label above"),
    ],
)
def test_a_label_that_cannot_count_is_an_error_that_names_its_row(tmp_path: Path, rows: list[str], said: str) -> None:
    with pytest.raises(JudgingError, match=said):
        labels_in(review_file(tmp_path, *rows))


def test_a_file_without_labels_says_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("id,verdict\na,COMPLY\n")
    with pytest.raises(JudgingError, match=r"other\.csv: no column item_id, label"):
        labels_in(path)


def test_the_same_label_twice_is_one(tmp_path: Path) -> None:
    assert labels_in(review_file(tmp_path, "a,COMPLY", "a,comply")) == {"a": C}


def made(decision: Decision | None) -> Judgement:
    return Judgement(decision, "") if decision else Judgement(None, "", "unreadable verdict")


def test_each_repeat_of_a_model_judge_has_its_share_as_its_confidence() -> None:
    shares = [judgement.confidence for judgement in with_shares(tuple(map(made, [R, C, R, None])))]
    assert shares == [0.5, 0.25, 0.5, None]


def test_a_single_repeat_says_nothing_of_how_steady_a_judge_is() -> None:
    assert with_shares((made(R),)) == (made(R),)


@given(st.lists(st.sampled_from([*DECISIONS, None]), min_size=2, max_size=9))
def test_the_shares_of_all_decisions_and_of_what_is_missing_are_one(decisions: list[Decision | None]) -> None:
    judged = with_shares(tuple(map(made, decisions)))
    assert [judgement.decision for judgement in judged] == decisions
    by_decision = {judgement.decision: judgement.confidence for judgement in judged if judgement.confidence is not None}
    assert sum(by_decision.values()) + decisions.count(None) / len(decisions) == pytest.approx(1)
