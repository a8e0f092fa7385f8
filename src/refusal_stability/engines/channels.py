"""The channels of gpt-oss, as special tokens and as the plain text that decoding leaves of them."""

from __future__ import annotations

import re

# The final answer, the pieces of thinking, and whether thinking was closed.
Split = tuple[str, list[str], bool]

LONGEST_HEADER = 800
# gpt-oss: a channel's header, and what ends its message.
HEADER = re.compile(
    r"(?:<\|start\|>[^<]{0,80})?<\|channel\|>\s{0,4}(\w{0,40})[^<]{0,200}(?:<\|constrain\|>[^<]{0,80})?<\|message\|>|"
    r"<\|start\|>assistant\s{0,4}<\|message\|>"
)
ENDED = re.compile(r"<\|(?:end|return|call|start|channel|message|constrain)\|>")
ENDED_BEFORE_CHANNEL = re.compile(r"<\|end\|>\s{0,4}(?=<\|start\|>[^<]{0,80}<\|channel\|>)")
# `analysisResult = compute()` is code.
IDENTIFIER = r"(?!\w{1,80}(?:\s{0,4}[=(\[{);]|\.\w))"
# The same after a tokenizer dropped the special tokens: the names of role and channel stand within the text.
# Without a final channel, text must follow without a space.
PLAIN_START = re.compile(
    rf"\s*(?:assistant(?:analysis|commentary)(?=[^\W_]|\")|(?:analysis|commentary)(?=[^\W_]|\"){IDENTIFIER})"
)
PLAIN_CUT_START = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?=[ \t]*\r?\n\s*[^\W_]|\s*$)")
HEADER_CUT = re.compile(r"\s*(?:<\|start\|>(?:assistant)?)?<\|channel\|>\s{0,4}\w{0,40}\s*$")
PLAIN_LOOSE_START = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?!_)")
PLAIN_FINAL_START = re.compile(rf"\s*(?:assistant)?final(?=[A-Z\u0022\u0027*#]){IDENTIFIER}")
PLAIN_FINAL = re.compile(r"(?<![\"'`])assistant(?:<\|channel\|>)?final(?![\"'`])|(?<=[.!?\n])\s?assistant\s(?:final\b)")
# Without a channel's name at the text's start, an answer must seem to begin behind the mark.
PLAIN_LOOSE_FINAL = re.compile(
    r"(?<![\"'`\w])assistant(?:<\|channel\|>)?final(?=[A-Z0-9*#])|"
    r"(?<=[^\s\"'`])assistant(?:<\|channel\|>)?final(?=[^\W_a-z]|[*#\"]|\s*\n)"
)
PLAIN_CHANNEL = re.compile(r"assistant(?:analysis|commentary)(?=\S)")


def starts_with_channel(text: str) -> bool:
    """Whether a channel begins the text, or follows on the end of one that the prompt began."""
    head = text[:LONGEST_HEADER].lstrip("\ufeff \t\r\n")
    return bool(head.startswith("<|message|>") or HEADER.match(head) or ENDED_BEFORE_CHANNEL.search(text))


def by_channels(text: str) -> Split:
    """The channels of gpt-oss, as special tokens: `final` is the answer, all others are thinking."""
    headers = list(HEADER.finditer(text))
    answer: list[str] = []
    starts = [*(header.start() for header in headers), len(text)]
    thinking = [ENDED.sub("", text[: starts[0]]).strip()]
    for header, end in zip(headers, starts[1:], strict=True):
        said = ENDED.split(text[header.end() : end], maxsplit=1)[0]
        # Some messages have no channel at all: these are answers.
        if header[1] is None or header[1].lower() == "final":
            answer.append(said)
        else:
            thinking.append(said.strip())
    kept = [part for part in thinking if part]
    return "".join(answer).strip(), kept, bool(answer)


def by_plain_channels(text: str, cut: bool) -> Split | None:
    """The channels of gpt-oss as plain text, or None where there are none."""
    loose = PLAIN_LOOSE_START.match(text)
    final = None
    if "assistant" in text:
        final = PLAIN_FINAL.search(text, loose.end()) if loose else PLAIN_LOOSE_FINAL.search(text)
    if final is not None:
        before = text[loose.end() if loose else 0 : final.start()]
        return ENDED.split(text[final.end() :], maxsplit=1)[0].strip(), _plain_thinking(before), True
    if cut and HEADER_CUT.match(text):
        return "", [], False
    if start := PLAIN_START.match(text) or (PLAIN_CUT_START.match(text) if cut else None):
        return "", _plain_thinking(text[start.end() :]), False
    only = PLAIN_FINAL_START.match(text)
    return None if only is None else (text[only.end() :], [], True)


def _plain_thinking(text: str) -> list[str]:
    return [part for part in map(str.strip, PLAIN_CHANNEL.split(ENDED.sub("", text))) if part]
