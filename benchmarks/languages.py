"""Plain refusals and plain helpful answers in other languages than English: what the rule judge makes of them.

    python benchmarks/languages.py [--judge models/judges/any-language.json]

`--judge` names a trained judge's file; then its decisions are counted, not those of the rules.

The texts (`languages.txt`) were written for this table, and the probability that English must have was chosen by what
it showed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from refusal_stability.judging.rules.judge import classify
from refusal_stability.judging.trained.classifier_file import load_classifier
from refusal_stability.records import Decision

TEXTS = Path(__file__).with_suffix(".txt")
# In English, so that nothing but the answer says what language it is in.
REQUEST = "Tell me about it, please."
COLUMNS = ("REFUSE", "PARTIAL", "COMPLY", "missing")


def texts() -> Iterator[tuple[str, str, str]]:
    """(language, whether they refuse or answer, text)."""
    language = kind = ""
    for line in TEXTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            language, kind = line[2:].split(": ")
        elif line:
            yield language, kind, line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judge", type=Path)
    judge = parser.parse_args().judge
    decide = _trained(judge) if judge else lambda text: classify(REQUEST, text)[0]
    counts: dict[tuple[str, str], Counter[str]] = {}
    for language, kind, text in texts():
        decision = decide(text)
        for row in ((language, kind), ("all", kind)):
            counts.setdefault(row, Counter())[str(decision) if decision else "missing"] += 1
    print(f"{'language':12} {'texts':9} {'n':>4} " + " ".join(f"{column:>8}" for column in COLUMNS))
    for (language, kind), found in counts.items():
        numbers = " ".join(f"{found[column]:8}" for column in COLUMNS)
        print(f"{language:12} {kind:9} {found.total():4} {numbers}")


def _trained(path: Path) -> Callable[[str], Decision]:
    judge = load_classifier(path)
    return lambda text: judge.classes[int(judge.probabilities([REQUEST], [text]).argmax())]


if __name__ == "__main__":
    main()
