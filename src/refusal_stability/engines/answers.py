"""Split what a model wrote into thinking and final answer: the one place that does so, for models and for judges."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from refusal_stability.records import Outcome, outcome_of

Marks = Sequence[tuple[str, str]]

# How published models mark their thinking: (opening, closing). A study adds its own by `thinking_marks`.
MARKS: Marks = (
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "thoughts", "reasoning")),
    *((f"<{name}>", f"</{name}>") for name in ("reason", "cot", "chain_of_thought", "thought_process", "scratchpad")),
    *((f"<{name}>", f"</{name}>") for name in ("inner_monologue", "inner_thoughts", "antthinking")),
    *((f"<{name}>", f"</{name}>") for name in ("seed:think", "longcat_think")),
    ("[THINK]", "[/THINK]"),
    ("[THINKING]", "[/THINKING]"),
    ("[REASONING]", "[/REASONING]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|think|>", "<|/think|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel>thought", "<channel|>"),
    ("<unused94>thought", "<unused95>"),
)


def with_marks(own: Sequence[Sequence[str]]) -> Marks:
    """The known marks, and a study's own before them."""
    return (*((opening, closing) for opening, closing in own), *MARKS) if own else MARKS


# What some models wrap around the final answer. Taken off only behind thinking and where it wraps the whole rest.
WRAPS: Marks = (
    ("<answer>", "</answer>"),
    ("<final_answer>", "</final_answer>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)
ONLY_THINKING = "nothing but thinking"
NO_TEXT = "no text"
BEFORE_LIMIT = " before max_tokens"
INDENT = 200
TAG = re.compile(r"<[a-z_:]+>")
ATTRIBUTES = r"(?: [^<>\n]{0,200})?"

# gpt-oss: a channel's header, and what ends its message.
HEADER = re.compile(
    r"(?:<\|start\|>[^<]{0,80})?<\|channel\|>\s{0,4}(\w{0,40})[^<]{0,200}(?:<\|constrain\|>[^<]{0,80})?<\|message\|>"
)
ENDED = re.compile(r"<\|(?:end|return|call|start|channel|message|constrain)\|>")
# The same after a tokenizer dropped the special tokens: the names of role and channel stand within the text.
PLAIN_START = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?=[^\W_]|\")")
PLAIN_LOOSE_START = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)\b")
PLAIN_FINAL_START = re.compile(r"\s*(?:assistant)?final(?=[A-Z\u0022\u0027*#])")
PLAIN_FINAL = re.compile(r"assistant(?:<\|channel\|>)?final(?=\S)")
PLAIN_CHANNEL = re.compile(r"assistant(?:analysis|commentary)(?=\S)")
# Granite: sentences for marks, and only where both stand.
SENTENCES = (
    re.compile(r"\s*Here(?:'s| is) my thought process:?", re.I),
    re.compile(r"Here(?:'s| is) my response:?", re.I),
)


class FinalAnswer(NamedTuple):
    """What is left of a raw text once thinking is set apart.

    Attributes
    ----------
    text : the final answer; empty where `missing_reason` says why there is none.
    thinking : what came before or between, without its marks.
    outcome : `answered`, `cut` (at the token limit, within the answer) or `unanswered`.
    missing_reason : None where there is an answer.
    """

    text: str
    thinking: str
    outcome: Outcome
    missing_reason: str | None = None


def final_answer(text: str, finish_reason: str = "stop", marks: Marks = MARKS, thinking: str = "") -> FinalAnswer:
    """The final answer of a model's raw text, its thinking, and what became of it.

    Parameters
    ----------
    text : what the model wrote, word for word.
    finish_reason : `length` where it was cut at the token limit.
    marks : (opening, closing) pairs around thinking; compared without regard to case.
    thinking : what the server had already set apart, such as the field `reasoning_content`.

    Returns
    -------
    FinalAnswer
        A text without marks is returned unchanged. Thinking that is never closed, or thinking alone, is `unanswered`.

    Notes
    -----
    A closing mark without an opening one makes all text before it thinking: many chat templates write the opening mark
    into the prompt. An opening mark that is never closed counts at the start of a line, or where the text was cut.
    Elsewhere it is a word of the answer. Time is linear in the length of the text.
    """
    answer, found, closed = _split(text, finish_reason == "length", marks)
    thought = "\n".join(part for part in (thinking.strip(), *found) if part)
    limit = BEFORE_LIMIT if finish_reason == "length" else ""
    if not closed:
        return FinalAnswer("", thought, Outcome.UNANSWERED, f"{ONLY_THINKING}{limit}: it was never closed")
    if not answer.strip():
        if thought or found is not NOTHING:
            return FinalAnswer("", thought, Outcome.UNANSWERED, ONLY_THINKING + limit)
        if limit:
            return FinalAnswer("", "", Outcome.UNANSWERED, NO_TEXT + limit)
    return FinalAnswer(answer, thought, outcome_of(finish_reason, None))


# The thinking of a text without any mark: `is` tells it from thinking that is empty.
NOTHING: list[str] = []
Split = tuple[str, list[str], bool]
Pattern = tuple[re.Pattern[str], dict[str, tuple[int, bool]], tuple[str, ...]]


def _split(text: str, cut: bool, marks: Marks) -> Split:
    """(answer, pieces of thinking, whether thinking was closed)."""
    if _is_json(text):
        # A verdict may quote a mark.
        return text, NOTHING, True
    if "<|message|>" in text and ((headers := list(HEADER.finditer(text))) or text.lstrip().startswith("<|message|>")):
        return _by_channels(text, headers)
    if (plain := _by_plain_channels(text)) is not None:
        return plain
    opening, closing = SENTENCES
    if (start := opening.match(text)) and (end := closing.search(text, start.end())):
        return text[end.end() :].lstrip(), [text[start.end() : end.start()].strip()], True
    return _by_marks(text, cut, marks)


def _is_json(text: str) -> bool:
    if not (text.lstrip().startswith("{") and text.rstrip().endswith("}")):
        return False
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def _by_channels(text: str, headers: Sequence[re.Match[str]]) -> Split:
    """The channels of gpt-oss, as special tokens: `final` is the answer, all others are thinking."""
    answer: list[str] = []
    starts = [*(header.start() for header in headers), len(text)]
    thinking = [ENDED.sub("", text[: starts[0]]).strip()]
    for header, end in zip(headers, starts[1:], strict=True):
        said = ENDED.split(text[header.end() : end], maxsplit=1)[0]
        if header[1].lower() == "final":
            answer.append(said)
        else:
            thinking.append(said.strip())
    kept = [part for part in thinking if part]
    return "".join(answer).strip(), kept, bool(answer)


def _by_plain_channels(text: str) -> Split | None:
    """The channels of gpt-oss as plain text, or None where there are none."""
    start = PLAIN_START.match(text)
    final = PLAIN_FINAL.search(text, start.end() if start else 0)
    if final is None and start is None:
        only = PLAIN_FINAL_START.match(text)
        return None if only is None else (text[only.end() :], [], True)
    if final is None:
        return "", _plain_thinking(text[start.end() :] if start else text), False
    loose = start or PLAIN_LOOSE_START.match(text)
    before = text[loose.end() if loose else 0 : final.start()]
    return text[final.end() :].strip(), _plain_thinking(before), True


def _plain_thinking(text: str) -> list[str]:
    return [part for part in map(str.strip, PLAIN_CHANNEL.split(text)) if part]


@lru_cache(maxsize=64)
def _pattern(marks: Marks) -> Pattern:
    """A pattern of all marks, each mark's (pair, whether it opens), and the characters that marks begin with."""
    kinds: dict[str, tuple[int, bool]] = {}
    for pair, (opening, closing) in enumerate(marks):
        if opening and closing:
            kinds.setdefault(opening.lower(), (pair, True))
            kinds.setdefault(closing.lower(), (pair, False))
    longest_first = sorted(kinds, key=len, reverse=True)
    pattern = re.compile("|".join(map(_matching, longest_first)), re.IGNORECASE | re.ASCII)
    return pattern, kinds, tuple({mark[0] for mark in kinds} | {mark[0].upper() for mark in kinds})


def _matching(mark: str) -> str:
    """A pattern of a mark; a tag may have attributes, such as `<think time="3">`."""
    return re.escape(mark[:-1]) + ATTRIBUTES + ">" if TAG.fullmatch(mark) else re.escape(mark)


KNOWN = _pattern(tuple(MARKS))


def _by_marks(text: str, cut: bool, marks: Marks) -> Split:
    pattern, kinds, firsts = KNOWN if marks is MARKS else _pattern(tuple((mark[0], mark[1]) for mark in marks))
    # Most answers hold none of the characters that marks begin with. Looking for these is much cheaper.
    for first in firsts:
        if first in text:
            break
    else:
        return text, NOTHING, True
    found = [(m, *_kind(m.group().lower(), kinds)) for m in pattern.finditer(text)]
    if not found:
        return text, NOTHING, True
    last_closing = {pair: number for number, (_, pair, opens) in enumerate(found) if not opens}
    any_closing = max(last_closing.values(), default=-1)
    answer: list[str] = []
    thinking: list[str] = []
    place = 0
    inside: int | None = None
    skipped = False
    for number, (mark, pair, opens) in enumerate(found):
        merely_named = any_closing < number and not cut and not _starts_line(text, place, mark.start())
        if inside is None and opens and merely_named:
            continue
        chunk = text[place : mark.start()]
        if inside is None and opens:
            answer.append(chunk)
            # Some models close with another pair's mark: then the last closing mark of any pair ends the thinking.
            inside = pair if last_closing.get(pair, -1) > number else -1
        elif inside is None:
            thinking += [*answer, chunk]
            answer = []
        elif not opens and (inside == pair or (inside == -1 and number == any_closing)):
            thinking.append(chunk)
            inside = None
        else:
            thinking.append(chunk)
        place = mark.end()
        skipped = True
    if not skipped:
        return text, NOTHING, True
    rest = text[place:]
    if inside is not None:
        return "", _pieces([*answer, *thinking, rest]), False
    said = "".join([*answer, rest]).strip()
    return _unwrapped(said), _pieces(thinking), True


def _kind(mark: str, kinds: dict[str, tuple[int, bool]]) -> tuple[int, bool]:
    """A mark's (pair, whether it opens), its attributes set aside."""
    return kinds[mark] if mark in kinds else kinds[mark.partition(" ")[0] + ">"]


def _starts_line(text: str, start: int, place: int) -> bool:
    """Whether only blanks stand between `place` and the line's begin, or the end of the mark before it."""
    head = text[max(start, place - INDENT) : place]
    line = head.rpartition("\n")[2]
    return not line.strip("\ufeff \t") and (line != head or place - start <= INDENT)


def _pieces(parts: list[str]) -> list[str]:
    return [part for part in (part.strip("\ufeff \t\r\n") for part in parts) if part]


def _unwrapped(answer: str) -> str:
    for opening, closing in WRAPS:
        if answer.startswith(opening) and answer.count(opening) == 1:
            inner = answer.removeprefix(opening)
            if closing not in inner:
                return inner.strip()
            if inner.endswith(closing) and inner.count(closing) == 1:
                return inner.removesuffix(closing).strip()
    return answer
