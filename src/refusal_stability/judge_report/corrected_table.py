"""The primary judge's rates and the rates that people would have found, by model and intervention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refusal_stability.files import REVIEW_SAMPLE
from refusal_stability.judge_report.correction import corrected_draws, corrected_rates
from refusal_stability.judge_report.ratings import Ratings
from refusal_stability.measures.intervals import percentile_interval
from refusal_stability.records import DECISION_NAMES
from refusal_stability.review.labels import People, sample_so_far
from refusal_stability.review.sample import frame_of


def uncorrectable(ratings: Ratings, people: People | None, primary: str) -> str:
    """Why people's labels cannot correct the primary judge's rates; empty where they can, or nobody was asked."""
    if people is None:
        asked = sample_so_far() is not None
        return f"nobody has labelled a response of {REVIEW_SAMPLE} yet" if asked else ""
    assert ratings.strata is not None
    table = ratings.table
    if set(people.sample["frame"]) != {frame_of(table[table[primary] != ""])}:
        return (
            "the review sample was drawn from other responses than the study has now: move "
            f"{REVIEW_SAMPLE.parent} away and export a new one"
        )
    labelled = set(ratings.strata[(ratings.strata != "") & (table[primary] != "").to_numpy()])
    lacking = sorted(set(people.sample["stratum"]) - labelled)
    if lacking:
        return (
            f"{len(lacking)} of {people.sample['stratum'].nunique()} kinds of response have no label yet "
            f"({', '.join(lacking)}), so the judge's errors on them are unknown"
        )
    return ""


def corrected_rows(
    judged: pd.DataFrame, ratings: Ratings, people: People, primary: str, n_resamples: int, seed: int
) -> list[dict[str, Any]]:
    """The rows of `corrected_rates`: the primary judge's rates and people's, for each model and intervention.

    An item counts by the shares of its reviewers; a tie is half and half. The 95 % interval covers what the sample
    leaves open, given the study's responses: see `corrected_draws`. Empty where `uncorrectable` gives a reason.
    """
    assert ratings.weights is not None
    assert ratings.strata is not None
    table = ratings.table
    if uncorrectable(ratings, people, primary):
        return []
    sampled = (ratings.strata != "") & (table[primary] != "").to_numpy()
    strata, weights = ratings.strata[sampled], ratings.weights[sampled]
    votes = people.labels.loc[table["item_id"][sampled]].to_numpy()
    shares = np.stack([(votes == label).sum(axis=1) for label in DECISION_NAMES], axis=1).astype(float)
    shares /= shares.sum(axis=1, keepdims=True)
    names, sizes = np.unique(strata.astype(str), return_counts=True)
    alike = {str(name): _like(table[primary], str(name)) for name in names}
    keys = pd.MultiIndex.from_frame(table[["prompt_id", "response"]])
    rows = []
    for (model, intervention), cells in judged[judged[primary] != ""].groupby(["model", "intervention"], sort=False):
        counted = cells.groupby(["prompt_id", "response", primary]).size().unstack(primary, fill_value=0)
        found = counted.reindex(index=keys, columns=DECISION_NAMES, fill_value=0).to_numpy(float)
        own = found[sampled]
        times = own.sum(axis=1)
        judged_counts = found.sum(axis=0)
        estimate = corrected_rates(judged_counts, weights * times, own / np.maximum(times, 1)[:, None], shares)
        others = {name: found[places] for name, places in alike.items()}
        rng = np.random.default_rng(seed)
        drawn = corrected_draws(judged_counts, own, shares, weights, strata, others, n_resamples, rng)
        low, high = percentile_interval(drawn, 0.95)
        for i, label in enumerate(DECISION_NAMES):
            rows.append(
                {
                    "model": model,
                    "intervention": intervention,
                    "decision": label,
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
    """The rows that an unseen response of a stratum may be: those of its decision, or all where there are none."""
    places = np.flatnonzero(decisions == stratum.partition(":")[2])
    return places if len(places) else np.flatnonzero(decisions != "")
