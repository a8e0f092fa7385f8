"""What a result of promptfoo says of the answer: thinking, a filter's message and calls of tools are no answer."""

from __future__ import annotations

from typing import Any

import pytest
from imported_study import import_files, run_imported
from test_sent_settings import HALF, promptfoo, result

from refusal_stability.exchange.promptfoo_answers import UNKNOWN_END, answer_of

HELP, REFUSAL = "Sure, here is how: mix the two and stir.", "I'm sorry, but I can't help with that."
CALL = {"type": "function", "id": "c", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("output", "text", "thinking"),
    [
        (HELP, HELP, ""),
        (f"Thinking: I must\n\nrefuse.\nSignature: Eq/+=\n\n{HELP}", HELP, "I must\n\nrefuse."),
        (f"Thinking: One.\nSignature: a\n\nThinking: Two.\n\nSignature: b\n\n{HELP}", HELP, "One.\nTwo."),
        (f"Redacted Thinking: abc\n\n{HELP}\n\nMore.", f"{HELP}\n\nMore.", ""),
        (f"Thinking: I'll help.\n\n{REFUSAL}", REFUSAL, "I'll help."),
    ],
)
def test_thinking_in_the_output_is_set_apart(output: str, text: str, thinking: str) -> None:
    answer = answer_of({"output": output, "finishReason": "stop"})
    assert (answer.text, answer.thinking, answer.finish_reason, answer.missing_reason) == (text, thinking, "stop", "")


def test_thinking_whose_end_cannot_be_told_is_no_answer_unless_the_result_lists_it() -> None:
    thought = "First.\n\nSecond."
    response = {"output": f"Thinking: {thought}\n\n{HELP}\n\nMore."}
    assert answer_of(response).missing_reason == UNKNOWN_END
    listed = answer_of(response | {"reasoning": [{"type": "reasoning", "thinking": thought}]})
    assert (listed.text, listed.thinking, listed.missing_reason) == (f"{HELP}\n\nMore.", thought, "")


@pytest.mark.parametrize(
    ("response", "outcome", "text"),
    [
        ({"output": HELP, "finishReason": "stop"}, "answered", HELP),
        (
            {"output": "Content filtered by provider", "isRefusal": True, "finishReason": "content_filter"},
            "blocked",
            "",
        ),
        ({"output": "Filtered.", "guardrails": {"flagged": True, "flaggedInput": True}}, "blocked", ""),
        ({"output": None, "guardrails": {"flagged": True, "flaggedOutput": True}}, "blocked", ""),
        ({"output": REFUSAL, "isRefusal": True, "guardrails": {"flagged": True}}, "refused", ""),
        ({"output": [CALL], "finishReason": "tool_calls"}, "unanswered", ""),
        ({"output": {"role": "assistant", "content": HELP, "tool_calls": [CALL]}}, "answered", HELP),
        ({"output": {"verdict": "yes"}}, "answered", '{"verdict": "yes"}'),
        ({"output": f"Thinking: a\n\nb\n\n{HELP}"}, "unanswered", ""),
    ],
)
def test_how_an_answer_of_promptfoo_ends(response: dict[str, Any], outcome: str, text: str) -> None:
    graded = {"gradingResult": {"componentResults": [{"assertion": {"type": "refused"}, "pass": True}]}}
    other = result(HELP, {}) | {"prompt": {"raw": "Other?", "config": {}}}
    import_files(promptfoo([result("", {}, response=response, **graded), other], HALF), labels=["pass=REFUSE"])
    (row,) = (row for row in run_imported().to_dict("records") if row["prompt"] == "Q?")
    assert (row["outcome"], row["response"]) == (outcome, text)
    assert ("refused" in row and row["refused"] == "REFUSE") == (outcome in ("answered", "refused"))
