"""A thinking model through the real vLLM: vLLM's split into thinking and answer, and ours, agree (`make test-vllm`)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refusal_stability.engines.complete import with_final_answer
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.vllm import VLLMEngine
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.params.engines.vllm import VLLMSettings
from refusal_stability.records import Completion, Message, Outcome, Request, Sampling, sampler_stream

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed: make test-vllm"),
    pytest.mark.timeout(1200),
]

CONTEXT = 256
WIDTH = 64
# What may follow each token, the likeliest first.
FOLLOWING = {
    "<|user|>": ("<|end|>",),
    "<|assistant|>": ("<think>",),
    "<think>": ("\n",),
    "\n": ("Okay,", "Hmm,"),
    "Okay,": (" the user",),
    "Hmm,": (" the user",),
    " the user": (" asks",),
    " asks": (" about",),
    " about": (" this", " that"),
    " this": (".", " and"),
    " that": (".", " and"),
    " and": (" asks", " about"),
    ".": ("</think>", " Wait,"),
    " Wait,": (" the user",),
    "</think>": ("\n\n",),
    "\n\n": ("Sure", "Sorry"),
    "Sure": (", here it is:",),
    ", here it is:": (" a map", " a list", " a poem"),
    "Sorry": (", I can't share",),
    ", I can't share": (" a map", " a list", " a poem"),
    " a map": ("!", "<|end|>"),
    " a list": ("!", "<|end|>"),
    " a poem": ("!", "<|end|>"),
    "!": ("<|end|>",),
}
GREEDY = ["<think>", "\n", "Okay,", " the user", " asks", " about", " this", ".", "</think>", "\n\n"]
GREEDY += ["Sure", ", here it is:", " a map", "!", "<|end|>"]
# As Qwen3's template, it leaves the opening mark to the model; as DeepSeek's, it writes that mark itself (here: where
# there is a system message).
TEMPLATE = (
    "{% for m in messages if m.role == 'user' %}<|user|>{{ m.content }}{% endfor %}"
    "<|assistant|>{% if messages[0].role == 'system' %}<think>\n{% endif %}"
)
USER = Message("user", "Draw me a map.")
OPENED = Message("system", "Think.")


@pytest.fixture(scope="module")
def thinking_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose layers add nothing, so that its head alone decides which tokens follow the last one."""
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    names = ["<|unknown|>", *dict.fromkeys([*FOLLOWING, *(t for after in FOLLOWING.values() for t in after)])]
    number = {name: i for i, name in enumerate(names)}
    words = Tokenizer(models.WordLevel(vocab=number, unk_token="<|unknown|>"))
    words.decoder = decoders.Fuse()
    # Published models have these as tokens of their own, but not as special ones: they stay in the text.
    words.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in ("<think>", "</think>")])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        unk_token="<|unknown|>",
        eos_token="<|end|>",
        pad_token="<|end|>",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    end = number["<|end|>"]
    config = LlamaConfig(
        vocab_size=WIDTH,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        eos_token_id=end,
        bos_token_id=end,
        pad_token_id=end,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(WIDTH))
        model.lm_head.weight.zero_()
        for name, after in FOLLOWING.items():
            for place, following in enumerate(after):
                model.lm_head.weight[number[following], number[name]] = 4.0 - 0.05 * place
    folder = tmp_path_factory.mktemp("models") / "thinker"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def asked(messages: tuple[Message, ...], temperature: float, seed: int, max_tokens: int) -> Request:
    return Request(
        messages,
        Sampling(temperature, seed, sampler_stream(messages, temperature, seed), max_tokens=max_tokens),
    )


SAMPLED = [asked((USER,), 1.0, seed, 200) for seed in range(30)]
SHORT = [asked((USER,), 1.0, seed, 16) for seed in range(30)]
OPENED_BY_TEMPLATE = [asked((OPENED, USER), 1.0, seed, 200) for seed in range(30)]
WHOLE = asked((USER,), 0.0, 1, len(GREEDY))
WITHIN_ANSWER = asked((USER,), 0.0, 1, len(GREEDY) - 2)
# Cut within the thinking, right behind its closing mark, and before the first word of the answer.
WITHIN_THINKING = [asked((USER,), 0.0, 1, tokens) for tokens in (5, GREEDY.index("</think>") + 1, GREEDY.index("Sure"))]
OPENED_AND_CUT = asked((OPENED, USER), 0.0, 1, 3)
REQUESTS = [*SAMPLED, *SHORT, *OPENED_BY_TEMPLATE, WHOLE, WITHIN_ANSWER, *WITHIN_THINKING, OPENED_AND_CUT]
OURS_OFFLINE, OURS_AT_SERVER, VLLMS = "offline", "server", "server with --reasoning-parser"


@pytest.fixture(scope="module")
def raw(thinking_model: Path, vllm_server: Callable[..., Any]) -> dict[str, list[Completion]]:
    """What each way to the model answers, before this project sets thinking apart."""
    arguments = {"enforce_eager": True, "max_model_len": CONTEXT}
    offline = VLLMEngine(ModelParams("vllm", str(thinking_model)), VLLMSettings(arguments=arguments), "models.m")
    # A study adds the mark that the prompt left open when it reads a stored text.
    answers = {
        OURS_OFFLINE: [
            replace(completion, text=offline.opened_thinking(request.messages) + completion.text)
            for request, completion in zip(REQUESTS, in_order(offline), strict=True)
        ]
    }
    offline.close()
    for name, parser in ((OURS_AT_SERVER, ()), (VLLMS, ("--reasoning-parser", "qwen3"))):
        with vllm_server(thinking_model, CONTEXT, *parser) as base_url:
            settings = OpenAISettings(base_url=base_url)
            answers[name] = in_order(HTTPEngine(ModelParams("openai", thinking_model.name), settings, "models.m"))
    return answers


def in_order(engine: VLLMEngine | HTTPEngine) -> list[Completion]:
    found = dict(engine.complete(REQUESTS))
    return [found[position] for position in range(len(REQUESTS))]


@pytest.fixture(scope="module")
def final(raw: dict[str, list[Completion]]) -> dict[str, dict[Request, Completion]]:
    """The same with thinking set apart, as every study gets it."""
    return {name: dict(zip(REQUESTS, map(with_final_answer, found), strict=True)) for name, found in raw.items()}


def seen(completion: Completion) -> tuple[str, str, Outcome]:
    return completion.text.strip(), completion.thinking.strip(), completion.outcome


def assert_same(final: dict[str, dict[Request, Completion]], requests: Sequence[Request]) -> list[Completion]:
    """All ways agree on answer, thinking and outcome; returns what they agree on."""
    for request in requests:
        offline = seen(final[OURS_OFFLINE][request])
        assert seen(final[OURS_AT_SERVER][request]) == offline
        assert seen(final[VLLMS][request]) == offline
    return [final[OURS_OFFLINE][request] for request in requests]


def test_vllm_itself_sets_thinking_apart_and_leaves_no_mark(raw: dict[str, list[Completion]]) -> None:
    whole = REQUESTS.index(WHOLE)
    assert raw[VLLMS][whole].thinking.strip() == "Okay, the user asks about this."
    assert raw[VLLMS][whole].text.strip() == "Sure, here it is: a map!"
    assert not any("think>" in c.text for c in raw[VLLMS])
    for name in (OURS_OFFLINE, OURS_AT_SERVER):
        assert raw[name][whole].text == "".join(GREEDY[:-1])
        assert not any(c.thinking for c in raw[name])


def test_answers_and_thinking_are_the_same_whoever_splits(final: dict[str, dict[Request, Completion]]) -> None:
    got = assert_same(final, [*SAMPLED, WHOLE])
    assert {c.outcome for c in got} == {Outcome.ANSWERED}
    assert len({c.text for c in got}) > 5
    assert len({c.thinking for c in got}) > 10
    assert all(c.thinking.startswith(("Okay,", "Hmm,")) and c.text.startswith(("Sure", "Sorry")) for c in got)
    print(f"same answer and thinking offline, from the server and by vLLM's parser: {len(got)} of {len(got)}")


def test_the_same_holds_where_the_template_opens_the_thinking(final: dict[str, dict[Request, Completion]]) -> None:
    got = assert_same(final, OPENED_BY_TEMPLATE)
    assert {c.outcome for c in got} == {Outcome.ANSWERED}
    assert all(c.thinking.startswith(("Okay,", "Hmm,")) and c.text.startswith(("Sure", "Sorry")) for c in got)


def test_an_answer_that_is_cut_within_the_thinking_is_unanswered(final: dict[str, dict[Request, Completion]]) -> None:
    assert_same(final, WITHIN_THINKING)
    for name in final:
        for request in WITHIN_THINKING:
            got = final[name][request]
            assert (got.outcome, got.text) == (Outcome.UNANSWERED, "")
            assert got.thinking.startswith("Okay, the user")
            assert (got.missing_reason or "").startswith("nothing but thinking before max_tokens")


def test_where_the_template_opened_it_only_who_knows_the_prompt_can_tell_cut_thinking(
    final: dict[str, dict[Request, Completion]],
) -> None:
    thinking = ("", "Okay, the user asks", Outcome.UNANSWERED)
    assert seen(final[OURS_OFFLINE][OPENED_AND_CUT]) == seen(final[VLLMS][OPENED_AND_CUT]) == thinking
    # The text holds no mark: docs/outcomes.md says to start such a server with its parser.
    assert seen(final[OURS_AT_SERVER][OPENED_AND_CUT]) == ("Okay, the user asks", "", Outcome.CUT)


def test_an_answer_that_is_cut_behind_the_thinking_is_cut(final: dict[str, dict[Request, Completion]]) -> None:
    (got,) = assert_same(final, [WITHIN_ANSWER])
    assert seen(got) == ("Sure, here it is: a map", "Okay, the user asks about this.", Outcome.CUT)


def test_outcomes_at_a_short_limit_are_the_same_whoever_splits(final: dict[str, dict[Request, Completion]]) -> None:
    got = assert_same(final, SHORT)
    assert {Outcome.ANSWERED, Outcome.UNANSWERED} <= {c.outcome for c in got}


def test_vllms_parser_for_deepseek_splits_the_same_texts_alike(
    raw: dict[str, list[Completion]], final: dict[str, dict[Request, Completion]], thinking_model: Path
) -> None:
    from transformers import AutoTokenizer
    from vllm.reasoning import ReasoningParserManager

    parser = ReasoningParserManager.get_reasoning_parser("deepseek_r1")(AutoTokenizer.from_pretrained(thinking_model))
    # OPENED_AND_CUT comes last: its text alone does not say that it is thinking.
    for request, completion in list(zip(REQUESTS, raw[OURS_AT_SERVER], strict=True))[:-1]:
        thinking, answer = parser.extract_reasoning(completion.text, None)
        ours = final[OURS_AT_SERVER][request]
        assert ((answer or "").strip(), (thinking or "").strip()) == (ours.text.strip(), ours.thinking.strip())
