"""How published models mark their thinking: tables of data, and the pattern that finds marks in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

Marks = Sequence[tuple[str, str]]

# Tags around thinking. `_` stands for itself, `-`, a space or nothing.
TAGS = """
    think thinking thought thoughts reasoning reflection cot chain_of_thought scratchpad deliberation
    thought_process thinking_process reasoning_process think_process thinking_block deep_think
    inner_monologue inner_thoughts inner_thinking internal_monologue internal_thoughts internal_thinking
    internal_reasoning hidden_reasoning antthinking antml:thinking seed:think longcat_think
    思考 思考过程 推理 推理过程 réflexion pensée pensamiento razonamiento gedanken überlegung ragionamento мысли
"""
TOKENS = ("think", "thinking", "thought", "reasoning")
# (opening, closing). A study adds its own by `thinking_marks`.
MARKS: Marks = (
    *((f"<{name}>", f"</{name}>") for name in TAGS.split()),
    *((f"<|{name}|>", f"<|/{name}|>") for name in TOKENS),
    *((f"<|begin_of_{name}|>", f"<|end_of_{name}|>") for name in TOKENS),
    *((f"<|start_of_{name}|>", f"<|end_of_{name}|>") for name in TOKENS),
    *((f"<|{name}_start|>", f"<|{name}_end|>") for name in TOKENS),
    *((f"[{name}]", f"[/{name}]") for name in ("THINK", "THINKING", "REASONING", "THOUGHT")),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|im_start|>think", "<|im_start|>answer"),
    ("<|channel>thought", "<channel|>"),
    ("<unused94>thought", "<unused95>"),
)
# What some models wrap around the final answer. Taken off only behind thinking and where it wraps the whole rest.
WRAPS: Marks = (
    *((f"<{name}>", f"</{name}>") for name in ("answer", "final_answer", "response", "final_response", "output")),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|start_response|>", "<|end_response|>"),
    ("<|begin_of_box|>", "<|end_of_box|>"),
)
# Words and fences for marks. They count where both stand, or where the token limit cut the text behind the first.
FRAMES = (
    # Granite 3.2
    (r"\s*Here(?:'s| is) my thought process:?", r"Here(?:'s| is) my response:?"),
    # `ollama run`
    (r"\s*Thinking\.\.\.[ \t]*\r?\n", r"\n[ \t]*\.\.\.done thinking\.?"),
    # HuatuoGPT
    (r"\s*#{1,4} Thinking:?[ \t]*\r?\n", r"\n#{1,4} (?:Final )?(?:Response|Answer):?[ \t]*(?=\r?\n|$)"),
    (r"\s*```(?:think|thinking|thought|thoughts|reasoning)[ \t]*\r?\n", r"\n[ \t]*```[ \t]*(?=\r?\n|$)"),
    (r"\s*<details type=\"reasoning\"[^<>\n]{0,200}>", r"</details>"),
)
FRAME_PATTERNS = [(re.compile(opening, re.I), re.compile(closing, re.I)) for opening, closing in FRAMES]
# What every frame begins with: one look instead of five.
FRAME_BEGINS = re.compile(r"\s*(?:here|thinking\.|#|```|<details)", re.IGNORECASE)

TAG = re.compile(r"<(/?)([\w:]+)>")
# A tag may be escaped, and have blanks or attributes, such as `<think time="3">`. `<think/>` opens and closes.
TAG_PATTERN = r"(?:\\?<|&lt;) ?(?:\\?/)? ?(?:{names})(?:[ \t][^<>\n]{{0,200}}?)? ?/?(?:\\?>|&gt;)"
TAG_PARTS = re.compile(r"(?:\\?<|&lt;) ?(\\?/)? ?([^\W\d][\w:-]*(?: [a-z]+)*)", re.I)
JOINTS = re.compile("[_ -]")


class Mark(NamedTuple):
    """A mark within a text."""

    start: int
    end: int
    pair: int
    opens: bool


class MarkFinder:
    """Finds the marks of some pairs.

    Parameters
    ----------
    marks : (opening, closing) pairs, compared without regard to case, but for marks in brackets.
    """

    def __init__(self, marks: Marks) -> None:
        self._kinds: dict[str, tuple[int, bool]] = {}
        names: set[str] = set()
        literal: set[str] = set()
        for pair, both in enumerate(marks):
            for mark, opens in zip(both, (True, False), strict=True):
                tag = TAG.fullmatch(mark)
                if tag is None:
                    literal.add(mark)
                else:
                    names.add(tag[2])
                self._kinds.setdefault(_tag_key(tag[1], tag[2]) if tag else _folded(mark), (pair, opens))
        patterns = [_matching(mark) for mark in sorted(literal, key=len, reverse=True)]
        if names:
            longest_first = sorted(names, key=len, reverse=True)
            listed = "|".join(re.escape(name).replace("_", "[_ -]?") for name in longest_first)
            patterns.append(TAG_PATTERN.format(names=listed))
        self._pattern = re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE)
        # Looking for what marks begin with is much cheaper, and most texts hold nothing of it.
        begins = {case for mark in literal for case in (mark[0].lower(), mark[0].upper())}
        self._begins = tuple(begins | ({"<", "&", "\\"} if names else set()))
        self._begin = re.compile(f"[{''.join(map(re.escape, self._begins))}]" if self._begins else r"(?!)")

    def find(self, text: str) -> list[Mark]:
        """Every mark in a text, in order."""
        for begin in self._begins:
            if begin in text:
                return list(self._found(text))
        return []

    def _found(self, text: str) -> Iterator[Mark]:
        end = 0
        for begin in self._begin.finditer(text):
            match = self._pattern.match(text, begin.start()) if begin.start() >= end else None
            if match is None:
                continue
            end = match.end()
            kind = self._kinds.get(_folded(match[0]))
            if kind is None and (tag := TAG_PARTS.match(match[0])):
                # Its attributes set aside: the name may be followed by words that are none of it.
                words = tag[2].split(" ")
                keys = (_tag_key(tag[1] or "", " ".join(words[:count])) for count in range(len(words), 0, -1))
                kind = next((self._kinds[key] for key in keys if key in self._kinds), None)
            if kind is not None:
                yield Mark(match.start(), match.end(), *kind)
                if kind[1] and match[0].endswith(("/>", "/&gt;")):
                    yield Mark(match.end(), match.end(), kind[0], False)


def _tag_key(slash: str, name: str) -> str:
    return f"<{'/' if slash else ''}{JOINTS.sub('', name.lower())}>"


def _folded(mark: str) -> str:
    """A mark as it is compared: in brackets the case counts, since `[Reasoning]` is a heading."""
    return mark if mark.startswith("[") else mark.lower()


def _matching(mark: str) -> str:
    return f"(?-i:{re.escape(mark)})" if mark.startswith("[") else re.escape(mark)


def with_marks(own: Sequence[Sequence[str]]) -> Marks:
    """The known marks, and a study's own before them."""
    return (*((opening, closing) for opening, closing in own), *MARKS) if own else MARKS


@lru_cache(maxsize=64)
def _finder(marks: Marks) -> MarkFinder:
    return MarkFinder(marks)


KNOWN = MarkFinder(MARKS)


def finder_of(marks: Marks) -> MarkFinder:
    """The finder of some marks, made once."""
    return KNOWN if marks is MARKS else _finder(tuple((mark[0], mark[1]) for mark in marks))
