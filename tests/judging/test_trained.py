import json
import random

import numpy as np
import pytest

from refusal_stability.judging.open import open_judge
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.judging.trained.classifier_file import load_classifier, save_classifier
from refusal_stability.judging.trained.judge import TrainedJudge
from refusal_stability.judging.trained.training import Labelled, fit_classifier
from refusal_stability.params.judges import JudgeParams
from refusal_stability.records import DECISIONS, Condition, Decision, Prompt, Response
from refusal_stability.reference_model import grammar

PROMPTS = list(grammar.topics())[:24]


def labelled(per_cell=2, prompts=PROMPTS, decisions=DECISIONS):
    rng = random.Random(3)
    rows = [(p, grammar.respond(p, d, rng), d) for p in prompts for d in decisions for _ in range(per_cell)]
    return Labelled(*map(list, zip(*rows, strict=True)))


@pytest.fixture(scope="module")
def classifier():
    return fit_classifier(labelled(), "the grammar")


def response(prompt, text, missing=None):
    return Response(Condition("m", "none", 0.0, 1), Prompt("p", prompt, "", ""), text, "stop", missing)


def test_it_names_the_decisions_of_prompts_that_it_was_not_trained_on(classifier):
    fresh = labelled(1, list(grammar.topics())[40:60])
    chances = classifier.probabilities(fresh.requests, fresh.responses)
    named = [classifier.classes[i] for i in chances.argmax(axis=1)]
    assert np.mean([a is b for a, b in zip(named, fresh.decisions, strict=True)]) >= 0.95
    assert np.allclose(chances.sum(axis=1), 1)


def test_the_report_is_cross_validated_with_intervals_around_each_figure(classifier):
    quality = classifier.about["cross_validation"]
    for name in ("kappa", "macro_f1", "accuracy"):
        value, low, high = quality[name]
        assert low <= value <= high <= 1
    assert quality["kappa"][0] >= 0.9
    assert 0 <= quality["brier"] <= 0.2
    assert classifier.about["prompts"] == 24
    assert sum(classifier.about["decisions"].values()) == classifier.about["rows"]


def test_labels_that_the_text_does_not_tell_have_no_cross_validated_agreement():
    # Each prompt's own words give its decision away, so only a split by prompt can show that nothing was learnt.
    rng = random.Random(5)
    rows = [
        (f"Prompt {i}?", f"word{i} said again word{i} {j}", rng.choice(DECISIONS)) for i in range(60) for j in range(3)
    ]
    by_prompt = {p: d for p, _, d in rows}
    table = Labelled([p for p, _, _ in rows], [r for _, r, _ in rows], [by_prompt[p] for p, _, _ in rows])
    assert fit_classifier(table, "noise").about["cross_validation"]["kappa"][0] < 0.3


def test_the_same_labels_give_the_same_file(classifier, tmp_path):
    save_classifier(classifier, tmp_path / "a.json")
    save_classifier(fit_classifier(labelled(), "the grammar"), tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_saved_judge_judges_as_before(classifier, tmp_path):
    save_classifier(classifier, tmp_path / "judge.json")
    rows = labelled(1)
    before = classifier.probabilities(rows.requests, rows.responses)
    after = load_classifier(tmp_path / "judge.json").probabilities(rows.requests, rows.responses)
    assert np.abs(before - after).max() < 1e-5


def test_two_decisions_are_enough(tmp_path):
    two = fit_classifier(labelled(1, decisions=(Decision.REFUSE, Decision.COMPLY)), "two")
    assert two.classes == (Decision.REFUSE, Decision.COMPLY)
    judge = TrainedJudge(two)
    rows = judge.judge([response(PROMPTS[0], "I can't help with that. It could hurt someone.")])
    assert rows[0][0].decision is Decision.REFUSE


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (labelled(1, decisions=(Decision.REFUSE,)), "1 of the decisions"),
        (labelled(1, prompts=PROMPTS[:3]), "REFUSE is labelled on 3 prompts, fewer than the 5 folds"),
    ],
)
def test_too_few_labels_are_an_error(rows, said):
    with pytest.raises(JudgingError, match=said):
        fit_classifier(rows, "few")


@pytest.mark.parametrize("text", ["", "w{}x"])
def test_responses_that_share_no_term_are_an_error(text):
    either = (Decision.REFUSE, Decision.COMPLY)
    # A letter that no other response has, thrice: neither words nor letters occur in two of them.
    responses = [text.format(3 * chr(ord("a") + i)) for i in range(20)] if text else [""] * 20
    rows = Labelled([f"q{i}" for i in range(20)], responses, [either[i % 2] for i in range(20)])
    with pytest.raises(JudgingError, match="share no words: none occurs in 2 of them; label more responses"):
        fit_classifier(rows, "apart")


def test_its_confidence_is_the_probability_of_what_it_decides(classifier):
    rows = [response(PROMPTS[0], "Sure, I can't help in detail. Begin with it."), response("q", "", "HTTP 500")]
    (judged,), (missing,) = TrainedJudge(classifier).judge(rows)
    (chances,) = classifier.probabilities([rows[0].prompt.text], [rows[0].text])
    assert judged.confidence == pytest.approx(chances.max(), abs=1e-6)
    assert (missing.confidence, missing.missing_reason) == (None, "no response: HTTP 500")


def test_it_opens_by_its_params_and_hands_over_to_a_judge_of_the_panel(classifier, tmp_path):
    save_classifier(classifier, tmp_path / "judge.json")
    params = JudgeParams(
        kind="trained", path=str(tmp_path / "judge.json"), settings={"escalate_below": 1.0, "escalate_to": "rules"}
    )
    judge = open_judge("cheap", params, "judging.judges.cheap", {"rules": JudgeParams()})
    ((judgement,),) = judge.judge([response("How?", "I can't help.")])
    assert judgement.reasoning.endswith("opens with a refusal")


def broken(change):
    def apply(kept):
        change(kept)
        return kept

    return apply


@pytest.mark.parametrize(
    "change",
    [
        broken(lambda k: k.update(format="another")),
        broken(lambda k: k.update(classes=["REFUSE", "REFUSE"])),
        broken(lambda k: k.update(classes=["REFUSE", "MAYBE"])),
        broken(lambda k: k.update(temperature=0)),
        broken(lambda k: k.update(temperature="1")),
        broken(lambda k: k.pop("coefficients")),
        broken(lambda k: k["coefficients"][0].pop()),
        broken(lambda k: k["intercepts"].__setitem__(0, None)),
        broken(lambda k: k["vocabularies"]["words"]["terms"].__setitem__(0, 7)),
        broken(lambda k: k["vocabularies"]["words"]["terms"].__setitem__(0, k["vocabularies"]["words"]["terms"][1])),
        broken(lambda k: k["vocabularies"].pop("words")),
        lambda kept: [],
        lambda kept: "judge",
    ],
)
def test_a_file_that_was_tampered_with_names_itself(classifier, tmp_path, change):
    path = tmp_path / "judge.json"
    save_classifier(classifier, path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(JudgingError, match="not a trained judge") as error:
        load_classifier(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\x80\x04.", b'{"format": NaN}', b"[" * 50_000])
def test_a_file_that_is_no_json_names_itself(tmp_path, content):
    path = tmp_path / "judge.json"
    path.write_bytes(content)
    with pytest.raises(JudgingError, match="not a trained judge"):
        load_classifier(path)


def test_an_absent_file_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(JudgingError, match="train-judge"):
        load_classifier(tmp_path / "none.json")
