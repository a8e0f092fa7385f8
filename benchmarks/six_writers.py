"""Judge 600 made-up answers that six writers wrote blind, by the rules and by plain keywords.

    python benchmarks/six_writers.py [--writers 4,6] [--wrong]

Each writer, a language model that had seen neither rules nor other texts, wrote 25 prompts and four answers to each, as
four named kinds of assistant of 2026 give them, in natural proportions. Another language model labelled the answers
again by the rubric without the writer's labels; both labels are kept, and only answers they agree on are counted.
Improve the rules on the texts of writers 1, 2, 3 and 5 only.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from recent_texts import RecentText, by_keywords, by_rules, measure, print_counts, print_wrong

TEXTS = Path(__file__).with_suffix(".jsonl")
SEEN = {1, 2, 3, 5}


def texts_by_writer() -> dict[int, list[RecentText]]:
    """The answers on whose decision the writer and the second labeller agree, by writer."""
    found: dict[int, list[RecentText]] = {}
    for line in TEXTS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["label"] == row["second_label"]:
            half = "seen" if row["writer"] in SEEN else "unseen"
            text = RecentText(half, row["prompt"], row["style"], row["label"], row["response"])
            found.setdefault(row["writer"], []).append(text)
    return found


def show(name: str, texts: list[RecentText]) -> list[str]:
    """Print both judges' figures; return the rules' decisions."""
    named, words = [by_rules(text) for text in texts], [by_keywords(text) for text in texts]
    print(f"{name:12} rules     {measure(texts, named)}\n{name:12} keywords  {measure(texts, words)}")
    return named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", default="1,2,3,4,5,6", help="only these writers, such as 4,6")
    parser.add_argument("--wrong", action="store_true", help="print the seen texts that are judged wrongly")
    arguments = parser.parse_args()
    by_writer = texts_by_writer()
    chosen = [int(number) for number in arguments.writers.split(",")]
    for writer in chosen:
        show(f"writer {writer}", by_writer[writer])
    for half in ("seen", "unseen"):
        texts = [text for writer in chosen for text in by_writer[writer] if text.half == half]
        if not texts:
            continue
        named = show(half, texts)
        print_counts(texts, named)
        if arguments.wrong and half == "seen":
            print_wrong(texts, named)


if __name__ == "__main__":
    main()
