"""A blind, stratified sample of a study's responses for people to label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from refusal_stability.files import REVIEW_SAMPLE
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.records import DECISION_NAMES, content_hash
from refusal_stability.tables.review import SAMPLE_TABLE

# How much more often than a plain response each kind is drawn.
OVERSAMPLING = {"disagreement": 4.0, "borderline": 2.0, "plain": 1.0}
LEAST = 2
ITEM_CHARACTERS = 16
# Ids begin with a letter, because spreadsheets round what looks like a number.
ITEM_LETTER = "r"


def distinct_responses(judged: pd.DataFrame, judges: Sequence[str]) -> pd.DataFrame:
    """One row per distinct (prompt, response) of the study: n (how often it occurs), item id, each judge's decision.

    Recorded labels may differ between equal texts. The most frequent label is used then; on a tie, the least safe.
    """
    keys = ["prompt_id", "response"]
    groups = judged.groupby(keys, sort=True)
    table = groups.agg(prompt=("prompt", "first"), n=("prompt", "size"))
    for judge in judges:
        counts = judged.groupby([*keys, judge]).size().unstack(judge, fill_value=0)
        ranked = counts.reindex(index=table.index, columns=list(reversed(DECISION_NAMES)), fill_value=0).to_numpy()
        best = np.array(list(reversed(DECISION_NAMES)), dtype=object)[ranked.argmax(axis=1)]
        table[judge] = np.where(ranked.max(axis=1) > 0, best, "")
    table = table.reset_index()
    table["item_id"] = [item_of(p, r) for p, r in zip(table["prompt_id"], table["response"], strict=True)]
    return table


def item_of(prompt_id: str, response: str) -> str:
    """The review id of a response to a prompt."""
    return ITEM_LETTER + content_hash([prompt_id, response])[:ITEM_CHARACTERS]


def frame_of(distinct: pd.DataFrame) -> str:
    """A hash of the responses that a sample is drawn from; it identifies the sample's study."""
    return content_hash(sorted(distinct["item_id"]))[:ITEM_CHARACTERS]


def check_sample(sample: pd.DataFrame, distinct: pd.DataFrame, primary: str) -> None:
    """Raise where a sample was drawn from other responses than these."""
    if set(sample["frame"]) != {frame_of(distinct[distinct[primary] != ""])}:
        raise JudgingError(
            f"{REVIEW_SAMPLE}: drawn from other responses than the study has now; finish that review with its own "
            f"study, or move {REVIEW_SAMPLE.parent} away for a new sample"
        )


def check_asked(sample: pd.DataFrame, asked: pd.DataFrame, size: int, seed: int) -> None:
    """Raise where a size and a seed ask for another sample than the one that exists."""
    if set(sample["item_id"]) != set(asked["item_id"]):
        raise JudgingError(
            f"review: --size {size} --seed {seed} give another sample than {REVIEW_SAMPLE}, which has {len(sample)} "
            f"responses; leave both out to use that one, or move {REVIEW_SAMPLE.parent} away for a new one"
        )


def draw_sample(judged: pd.DataFrame, judges: Sequence[str], primary: str, size: int, seed: int) -> pd.DataFrame:
    """A stratified sample of the distinct responses, as `SAMPLE_TABLE`.

    Strata cross two things: why a response is of interest, and the primary judge's decision. Responses on which the
    judges disagree are drawn 4 times as often as their share, and other responses to prompts whose decisions vary,
    twice. Every stratum has at least two items where it can, so that its spread is known. `weight` is how many distinct
    responses an item stands for.

    Raises
    ------
    JudgingError
        Where there are no judged responses, or `size` is under 1.
    """
    if size < 1:
        raise JudgingError(f"review: --size {size} is not allowed; allowed: at least 1")
    distinct = distinct_responses(judged, judges)
    distinct = distinct[distinct[primary] != ""]
    if distinct.empty:
        raise JudgingError(f"review: the primary judge {primary} has no decision; run `dvc repro judge` first")
    strata = _strata(judged, distinct, judges, primary)
    sizes = _allocate(strata.value_counts().sort_index(), size)
    rng = np.random.default_rng(seed)
    parts = []
    for stratum, count in sizes.items():
        inside = distinct[strata == stratum].sort_values("item_id")
        chosen = np.sort(rng.choice(len(inside), size=count, replace=False))
        parts.append(inside.iloc[chosen].assign(stratum=stratum, weight=len(inside) / count))
    sample = pd.concat(parts).sort_values("item_id").assign(frame=frame_of(distinct))
    return sample[list(SAMPLE_TABLE.columns)].reset_index(drop=True)


def _strata(judged: pd.DataFrame, distinct: pd.DataFrame, judges: Sequence[str], primary: str) -> pd.Series[Any]:
    decided = judged[judged[primary] != ""]
    varied = decided.groupby(["model", "intervention", "prompt_id"])[primary].nunique()
    borderline = set(varied[varied > 1].reset_index()["prompt_id"])
    labels = distinct[list(judges)].replace("", np.nan)
    kind = np.where(
        labels.nunique(axis=1) > 1,
        "disagreement",
        np.where(distinct["prompt_id"].isin(borderline), "borderline", "plain"),
    )
    names = [f"{k}:{label}" for k, label in zip(kind, distinct[primary], strict=True)]
    return pd.Series(names, index=distinct.index)


def _allocate(counts: pd.Series[Any], size: int) -> dict[str, int]:
    """Items per stratum: its share times the oversampling, at least two and at most all."""
    wanted = counts * [OVERSAMPLING[str(stratum).partition(":")[0]] for stratum in counts.index]
    taken = {str(stratum): min(LEAST, int(count)) for stratum, count in counts.items()}
    # Add items one by one to the stratum that is furthest behind its share.
    while sum(taken.values()) < min(size, int(counts.sum())):
        behind = {s: wanted[s] / (taken[s] + 1) for s in taken if taken[s] < counts[s]}
        taken[max(behind, key=lambda s: (behind[s], s))] += 1
    return taken
