"""Token probabilities: from a server that lists them as OpenAI documents, and a real model's against its scores."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.listed_tokens import ListingSampler, server_tokens
from refusal_stability.engines.protocol import Engine, EngineError
from refusal_stability.engines.row_sampler import RowSampler
from refusal_stability.engines.store import completion_key
from refusal_stability.engines.transformers import TransformersEngine
from refusal_stability.judging.cascade import Cascade
from refusal_stability.judging.model.instructions import Rubric
from refusal_stability.judging.model.judge import ModelJudge
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.judging.model.verdict import VERDICT_READOUT
from refusal_stability.judging.people import PeopleJudge
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.params.checks import ParamsError, parsed
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.params.engines.transformers import TransformersSettings
from refusal_stability.params.judges import JudgeParams, JudgingParams
from refusal_stability.readout import SHARES
from refusal_stability.records import Condition, Message, Prompt, Request, Response, Sampling, sampler_stream

Serve = Callable[..., Any]
TOKENS = {"confidence": "tokens"}


def listed(text: str, chance: float, *others: tuple[str, float]) -> dict[str, Any]:
    """A token as OpenAI's reference shows it: the drawn one stands among the alternatives too."""

    def one(spelled: str, share: float) -> dict[str, Any]:
        return {"token": spelled, "logprob": math.log(share), "bytes": list(spelled.encode())}

    return {**one(text, chance), "top_logprobs": [one(text, chance), *(one(t, p) for t, p in others)]}


VERDICT = [
    listed('{"reasoning": "Né', 1.0),
    listed('.", "label": "', 1.0),
    listed("COM", 0.6, ("REF", 0.3), ("PART", 0.1)),
    listed("PLY", 1.0),
    listed('"}', 1.0),
]


def answer(tokens: list[dict[str, Any]] | None = VERDICT, text: str | None = None) -> dict[str, Any]:
    said = "".join(token["token"] for token in tokens or []) if text is None else text
    choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
    if tokens is not None:
        choice["logprobs"] = {"content": tokens, "refusal": None}
    return {"choices": [choice], "model": "m", "usage": {"prompt_tokens": 9, "completion_tokens": 5}}


def responses(*texts: str) -> list[Response]:
    return [Response(Condition("m", "none", 0.7, 42), Prompt("p", "How?", "", ""), text, "stop") for text in texts]


def server_judge(port: int, folder: Path, rubric: str = "terse", **settings: Any) -> ModelJudge:
    engine = HTTPEngine(ModelParams("openai", "m"), OpenAISettings(base_url=f"http://127.0.0.1:{port}/v1", **settings))
    params = JudgeParams(kind="model", model=ModelParams("openai", "m"), settings=TOKENS)
    return ModelJudge("j", engine, load_rubric(rubric), params, folder / "store.sqlite")


def confidences(judge: ModelJudge, *texts: str) -> list[float | None]:
    return [row[0].confidence for row in judge.judge(responses(*texts))]


def test_a_servers_verdicts_have_the_probability_of_their_label_and_are_asked_for_once(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(lambda request, body: (200, answer()))
    judge = server_judge(server.port, tmp_path)
    assert confidences(judge, "a", "b") == pytest.approx([0.6, 0.6])
    assert [(body["logprobs"], body["top_logprobs"]) for body in server.bodies] == [(True, 20)] * 2
    # What is kept are three numbers, and a rerun asks nothing.
    assert confidences(judge, "a", "b") == pytest.approx([0.6, 0.6])
    assert len(server.bodies) == 2
    assert not capsys.readouterr().err.count("warning")


def test_a_verdict_of_little_probability_is_handed_over(serve: Serve, tmp_path: Path) -> None:
    def respond(request: Any, body: dict[str, Any]) -> tuple[int, Any]:
        torn = "TORN" in body["messages"][-1]["content"]
        sure = [*VERDICT[:2], listed("COM", 0.9, ("REF", 0.07), ("PART", 0.03)), *VERDICT[3:]]
        return 200, answer(VERDICT if torn else sure)

    judge = server_judge(serve(respond).port, tmp_path)
    kept, handed = Cascade(judge, 0.7, lambda: PeopleJudge(tmp_path / "none.csv", 1), "").judge(responses("a", "TORN"))
    assert (str(kept[0].decision), kept[0].confidence) == ("COMPLY", pytest.approx(0.9))
    assert str(handed[0].missing_reason).startswith("waits for a person")


def test_a_presets_answer_has_the_probability_of_its_first_deciding_token(serve: Serve, tmp_path: Path) -> None:
    guard = [listed("\n\n", 1.0), listed("unsafe", 0.55, ("safe", 0.44)), listed("\nS1", 0.9)]
    server = serve(lambda request, body: (200, answer(guard)))
    assert confidences(server_judge(server.port, tmp_path, "llama-guard-3"), "a") == pytest.approx([0.55])


def test_a_server_that_lists_nothing_leaves_the_confidence_empty_and_the_judge_says_how_often(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def respond(request: Any, body: dict[str, Any]) -> tuple[int, Any]:
        has_them = "LISTS" in body["messages"][-1]["content"]
        return 200, answer() if has_them else answer(None, '{"reasoning": "", "label": "REFUSE"}')

    server = serve(respond)
    assert confidences(server_judge(server.port, tmp_path), "x", "LISTS", "y") == [None, pytest.approx(0.6), None]
    assert "judge j: 2 of 3 verdicts came without token probabilities" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        {"content": [{"token": "COMPLY"}]},
        {"content": [{"token": "COMPLY", "logprob": float("nan")}]},
        {"content": [None]},
        {"content": [{"token": 3, "logprob": -1.0}]},
        {"content": []},
        {"content": [{"token": "x", "logprob": -1.0, "bytes": [999]}]},
        {"tokens": ["a"], "token_logprobs": [None, 1]},
        "none",
        [1, 2],
    ],
)
def test_log_probabilities_that_nobody_can_read_cost_no_verdict(wrong: Any, serve: Serve, tmp_path: Path) -> None:
    said = answer(None, '{"reasoning": "", "label": "REFUSE"}')
    said["choices"][0]["logprobs"] = wrong
    server = serve(lambda request, body: (200, said))
    (row,) = server_judge(server.port, tmp_path).judge(responses("a"))
    assert (str(row[0].decision), row[0].confidence) == ("REFUSE", None)


@pytest.mark.parametrize("odd", [{"bytes": 10**14}, {"bytes": [300]}, {"logprob": 10**400}, {"bytes": "é"}])
def test_odd_numbers_of_a_server_end_nothing(odd: dict[str, Any]) -> None:
    found = server_tokens({"content": [{"token": "a", "logprob": 0.0} | odd]})
    assert found is None or found.text == "a"


def test_the_older_form_of_log_probabilities_is_read_too() -> None:
    found = server_tokens(
        {"tokens": ["é", "no"], "token_logprobs": [0.0, -0.5], "top_logprobs": [{"é": 0.0}, {"no": -0.5, "yes": -1.0}]}
    )
    assert found is not None
    assert (found.text, found.start(1), found.listed(1)) == ("éno", 1, [("no", -0.5), ("yes", -1.0)])


def test_a_character_that_is_split_over_tokens_moves_no_label() -> None:
    halves = [{"token": "\\xc3", "logprob": 0.0, "bytes": [0xC3]}, {"token": "\\xa9", "logprob": 0.0, "bytes": [0xA9]}]
    found = server_tokens({"content": [*halves, {"token": "x", "logprob": 0.0, "bytes": None}]})
    assert found is not None
    assert (found.text, [found.start(place) for place in range(3)]) == ("éx", [0, 0, 1])


def test_a_server_that_allows_fewer_alternatives_is_asked_for_fewer(serve: Serve, tmp_path: Path) -> None:
    def respond(request: Any, body: dict[str, Any]) -> tuple[int, Any]:
        if body["top_logprobs"] > 5:
            words = "Invalid value for 'top_logprobs': must be less than or equal to 5."
            return 400, {"error": {"message": words, "param": "top_logprobs", "code": "integer_above_max_value"}}
        return 200, answer()

    server = serve(respond)
    assert confidences(server_judge(server.port, tmp_path), "a", "b") == pytest.approx([0.6, 0.6])
    assert [body["top_logprobs"] for body in server.bodies] == [20, 5, 5]


@pytest.mark.parametrize("words", ["logprobs are not supported with reasoning models", 'Unknown name "logprobs"'])
def test_a_server_that_takes_no_logprobs_ends_the_run_with_the_setting_and_the_remedy(
    words: str, serve: Serve, tmp_path: Path
) -> None:
    server = serve(lambda request, body: (400, {"error": {"message": words, "param": "logprobs"}}))
    with pytest.raises(EngineError, match=r"settings\.confidence: tokens asks for; set that to repeats"):
        server_judge(server.port, tmp_path).judge(responses("a"))


def test_a_server_that_lists_logprobs_among_what_it_takes_goes_on_without_the_field_it_rejects(
    serve: Serve, tmp_path: Path
) -> None:
    def respond(request: Any, body: dict[str, Any]) -> tuple[int, Any]:
        if "seed" in body:
            words = "Unknown parameter: 'seed'. Supported parameters: model, messages, logprobs, top_logprobs"
            return 400, {"error": {"message": words}}
        return 200, answer()

    server = serve(respond)
    assert confidences(server_judge(server.port, tmp_path), "a") == pytest.approx([0.6])
    assert ["seed" in body for body in server.bodies] == [True, False]


def test_a_protocol_without_token_probabilities_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    model = {"engine": "openai", "path": "m", "settings": {"protocol": "anthropic_messages"}}
    judges = {"j": {"kind": "model", "model": model, "settings": TOKENS}}
    with pytest.raises(ParamsError, match=r"j\.settings\.confidence: 'tokens' is not allowed.*repeats.*engine openai"):
        parsed(JudgingParams, {"primary": "j", "judges": judges}, "judging")
    # Through a preset, which only the engine reads.
    with pytest.raises(JudgingError, match=r"judging\.judges\.j\.settings\.confidence: tokens is not allowed"):
        server_judge(1, tmp_path, preset="anthropic")


def test_one_repeat_with_token_confidence_may_hand_over_and_one_without_may_not() -> None:
    model = {"engine": "transformers", "path": "some/model"}
    second = {"kind": "rules", "on_call": True}
    settings = {"escalate_below": 0.8, "escalate_to": "rules"}
    judges = {"j": {"kind": "model", "model": model, "settings": settings | TOKENS}, "rules": second}
    parsed(JudgingParams, {"primary": "j", "judges": judges})
    judges["j"]["settings"] = settings
    with pytest.raises(ParamsError, match=r"at least 2: .*settings\.confidence to `tokens`"):
        parsed(JudgingParams, {"primary": "j", "judges": judges})


def test_a_request_without_a_readout_keeps_the_key_that_it_had() -> None:
    messages = (Message("user", "Hi"),)
    plain = Request(messages, Sampling(0.0, 0, sampler_stream(messages, 0.0, 0)))
    assert set(plain.identity()) == {"messages", "sampling", "schema", "repeat"}
    assert completion_key("{}", plain) == "c0489156a44b87dd73e4380645424b733b8e4d35edf3bc38c3292d179b57b226"
    asking = Request(messages, plain.sampling, readout=VERDICT_READOUT)
    assert completion_key("{}", asking) != completion_key("{}", plain)


# A model that writes letter by letter does not come to the label of a whole verdict.
LABEL_ALONE = {
    "type": "object",
    "properties": {"label": {"enum": ["REFUSE", "PARTIAL", "COMPLY"]}},
    "required": ["label"],
}


def request(text: str, temperature: float, asks: bool = True) -> Request:
    messages = (Message("user", text),)
    sampling = Sampling(temperature, 0, sampler_stream(messages, temperature, 0), max_tokens=96)
    return Request(messages, sampling, LABEL_ALONE, readout=VERDICT_READOUT if asks else None, judges=True)


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Engine:
    """A real model, whose labels a schema forces: it is untrained, so it is sure of none."""
    settings = TransformersSettings(dtype="float32", device="cpu", batch_size=16)
    return TransformersEngine(ModelParams(path=str(tiny_model)), settings)


def test_a_models_shares_are_those_of_its_own_scores(engine: Any) -> None:
    asked = [request(f"Judge {n}", temperature) for n in range(3) for temperature in (0.0, 1.0)]
    answers = dict(engine.complete(asked))
    plain = dict(engine.complete([request(r.messages[0].content, r.sampling.temperature, False) for r in asked]))
    found = 0
    for place, asking in enumerate(asked):
        assert (answers[place].text, answers[place].completion_tokens) == (
            plain[place].text,
            plain[place].completion_tokens,
        )
        assert SHARES not in plain[place].details
        label = answers[place].text.rfind('"label": "')
        if label < 0 or answers[place].finish_reason == "length":
            continue
        found += 1
        before = engine.rendered(asking.messages) + answers[place].text[: label + len('"label": "')]
        tokens = engine._tokenizer(before, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            scores = engine._model(tokens).logits[0, -1]
        first = {
            d: scores[engine._tokenizer(d[0], add_special_tokens=False)["input_ids"][-1]]
            for d in ("REFUSE", "PARTIAL", "COMPLY")
        }
        chances = torch.stack(list(first.values())).softmax(-1).tolist()
        assert answers[place].details[SHARES] == pytest.approx(dict(zip(first, chances, strict=True)), abs=1e-4)
    assert found
    engine.close()


def test_a_model_here_gives_the_confidence_of_a_judge_and_its_store_the_same_again(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = JudgeParams(kind="model", max_tokens=32, settings=TOKENS)
    judge = ModelJudge("j", engine, Rubric("short", "Judge."), params, tmp_path / "store.sqlite")
    judge.schema = LABEL_ALONE
    first = judge.judge(responses("a", "b", "c"))
    sure = [row[0].confidence for row in first if row[0].decision is not None]
    assert sure
    assert all(share is not None and 0 < share < 1 for share in sure)

    def never(requests: Sequence[Request]) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(engine, "complete", never)
    assert judge.judge(responses("a", "b", "c")) == first


@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(0, 2))
def test_the_listing_sampler_draws_what_the_sampler_draws(seed: int, words: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.normal(0, 3, (2, words)).astype(np.float32))
    scores[0, 0] = -math.inf
    rows = [Sampling(temperature, 0, seed), Sampling(0.0, 0, seed)]
    before = torch.zeros((2, 0), dtype=torch.long)
    plain = RowSampler(rows, 0, 1, "cpu")(before, scores.clone())
    listing = ListingSampler(RowSampler(rows, 0, 1, "cpu"))
    assert torch.equal(listing(before, scores.clone()), plain)
    for row in range(2):
        numbers = listing.numbers(row)(0)
        chances = scores[row].log_softmax(-1)
        assert numbers[0][0] == int(plain[row].argmax())
        assert len({token for token, _ in numbers}) == len(numbers) <= 21
        assert all(chance == pytest.approx(float(chances[token])) for token, chance in numbers)
        assert all(math.isfinite(chance) for _, chance in numbers)
        assert json.dumps(numbers)
