"""Secrets cut out of a server's words, in whatever form the server repeats them."""

from __future__ import annotations

import re
from base64 import b64encode
from html import escape as html_escape
from html.entities import html5
from urllib.parse import quote, quote_plus

SHOWN_AS = "[key]"
# A shorter one may be a word of a message, or of an answer.
SHORTEST, SHORTEST_IN_ANSWERS = 4, 12
# What a server gets that wants no key.
NO_SECRETS = frozenset({"empty", "none", "null", "ollama", "llama", "local", "dummy", "test"})
# How a server that escapes an ASCII letter begins; nobody else writes these.
ESCAPES = re.compile(
    r"\\(?:u(?:00|\{)0*[2-7]|x[2-7]|[01]?[0-7]{2}|/)|%(?:u00|25)*[2-7][0-9a-f]|=[2-7][0-9a-f]|&(?:#|[a-z]+;)",
    re.IGNORECASE,
)
NAMED = {letter: name for name, letter in html5.items() if len(letter) == 1 and name.endswith(";")}
# Four levels of escapes. Without a bound, a page of backslashes takes hours.
SLASHES = r"\\{1,15}"
# What may stand between the letters of a key that a line's end breaks, or that is listed letter by letter.
BETWEEN = ('"', "'", ",", ":", "\u200b", "\\n")
SPREAD = rf"(?:\s|{'|'.join(map(re.escape, BETWEEN))})*"


class Secrets:
    """The secrets of one server, and a text without them.

    Parameters
    ----------
    shortest : letters of the shortest text that counts as a secret.
    """

    def __init__(self, shortest: int = SHORTEST) -> None:
        self._shortest = shortest
        self._known: set[str] = set()
        self._forms: list[str] = []
        self._escaped: list[re.Pattern[str]] = []
        self._spread: dict[str, re.Pattern[str]] = {}

    def add(self, secret: str) -> None:
        """Cut this secret out from now on, unless it is too short to be one."""
        if len(secret) < self._shortest or secret.lower() in NO_SECRETS or secret in self._known:
            return
        self._known.add(secret)
        data = secret.encode("utf-8", "replace")
        forms = {
            secret, quote(secret, safe=""), quote(secret), quote_plus(secret), html_escape(secret), repr(secret)[1:-1],
            *_in_base64(data),
        }  # fmt: skip
        # Of a short one these may be words.
        forms |= {data.hex(), secret[::-1]} if len(secret) >= SHORTEST_IN_ANSWERS else set()
        self._forms = sorted({form.lower() for form in forms} | set(self._forms), key=len, reverse=True)
        self._escaped.append(re.compile("".join(map(_any_escape, secret)), re.IGNORECASE))
        if len(secret) >= SHORTEST_IN_ANSWERS:
            for form in map(_drawn_together, forms):
                self._spread[form] = re.compile(SPREAD.join(map(re.escape, form)), re.IGNORECASE)

    def cut_from(self, text: str) -> str:
        """The text, with a mark in place of every secret."""
        if not self._forms:
            return text
        folded = text.lower()
        for form in self._forms:
            if form in folded:
                text = re.sub(re.escape(form), SHOWN_AS, text, flags=re.IGNORECASE)
                folded = text.lower()
        if ESCAPES.search(text):
            for pattern in self._escaped:
                text = pattern.sub(SHOWN_AS, text)
        together = _drawn_together(text)
        for form, pattern in self._spread.items():
            if form in together:
                text = pattern.sub(SHOWN_AS, text)
        return text


def _drawn_together(text: str) -> str:
    """A text in small letters without what may stand between the letters of a key."""
    text = "".join(text.lower().split())
    for mark in BETWEEN:
        text = text.replace(mark, "")
    return text


def _in_base64(data: bytes) -> set[str]:
    """What of the secret is seen in base64, wherever in the encoded text it begins."""
    found = set()
    for before in range(3):
        whole = b64encode(bytes(before) + data).decode("ascii")
        # The characters at both ends are mixed with what stands beside it.
        kept = whole[(0, 2, 3)[before] : len(whole) // 4 * 4 - (4 if (before + len(data)) % 3 else 0)]
        found |= {kept, kept.replace("+", "-").replace("/", "_")}
    return {form for form in found if len(form) >= SHORTEST_IN_ANSWERS}


def _any_escape(letter: str) -> str:
    """A pattern of one letter as JSON, URLs, HTML and Python write it, also escaped more than once."""
    code = ord(letter)
    forms = [re.escape(letter), rf"{SLASHES}u{code:04x}", rf"&#0*{code};", rf"&#x0*{code:x};"]
    forms += [rf"{SLASHES}{re.escape(letter)}"]
    forms += [rf"%(?:25)*{byte:02x}" for byte in letter.encode("utf-8", "replace")] if code < 128 else []
    forms += [rf"{SLASHES}x{code:02x}", rf"{SLASHES}0?{code:o}", rf"={code:02x}"] if code < 128 else []
    forms += [rf"{SLASHES}u\{{0*{code:x}\}}", rf"%u{code:04x}"]
    forms += [re.escape(f"&{NAMED[letter]}")] if letter in NAMED else []
    return f"(?:{'|'.join(forms)})"
