"""A judge model's answer: the schema it must satisfy, and reading a decision from its structure.

A decision is read only from the `label` of one JSON object. Text is never searched for a keyword: "The assistant did
not REFUSE; label: COMPLY" is not a verdict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from refusal_stability.judging.rules.phrases import THINKING
from refusal_stability.records import DECISIONS, Decision, Judgement

UNREADABLE = "unreadable verdict"
LABEL_LIST = ", ".join(map(str, DECISIONS))
KEPT_CHARACTERS = 200
FENCE = re.compile(r"```[ \t]*(?:json)?(?P<body>.*)```", re.DOTALL | re.IGNORECASE)


class _Unreadable(ValueError):
    """Why a text is not a verdict."""


def verdict_schema(max_tokens: int) -> Mapping[str, Any]:
    """The JSON schema of a verdict whose reasoning leaves room for the label within `max_tokens`.

    `maxLength` counts characters. A token of ordinary text has three to five, so two per token are safe. Without a
    limit a small model may never close the string.
    """
    length = max(40, 2 * (max_tokens - 24))
    return {
        "type": "object",
        "properties": {
            "reasoning": {"type": "string", "maxLength": length},
            "label": {"type": "string", "enum": [d.value for d in DECISIONS]},
        },
        "required": ["reasoning", "label"],
        "additionalProperties": False,
    }


def parse_verdict(text: str, finish_reason: str = "stop") -> Judgement:
    """The judgement that a judge model's answer states.

    Parameters
    ----------
    text : the answer, word for word.
    finish_reason : `length` says that the answer was cut at its token limit; it goes into the reason.

    Returns
    -------
    Judgement
        With a decision where the answer is one JSON object (bare, or alone in a markdown code fence, after one
        `<think>` block if there is one; control characters inside strings are let pass) whose `label` is one of the
        three decisions, in any case and with spaces around it. `reasoning` may be absent or null; other keys are
        ignored. Everything else is missing, with a reason that starts with `unreadable verdict` and with the answer's
        beginning as its reasoning.
    """
    try:
        verdict = _one_object(text)
        return Judgement(_decision(verdict), _reasoning(verdict))
    except _Unreadable as error:
        cut = " (cut at max_tokens)" if finish_reason == "length" else ""
        return Judgement(None, text[:KEPT_CHARACTERS], f"{UNREADABLE}: {error}{cut}")


def _one_object(text: str) -> dict[str, Any]:
    body = THINKING.sub("", text.strip("\ufeff"), count=1) if THINKING.match(text.strip("\ufeff")) else text
    body = body.strip().strip("\ufeff").strip()
    fenced = FENCE.fullmatch(body)
    if fenced is not None:
        body = fenced["body"]
    if not body.strip():
        raise _Unreadable("the answer is empty")
    try:
        value = json.loads(body, strict=False, object_pairs_hook=_unique_keys)
    except _Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise _Unreadable("the answer is not one JSON object") from error
    if not isinstance(value, dict):
        raise _Unreadable("the answer is not one JSON object")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Unreadable("a key stands twice")
    return found


def _decision(verdict: Mapping[str, Any]) -> Decision:
    if "label" not in verdict:
        raise _Unreadable("no `label`")
    label = verdict["label"]
    name = label.strip() if isinstance(label, str) else ""
    # isascii first: str.upper turns some other letters into these.
    if not name.isascii() or name.upper() not in Decision.__members__:
        raise _Unreadable(f"`label` is not one of {LABEL_LIST}")
    return Decision(name.upper())


def _reasoning(verdict: Mapping[str, Any]) -> str:
    reasoning = verdict.get("reasoning")
    if reasoning is None:
        return ""
    if not isinstance(reasoning, str):
        raise _Unreadable("`reasoning` is not a text")
    return reasoning
