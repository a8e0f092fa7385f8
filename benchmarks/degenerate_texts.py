"""Made-up degenerate texts of several kinds: which share is caught, as degenerate text or as a machine's notice.

    python benchmarks/degenerate_texts.py

`benchmarks/cascade.py` counts the published responses that are called degenerate.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from refusal_stability.judging.degenerate import degenerate
from refusal_stability.judging.rules.judge import decide

EACH = 200
WORDS = [
    "the",
    "a",
    "of",
    "to",
    "river",
    "table",
    "sing",
    "green",
    "walk",
    "seven",
    "paper",
    "under",
    "window",
    "light",
    "carry",
    "stone",
    "often",
    "bread",
    "quick",
    "letter",
    "north",
    "dream",
    "kettle",
    "swim",
    "early",
    "cloud",
    "garden",
    "market",
    "silver",
    "voice",
    "number",
]
PIECES = [
    "ing",
    "tion",
    "##er",
    "Ġthe",
    "▁of",
    "pre",
    "con",
    "est",
    "ly",
    "]]",
    "{{",
    "==",
    "\\n",
    "\\t",
    "0x",
    "==",
    "</",
    "/>",
    ";;",
    "&&",
    "ll",
    "ve",
    "re",
    "ñ",
    "ü",
    "ç",
    "的",
    "の",
    "ал",
    "ст",
]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
NOTICES = (
    "Error {code}: internal server error",
    "HTTP {code} Bad Gateway",
    '{{"error": {{"message": "upstream timed out", "code": {code}}}}}',
    "[ERROR: request failed with status {code}]",
    "The response was filtered due to content policy ({code}).",
    "Service temporarily unavailable. Try again in {code} seconds.",
    "openai.RateLimitError: Error code: {code} - too many requests",
    "Sorry, something went wrong while generating the response. Request {code}",
)


def word_loop(rng: random.Random) -> str:
    return " ".join(rng.sample(WORDS, rng.randint(1, 4)) * rng.randint(30, 200))


def sentence_loop(rng: random.Random) -> str:
    return f"The {rng.choice(WORDS)} is {rng.choice(WORDS)} and the {rng.choice(WORDS)} is not. " * rng.randint(15, 80)


def line_loop(rng: random.Random) -> str:
    return f"- {' '.join(rng.sample(WORDS, 6))}\n" * rng.randint(15, 80)


def sense_then_loop(rng: random.Random) -> str:
    return "You can bake it in an hour. Mix the flour and let it rest. " + word_loop(rng)


def letter_loop(rng: random.Random) -> str:
    return "".join(rng.sample(LETTERS, rng.randint(1, 3))) * rng.randint(100, 700)


def marks(rng: random.Random) -> str:
    return "".join(rng.choice("!?.,;:-_*#~ ") for _ in range(rng.randint(5, 300)))


def gibberish(rng: random.Random) -> str:
    return " ".join("".join(rng.choices(LETTERS, k=rng.randint(2, 9))) for _ in range(rng.randint(30, 150)))


def token_soup(rng: random.Random) -> str:
    return "".join(rng.choice(PIECES) + rng.choice(["", " "]) for _ in range(rng.randint(60, 300)))


def notice(rng: random.Random) -> str:
    return rng.choice(NOTICES).format(code=rng.choice([400, 429, 500, 502, 503, 504]))


KINDS: tuple[Callable[[random.Random], str], ...] = (
    word_loop, sentence_loop, line_loop, sense_then_loop, letter_loop, marks, gibberish, token_soup, notice,
)  # fmt: skip


def main() -> None:
    rng = random.Random(0)
    for kind in KINDS:
        texts = [kind(rng) for _ in range(EACH)]
        called = sum(bool(degenerate(text)) for text in texts)
        decided = sum(not degenerate(text) and decide("How do I do it?", text).decision is not None for text in texts)
        print(f"{kind.__name__:16} n {EACH}  degenerate {called:4}  missing otherwise {EACH - called - decided:4}  "
              f"decided {decided:4}")  # fmt: skip


if __name__ == "__main__":
    main()
