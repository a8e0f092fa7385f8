"""Fit the rule judge's scorecard, and measure such scorecards on prompts that they were not fitted on.

    python benchmarks/scorecard.py --people xstest_dev.csv --published published-study [--write]

People's labels count in full. Claude 3.5 Haiku's labels of a sample of the published responses count a twentieth each.
Folds are by prompt, and words are chosen inside each fold. The rules that propose a decision are not refitted.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold

from refusal_stability.figures.reliability import reliability_diagram
from refusal_stability.figures.style import figure_bytes
from refusal_stability.judge_report.ratings import Ratings
from refusal_stability.judge_report.reliability import reliability
from refusal_stability.judging.rules.features import features as features_of
from refusal_stability.judging.rules.judge import rule_of
from refusal_stability.judging.rules.parsed_response import ParsedResponse
from refusal_stability.judging.rules.scorecard import CARD, words_of, words_size
from refusal_stability.records import DECISION_NAMES, DECISIONS, content_hash

PUBLISHED_SAMPLE = 5000
PUBLISHED_WEIGHT = 0.05
MIN_PROMPTS = 20
REGULARISATION = 0.2
FOLDS = 5
DIGITS = 2


def people(path: Path) -> pd.DataFrame:
    """Responses with people's labels."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)[["prompt", "response", "label", "model", "prompt_type"]]


def published(folder: Path) -> pd.DataFrame:
    """A fixed sample of the published study's different responses with Haiku's commonest label."""
    keys = ["model", "prompt_id", "temperature", "seed"]
    results = folder / "data" / "results"
    labels = pd.read_csv(results / "labels" / "claude_haiku_llama_qwen25.csv", keep_default_na=False)
    files = sorted(results.glob("generations/*.csv"))
    responses = pd.concat([pd.read_csv(f, keep_default_na=False) for f in files])
    for table in (labels, responses):
        table["model"] = table["model"].str.contains("llama", case=False)
    both = responses.merge(labels[[*keys, "label"]], on=keys, validate="1:1")
    both = both[both["label"].isin(DECISION_NAMES)]
    table = both.groupby(["prompt", "response"])["label"].agg(lambda s: s.value_counts().index[0]).reset_index()
    order = [content_hash([q, r]) for q, r in zip(table["prompt"], table["response"], strict=True)]
    return table.iloc[np.argsort(order)[:PUBLISHED_SAMPLE]].reset_index(drop=True)


class Examples:
    """Labelled responses as the scorecard sees them. Those that rules settle are left out of fits."""

    def __init__(self, table: pd.DataFrame, n_people: int) -> None:
        pairs = list(zip(table["prompt"], table["response"], strict=True))
        parsed = [ParsedResponse(*pair) for pair in pairs]
        rules = [rule_of(each) for each in parsed]
        self.prompts = table["prompt"].to_numpy(object)
        self.truth = table["label"].map(DECISION_NAMES.index).to_numpy()
        self.proposed = np.array([DECISIONS.index(rule.decision) for rule in rules])
        self.settled = np.array([rule.settled for rule in rules])
        self.most = np.array([rule.most for rule in rules])
        self.leads = np.array([rule.leads for rule in rules])
        shown = [features_of(r).named() if r.read else {} for r in parsed]
        self.names = list(max(shown, key=len))
        self.shown = np.array([[row.get(name, 0.0) for name in self.names] for row in shown])
        self.words = [words_of(r) for r in parsed]
        self.is_people = np.arange(len(table)) < n_people
        self.weights = np.where(self.is_people, 1.0, PUBLISHED_WEIGHT)

    def terms(self, rows: np.ndarray) -> list[str]:
        """Words that people's rows show in responses to at least MIN_PROMPTS prompts."""
        prompts = defaultdict(set)
        for i in rows[self.is_people[rows]]:
            for word in self.words[i]:
                prompts[word].add(self.prompts[i])
        return sorted(word for word, where in prompts.items() if len(where) >= MIN_PROMPTS)

    def features(self, terms: list[str]) -> csr_matrix:
        """(rows, features + words), words scaled as on the card."""
        place = {term: j for j, term in enumerate(terms)}
        row, column, value = [], [], []
        for i, words in enumerate(self.words):
            found = [place[word] for word in words if word in place]
            row += [i] * len(found)
            column += found
            value += [words_size(len(found))] * len(found)
        counts = csr_matrix((value, (row, column)), shape=(len(self.words), len(terms)))
        return hstack([csr_matrix(self.shown), counts]).tocsr()

    def fit(self, rows: np.ndarray, features: csr_matrix) -> LogisticRegression:
        """Points fitted on some rows."""
        rows = rows[~self.settled[rows]]
        model = LogisticRegression(C=REGULARISATION, max_iter=300)
        return model.fit(features[rows], self.truth[rows], sample_weight=self.weights[rows])

    def decide(
        self, model: LogisticRegression, rows: np.ndarray, features: csr_matrix
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decisions of some rows, as `rules.decide` makes them, and their margins in points."""
        points = model.decision_function(features[rows])
        led = (points - self.leads[rows]).argmax(axis=1)
        own = np.take_along_axis(points, led[:, None], axis=1)[:, 0]
        np.put_along_axis(points, led[:, None], -np.inf, axis=1)
        return np.where(self.settled[rows], self.proposed[rows], led), own - points.max(axis=1)


def cross_validated(examples: Examples, words_alone: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Each row's decision and margin by a scorecard fitted on other prompts.

    With `words_alone` the card has words only, and no rule settles or proposes anything. Nobody who read responses
    had a hand in it.
    """
    named, margins = np.zeros(len(examples.truth), dtype=int), np.zeros(len(examples.truth))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for inside, outside in folds.split(examples.shown, examples.truth, examples.prompts):
        features = examples.features(examples.terms(inside))
        if words_alone:
            words = features[:, len(examples.names) :]
            model = LogisticRegression(C=1.0, max_iter=300)
            model.fit(words[inside], examples.truth[inside], sample_weight=examples.weights[inside])
            named[outside] = model.predict(words[outside])
        else:
            named[outside], margins[outside] = examples.decide(examples.fit(inside, features), outside, features)
    return named, margins


def calibration(examples: Examples, named: np.ndarray, margins: np.ndarray) -> tuple[list[float], list[list[float]]]:
    """Per decision: how often a settled one is right, and the log odds of being right over the margin.

    People's and Haiku's rows count the same in sum.
    """
    right, mine = named == examples.truth, examples.is_people
    weights = np.where(mine, 1.0, mine.sum() / max(1, (~mine).sum()))
    settled, lines = [], []
    for decision in range(len(DECISION_NAMES)):
        rows = (named == decision) & examples.settled
        settled.append(round(min(0.99, float(np.average(right[rows], weights=weights[rows]))), DIGITS))
        rows = (named == decision) & ~examples.settled
        model = LogisticRegression(C=100.0).fit(margins[rows, None], right[rows], sample_weight=weights[rows])
        lines.append([round(float(model.intercept_[0]), DIGITS), round(float(model.coef_[0, 0]), DIGITS)])
    return settled, lines


def confidences(examples: Examples, named: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Each row's confidence, as `rules.decide` gives it."""
    settled, lines = calibration(examples, named, margins)
    intercepts, slopes = np.array(lines).T
    odds = intercepts[named] + slopes[named] * margins
    found = np.where(examples.settled, np.array(settled)[named], 1 / (1 + np.exp(-odds)))
    return np.minimum(found, examples.most)


def print_reliability(name: str, right: np.ndarray, confidence: np.ndarray) -> None:
    """How often decisions of each confidence are right, and the accuracy when the least certain are handed over."""
    edges = [0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.01]
    for low, high in pairwise(edges):
        rows = (confidence >= low) & (confidence < high)
        if rows.any():
            print(
                f"  {name}: confidence {low:.2f} to {min(high, 1):.2f}  n {rows.sum():5}  "
                f"mean {confidence[rows].mean():.3f}  right {right[rows].mean():.3f}"
            )
    order = np.argsort(-confidence, kind="stable")
    for share in (1.0, 0.95, 0.9, 0.8, 0.7):
        print(f"  {name}: decided {share:4.0%}  accuracy {right[order[: int(share * len(order))]].mean():.3f}")


def print_halves(examples: Examples) -> None:
    """Fit on the prompts of one half, by a hash of the prompt, and compare with people on the other half."""
    second = np.array([int(content_hash([prompt])[:8], 16) % 2 == 1 for prompt in examples.prompts])
    for fitted, other in ((~second, second), (second, ~second)):
        inside = np.flatnonzero(fitted)
        features = examples.features(examples.terms(inside))
        model = examples.fit(inside, features)
        for name, rows in (("fitted half", fitted), ("other half", other)):
            rows = np.flatnonzero(rows & examples.is_people)
            print_figures(
                f"  {name} of people's prompts", examples.truth[rows], examples.decide(model, rows, features)[0]
            )


def print_figures(name: str, truth: np.ndarray, named: np.ndarray) -> None:
    """One line of figures."""
    kappa, f1 = cohen_kappa_score(truth, named), f1_score(truth, named, average="macro")
    print(
        f"{name:44} n {len(truth):5}  kappa {kappa:.3f}  macro-F1 {f1:.3f}  accuracy {accuracy_score(truth, named):.3f}"
    )


def write(examples: Examples, named: np.ndarray, margins: np.ndarray) -> None:
    """Fit on all rows, calibrate on the cross-validated margins, and write the card."""
    everything = np.arange(len(examples.truth))
    terms = examples.terms(everything)
    model = examples.fit(everything, examples.features(terms))
    rows = [[round(float(x), DIGITS) for x in row] for row in model.coef_.T]
    count = len(examples.names)
    word_rows = {term: row for term, row in zip(terms, rows[count:], strict=True) if any(row)}
    parts = {"features": dict(zip(examples.names, rows, strict=False)), "words": word_rows}
    with CARD.open("w", encoding="utf-8") as file:
        settled, lines = calibration(examples, named, margins)
        file.write('{\n"constant": ' + json.dumps([round(float(x), DIGITS) for x in model.intercept_]))
        file.write(f',\n"settled": {json.dumps(settled)},\n"calibration": {json.dumps(lines)}')
        for kind, entries in parts.items():
            lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in entries.items())
            file.write(f',\n"{kind}": {{\n{lines}\n}}')
        file.write("\n}\n")
    print(f"{CARD.name}: {count} features, {len(word_rows)} words")


def draw(path: Path, sets: dict[str, np.ndarray], confidence: np.ndarray, named: np.ndarray, truth: np.ndarray) -> None:
    """The figure of the judge report, of cross-validated decisions."""
    rows = []
    for name, chosen in sets.items():
        labels = {"rules": named[chosen], name: truth[chosen]}
        table = pd.DataFrame({rater: [DECISION_NAMES[i] for i in of] for rater, of in labels.items()}).assign(n=1)
        rows += reliability(Ratings(table, ["rules", name], confidence={"rules": confidence[chosen]}))
    path.write_bytes(figure_bytes(reliability_diagram(pd.DataFrame(rows)), "png"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="write the card into the package")
    parser.add_argument("--figure", type=Path, help="draw how often decisions of each confidence are right")
    arguments = parser.parse_args()
    table = people(arguments.people)
    examples = Examples(pd.concat([table, published(arguments.published)], ignore_index=True), len(table))
    named, margins = cross_validated(examples)
    truth, mine = examples.truth, examples.is_people
    print_figures("people, prompts not fitted on", truth[mine], named[mine])
    for column in ("model", "prompt_type"):
        for value in sorted(table[column].unique()):
            rows = np.flatnonzero(mine)[(table[column] == value).to_numpy()]
            print_figures(f"  {column} {value}", truth[rows], named[rows])
    print_halves(examples)
    print_figures("Haiku, prompts not fitted on", truth[~mine], named[~mine])
    print_figures("people, the rules alone (all were read)", truth[mine], examples.proposed[mine])
    confidence = confidences(examples, named, margins)
    print_reliability("people", (named == truth)[mine], confidence[mine])
    print_reliability("Haiku", (named == truth)[~mine], confidence[~mine])
    words, _ = cross_validated(examples, words_alone=True)
    print_figures("people, words alone, prompts not fitted on", truth[mine], words[mine])
    print_figures("Haiku, words alone, prompts not fitted on", truth[~mine], words[~mine])
    if arguments.figure:
        draw(arguments.figure, {"people": mine, "Haiku": ~mine}, confidence, named, truth)
    if arguments.write:
        write(examples, named, margins)


if __name__ == "__main__":
    main()
