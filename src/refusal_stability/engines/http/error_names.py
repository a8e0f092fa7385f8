"""What a server's error means, under every name and wording that vendors use. Tables of data for `errors.py`."""

from __future__ import annotations

import re
from enum import Enum


class Meaning(Enum):
    """Whom an error concerns, and what helps."""

    ACCOUNT = "the account: credit, billing, key; ends the run"
    SETUP = "the study's settings: address, model, fields; ends the run"
    BLOCKED = "one prompt: the provider's filter blocked it"
    INVALID = "one prompt: too long, or not acceptable for another reason"
    NOT_JSON = "one answer that should have been JSON and was none: asked again without response_format"
    BUSY = "a rate limit: waited for, not counted as a failure"
    PASSING = "the server: tried again"


# Codes and types, compared in lower case with - and spaces as _. They decide before the status does.
NAMES: dict[Meaning, str] = {
    Meaning.ACCOUNT: """
        insufficient_quota billing_hard_limit_reached billing_not_active billing_error payment_required
        insufficient_credits insufficient_balance insufficient_funds insufficient_user_quota out_of_credits
        credit_exhausted credits_exhausted quota_exceeded exceeded_current_quota_error account_deactivated
        account_disabled account_suspended organization_deactivated organization_restricted access_terminated
        invalid_api_key incorrect_api_key_provided api_key_invalid api_key_expired expired_api_key key_expired
        api_key_disabled service_disabled api_key_service_blocked consumer_suspended consumer_invalid arrearage
        authentication_error invalid_authentication invalid_authentication_error unauthenticated invalid_token
        token_expired invalid_subscription_key billing_disabled spending_limit_reached budget_exceeded
        budgetexceedederror
    """,
    Meaning.SETUP: """
        model_not_found model_not_available deploymentnotfound deployment_not_found not_found_error invalid_model
        model_decommissioned model_deprecated
    """,
    Meaning.BLOCKED: """
        content_filter content_filtered content_policy_violation content_policy responsibleaipolicyviolation
        content_blocked content_moderation moderation moderation_blocked moderation_error flagged prohibited_content
        blocklist safety safety_error data_inspection_failed datainspectionfailed sensitive_content
        cyber_policy_violation model_armor jailbreak guardrail_intervened guardrails_violated input_blocked
        policy_violation recitation spii contentpolicyviolationerror guardrails_violation
    """,
    Meaning.INVALID: """
        context_length_exceeded string_above_max_length string_too_long exceed_context_size_error
        context_window_exceeded contextwindowexceedederror prompt_too_long input_too_long max_input_tokens_exceeded
        tokens_limit_reached token_limit_exceeded max_tokens_exceeded request_too_large payload_too_large
        invalid_prompt invalid_request_prompt invalid_request_message_order invalid_message_content
        empty_message_content unsupported_language
    """,
    Meaning.NOT_JSON: """
        json_validate_failed tool_use_failed json_invalid invalid_json_response
    """,
    Meaning.BUSY: """
        rate_limit_exceeded rate_limit_error rate_limited rate_limit requests tokens too_many_requests throttling
        throttlingexception throttled tokens_per_minute requests_per_minute queue_exceeded resource_exhausted
        ratelimiterror
    """,
    Meaning.PASSING: """
        overloaded_error overloaded engine_overloaded server_error internal_server_error internalservererror
        internal_error internal api_error service_unavailable serviceunavailable unavailable deadline_exceeded
        timeout timeout_error model_overloaded bad_gateway gateway_timeout provider_error capacity_exceeded
        no_healthy_upstream aborted cancelled
    """,
}
MEANINGS: dict[str, Meaning] = {name: meaning for meaning, names in NAMES.items() for name in names.split()}


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# Wordings, for servers without codes. Credit: none of these is what a rate limit says.
CREDIT = _any_of(
    r"(?:credit|account)s?(?:'s)? balance",
    r"insufficient (?:account |api |user )?(?:balance|credits?|funds|quota)",
    r"(?:out of|no|not enough|ran out of|requires more) (?:\w+ ){0,2}credits?|enough credits?",
    r"(?:used up|exhausted) (?:all )?(?:of )?(?:your |its |the )?(?:\w+ ){0,2}credits?",
    r"credits? (?:\w+ ){0,3}(?:exhausted|depleted|used up|expired)",
    r"credit limit|quota exceeded for (?:your|this) (?:account|organi[sz]ation|project|plan)",
    r"exceeded (?:your|the|its) (?:\w+ ){0,3}credits?",
    r"\bbalance (?:\w+ ){0,3}(?:low|insufficient|negative|exhausted|depleted|empty)|(?:negative|low) balance",
    r"inactive (?:subscription|account)|\b(?:top|topping)[- ]?up\b",
    r"(?:exceeded|reached) (?:your|the|its) (?:(?!(?:per|rate|minute|second|token|request)s?\b)\w+ ){0,3}"
    r"(?:spend|spending|usage|billing|monthly|credit) (?:\w+ )?limit",
    r"spend(?:ing)? (?:limit|cap)",
    r"billing (?:hard |soft )?limit",
    r"billing (?:is |account )?(?:\w+ )?(?:not active|inactive|disabled)",
    r"payment (?:is )?required|payment method (?:is )?(?:missing|required|declined)",
    r"(?:enter|provide|update) (?:a |your )?(?:valid )?payment method",
    r"recharge|in arrears|(?:payment|bill|invoice) (?:\w+ ){0,2}overdue",
    r"account (?:\w+ ){0,4}(?:not active|deactivated|disabled|suspended|restricted|terminated|overdue|inactive)",
    r"(?:account|organi[sz]ation) (?:has|have|was|is) (?:\w+ ){0,2}(?:violat|flagged|blocked|banned)",
    r"(?:organi[sz]ation|project) (?:\S{1,60} ){0,4}(?:deactivated|disabled|suspended|restricted|archived)",
    r"(?:subscription|trial|plan|license) (?:\w+ ){0,3}(?:expired|ended|cancell?ed|inactive)",
    r"budget (?:\w+ ){0,3}exceeded|monthly (?:\w+ ){0,3}(?:exceeded|reached|exhausted)",
    "余额不足|欠费|额度不足|额度已用|充值",
)
QUOTA = _any_of(r"(?:exceeded|reached) (?:your|the|its) current quota")
_KEY = r"(?:api|access|subscription|authentication|auth|security)[ _-]?(?:key|token)s?"
KEY = _any_of(
    _KEY + r"\b(?:\W+\w+){0,5}?\W+(?:expired|invalid|disabled|deactivated|revoked|deleted|blocked|"
    r"suspended|inactive)\b",
    _KEY + r"\b(?:\W+\w+){0,5}?\W+(?:not valid|not found|leaked|missing|no longer (?:active|valid))\b",
    r"(?:invalid|incorrect|expired|disabled|revoked|missing|no|wrong|unknown|bad) (?:\w+ ){0,2}" + _KEY,
    r"invalid (?:x-api-key|authentication|credentials?|bearer)",
)
_ASKED = r"(?:input|prompt|content|request|message|output|text|response)s?"
BLOCKED = _any_of(
    r"content management polic|content (?:filter|polic|moderation)|usage polic|responsible ?ai",
    _ASKED + r" (?:\w+ ){0,6}(?:flagged|blocked|filtered|prohibited|inappropriate|harmful|unsafe|sensitive)",
    r"(?:flagged|blocked|filtered|rejected) (?:\w+ ){0,6}(?:moderation|safety|polic|content|guardrail)|flagged as",
    r"safety (?:system|filter|settings?|reasons?|polic|check)",
    r"prohibited[ _]content|inappropriate content|sensitive words",
    r"violat\w* (?:\w+ ){0,6}(?:polic|guideline|terms)|guardrail|moderation|block[ _]?reason|content exists risk",
    r"new_sensitive|敏感|不安全|违规",
)
# Only a prompt that is too long is said so: these count whatever the status.
CONTEXT = _any_of(
    r"\bcontext[ _-](?:length|size|window|limit)",
    r"\bmaximum (?:context|input|prompt|sequence|number of (?:input )?tokens)",
    r"\b(?:prompt|input)s? (?:(?:is|are|was) )?too long",
    r"\btoo many (?:input |prompt |total )?tokens",
    r"\btoken (?:count|limit)\w* (?:\([^)]{0,200}\) |of \d+ |\w+ ){0,4}?exceed",
    r"\bexceeds? (?:\w+ ){0,5}(?:tokens\b|context|max_model_len|n_ctx|max_input|max_total|max_seq)|max_model_len",
    r"`?\binputs`? (?:tokens|must have less)",
    r"\brange of input length|\bmax input (?:characters|tokens|length)|\bmax_seq_len|physical batch size",
    "context overflow|超长|过长",
)
# These may also be said of a queue or a clock.
TOO_LONG = _any_of(
    r"\bmaximum (?:allowed|length)",
    r"\b(?:prompt|input|request|message|conversation|text|sequence|query)s? (?:\([^)]{0,200}\) )?"
    r"(?:length |size |tokens? )?(?:\w+ ){0,4}?"
    r"(?:too (?:long|large|many|big)|exceed\w*|longer than|larger than|over the)",
    r"\bexceeds? (?:\w+ ){0,5}token\b",
    r"reduce the length|longest supported|string too long|payload too large|entity too large",
)
LATE = _any_of(
    r"\bdeadline\b|\btim(?:e|ed)[ -]?out|took (?:too long|longer)|\bqueued?\b|overload",
    r"(?:exceed\w*|at|over|no|out of) capacity|capacity (?:\w+ ){0,2}(?:exceeded|reached)",
    r"(?:longer than|exceed\w*|over|after|within) (?:\w+ ){0,4}?\d+(?:\.\d+)? ?(?:m?s|sec(?:ond)?s?|min(?:ute)?s?)\b",
)
# Who asks is turned away, not what is asked.
NO_ACCESS = _any_of(
    r"\b(?:account|access|firewall|ip(?: address)?|country|region|cloudflare|waf)\b",
    r"\b(?:request|you|connection)s? (?:\w+ ){0,2}(?:was|were|has been|have been|is|are) (?:\w+ )?blocked",
)
ROLES = _any_of(
    r"(?:system|developer) (?:role|message|prompt|instruction)s? (?:\w+ ){0,3}"
    r"not (?:\w+ )?(?:supported|enabled|allowed)",
    r"roles must alternate|conversation roles must|only (?:[\w,]+ ){1,4}roles? (?:are|is) (?:supported|allowed)",
)
UNACCEPTABLE = _any_of(
    r"(?:message|content|prompt|text|input)s?(?:\W\S+)? "
    r"(?:must be|cannot be|can't be|must not be|should not be|is|are) (?:non-?empty|empty|blank)",
    r"invalid (?:prompt|unicode|utf-?8|character)|unsupported language",
)
OVERLOADED = _any_of(
    r"\b(?:server|service|model|system)s? (?:is |are )?(?:currently |too )?(?:busy|overloaded)|try again later",
    "temporarily",
)
NO_MODEL = _any_of(
    r"model\W+(?:\S+ ){0,4}(?:does not exist|not found|not exist)",
    r"no such model|unknown model|not a valid model|model (?:identifier|id|name)\W+(?:\S+ ){0,3}invalid",
)
NOT_JSON = _any_of("failed to (?:generate|validate) json", "failed_generation")
# A rate limit that no waiting lifts: this one request is larger than the limit.
OVER_THE_LIMIT = _any_of("request too large", "reduce your message size", "tokens must be reduced")
RATE = _any_of(r"too many requests|rate[ -]?limit|\bqps\b|requests? limit reached")
A_DAY = _any_of(r"per[ _-]?(?:day|week|month)|daily|monthly|/ ?(?:day|month)|by(?:day|month)\b|\b(?:TPD|RPD)\b|86400s")
A_MINUTE = _any_of(r"per[ _-]?(?:min|second|hour)|/ ?min|\b(?:TPM|RPM)\b")
