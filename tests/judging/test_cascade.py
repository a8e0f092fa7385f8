import pytest

from refusal_stability.judging.cascade import Cascade
from refusal_stability.judging.protocol import Judge, JudgingError, judge_distinct
from refusal_stability.records import Condition, Decision, Judgement, Prompt, Response


def response(text, missing=None):
    return Response(Condition("m", "none", 0.0, 1), Prompt("p", "q", "", ""), text, "stop", missing)


class First(Judge):
    """As confident as the response says; without a number in it, of no known confidence."""

    def judge(self, responses):
        def decide(pairs):
            return [(Judgement(Decision.REFUSE, text, confidence=float(text) if text else None),) for _, text in pairs]

        return judge_distinct(responses, decide, 1)


class Second(Judge):
    """Decides PARTIAL and remembers what it was handed."""

    def __init__(self, known=True):
        self.known = known
        self.handed = []
        self.closed = False

    def knows(self, model):
        return self.known

    def judge(self, responses):
        self.handed += [r.text for r in responses]
        return [(Judgement(Decision.PARTIAL, "looked closely"),) for _ in responses]

    def close(self):
        self.closed = True


def test_only_what_the_first_judge_is_unsure_of_is_handed_over():
    other = Second()
    judge = Cascade(First(), 0.8, lambda: other, "judging.judges.cheap")
    sure, unsure, unknown, missing = judge.judge(
        [response("0.8"), response("0.79"), response(""), response("", "HTTP 500")]
    )
    assert other.handed == ["0.79"]
    assert other.closed
    assert sure == (Judgement(Decision.REFUSE, "0.8", confidence=0.8),)
    assert unsure == (Judgement(Decision.PARTIAL, "handed over (0.79): looked closely"),)
    assert unknown[0].decision is Decision.REFUSE
    assert missing[0].missing_reason == "no response: HTTP 500"


def test_a_second_judge_that_does_not_know_the_model_is_handed_nothing_and_named():
    other = Second(known=False)
    with pytest.raises(JudgingError, match=r"cheap.settings.escalate_to: that judge has no labels of m"):
        Cascade(First(), 1.0, lambda: other, "judging.judges.cheap").judge([response("0.5")])
    assert (other.handed, other.closed) == ([], True)


def test_what_the_second_judge_cannot_decide_is_missing_with_its_reason():
    class Silent(Second):
        def judge(self, responses):
            return [(Judgement(None, "", "no verdict: HTTP 500"),) for _ in responses]

    ((judged,),) = Cascade(First(), 1.0, Silent, "").judge([response("0.5")])
    assert (judged.decision, judged.missing_reason) == (None, "no verdict: HTTP 500")


def test_the_second_judge_is_not_opened_without_need():
    def never():
        raise AssertionError("opened")

    Cascade(First(), 0.34, never, "").judge([response("0.5")])
