"""Why a model stopped, under every name that vendors use. A table of data; `docs/engines.md` shows it."""

from __future__ import annotations

import re
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
        done word pause_turn normal endoftext stop_criteria_met eos_found stop_string_found stop_string succeeded
    """,
    Ending.LENGTH: """
        length max_tokens max_output_tokens max_length max_new_tokens max_completion_tokens token_limit limit
        model_length model_context_window_exceeded context_length_exceeded error_limit incomplete
        max_predicted_tokens_reached context_length_reached context_length max_context_length max_tokens_reached
        length_limit truncated
    """,
    Ending.FILTER: """
        content_filter content_filtered filtered filter safety prohibited_content blocklist recitation spii
        image_safety language guardrail guardrails guardrail_intervened guardrail_blocked moderation moderated
        flagged blocked sensitive error_toxic content_policy content_policy_violation policy_violation
        responsibleaipolicyviolation jailbreak model_armor data_inspection_failed image_prohibited_content
        image_recitation unsafe harmful toxic toxicity harm_category safety_filter safety_stop safety_block
        content_safety content_moderation content_blocked content_block input_filtered output_filtered
        input_blocked output_blocked prompt_blocked prompt_filtered response_blocked response_filtered
        censored risk violation prohibited
    """,
    Ending.REFUSAL: """
        refusal refused refuse model_refusal declined
    """,
    Ending.TOOL: """
        tool_calls tool_call tool_use function_call function_calls call malformed_function_call unexpected_tool_call
        too_many_tool_calls malformed_tool_use requires_action
    """,
    Ending.FAILED: """
        error errored failed failure abort aborted cancel canceled cancelled user_cancel timeout time_limit
        network_error server_error internal_error insufficient_system_resource overloaded load unload
        not_finished insufficient_resources insufficient_resource insufficient_system_resources resource_exhausted
        interrupted preempted killed terminated disconnected connection_error provider_error upstream_error
        server_overloaded engine_error unavailable service_unavailable timed_out deadline_exceeded model_unloaded
        user_stopped rate_limit capacity
    """,
    Ending.GAVE_UP: """
        other malformed_response missing_thought_signature malformed_model_output image_other no_image
    """,
}
ENDINGS: dict[str, Ending] = {name: ending for ending, names in NAMES.items() for name in names.split()}


CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def ending_of(reason: object) -> Ending | None:
    """What a server's finish reason means; None for a reason that nobody knows, or none at all.

    `FINISH_REASON_SAFETY`, `FinishReason.SAFETY`, `contentFilter` and `content_filter: SAFETY` are known too.
    """
    if isinstance(reason, dict):  # SGLang's: {"type": "stop", "matched": ...}
        reason = reason.get("type")
    if not isinstance(reason, str):
        return None
    if reason in ENDINGS:
        return ENDINGS[reason]
    for word in (reason, CAPITAL.sub("_", reason), *reason.split(":", 1)[:1]):
        name = word.strip().lower().replace("-", "_").replace(" ", "_")
        name = name.removeprefix("finishreason.").removeprefix("finish_reason.").removeprefix("finish_reason_")
        if name in ENDINGS:
            return ENDINGS[name]
    return None
