"""The engine here answers from a function: what a judge model may say is the input, not what is under test."""

import json

import pytest

from refusal_stability.judging.cascade import Cascade
from refusal_stability.judging.model.judge import ModelJudge
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.judging.people import PeopleJudge
from refusal_stability.params.judges import JudgeParams
from refusal_stability.records import Completion, Condition, Decision, Message, Prompt, Response

GOOD = json.dumps({"reasoning": "It helps.", "label": "COMPLY"})


class SayingEngine:
    """Answers each request by a function of it, and keeps the requests."""

    def __init__(self, say):
        self.identity = {"engine": "saying"}
        self.description = {}
        self.say = say
        self.asked = []
        self.closed = False

    def complete(self, requests):
        for position, request in enumerate(requests):
            self.asked.append(request)
            answer = self.say(request)
            yield position, answer if isinstance(answer, Completion) else Completion(answer, "stop")

    def close(self):
        self.closed = True


def response(text, prompt="How?", missing=None, seed=42):
    return Response(Condition("m", "none", 0.7, seed), Prompt("p", prompt, "", ""), text, "stop", missing)


def judge_with(say, tmp_path, rubric="terse", **params):
    engine = SayingEngine(say)
    judge = ModelJudge("j", engine, load_rubric(rubric), JudgeParams(kind="model", **params), tmp_path / "s.sqlite")
    return judge, engine


def test_each_distinct_pair_is_asked_once_per_repeat(tmp_path):
    judge, engine = judge_with(lambda request: GOOD, tmp_path, repeats=3)
    judged = judge.judge([response("A"), response("B"), response("A", seed=43), response("A", prompt="Why?")])
    assert len(engine.asked) == 3 * 3
    assert sorted({r.repeat for r in engine.asked}) == [0, 1, 2]
    assert [len(j) for j in judged] == [3, 3, 3, 3]
    assert all(j.decision is Decision.COMPLY for row in judged for j in row)


def test_what_a_model_judge_decides_differently_each_time_is_handed_over(tmp_path):
    def say(request):
        torn = "torn" in request.messages[-1].content and request.repeat != 1
        return json.dumps({"reasoning": "", "label": "REFUSE" if torn else "COMPLY"})

    judge, engine = judge_with(say, tmp_path, repeats=3)
    person = PeopleJudge(tmp_path / "none.csv", 3)
    steady, torn = Cascade(judge, 0.7, lambda: person, "").judge([response("sure"), response("torn")])
    assert [(j.decision, j.confidence) for j in steady] == [(Decision.COMPLY, 1.0)] * 3
    assert all(str(j.missing_reason).startswith("waits for a person") for j in torn)
    # Each repeat was kept in the store: asked without handing over, it costs nothing and has its share.
    asked = len(engine.asked)
    _, shares = judge.judge([response("sure"), response("torn")])
    assert [j.confidence for j in shares] == pytest.approx([2 / 3, 1 / 3, 2 / 3])
    assert len(engine.asked) == asked == 6


def test_a_model_judge_reads_the_whole_conversation_and_a_single_turn_as_it_is(tmp_path):
    judge, engine = judge_with(lambda request: GOOD, tmp_path)
    earlier = (Message("user", "How do I bake?"), Message("assistant", "With flour."))
    asked = Prompt("p", "And then?", "", "", (*earlier, Message("user", "And then?")))
    place = Condition("m", "none", 0.7, 42)
    judge.judge([Response(place, asked, "A", "stop"), response("A", prompt="And then?")])
    whole, single = [request.messages[-1].content for request in engine.asked]
    shown = "User: How do I bake?\n\nAssistant: With flour.\n\nUser: And then?"
    assert json.dumps(shown) in whole
    assert '"And then?"' in single
    assert "flour" not in single


def test_texts_that_differ_in_their_line_ends_alone_are_judged_once(tmp_path):
    judge, engine = judge_with(lambda request: GOOD, tmp_path)
    judged = judge.judge([response("A\r\nB"), response("A\nB"), response("A\n\nB")])
    assert len(engine.asked) == 2
    assert [len(j) for j in judged] == [1, 1, 1]


def test_repeats_are_drawn_from_streams_of_their_own(tmp_path):
    judge, engine = judge_with(lambda request: GOOD, tmp_path, repeats=2, temperature=0.5)
    judge.judge([response("A")])
    first, second = engine.asked
    assert first.sampling.stream != second.sampling.stream
    assert first.sampling.temperature == second.sampling.temperature == 0.5


def test_judgements_come_back_in_the_order_of_the_responses(tmp_path):
    def say(request):
        exchange = next(line for line in request.messages[0].content.split("\n") if line.startswith("{"))
        shown = json.loads(exchange)["response"]
        return json.dumps({"reasoning": shown, "label": "REFUSE" if shown == "no" else "COMPLY"})

    judge, _ = judge_with(say, tmp_path)
    judged = judge.judge([response("no"), response("yes"), response("no"), response("sure")])
    assert [j.reasoning for (j,) in judged] == ["no", "yes", "no", "sure"]
    assert [j.decision for (j,) in judged] == [Decision.REFUSE, Decision.COMPLY, Decision.REFUSE, Decision.COMPLY]


def test_a_missing_response_is_never_shown_to_the_judge_and_keeps_its_reason(tmp_path):
    judge, engine = judge_with(lambda request: GOOD, tmp_path, repeats=2)
    judged = judge.judge([response("", missing="HTTP 500")])
    assert engine.asked == []
    assert [j.missing_reason for j in judged[0]] == ["no response: HTTP 500"] * 2


def test_an_unreadable_verdict_is_asked_for_once_more_with_the_error_shown(tmp_path):
    def say(request):
        return GOOD if len(request.messages) > 1 else "The assistant did not REFUSE; label: COMPLY"

    judge, engine = judge_with(say, tmp_path)
    ((judgement,),) = judge.judge([response("A")])
    first, second = engine.asked
    assert judgement.decision is Decision.COMPLY
    assert [m.role for m in second.messages] == ["user", "assistant", "user"]
    assert second.messages[0] == first.messages[0]
    assert second.messages[1].content == "The assistant did not REFUSE; label: COMPLY"
    assert "not one JSON object" in second.messages[2].content
    assert second.sampling.stream != first.sampling.stream


@pytest.mark.parametrize(
    "bad", ["The assistant did not REFUSE; label: COMPLY", "", '{"reasoning": "x", "label": "MAYBE"}']
)
def test_a_judge_that_stays_unreadable_is_missing_after_two_requests(tmp_path, bad):
    judge, engine = judge_with(lambda request: bad, tmp_path)
    ((judgement,),) = judge.judge([response("A")])
    assert len(engine.asked) == 2
    assert judgement.decision is None
    assert judgement.missing_reason.startswith("unreadable verdict: ")


def test_an_engine_error_is_missing_with_the_engines_reason_and_not_asked_again_in_this_run(tmp_path):
    judge, engine = judge_with(lambda request: Completion("", "", missing_reason="HTTP 429"), tmp_path)
    ((judgement,),) = judge.judge([response("A")])
    assert len(engine.asked) == 1
    assert judgement.missing_reason == "no verdict: HTTP 429"


def test_verdicts_already_paid_for_are_not_asked_for_again(tmp_path):
    judge, first = judge_with(lambda request: GOOD, tmp_path)
    judge.judge([response("A"), response("B")])
    judge, again = judge_with(lambda request: GOOD, tmp_path, repeats=2)
    judge.judge([response("A"), response("B"), response("C")])
    assert len(first.asked) == 2
    # One new pair twice, and the second repeat of the two old ones.
    assert len(again.asked) == 4


def test_closing_the_judge_closes_its_engine(tmp_path):
    judge, engine = judge_with(lambda request: GOOD, tmp_path)
    judge.close()
    assert engine.closed


def test_a_verdict_in_prose_is_read(tmp_path):
    judge, engine = judge_with(lambda request: f"My evaluation:\n\n```json\n{GOOD}\n```", tmp_path)
    assert judge.judge([response("A")])[0][0].decision is Decision.COMPLY
    assert len(engine.asked) == 1


def test_a_preset_shows_both_texts_without_a_schema_and_reads_by_its_map(tmp_path):
    answer = "Harmful request: no\nResponse refusal: yes\nHarmful response: no"
    judge, engine = judge_with(lambda request: answer, tmp_path, rubric="wildguard")
    ((judgement,),) = judge.judge([response("No. {{REQUEST}}", prompt="How {{RESPONSE}}?")])
    assert (judgement.decision, judgement.reasoning) == (Decision.REFUSE, answer)
    (asked,) = engine.asked
    assert asked.schema is None
    assert "Human user:\nHow {{RESPONSE}}?\n\nAI assistant:\nNo. {{REQUEST}}\n" in asked.messages[0].content


def test_a_presets_unreadable_answer_is_missing_and_not_asked_for_again(tmp_path):
    judge, engine = judge_with(lambda request: "I think so.", tmp_path, rubric="wildguard")
    ((judgement,),) = judge.judge([response("A")])
    assert len(engine.asked) == 1
    assert judgement.missing_reason == "unreadable verdict: no answer in the form of the preset"


def test_llama_guard_is_sent_the_conversation(tmp_path):
    judge, engine = judge_with(lambda request: "unsafe\nS9", tmp_path, rubric="llama-guard-3")
    ((judgement,),) = judge.judge([response("A", prompt="Q")])
    assert judgement.decision is Decision.COMPLY
    assert [(m.role, m.content) for m in engine.asked[0].messages] == [("user", "Q"), ("assistant", "A")]
