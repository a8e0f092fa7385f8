"""People as judges: a blind, stratified sample of a study's responses, their labels, and what these say of a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refusal_stability.files import PEOPLE_LABELS, REVIEW_SAMPLE
from refusal_stability.judge_report.comparison import LABELS, PEOPLE, Ratings
from refusal_stability.judge_report.correction import corrected_draws, corrected_rates
from refusal_stability.judging.panel import majority
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.measures.intervals import percentile_interval
from refusal_stability.records import DECISIONS, Decision, Judgement, content_hash
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.review import PEOPLE_TABLE, SAMPLE_TABLE

# How much likelier than a plain response one of each kind is drawn.
OVERSAMPLING = {"disagreement": 4.0, "borderline": 2.0, "plain": 1.0}
LEAST = 2
ITEM_CHARACTERS = 16
# Ids begin with a letter: a spreadsheet would round one that looks like a number.
ITEM_LETTER = "r"


@dataclass(frozen=True)
class People:
    """The sample and the labels that people gave to its items (reviewers as columns, "" for none)."""

    sample: pd.DataFrame
    labels: pd.DataFrame

    @property
    def reviewers(self) -> list[str]:
        """Who labelled anything."""
        return list(self.labels.columns)


def distinct_responses(judged: pd.DataFrame, judges: Sequence[str]) -> pd.DataFrame:
    """One row a different (prompt, response) of the study, with n, its item id, and each judge's decision.

    A judge that decides one and the same text differently in different cells (recorded labels do) has no one decision
    on it: its commonest is taken, on a tie the least safe.
    """
    keys = ["prompt_id", "response"]
    groups = judged.groupby(keys, sort=True)
    table = groups.agg(prompt=("prompt", "first"), n=("prompt", "size"))
    for judge in judges:
        counts = judged.groupby([*keys, judge]).size().unstack(judge, fill_value=0)
        ranked = counts.reindex(index=table.index, columns=list(reversed(LABELS)), fill_value=0).to_numpy()
        best = np.array(list(reversed(LABELS)), dtype=object)[ranked.argmax(axis=1)]
        table[judge] = np.where(ranked.max(axis=1) > 0, best, "")
    table = table.reset_index()
    table["item_id"] = [item_of(p, r) for p, r in zip(table["prompt_id"], table["response"], strict=True)]
    return table


def item_of(prompt_id: str, response: str) -> str:
    """The review id of a response to a prompt."""
    return ITEM_LETTER + content_hash([prompt_id, response])[:ITEM_CHARACTERS]


def frame_of(distinct: pd.DataFrame) -> str:
    """A hash of the responses that a sample is drawn from."""
    return content_hash(sorted(distinct["item_id"]))[:ITEM_CHARACTERS]


def check_sample(sample: pd.DataFrame, distinct: pd.DataFrame, primary: str) -> None:
    """Raise where a sample was drawn from other responses than these: another study's, or an earlier version's."""
    if set(sample["frame"]) != {frame_of(distinct[distinct[primary] != ""])}:
        raise JudgingError(
            f"{REVIEW_SAMPLE}: drawn from other responses than the study now has; finish that review with the study it "
            f"belongs to, or move {REVIEW_SAMPLE.parent} away for a new sample"
        )


def check_asked(sample: pd.DataFrame, asked: pd.DataFrame, size: int, seed: int) -> None:
    """Raise where a sample is not the one that its study's labels, a size and a seed give."""
    if set(sample["item_id"]) != set(asked["item_id"]):
        raise JudgingError(
            f"review: --size {size} --seed {seed} give another sample than {REVIEW_SAMPLE}, which has {len(sample)} "
            f"responses; leave both out to hand that one out, or move {REVIEW_SAMPLE.parent} away for a new one"
        )


def draw_sample(judged: pd.DataFrame, judges: Sequence[str], primary: str, size: int, seed: int) -> pd.DataFrame:
    """A stratified sample of the different responses, as `SAMPLE_TABLE`.

    Strata are crossed of why a response is of interest (the judges disagree on it; its prompt's decisions vary by the
    primary judge; neither) and the primary judge's decision. The first two are drawn 4 and 2 times as often as their
    share; every stratum has at least two items where it can, so that its spread is known. `weight` is how many
    different responses an item stands for.

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
        raise JudgingError(f"review: the primary judge {primary} decided no response; run `dvc repro judge` first")
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
    """Items of each stratum: shares times the oversampling, at least two and at most all of them."""
    wanted = counts * [OVERSAMPLING[str(stratum).partition(":")[0]] for stratum in counts.index]
    taken = {str(stratum): min(LEAST, int(count)) for stratum, count in counts.items()}
    # One after the other to the stratum that is furthest behind its share.
    while sum(taken.values()) < min(size, int(counts.sum())):
        behind = {s: wanted[s] / (taken[s] + 1) for s in taken if taken[s] < counts[s]}
        taken[max(behind, key=lambda s: (behind[s], s))] += 1
    return taken


def labels_so_far() -> pd.DataFrame:
    """The labels that people have given, as `PEOPLE_TABLE`; no rows before the first."""
    if PEOPLE_LABELS.is_file():
        return read_table(PEOPLE_LABELS, PEOPLE_TABLE)
    return pd.DataFrame(columns=list(PEOPLE_TABLE.columns), dtype=object)


def sample_so_far() -> pd.DataFrame | None:
    """The review sample; None before the first.

    Raises
    ------
    JudgingError
        Where it is gone, but labels of its items are there: they stand for nothing without it.
    """
    if REVIEW_SAMPLE.is_file():
        return read_table(REVIEW_SAMPLE, SAMPLE_TABLE)
    if not labels_so_far().empty:
        raise JudgingError(
            f"{REVIEW_SAMPLE}: no such file, but {PEOPLE_LABELS} holds labels of its items; bring it back, or move "
            f"{REVIEW_SAMPLE.parent} away for a new sample"
        )
    return None


def progress(labels: pd.DataFrame, before: int, items: int) -> str:
    """How many labels are new, and how many of the sample's items each reviewer has labelled."""
    given = labels.groupby("reviewer").size()
    told = ", ".join(f"{reviewer} {n} of {items}" for reviewer, n in given.items())
    return f"{PEOPLE_LABELS}: {len(labels) - before} new labels; {told or 'nobody has labelled an item yet'}"


def read_people() -> People | None:
    """The review sample and the labels given so far; None where there are none."""
    sample, labels = sample_so_far(), labels_so_far()
    if sample is None or labels.empty:
        return None
    wide = labels.pivot(index="item_id", columns="reviewer", values="label").fillna("")
    return People(sample, wide)


def rate(distinct: pd.DataFrame, judges: Sequence[str], people: People | None) -> Ratings:
    """Judges, and people where there are any, on the study's different responses.

    The column `people` is what the reviewers say together: the commonest label, on a tie the least safe. An item's
    weight is its stratum's number of responses over the number of its *labelled* items, so that what nobody has
    labelled yet is not taken for labelled.
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


def _together(row: Sequence[str]) -> Decision | None:
    votes = {str(i): [Judgement(Decision(label), "")] for i, label in enumerate(row) if label}
    return majority(votes).decision if votes else None


def clashing_names(people: People | None, judges: Sequence[str]) -> list[str]:
    """Reviewers who are called like a judge, or like people in general."""
    return sorted(set(people.reviewers) & {*judges, PEOPLE}) if people else []


def of_judged(judged: pd.DataFrame, names: Sequence[str], people: People | None) -> Ratings:
    """Judges and people on a study's judged responses; judges without a single decision are left out.

    Raises
    ------
    JudgingError
        Where a reviewer is called like a judge.
    """
    judges = [name for name in names if name in judged and (judged[name] != "").any()]
    if clash := clashing_names(people, judges):
        raise JudgingError(f"reviewer {clash[0]!r} is called like a judge; rename one of the two")
    cells = judged.groupby(judges, sort=True).size().reset_index(name="n")
    return replace(rate(distinct_responses(judged, judges), judges, people), cells=cells)


def against_table(labelled: pd.DataFrame, judges: Sequence[str]) -> Ratings:
    """Judges on a table whose `label` is people's; each row stands for itself."""
    table = labelled.rename(columns={"label": PEOPLE}).assign(prompt_id="", n=1)
    return Ratings(table, judges, [PEOPLE], np.full(len(table), "table", dtype=object), np.ones(len(table)))


def uncorrectable(ratings: Ratings, people: People | None, primary: str) -> str:
    """Why people's labels cannot correct the primary judge's rates yet; empty where they can, or nobody was asked."""
    if people is None:
        asked = sample_so_far() is not None
        return f"nobody has labelled a response of {REVIEW_SAMPLE} yet" if asked else ""
    assert ratings.strata is not None
    table = ratings.table
    if set(people.sample["frame"]) != {frame_of(table[table[primary] != ""])}:
        return (
            "the review sample was drawn from other responses than the study now has: move "
            f"{REVIEW_SAMPLE.parent} away and export a new one"
        )
    labelled = set(ratings.strata[(ratings.strata != "") & (table[primary] != "").to_numpy()])
    lacking = sorted(set(people.sample["stratum"]) - labelled)
    if lacking:
        return (
            f"{len(lacking)} of {people.sample['stratum'].nunique()} kinds of response have no label yet "
            f"({', '.join(lacking)}): nobody knows how the judge errs on them"
        )
    return ""


def correct(
    judged: pd.DataFrame, ratings: Ratings, people: People, primary: str, n_resamples: int, seed: int
) -> list[dict[str, Any]]:
    """The primary judge's rates and people's, for each model and intervention: the rows of `corrected_rates`.

    An item counts as the shares of its reviewers (a tie is half and half). The interval (95 %) holds what the sample
    leaves open, the study's responses being what they are: see `corrected_draws`. Empty where `uncorrectable` says
    why.
    """
    assert ratings.weights is not None
    assert ratings.strata is not None
    table = ratings.table
    if uncorrectable(ratings, people, primary):
        return []
    sampled = (ratings.strata != "") & (table[primary] != "").to_numpy()
    strata, weights = ratings.strata[sampled], ratings.weights[sampled]
    votes = people.labels.loc[table["item_id"][sampled]].to_numpy()
    shares = np.stack([(votes == label).sum(axis=1) for label in LABELS], axis=1).astype(float)
    shares /= shares.sum(axis=1, keepdims=True)
    names, sizes = np.unique(strata.astype(str), return_counts=True)
    alike = {str(name): _like(table[primary], str(name)) for name in names}
    keys = pd.MultiIndex.from_frame(table[["prompt_id", "response"]])
    rows = []
    for (model, intervention), cells in judged[judged[primary] != ""].groupby(["model", "intervention"], sort=False):
        counted = cells.groupby(["prompt_id", "response", primary]).size().unstack(primary, fill_value=0)
        found = counted.reindex(index=keys, columns=LABELS, fill_value=0).to_numpy(float)
        own = found[sampled]
        times = own.sum(axis=1)
        judged_counts = found.sum(axis=0)
        estimate = corrected_rates(judged_counts, weights * times, own / np.maximum(times, 1)[:, None], shares)
        others = {name: found[places] for name, places in alike.items()}
        rng = np.random.default_rng(seed)
        drawn = corrected_draws(judged_counts, own, shares, weights, strata, others, n_resamples, rng)
        low, high = percentile_interval(drawn, 0.95)
        for i, label in enumerate(DECISIONS):
            rows.append(
                {
                    "model": model,
                    "intervention": intervention,
                    "decision": str(label),
                    "n_responses": len(cells),
                    "n_labelled": int((times > 0).sum()),
                    "n_strata": len(names),
                    "least_labelled": int(sizes.min()),
                    "raw_rate": judged_counts[i] / len(cells),
                    "corrected_rate": float(estimate[i]),
                    "corrected_rate_low": float(min(low[i], estimate[i])),
                    "corrected_rate_high": float(max(high[i], estimate[i])),
                }
            )
    return rows


def _like(decisions: pd.Series[Any], stratum: str) -> NDArray[Any]:
    """The places of the responses that one of a stratum may be: those of its decision, or all if there are none now."""
    places = np.flatnonzero(decisions == stratum.partition(":")[2])
    return places if len(places) else np.flatnonzero(decisions != "")
