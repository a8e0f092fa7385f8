"""Texts that models and programs write around thinking, each read for its final answer; found by trying variants."""

from __future__ import annotations

import pytest

from refusal_stability.engines.answers import final_answer
from refusal_stability.params.checks import ParamsError, parsed
from refusal_stability.params.engines.recorded import RecordedSettings

R = "I'm sorry, but I can't help with that."
T = "The user wants steps. Sure, here is how: first, second. But no, policy."
ANALYSIS = "<|channel|>analysis<|message|>"

EMPTY = [f"<think/>\n\n{R}", f"<think />{R}", f"&lt;think/&gt;{R}", f"<think></think>{R}"]
ANSWERED = {
    "blanks before the end of a tag": f"<think >\n{T}\n</think >\n\n{R}",
    "blanks within a tag": f"< think >\n{T}\n</ think >\n\n{R}",
    "escaped as HTML": f"&lt;think&gt;\n{T}\n&lt;/think&gt;\n\n{R}",
    "escaped as Markdown": f"\\<think\\>\n{T}\n\\</think\\>\n\n{R}",
    "escaped as JSON": f"<think>\n{T}\n<\\/think>\n\n{R}",
    "another language": f"<思考>\n{T}\n</思考>\n\n{R}",
    "hyphens for underscores": f"<inner-monologue>{T}</inner-monologue>{R}",
    "spaces for underscores": f"<Chain of Thought>{T}</Chain of Thought>{R}",
    "a prefix": f"<thinking>{T}</thinking>{R}",
    "special tokens": f"<|thought_start|>{T}<|thought_end|>{R}",
    "a fence for thinking": f"```thinking\n{T}\n```\n\n{R}",
    "thinking in a fence": f"```\n<think>\n{T}\n</think>\n```\n\n{R}",
    "thinking quoted": f"> <think>\n> {T}\n> </think>\n\n{R}",
    "ollama run": f"Thinking...\n{T}\n...done thinking.\n\n{R}",
    "HuatuoGPT": f"## Thinking\n\n{T}\n\n## Final Response\n\n{R}",
    "Granite 3.3": f"<think>{T}</think><response>{R}</response>",
    "ERNIE": f"<think>\n{T}\n</think>\n\n<response>\n{R}\n</response>\n",
    "Marco-o1": f"<Thought>\n{T}\n</Thought>\n<Output>\n{R}\n</Output>",
    "Reflection": f"<thinking>\n{T}\n<reflection>\nHm.\n</reflection>\n</thinking>\n<output>\n{R}\n</output>",
    "s1": f"<|im_start|>think\n{T}\n<|im_start|>answer\n{R}",
    "GLM's box": f"<think>{T}</think><|begin_of_box|>{R}<|end_of_box|>",
    "Open WebUI": f'<details type="reasoning" done="true">\n<summary>Thought</summary>\n> {T}\n</details>\n{R}',
    "a byte order mark": f"\ufeff<think>{T}</think>{R}",
    "a space of no width": f"\u200b<think>{T}</think>{R}",
    "a template's token": f"<|im_start|>assistant\n<think>{T}</think>{R}",
    "a role's name": f"Assistant: <think>{T}</think>{R}",
    "a message without channel": f"{ANALYSIS}{T}<|end|><|start|>assistant<|message|>{R}<|return|>",
    "plain channels on lines": f"analysis\n\n{T}\n\nassistantfinal\n\n{R}",
    "plain channels with spaces": f"analysis {T} assistant final {R}",
    "plain channels, some tokens left": f"analysis{T}<|end|><|start|>assistantfinal{R}<|return|>",
    "a final channel without another": f"{T}assistantfinal\n\n{R}",
}


@pytest.mark.parametrize("text", ANSWERED.values(), ids=ANSWERED)
def test_the_final_answer(text: str) -> None:
    found = final_answer(text)
    assert (found.text, found.missing_reason) == (R, None)
    assert T.split(". But")[0] in found.thinking


CUT = {
    "escaped": f"&lt;think&gt;\n{T}",
    "a fence": f"```thinking\n{T}\n",
    "ollama run": f"Thinking...\n{T}\n",
    "HuatuoGPT": f"## Thinking\n\n{T}\n\n",
    "Granite": f"Here is my thought process:\n\n{T}\n\n",
    "s1": f"<|im_start|>think\n{T}",
    "within the opening mark": "<thi",
    "a second block": f"<think>{T}</think>\nSure, one.\n<think>\nWait, must I",
    "within a channel's header": "<|channel|>analysis",
    "before the final channel": f"{ANALYSIS}{T}<|end|><|start|>assistant<|channel|>final",
    "a plain channel in lower case": "analysisthe user wants x and y, so I think we should",
    "a plain channel on a line": f"analysis\n{T}",
    "at the plain final channel": f"analysis{T}assistantfinal",
}


@pytest.mark.parametrize("text", CUT.values(), ids=CUT)
def test_thinking_that_was_cut_is_no_answer(text: str) -> None:
    found = final_answer(text, "length")
    assert found.text == ""
    assert "nothing but thinking before max_tokens" in (found.missing_reason or "")


def test_a_cut_answer_within_its_wrap_stays() -> None:
    assert final_answer(f"<think>{T}</think><Response>I'm sorry, but", "length").text == "I'm sorry, but"


def test_a_megabyte_of_blank_lines_comes_back() -> None:
    assert final_answer("analysis" + "\n" * 1_000_000, "length").text == ""


@pytest.mark.parametrize("text", EMPTY)
def test_thinking_that_holds_nothing(text: str) -> None:
    found = final_answer(text)
    assert (found.text, found.thinking, found.missing_reason) == (R, "", None)


@pytest.mark.parametrize("pair", [["%%", "%%"], ["<Plan>", "<plan>"], [" ", "</plan>"], ["<plan>"]])
def test_marks_that_cannot_be_told_apart_are_refused(pair: list[str]) -> None:
    with pytest.raises(ParamsError, match=r"thinking_marks\[0\].*that differ"):
        parsed(RecordedSettings, {"name": "m", "thinking_marks": [pair]})
