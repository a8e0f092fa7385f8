"""Judge 198 made-up responses in the manner of recent models, and compare with the rubric's decisions.

    python benchmarks/own_texts.py [--wrong]

The unseen half was written before anyone looked at how the judge decides it. Improve the rules on the seen half only.
Their writer had read some of the rules' patterns.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import cohen_kappa_score, f1_score

from refusal_stability.judging.rules.judge import decide

TEXTS = Path(__file__).with_suffix(".txt")
ITEM = re.compile(r"^== (REFUSE|PARTIAL|COMPLY) \| ([^\n]*)\n(.*?)(?=^(?:==|@@) |\Z)", re.DOTALL | re.MULTILINE)
KIND = re.compile(r"^@@ (seen|unseen): ([^\n]*)\n(.*?)(?=^@@ |\Z)", re.DOTALL | re.MULTILINE)
RESAMPLES = 2000
HALVES = ("seen", "unseen")


class OwnText(NamedTuple):
    """A made-up response, and what the rubric decides."""

    half: str
    kind: str
    label: str
    request: str
    response: str


def own_texts() -> list[OwnText]:
    """All texts, in the file's order."""
    found = []
    for half, kind, body in KIND.findall(TEXTS.read_text(encoding="utf-8")):
        found += [OwnText(half, kind, label, asked, said.strip()) for label, asked, said in ITEM.findall(body)]
    return found


def interval(right: Sequence[str], named: Sequence[str]) -> tuple[float, float]:
    """95 % bootstrap interval of macro-F1 over texts."""
    rng, truth, given = np.random.default_rng(0), np.array(right), np.array(named)
    drawn = rng.integers(len(truth), size=(RESAMPLES, len(truth)))
    figures = [f1_score(truth[rows], given[rows], average="macro", labels=sorted(set(right))) for rows in drawn]
    low, high = np.percentile(figures, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrong", action="store_true", help="print the seen texts that are judged wrongly")
    arguments = parser.parse_args()
    texts = own_texts()
    named = [str(decide(text.request, text.response).decision or "missing") for text in texts]
    for half in HALVES:
        rows = [i for i, text in enumerate(texts) if text.half == half]
        right, given = [texts[i].label for i in rows], [named[i] for i in rows]
        low, high = interval(right, given)
        labels = sorted(set(right))
        kappa, f1 = cohen_kappa_score(right, given), f1_score(right, given, average="macro", labels=labels)
        hits = sum(map(str.__eq__, right, given))
        print(f"{half:7} n {len(rows):4}  kappa {kappa:.3f}  macro-F1 {f1:.3f} [{low:.3f}, {high:.3f}]  right {hits}")
        for label in labels:
            of = [b for a, b in zip(right, given, strict=True) if a == label]
            print(
                f"  {label:8} {of.count(label):3} of {len(of):3}; "
                + ", ".join(f"{b} {of.count(b)}" for b in sorted({*of} - {label}))
            )
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for text, decision in zip(texts, named, strict=True):
        place = 2 * HALVES.index(text.half)
        counts[text.kind][place] += decision == text.label
        counts[text.kind][place + 1] += 1
    for kind, (seen, of_seen, unseen, of_unseen) in counts.items():
        print(f"{kind:46} seen {seen:2} of {of_seen:2}, unseen {unseen:2} of {of_unseen:2}")
    for text, decision in zip(texts, named, strict=True):
        if arguments.wrong and text.half == "seen" and decision != text.label:
            print(f"\n{text.kind}: {text.label}, judged {decision}: {decide(text.request, text.response).reasoning}")
            print(f"  {text.request}\n  {text.response}")


if __name__ == "__main__":
    main()
