"""Secrets cut out of a server's words, in whatever form the server repeats them."""

from __future__ import annotations

import re
from base64 import b64encode
from html import escape as html_escape
from urllib.parse import quote, quote_plus

SHOWN_AS = "[key]"
# A shorter one may be a word of a message, or of an answer.
SHORTEST, SHORTEST_IN_ANSWERS = 4, 12
# What a server gets that wants no key.
NO_SECRETS = frozenset({"empty", "none", "null", "ollama", "llama", "local", "dummy", "test"})
# How a server that escapes an ASCII letter begins; nobody else writes these.
ESCAPES = re.compile(r"\\+u00[2-7]|\\+x[2-7]|%[2-7][0-9a-f]|&#|\\+/", re.IGNORECASE)


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
    forms = [re.escape(letter), rf"\\+u{code:04x}", rf"&#0*{code};", rf"&#x0*{code:x};", rf"\\+{re.escape(letter)}"]
    forms += [rf"%(?:25)*{byte:02x}" for byte in letter.encode("utf-8", "replace")] if code < 128 else []
    forms += [rf"\\+x{code:02x}"] if code < 128 else []
    return f"(?:{'|'.join(forms)})"
