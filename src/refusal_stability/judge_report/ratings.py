"""What judges and people say of the same responses, ready to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refusal_stability.judging.joined_labels import confidence_of
from refusal_stability.judging.panel import majority_of
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.intervals import BLOCK_CELLS, bootstrap_totals
from refusal_stability.records import DECISION_NAMES, Decision, Judgement
from refusal_stability.review.labels import People
from refusal_stability.review.sample import distinct_responses

PEOPLE = "people"
ALL_RESPONSES, SAMPLE = "all responses", "people's sample"

Codes = NDArray[np.int8]


@dataclass(frozen=True)
class Counted:
    """Responses of each kind: (kinds,) in all, (B, kinds) on resamples of prompts, and what one more prompt would add.

    `parts` has a row for each distinct prompt and `weights` how many prompts have it: an interval's effective units.
    """

    own: Floats
    drawn: Floats
    parts: Floats
    weights: Ints


@dataclass(frozen=True)
class Ratings:
    """Distinct responses, and each rater's decision on them.

    Attributes
    ----------
    table : one row per distinct (prompt, response): prompt_id, prompt, response, n (how often the study has it), and
        one column per rater with its decision or an empty string.
    judges, people : the raters' columns. `people` has the reviewers' joint decision and each reviewer's own.
    strata : (rows,) the stratum in the people's sample, "" where not sampled; None without people's labels.
    weights : (rows,) how many distinct responses a sampled row stands for, 0 where not sampled; None without people.
    confidence : (rows,) of each judge that gives one, its confidence; NaN where it gives none.
    cells : n for every prompt and combination of the judges' decisions on single responses. Judges are compared on
        these, since recorded labels may differ between equal texts. None means `table`.
    """

    table: pd.DataFrame
    judges: Sequence[str]
    people: Sequence[str] = ()
    strata: NDArray[Any] | None = None
    weights: Floats | None = None
    cells: pd.DataFrame | None = None
    confidence: Mapping[str, Floats] = field(default_factory=dict)

    def rows(self, raters: Sequence[str]) -> pd.DataFrame:
        """The rows on which these raters are compared."""
        return self.cells if self.cells is not None and self.basis(raters) == ALL_RESPONSES else self.table

    def basis(self, raters: Sequence[str]) -> str:
        """What a comparison of these raters rests on: all responses, or the people's sample."""
        return SAMPLE if set(raters) & set(self.people) else ALL_RESPONSES

    def counted(
        self, raters: Sequence[str], kinds: NDArray[Any], n_resamples: int, rng: np.random.Generator
    ) -> Counted:
        """Count the responses of each kind, and resample their prompts.

        `kinds` (rows,) holds each row's kind, numbered from 0; -1 leaves a row out. The responses of a prompt are
        alike, so a resample takes or leaves them together. In the people's sample every prompt gets a random weight
        (Bayesian bootstrap), and each stratum keeps its size.
        """
        rows = self.rows(raters)
        mass = rows["n"].to_numpy(np.float64)
        one_hot = np.eye(int(kinds.max(initial=-1)) + 2)[kinds][:, :-1]
        prompt = units_of(rows)
        if self.basis(raters) == ALL_RESPONSES:
            by_prompt = np.zeros((int(prompt.max(initial=-1)) + 1, one_hot.shape[1]))
            np.add.at(by_prompt, prompt, mass[:, None] * one_hot)
            prompts = distinct_rows(by_prompt[by_prompt.sum(axis=1) > 0])
            drawn = bootstrap_totals(prompts.rows, prompts.weights, n_resamples, rng)
            return Counted(prompts.weights @ prompts.rows, drawn, prompts.rows, prompts.weights)
        assert self.strata is not None
        assert self.weights is not None
        sampled = self.strata != ""
        return _of_sample(
            mass[sampled, None] * one_hot[sampled],
            self.weights[sampled],
            np.unique(self.strata[sampled].astype(str), return_inverse=True)[1],
            np.unique(prompt[sampled], return_inverse=True)[1],
            n_resamples,
            rng,
        )

    def n_rated(self, raters: Sequence[str], rated: NDArray[Any]) -> int:
        """How many responses, or items of the people's sample, are rated."""
        if self.weights is not None and self.basis(raters) == SAMPLE:
            return int((rated & (self.weights > 0)).sum())
        return int(self.rows(raters)["n"].to_numpy()[rated].sum())


def _of_sample(
    counts: Floats, weights: Floats, strata: Ints, prompts: Ints, n_resamples: int, rng: np.random.Generator
) -> Counted:
    """Weighted totals of a stratified sample's items (n, kinds), on resamples that keep every stratum's size."""
    n_prompts, n_strata = int(prompts.max(initial=-1)) + 1, int(strata.max(initial=-1)) + 1
    inside = strata[:, None] == np.arange(n_strata)
    items = inside.sum(axis=0)
    parts = np.zeros((n_prompts, counts.shape[1]))
    np.add.at(parts, prompts, weights[:, None] * (counts - (inside.T @ counts / items[:, None])[strata]))
    drawn = []
    block = max(1, BLOCK_CELLS // max(1, len(strata)))
    for start in range(0, n_resamples, block):
        each = rng.standard_exponential((min(block, n_resamples - start), n_prompts))[:, prompts]
        drawn.append(each * (items / (each @ inside))[:, strata] @ (weights[:, None] * counts))
    return Counted(weights @ counts, np.concatenate(drawn), parts, np.ones(n_prompts, dtype=np.int64))


def units_of(rows: pd.DataFrame) -> Ints:
    """(rows,) the number of each row's prompt. A row without the prompt's id is known by its text, else is alone."""
    ids = rows["prompt_id"].astype(str)
    texts = rows["prompt"].astype(str) if "prompt" in rows else pd.Series("", index=rows.index)
    names = np.where(ids != "", "i" + ids, np.where(texts != "", "t" + texts, [f"r{i}" for i in range(len(rows))]))
    return np.unique(names.astype(str), return_inverse=True)[1].astype(np.int64)


def codes(rows: pd.DataFrame, rater: str) -> Codes:
    """(rows,) a rater's decisions as positions in `DECISIONS`; -1 for none."""
    places = {name: i for i, name in enumerate(DECISION_NAMES)}
    return np.array([places.get(label, -1) for label in rows[rater]], dtype=np.int8)


def rate(distinct: pd.DataFrame, judges: Sequence[str], people: People | None) -> Ratings:
    """Judges, and people where there are any, on the study's distinct responses.

    The column `people` is the reviewers' most frequent label; on a tie, the least safe. An item's weight is its
    stratum's number of responses divided by the number of its *labelled* items.
    """
    if people is None:
        return Ratings(distinct, judges)
    labels = people.labels.reindex(distinct["item_id"]).fillna("")
    table = distinct.reset_index(drop=True)
    votes = labels.to_numpy()
    together = [str(_together(row) or "") for row in votes.tolist()]
    table = table.assign(**{PEOPLE: together})
    reviewers = people.reviewers if len(people.reviewers) > 1 else []
    for reviewer in reviewers:
        table[reviewer] = labels[reviewer].to_numpy()
    strata = people.sample.set_index("item_id")["stratum"].reindex(table["item_id"]).fillna("").to_numpy(object)
    strata = np.where(np.array(together, dtype=object) != "", strata, "")
    sizes = people.sample.groupby("stratum")["weight"].sum()
    labelled = pd.Series(strata).value_counts()
    weights = np.array([sizes[s] / labelled[s] if s else 0.0 for s in strata])
    return Ratings(table, judges, [PEOPLE, *reviewers], strata, weights)


def sample_explained(ratings: Ratings) -> str:
    """What the weights of the people's sample do; empty without people's labels."""
    if ratings.weights is None or not (ratings.weights > 0).any():
        return ""
    items = ratings.weights > 0
    distinct = ratings.weights.sum()
    responses = float((ratings.weights * ratings.table["n"].to_numpy(np.float64)).sum())
    return (
        f"People labelled {int(items.sum()):,} distinct responses. These stand for {distinct:,.0f} distinct responses, "
        f"about {responses:,.0f} with repeats: each item counts for as many as its kind has for one labelled item "
        f"({ratings.weights[items].min():,.1f} to {ratings.weights[items].max():,.1f}). Kinds that were drawn more "
        "often than their share count less for each item."
    )


def _together(row: Sequence[str]) -> Decision | None:
    votes = {str(i): [Judgement(Decision(label), "")] for i, label in enumerate(row) if label}
    return majority_of(votes).decision if votes else None


def clashing_names(people: People | None, judges: Sequence[str]) -> list[str]:
    """Reviewers with a judge's name, or with the name of the joint column."""
    return sorted(set(people.reviewers) & {*judges, PEOPLE}) if people else []


def ratings_of_study(judged: pd.DataFrame, names: Sequence[str], people: People | None) -> Ratings:
    """Judges and people on a study's responses; judges without any decision are left out.

    Raises
    ------
    JudgingError
        Where a reviewer has a judge's name.
    """
    judges = [name for name in names if name in judged and (judged[name] != "").any()]
    if clash := clashing_names(people, judges):
        raise JudgingError(f"reviewer {clash[0]!r} has the name of a judge; rename one of the two")
    cells = judged.groupby(["prompt_id", *judges], sort=True).size().reset_index(name="n")
    distinct = distinct_responses(judged, judges)
    return replace(rate(distinct, judges, people), cells=cells, confidence=_confidence(judged, distinct, judges))


def _confidence(judged: pd.DataFrame, distinct: pd.DataFrame, judges: Sequence[str]) -> dict[str, Floats]:
    """Each judge's confidence in the distinct responses; the lowest where recorded labels give a text several."""
    given = [judge for judge in judges if judged.get(confidence_of(judge), pd.Series(dtype=float)).notna().any()]
    keys = ["prompt_id", "response"]
    lowest = judged.groupby(keys)[[confidence_of(judge) for judge in given]].min()
    found = lowest.reindex(pd.MultiIndex.from_frame(distinct[keys]))
    return {judge: found[confidence_of(judge)].to_numpy(np.float64) for judge in given}


def ratings_of_table(labelled: pd.DataFrame, judges: Sequence[str]) -> Ratings:
    """Judges on a table whose `label` was given by people; every row has weight 1."""
    table = labelled.rename(columns={"label": PEOPLE}).assign(prompt_id="", n=1)
    given = [judge for judge in judges if labelled[confidence_of(judge)].notna().any()]
    return Ratings(
        table,
        judges,
        [PEOPLE],
        np.full(len(table), "table", dtype=object),
        np.ones(len(table)),
        confidence={judge: labelled[confidence_of(judge)].to_numpy(np.float64) for judge in given},
    )
