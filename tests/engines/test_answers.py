"""Thinking and final answer set apart: every mark, every way of leaving it open, and nothing else touched."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.engines.answers import MARKS, final_answer
from refusal_stability.records import Outcome

REFUSAL = "I'm sorry, but I can't help with that."
THOUGHT = "The user wants steps. Sure, here is how: first, second. But no, policy."
EVERY_MARK = sorted({mark for pair in MARKS for mark in pair})
WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00<>[]|◁▷"), max_size=60)
PLAIN_WORDS = WORDS.filter(lambda text: not any(w in text.lower() for w in ("analysis", "commentary", "final", "here")))


@pytest.mark.parametrize(("opening", "closing"), MARKS)
@pytest.mark.parametrize("between", ["", "\n", "\n\n"])
def test_what_stands_between_marks_is_thinking(opening: str, closing: str, between: str) -> None:
    found = final_answer(f"{opening}{between}{THOUGHT}{between}{closing}{between}{REFUSAL}")
    assert (found.text, found.thinking, found.outcome) == (REFUSAL, THOUGHT, Outcome.ANSWERED)
    assert final_answer(f"{opening.upper()}{THOUGHT}{closing.upper()}{REFUSAL}").text == REFUSAL


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_a_closing_mark_without_an_opening_one_ends_thinking(opening: str, closing: str) -> None:
    found = final_answer(f"{THOUGHT}\n{closing}\n\n{REFUSAL}")
    assert (found.text, found.thinking) == (REFUSAL, THOUGHT)


@pytest.mark.parametrize(("opening", "closing"), MARKS)
@pytest.mark.parametrize("finish_reason", ["stop", "length"])
def test_thinking_that_is_never_closed_is_no_answer(opening: str, closing: str, finish_reason: str) -> None:
    for text in (f"{opening}{THOUGHT}", f"\ufeff \n{opening}\n{THOUGHT}", f"{opening}a{closing}{opening}{THOUGHT}"):
        found = final_answer(text, finish_reason)
        assert (found.text, found.outcome) == ("", Outcome.UNANSWERED)
        assert THOUGHT in found.thinking
        assert found.missing_reason is not None
        assert found.missing_reason.startswith("nothing but thinking")
        assert ("max_tokens" in found.missing_reason) == (finish_reason == "length")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"<think>\n</think>\n<think>{THOUGHT}</think>{REFUSAL}", REFUSAL),
        (f"<think>\n\n</think>\n\n{REFUSAL}", REFUSAL),
        (f"<think>\n<think>{THOUGHT}</think>{REFUSAL}", REFUSAL),
        (f"<think>a <think>b</think> c</think>{REFUSAL}", REFUSAL),
        (f"<think>{THOUGHT}</thinking>{REFUSAL}", REFUSAL),
        (f"<think>{THOUGHT}</think><answer>{REFUSAL}</answer>", REFUSAL),
        (f"<|begin_of_thought|>x<|end_of_thought|><|begin_of_solution|>{REFUSAL}<|end_of_solution|>", REFUSAL),
        (f"One.<think>{THOUGHT}</think> Two.", "One. Two."),
        (f'<think time="3">{THOUGHT}</think>{REFUSAL}', REFUSAL),
        (f"Here is my thought process:\n{THOUGHT}\nHere is my response:\n\n{REFUSAL}", REFUSAL),
    ],
)
def test_several_nested_and_mixed_blocks(text: str, answer: str) -> None:
    assert final_answer(text).text == answer


def test_a_mark_that_an_answer_merely_names_is_a_word() -> None:
    for text in ("Put it inside a <think> tag, then go on.", "analysis: none", "analysis of <|channel|> marks"):
        assert final_answer(text).text == text
    assert final_answer("Sure. <think>Wait, I must", "length").outcome is Outcome.UNANSWERED


HARMONY = "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>{}"


@pytest.mark.parametrize(
    "text",
    [
        HARMONY.format(THOUGHT, REFUSAL) + "<|return|>",
        HARMONY.format(THOUGHT, REFUSAL),
        "<|start|>assistant" + HARMONY.format(THOUGHT, REFUSAL) + "<|end|>",
        f"<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{REFUSAL}",
        f"{THOUGHT}<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{REFUSAL}<|return|>",
        f"analysis{THOUGHT}assistantfinal{REFUSAL}",
        f"assistantanalysis{THOUGHT}assistantfinal{REFUSAL}",
        f"analysis\n{THOUGHT}\nassistantfinal{REFUSAL}",
        f"{THOUGHT}assistantfinal{REFUSAL}",
    ],
)
def test_the_channels_of_gpt_oss(text: str) -> None:
    found = final_answer(text)
    assert (found.text, found.thinking, found.outcome) == (REFUSAL, THOUGHT, Outcome.ANSWERED)


def test_a_commentary_channel_is_thinking() -> None:
    text = f"analysisOne.assistantcommentaryTwo.assistantfinal{REFUSAL}"
    assert (final_answer(text).text, final_answer(text).thinking) == (REFUSAL, "One.\nTwo.")
    tokens = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"
    assert final_answer(tokens).outcome is Outcome.UNANSWERED


@pytest.mark.parametrize("text", [f"analysis{THOUGHT}", f"<|channel|>analysis<|message|>{THOUGHT}", "<|message|>So"])
def test_channels_without_a_final_one_are_no_answer(text: str) -> None:
    assert final_answer(text, "length").outcome is Outcome.UNANSWERED
    assert final_answer(f"final{REFUSAL}").text == REFUSAL


def test_thinking_that_the_server_set_apart() -> None:
    found = final_answer(REFUSAL, "stop", thinking=THOUGHT)
    assert (found.text, found.thinking, found.outcome) == (REFUSAL, THOUGHT, Outcome.ANSWERED)
    found = final_answer("", "length", thinking=THOUGHT)
    assert (found.outcome, found.missing_reason) == (Outcome.UNANSWERED, "nothing but thinking before max_tokens")
    assert final_answer("\n", "stop", thinking=THOUGHT).outcome is Outcome.UNANSWERED
    assert final_answer("", "length").missing_reason == "no text before max_tokens"
    assert final_answer("", "stop").outcome is Outcome.ANSWERED


def test_an_answer_that_was_cut_is_cut() -> None:
    assert final_answer(f"<think>{THOUGHT}</think>I'm sor", "length").outcome is Outcome.CUT


def test_a_study_adds_marks_of_its_own() -> None:
    marks = [("{{plan}}", "{{end}}"), *MARKS]
    assert final_answer(f"{{{{plan}}}}{THOUGHT}{{{{end}}}}{REFUSAL}", marks=marks).text == REFUSAL
    spaced = [("<my plan>", "<my answer>"), *MARKS]
    assert final_answer(f"<my plan>{THOUGHT}<my answer>{REFUSAL}", marks=spaced).text == REFUSAL
    assert final_answer(f"<think>{THOUGHT}</think>{REFUSAL}", marks=()).text.startswith("<think>")


@given(PLAIN_WORDS, st.sampled_from(["stop", "length"]))
def test_a_text_without_marks_is_unchanged(text: str, finish_reason: str) -> None:
    found = final_answer(text, finish_reason)
    assert found.thinking == ""
    if text.strip():
        assert found.text == text


@given(st.lists(st.tuples(st.sampled_from(MARKS), WORDS), min_size=1, max_size=4), PLAIN_WORDS)
def test_an_answer_never_holds_thinking(blocks: list[tuple[tuple[str, str], str]], answer: str) -> None:
    written = "".join(f"{opening}\x00{thought}{closing}" for (opening, closing), thought in blocks)
    found = final_answer(written + answer)
    assert "\x00" not in found.text
    assert found.text == answer.strip()
    for _, thought in blocks:
        assert thought.strip("\ufeff \t\r\n") in found.thinking


@given(
    st.lists(st.one_of(st.sampled_from([*EVERY_MARK, "assistantfinal", "<|channel|>", "\n"]), st.text()), max_size=20)
)
def test_nothing_raises_and_an_outcome_fits_its_text(parts: list[str]) -> None:
    for finish_reason in ("stop", "length", "unknown"):
        found = final_answer("".join(parts), finish_reason)
        assert (found.missing_reason is not None) == (found.outcome is Outcome.UNANSWERED)
        assert not (found.missing_reason and found.text)


@pytest.mark.parametrize(
    "piece",
    [
        "x",
        " ",
        "<",
        "<think>",
        "a <think>",
        "</think>",
        "<think></think>",
        "assistantfinal",
        "analysis",
        "\n",
        "<|channel|>",
        "<|channel|>a",
        "<|start|>assistant",
        "<|channel|>final<|message|>",
        "Here is my thought process: ",
        "<think>\n</x>",
    ],
)
def test_a_megabyte_takes_linear_time(piece: str) -> None:
    for prefix in ("", "<think>", "<|channel|>", "analysis"):
        text = prefix + piece * (1_000_000 // len(piece))
        start = time.process_time()
        final_answer(text)
        assert time.process_time() - start < 5
