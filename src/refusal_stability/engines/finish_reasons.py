"""Why a model stopped, under every name that vendors use. A table of data; `docs/engines.md` shows it."""

from __future__ import annotations

from enum import Enum


class Ending(Enum):
    """What a finish reason means."""

    STOP = "the model ended its answer"
    LENGTH = "the token limit cut the answer"
    FILTER = "the provider's filter cut the answer"
    REFUSAL = "the provider reports a refusal"
    TOOL = "the model called a tool"
    FAILED = "the server failed; asking again may help"
    GAVE_UP = "no answer for a reason that is not told, perhaps because of this prompt; asked once more"


# Compared in lower case, with - and spaces as _.
NAMES: dict[Ending, str] = {
    Ending.STOP: """
        stop stop_sequence stop_token end_turn eos eos_token end_of_sequence end complete completed finished finish
        done word pause_turn normal
    """,
    Ending.LENGTH: """
        length max_tokens max_output_tokens max_length max_new_tokens max_completion_tokens token_limit limit
        model_length model_context_window_exceeded context_length_exceeded error_limit incomplete
    """,
    Ending.FILTER: """
        content_filter content_filtered filtered filter safety prohibited_content blocklist recitation spii
        image_safety language guardrail guardrails guardrail_intervened guardrail_blocked moderation moderated
        flagged blocked sensitive error_toxic content_policy content_policy_violation policy_violation
        responsibleaipolicyviolation jailbreak model_armor data_inspection_failed
    """,
    Ending.REFUSAL: """
        refusal refused
    """,
    Ending.TOOL: """
        tool_calls tool_call tool_use function_call function_calls call malformed_function_call unexpected_tool_call
        too_many_tool_calls
    """,
    Ending.FAILED: """
        error errored failed failure abort aborted cancel canceled cancelled user_cancel timeout time_limit
        network_error server_error internal_error insufficient_system_resource overloaded load unload
        not_finished
    """,
    Ending.GAVE_UP: """
        other malformed_response missing_thought_signature
    """,
}
ENDINGS: dict[str, Ending] = {name: ending for ending, names in NAMES.items() for name in names.split()}


def ending_of(reason: object) -> Ending | None:
    """What a server's finish reason means; None for a reason that nobody knows, or none at all."""
    if isinstance(reason, dict):  # SGLang's: {"type": "stop", "matched": ...}
        reason = reason.get("type")
    if not isinstance(reason, str):
        return None
    if reason in ENDINGS:
        return ENDINGS[reason]
    name = reason.strip().lower().replace("-", "_").replace(" ", "_").removeprefix("finish_reason_")
    return ENDINGS.get(name)
