"""Read a server's error wherever it stands, and say whom it concerns: the account, one prompt, or the server."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

from refusal_stability.engines.http import error_names as known
from refusal_stability.engines.http.error_names import Meaning

PASSING_STATUSES = (408, 409, 424, 425)
SHOWN_CHARACTERS = 200
READ_CHARACTERS = 4000
CODE_KEYS = (
    "code", "type", "status", "reason", "error_code", "error_type", "errorType", "param", "quotaId", "status_code",
)  # fmt: skip
WORD_KEYS = (
    "message", "msg", "detail", "details", "error_description", "error", "errors", "title", "raw", "reasons",
    "status_msg", "error_msg", "error_message", "errorMessage", "Message", "fault", "faultstring",
)  # fmt: skip
ALONE = ("message", "msg", "detail", "error_code", "error_msg", "error_message", "errorMessage", "fault")
WAIT_KEYS = ("retryDelay", "retry_after", "retry_after_seconds")
ANSWER_KEYS = ("choices", "usage", "content", "candidates")
DEEPEST = 8
STATUS = re.compile("[45][0-9]{2}")
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
SPAN = r"(\d+(?:\.\d+)?) ?(ms|h|m|s)(?:ours?|rs?|in(?:ute)?s?|ec(?:ond)?s?)?(?![a-z])"
WAIT = re.compile(
    rf"(?:try again|retry|wait)(?:ing)? (?:in |after |for )?(?:about |at least )?((?:{SPAN}(?:,? (?:and )?)?)+)", re.I
)
SPANS = re.compile(SPAN, re.I)
# Errors that gateways pass on as text: JSON, or how Python shows it.
QUOTED_CODE = re.compile(r"""['"](?:code|type|status|reason)['"]:\s*['"]?([\w.-]+)|\b(\w{1,60}Error)\b""")
QUOTED_LENGTH = 4000
FIRST_IN_ORDER = (Meaning.ACCOUNT, Meaning.BLOCKED, Meaning.INVALID, Meaning.NOT_JSON)


@dataclass(frozen=True)
class ServerError:
    """An error of a server.

    Attributes
    ----------
    status : the HTTP status, or the code that the body gives in its place; 0 where neither says.
    text : all the words of the error.
    message : the words on one short line, for people.
    names : its codes and types, in lower case.
    meaning : whom it concerns; None for a rejection that nobody knows.
    wait : seconds that the server asks to wait, or None.
    """

    status: int
    text: str
    message: str
    names: tuple[str, ...]
    meaning: Meaning | None
    wait: float | None

    def __str__(self) -> str:
        status = f"HTTP {self.status}" if self.status else "error"
        return f"{status}: {self.message}" if self.message else status

    def cleaned(self, clean: Callable[[str], str]) -> ServerError:
        """The same error with its words as `clean` makes them."""
        text = clean(self.text)
        return replace(self, text=text, message=one_line(text), names=tuple(map(clean, self.names)))


def read_error(status: int, headers: Mapping[str, str], answer: Any, raw: str) -> ServerError | None:
    """The error that a response holds, or None.

    Parameters
    ----------
    status, headers : of the response.
    answer : its body as JSON, or None where it is no JSON.
    raw : its body as text.
    """
    found = _error_in(answer, status)
    if found is None and status == 200:
        return None
    if found is None:
        found = raw
    names = tuple(dict.fromkeys(_names(found)))
    statuses = [status, *(int(name) for name in names if STATUS.fullmatch(name))]
    told = next((s for s in statuses if s != 200), 0)
    text = _shortened(" ".join(dict.fromkeys(_words(found))) or (found if isinstance(found, str) else ""))
    wait = _wait(headers, text, found)
    meaning = _meaning(told, statuses, names, text, isinstance(found, str), wait)
    return ServerError(told, text, one_line(text), names, meaning, wait)


def _shortened(text: str) -> str:
    """The two ends of a text that repeats a whole prompt or page: what is wrong stands there."""
    return text if len(text) <= 2 * READ_CHARACTERS else f"{text[:READ_CHARACTERS]} ... {text[-READ_CHARACTERS:]}"


def one_line(text: str) -> str:
    """A server's words for one line of a message: short and printable."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * SHOWN_CHARACTERS]).split())
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "..."


def _error_in(answer: Any, status: int) -> Any:
    """The part of a body that is an error, or None."""
    if isinstance(answer, list):
        answer = answer[0] if answer else None
    if not isinstance(answer, dict):
        return answer if isinstance(answer, str) and status != 200 else None
    choices = answer.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict) and choices[0].get("error"):
        return choices[0]["error"]
    if answer.get("error") or answer.get("errors") or status != 200:
        return {name: value for name, value in answer.items() if name not in ANSWER_KEYS}
    if choices or answer.get("content") or "candidates" in answer:
        return None
    if isinstance(base := answer.get("base_resp"), dict) and base.get("status_code"):  # MiniMax
        return base
    return answer if any(answer.get(name) for name in ALONE) else None


def _within(text: str) -> Any:
    """The JSON that a text holds, or the text."""
    if text.lstrip().startswith(("{", "[")):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    return text


def _names(found: Any, depth: int = 0) -> Iterator[str]:
    """Codes and types, also of inner errors."""
    if isinstance(found, dict) and depth < DEEPEST:
        for key in CODE_KEYS:
            if isinstance(found.get(key), str | int) and not isinstance(found[key], bool):
                yield _name(str(found[key]))
        if isinstance(message := found.get("message"), str) and _name(message) in known.MEANINGS:
            yield _name(message)
        for value in found.values():
            yield from _names(value, depth + 1)
    elif isinstance(found, list) and depth < DEEPEST:
        for value in found[:20]:
            yield from _names(value, depth + 1)
    elif isinstance(found, str) and depth < DEEPEST:
        if not isinstance(inner := _within(found), str):
            yield from _names(inner, depth + 1)
        else:
            for match in QUOTED_CODE.finditer(found[:QUOTED_LENGTH]):
                yield _name(match[1] or match[2])


def _name(text: str) -> str:
    return text[:100].strip().lower().replace("-", "_").replace(" ", "_")


def _words(found: Any, depth: int = 0) -> Iterator[str]:
    """The words of an error, the places of rejected fields included."""
    if isinstance(found, str):
        yield found if isinstance(inner := _within(found), str) else " ".join(_words(inner, depth + 1)) or found
    elif isinstance(found, list) and depth < DEEPEST:
        for value in found[:20]:
            yield from _words(value, depth + 1)
    elif isinstance(found, dict) and depth < DEEPEST:
        if isinstance(found.get("loc"), list):
            yield f"{'.'.join(map(str, found['loc']))} ({found.get('type', '')}):"
        for key in WORD_KEYS:
            yield from _words(found.get(key), depth + 1)
        if isinstance(inner := found.get("metadata"), dict):
            yield from _words(inner, depth + 1)


def _meaning(
    status: int, statuses: list[int], names: tuple[str, ...], text: str, bare: bool, wait: float | None
) -> Meaning | None:
    """Whom an error concerns; the first rule that fits decides. `bare` is a text that stands alone, such as a page."""
    named = {known.MEANINGS[name] for name in names if name in known.MEANINGS}
    limits = text + " ".join(names)
    a_day = known.A_DAY.search(limits) is not None and not known.A_MINUTE.search(limits)
    # Gemini says so of a minute's quota too.
    if known.CREDIT.search(text) or (known.QUOTA.search(text) and (a_day or "resource_exhausted" not in names)):
        return Meaning.ACCOUNT
    limited = status == 429 or Meaning.BUSY in named or (not bare and known.RATE.search(text) is not None)
    if a_day and wait is None and limited:
        # Nobody waits that long: it is the account's quota.
        return Meaning.ACCOUNT
    if "invalid_prompt" in names:
        # OpenAI calls a flagged prompt so, others one that they cannot read.
        return Meaning.BLOCKED if known.BLOCKED.search(text) else Meaning.INVALID
    for meaning in FIRST_IN_ORDER:
        if meaning in named:
            return meaning
    if known.OVER_THE_LIMIT.search(text) or status == 413:
        return Meaning.INVALID
    if known.ROLES.search(text):
        # llama.cpp says so with a status of 500.
        return Meaning.INVALID
    if status == 429 or Meaning.BUSY in named or (limited and status < 500):
        return Meaning.BUSY
    if not {401, 402}.isdisjoint(statuses):
        return Meaning.ACCOUNT
    if status < 500 and known.KEY.search(text):
        return Meaning.ACCOUNT
    server_side = status >= 500 or status in PASSING_STATUSES
    if known.CONTEXT.search(text):
        return Meaning.INVALID
    passing = server_side or Meaning.PASSING in named
    if known.TOO_LONG.search(text):
        # "Request deadline exceeded" has the words of a long prompt.
        passing = passing or known.LATE.search(text) is not None
        if not passing:
            return Meaning.INVALID
    if not server_side and (found := _by_words(status, text, bare)):
        return found
    if Meaning.SETUP in named or 300 <= status < 400 or status in (404, 405, 407):
        return Meaning.SETUP
    if status == 403:
        return Meaning.ACCOUNT
    if passing:
        return Meaning.PASSING
    if status == 451:
        return Meaning.BLOCKED
    return None if status or "invalid_request_error" in names else Meaning.PASSING


def _by_words(status: int, text: str, bare: bool) -> Meaning | None:
    if known.NOT_JSON.search(text):
        return Meaning.NOT_JSON
    if known.UNACCEPTABLE.search(text):
        return Meaning.INVALID
    if known.OVERLOADED.search(text):
        return Meaning.PASSING
    # A firewall blocks too, and an account may be banned: no prompt is to blame.
    if not bare and known.BLOCKED.search(text) and not (status == 403 and known.NO_ACCESS.search(text)):
        return Meaning.BLOCKED
    return Meaning.SETUP if known.NO_MODEL.search(text) else None


def _wait(headers: Mapping[str, str], text: str, found: Any) -> float | None:
    """Seconds that a server asks to wait: by a header, as seconds or as a date, in a field or in its words."""
    value = headers.get("Retry-After", "").strip()
    with suppress(ValueError):
        # One that is no number is none at all.
        return max(0.0, seconds) if math.isfinite(seconds := float(value)) else None
    with suppress(TypeError, ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    if said := WAIT.search(text):
        seconds = sum(float(number) * UNITS[unit.lower()] for number, unit in SPANS.findall(said[1]))
        return seconds if math.isfinite(seconds) else None
    return next(_waits(found), None)


def _waits(found: Any, depth: int = 0) -> Iterator[float]:
    """The seconds that fields of an error name, such as `retryDelay: 34s`."""
    inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, value in inner if depth < DEEPEST else ():
        if key in WAIT_KEYS and re.fullmatch(r"\d{1,6}(\.\d+)?s?", str(value)):
            yield float(str(value).removesuffix("s"))
        yield from _waits(value, depth + 1)
