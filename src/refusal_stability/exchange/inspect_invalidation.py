"""Samples of Inspect that somebody marked as invalid: what they answered does not count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from refusal_stability.exchange.logged import LoggedResponse

LONGEST_REASON = 200


def without_invalid_answers(sample: Any, responses: Iterator[LoggedResponse]) -> Iterator[LoggedResponse]:
    """The responses of a sample; missing, and without labels, where the log says that the sample is invalid."""
    invalid = getattr(sample, "invalidation", None)
    if invalid is None:
        yield from responses
        return
    why = " ".join(str(invalid.reason or "").split())[:LONGEST_REASON]
    reason = "marked invalid in Inspect" + (f": {why}" if why else "")
    for response in responses:
        # Without a text it only repeats a judge's labels.
        if response.text is not None:
            empty = replace(response, text="", thinking="", finish_reason="", outcome=None, labels={})
            yield replace(empty, missing_reason=reason)
