"""Split what a model wrote into thinking and final answer: the one place that does so, for models and for judges."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from refusal_stability.engines.channels import Split, by_channels, by_plain_channels, starts_with_channel
from refusal_stability.engines.thinking_marks import FRAME_BEGINS, FRAME_PATTERNS, MARKS, WRAPS, Mark, Marks, finder_of
from refusal_stability.records import Outcome, outcome_of

ONLY_THINKING = "nothing but thinking"
NO_TEXT = "no text"
BEFORE_LIMIT = " before max_tokens"
INDENT = 200
SHORT = 40
SENTENCE_ENDS = (".", "!", "?")
BLANK = "\ufeff \t\r\n"
# What may stand before thinking at the head of a text: blanks, a quotation's mark, tokens and words of a chat template.
FILLER = re.compile(r"(?:[\s\ufeff\u200b-\u200d\u2060>]|<\|\w{1,40}\|>|<s>|<bos>|\bassistant\b:?)*", re.IGNORECASE)
FENCE_AT_HEAD = re.compile(r"\s*```\w*[ \t]*\r?\n\s*")
FENCE_END = re.compile(r"\r?\n[ \t]*```[ \t]*(?=\r?\n|$)")
# Code within a text: a mark in it is named, not used. So is a closing mark in the middle of a sentence.
CODE = re.compile(r"```[\s\S]*?```|`[^`\n]+`")
SENTENCE_BEFORE = re.compile(r"[\w,:(] ")
SENTENCE_BEHIND = re.compile(r" [a-z]|[.,;:!?)]")


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
    marks : (opening, closing) pairs around thinking; compared without regard to case, but for `[THINK]` and
        other marks in brackets.
    thinking : what the server had already set apart, such as the field `reasoning_content`.

    Returns
    -------
    FinalAnswer
        A text without marks is returned unchanged. Thinking that is never closed, or thinking alone, is `unanswered`.

    Notes
    -----
    Marks within code, in quotation marks or in the middle of a sentence are words. Thinking stands at the head, in one
    block or several; a later block counts where it starts a line, or follows on a full stop, and is closed. A closing
    mark without an opening one before it makes all text before it thinking: many chat templates write the opening mark
    into the prompt. An opening mark that is never closed counts at the head, and in a text that was cut also where it
    starts a line or a sentence. Time is linear in the length of the text.
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


def _split(text: str, cut: bool, marks: Marks) -> Split:
    """(answer, pieces of thinking, whether thinking was closed)."""
    if _is_json(text):
        # A verdict may quote a mark.
        return text, NOTHING, True
    if "<|message|>" in text and starts_with_channel(text):
        return by_channels(text)
    if (plain := by_plain_channels(text, cut)) is not None:
        return plain
    for opening, closing in FRAME_PATTERNS if FRAME_BEGINS.match(text) else ():
        if start := opening.match(text):
            if end := closing.search(text, start.end()):
                return text[end.end() :].strip(), [text[start.end() : end.start()].strip()], True
            if cut:
                return "", [text[start.end() :].strip()], False
    found = finder_of(marks).find(text)
    fence = FENCE_AT_HEAD.match(text) if found else None
    if fence and found[0].opens and found[0].start == fence.end():
        # All of it stands in a fence, or the thinking alone.
        text = FENCE_END.sub("", text[fence.end() :], count=1)
        found = finder_of(marks).find(text)
    if found:
        return _by_blocks(text, cut, Found(text, found, cut))
    if cut and (begun := text.strip()) and len(begun) < SHORT and any(o.startswith(begun) for o, _ in marks):
        return "", NOTHING, False
    return text, NOTHING, True


def _is_json(text: str) -> bool:
    if not (text.lstrip().startswith("{") and text.rstrip().endswith("}")):
        return False
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


class Found:
    """The marks of a text: those that it uses, and the closing ones that it may merely name.

    A closing mark that is all of a piece of code is the last to be taken at its word: where nothing else closes the
    thinking of a text that was not cut.
    """

    def __init__(self, text: str, marks: Sequence[Mark], cut: bool) -> None:
        self._cut = cut
        self.used: list[Mark] = []
        self.named: list[Mark] = []
        self.quoted: list[Mark] = []
        for mark, in_code in zip(marks, _in_code(text, marks), strict=True):
            if not (in_code or _in_sentence(text, mark)):
                self.used.append(mark)
            elif not mark.opens:
                wrapped = text[mark.start - 1 : mark.start] == "`" == text[mark.end : mark.end + 1]
                (self.quoted if wrapped else self.named).append(mark)
        self._ends: dict[int, int] = {}
        self._next: dict[int, int] = {}
        stacks: dict[int, list[int]] = {}
        before: dict[int, int] = {}
        self._last: dict[int, int] = {}
        for number, mark in enumerate(self.used):
            self._next[before.get(mark.pair, -1)] = number
            before[mark.pair] = number
            stack = stacks.setdefault(mark.pair, [])
            if mark.opens:
                stack.append(number)
            else:
                self._last[mark.pair] = number
                if stack:
                    self._ends[stack.pop()] = number
        self._last_of_any = max(self._last.values(), default=-1)

    def closing(self, number: int) -> Mark | None:
        """The mark that closes the used one: its partner, or the last of the closing marks that come next."""
        opening = self.used[number]
        if number in self._ends:
            return self.used[self._ends[number]]
        own = self._last.get(opening.pair, -1) > number
        if own or self._last_of_any > number:
            # Some models close with another pair's mark.
            at = self._following(number, own)
            while self.used[at].opens or ((after := self._following(at, own)) > 0 and not self.used[after].opens):
                at = self._following(at, own)
            return self.used[at]
        for words in (self.named,) if self._cut else (self.named, self.quoted):
            if (later := bisect_right(words, opening)) < len(words):
                return words[later]
        return None

    def _following(self, number: int, own: bool) -> int:
        """The next used mark, of the same pair or of any; 0 where there is none."""
        if own:
            return self._next.get(number, 0)
        return number + 1 if number + 1 < len(self.used) else 0


def _in_code(text: str, marks: Sequence[Mark]) -> list[bool]:
    """Whether each mark is a word of code. Between a back quote in the thinking and one in the answer is no code."""
    spans = [match.span() for match in CODE.finditer(text)] if "`" in text else []
    starts = [start for start, _ in spans]
    within = [bisect_right(starts, mark.start) - 1 for mark in marks]
    within = [at if at >= 0 and mark.end <= spans[at][1] else -1 for at, mark in zip(within, marks, strict=True)]
    count: dict[int, int] = {}
    depth: dict[int, int] = {}
    crossed: set[int] = set()
    for at, mark in zip(within, marks, strict=True):
        count[at] = count.get(at, 0) + 1
        depth[at] = depth.get(at, 0) + (1 if mark.opens else -1)
        if depth[at] < 0:
            crossed.add(at)
    return [at >= 0 and not (at in crossed and count[at] > 1) for at in within]


def _in_sentence(text: str, mark: Mark) -> bool:
    """Whether a closing mark is a word of a sentence, or in quotation marks."""
    if mark.opens:
        return False
    before, behind = text[max(0, mark.start - 2) : mark.start], text[mark.end : mark.end + 2]
    quoted = before[-1:] in ("'", '"') and before[-1:] == behind[:1]
    return quoted or bool(SENTENCE_BEFORE.fullmatch(before) and SENTENCE_BEHIND.match(behind))


def _by_blocks(text: str, cut: bool, found: Found) -> Split:
    """Blocks of thinking: at the head in any form; behind answer text only where they stand apart and are closed."""
    answer: list[str] = []
    thinking: list[str] = []
    place, length = 0, len(text.rstrip())
    at_head, is_named, skip_to = True, False, 0
    for number, mark in enumerate(found.used):
        if mark.start < skip_to:
            continue
        at_head = at_head and FILLER.fullmatch(text, place, mark.start) is not None
        starts_line = at_head or _starts_line(text, place, mark.start)
        if mark.opens:
            behind_sentence = text[max(place, mark.start - 1) : mark.start] in SENTENCE_ENDS
            end = found.closing(number) if starts_line or behind_sentence else None
            if end is not None:
                answer += [] if at_head else [text[place : mark.start]]
                thinking += _between(text, found.used, number, end)
                place = skip_to = end.end
            elif at_head or (cut and not is_named and _breaks_off(text, place, mark.start, bool(thinking))):
                return "", _pieces([*thinking, *answer, text[place : mark.start], text[mark.end :]]), False
            else:
                is_named = True
        elif skip_to and not at_head and starts_line and mark.end >= length:
            # A closing mark too many, at the end of an answer.
            answer.append(text[place : mark.start])
            place = mark.end
        elif starts_line or not (skip_to or is_named):
            thinking += [*answer, text[place : mark.start]]
            answer = []
            place = skip_to = mark.end
            at_head = True
    if not place:
        return text, NOTHING, True
    return _unwrapped("".join([*answer, text[place:]]).strip()), _pieces(thinking), True


def _between(text: str, marks: Sequence[Mark], number: int, end: Mark) -> list[str]:
    """The thinking from a mark to the one that closes it, without the marks within."""
    parts, place = [], marks[number].end
    for at in range(number + 1, len(marks)):
        if marks[at].start >= end.start:
            break
        parts.append(text[place : marks[at].start])
        place = marks[at].end
    return [*parts, text[place : end.start]]


def _breaks_off(text: str, start: int, place: int, had_thinking: bool) -> bool:
    """Whether a cut text ends in thinking that opens at `place`: at the start of a line, or behind a sentence."""
    if text.count("```", start, place) % 2:
        return False
    head = text[max(start, place - INDENT) : place].rstrip(" \t")
    return (head.endswith(SENTENCE_ENDS) and not had_thinking) or _starts_line(text, start, place)


def _starts_line(text: str, start: int, place: int) -> bool:
    """Whether only blanks stand between `place` and the line's begin, or the end of the mark before it."""
    head = text[max(start, place - INDENT) : place]
    line = head.rpartition("\n")[2]
    return not line.strip("\ufeff \t") and (line != head or place - start <= INDENT)


def _pieces(parts: list[str]) -> list[str]:
    return [part for part in (part.strip(BLANK) for part in parts) if part]


def _unwrapped(answer: str) -> str:
    folded = answer.lower()
    for opening, closing in WRAPS:
        if folded.startswith(opening) and folded.count(opening) == 1 and len(folded) == len(answer):
            inner = answer[len(opening) :]
            found = folded.count(closing)
            if not found:
                return inner.strip()
            if found == 1 and folded.endswith(closing):
                return inner[: -len(closing)].strip()
    return answer
