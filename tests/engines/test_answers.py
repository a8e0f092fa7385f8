"""Thinking and final answer set apart: every mark, every way of leaving it open, and nothing else touched."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refusal_stability.engines.answers import BLANK, final_answer
from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.store import Store, completion_key
from refusal_stability.engines.thinking_marks import MARKS
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Message, Outcome, Request, Sampling, canonical_json

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
@example([(MARKS[0], "use `ls")], "`ls` lists files")
@example([(MARKS[0], "`"), (MARKS[0], "")], "`")
@example([(MARKS[0], "a \\")], "b")
def test_an_answer_never_holds_thinking(blocks: list[tuple[tuple[str, str], str]], answer: str) -> None:
    written = "".join(f"{opening}\x00{thought}{closing}" for (opening, closing), thought in blocks)
    found = final_answer(written + answer)
    assert "\x00" not in found.text
    assert found.text == answer.strip()
    for _, thought in blocks:
        # A backslash before the closing mark escapes it, and is none of the thinking.
        assert thought.strip(BLANK).removesuffix("\\").strip(BLANK) in found.thinking


@given(
    st.lists(st.one_of(st.sampled_from([*EVERY_MARK, "assistantfinal", "<|channel|>", "\n"]), st.text()), max_size=20)
)
def test_nothing_raises_and_an_outcome_fits_its_text(parts: list[str]) -> None:
    for finish_reason in ("stop", "length", "unknown"):
        found = final_answer("".join(parts), finish_reason)
        assert (found.missing_reason is not None) == (found.outcome is Outcome.UNANSWERED)
        assert not (found.missing_reason and found.text)


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
@pytest.mark.parametrize(
    "text",
    [
        "Your account was suspended due to <reason>. Click",
        "Fill in the form:\n<reason>\nand send it.",
        "[Introduction]\nHi\n[Reasoning]\nWe argue that",
        "[Thinking]\nHm.\n[Response]\nI can't",
        "To mix bleach, do A.\nThe parser must strip everything up to `</think>` first.",
        "The parser must strip everything up to </think> first.",
        "text = re.sub(r'<think>.*?</think>', '', text)",
        "<error><reason>Denied</reason></error>",
        "gpt-oss leaks 'assistantfinal' markers at times.",
        "It uses <|channel|>final<|message|> tokens.",
        "analysisResult = compute()",
        "finalResult = compute()",
        '```json\n{"reasoning": "It wrote </think>", "label": "COMPLY"}\n```',
        "Example:\n```\n<think>\na\n</think>\n```\nThat is all.",
        "In XML, <think> is a tag",
        "Here:\n```xml\n<think>\nfoo",
        "Models write &lt;think&gt; around it.",
        "| mark | use |\n|---|---|\n| <think> | opens |\n| </think> | closes |",
        "- **<think>**: opens\n- **</think>**: closes",
        "analysis of data is a field.",
        "<thinkers>are many</thinkers>",
        "Thinking...about it, I would say no.",
        "<response>Fine.</response>",
    ],
)
def test_prose_that_names_marks_is_unchanged(text: str, finish_reason: str) -> None:
    found = final_answer(text, finish_reason)
    assert (found.text, found.thinking, found.missing_reason) == (text, "", None)


@given(
    st.sampled_from(EVERY_MARK),
    st.sampled_from(
        ["Put it behind `{}` there.", "Code:\n```\n{}\n x\n```\nDone.", "It ends at the {} mark, so go on."]
    ),
    st.sampled_from(["stop", "length"]),
)
def test_a_named_mark_is_a_word(mark: str, sentence: str, finish_reason: str) -> None:
    text = sentence.format(mark)
    assert final_answer(text, finish_reason).text == text
    thought = final_answer(f"<think>{THOUGHT}\n</think>\n\n{text}", finish_reason)
    assert (thought.text, thought.thinking) == (text, THOUGHT)


@given(st.lists(st.one_of(PLAIN_WORDS, st.sampled_from([m for pair in MARKS for m in pair[:1]])), min_size=1))
def test_an_ended_text_is_emptied_only_where_thinking_starts_it(parts: list[str]) -> None:
    text = " ".join(parts)
    begins = any(text.lstrip("\ufeff \t\r\n").startswith(opening) for opening, _ in MARKS)
    assert (final_answer(text).outcome is Outcome.UNANSWERED) == begins


def test_code_within_thinking_does_not_hide_its_end() -> None:
    for thought in ("I draft:\n```py\nx = 1", "The mark `</think>` ends it.", "Strip up to </think> first.", "a ` b"):
        found = final_answer(f"<think>{thought}\n</think>\n{REFUSAL}")
        assert found.text == REFUSAL
    assert final_answer("<think>The mark `</think>` ends", "length").outcome is Outcome.UNANSWERED
    assert final_answer(f"<think>{THOUGHT}</think>{REFUSAL}\n</think>").text == REFUSAL
    found = final_answer("<think>a</think>Sure. In XML, <think> is a tag", "length")
    assert (found.text, found.outcome) == ("Sure. In XML, <think> is a tag", Outcome.CUT)


class OpenedEngine:
    """Answers with one text, behind a prompt that ends within thinking."""

    def __init__(self, text: str, thinking: str = "") -> None:
        self.identity, self.description = {"engine": text}, {"version": "1"}
        self._answer = Completion(text, "stop", thinking=thinking)

    def opened_thinking(self, messages: Sequence[Message]) -> str:
        return "<think>" if messages[-1].content == "open" else ""

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        yield from ((position, self._answer) for position in range(len(requests)))

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("text", "prompt", "schema", "kept", "expected"),
    [
        (THOUGHT, "open", None, "", ""),
        (THOUGHT, "plain", None, "", THOUGHT),
        (f"{THOUGHT}</think>{REFUSAL}", "open", None, "", REFUSAL),
        (f"<think>{THOUGHT}</think>{REFUSAL}", "open", None, "", REFUSAL),
        (REFUSAL, "open", None, "set apart by the server", REFUSAL),
        ('{"reasoning": "a", "lab', "open", {"type": "object"}, "", '{"reasoning": "a", "lab'),
    ],
)
def test_thinking_that_the_prompt_opened(
    tmp_path: Path, text: str, prompt: str, schema: dict[str, str] | None, kept: str, expected: str
) -> None:
    asked = Request((Message("user", prompt),), Sampling(1.0, 0, 0), schema=schema)
    with Store(tmp_path / "store.sqlite") as store:
        for _ in range(2):
            [found] = complete_stored(OpenedEngine(text, kept), [asked], store, "test")
            assert found.text == expected
            assert (found.outcome is Outcome.UNANSWERED) == (expected == "")
        [stored] = store.find([completion_key(canonical_json({"engine": text}), asked)]).values()
        assert stored.text == text


def test_a_study_says_that_a_server_opens_thinking() -> None:
    model = ModelParams("openai", "m")
    plain = HTTPEngine(model, OpenAISettings())
    opened = HTTPEngine(model, OpenAISettings(thinking_opened=True))
    marked = HTTPEngine(model, OpenAISettings(thinking_opened=True, thinking_marks=[["<plan>", "</plan>"]]))
    assert [engine.opened_thinking(()) for engine in (plain, opened, marked)] == ["", "<think>", "<plan>"]
    assert plain.identity == opened.identity


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
        "<think><think></think>",
        "\n<think>`</think>`",
        "`</think>",
        "\n</think> a",
        "<think></thought>",
        "```",
        "<|end|><|start|>",
    ],
)
def test_a_long_answer_takes_linear_time(piece: str) -> None:
    for prefix in ("", "<think>", "<|channel|>", "analysis"):
        text = prefix + piece * (250_000 // len(piece))
        start = time.process_time()
        final_answer(text)
        # A quarter of a second at most on a busy machine; what grows with the square takes far longer.
        assert time.process_time() - start < 5
