"""The labels that people have given to the review sample: kept, merged without overwriting, and read back."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from refusal_stability.files import PEOPLE_LABELS, REVIEW_SAMPLE
from refusal_stability.judging.protocol import JudgingError
from refusal_stability.records import DECISION_NAMES
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.review import PEOPLE_TABLE, SAMPLE_TABLE

SHOWN = 5


@dataclass(frozen=True)
class People:
    """The sample and people's labels of its items: one column per reviewer, "" for no label."""

    sample: pd.DataFrame
    labels: pd.DataFrame

    @property
    def reviewers(self) -> list[str]:
        """Everyone who labelled an item."""
        return list(self.labels.columns)


def labels_so_far() -> pd.DataFrame:
    """The labels that people have given, as `PEOPLE_TABLE`; no rows at first."""
    if PEOPLE_LABELS.is_file():
        return read_table(PEOPLE_LABELS, PEOPLE_TABLE)
    return pd.DataFrame(columns=list(PEOPLE_TABLE.columns), dtype=object)


def sample_so_far() -> pd.DataFrame | None:
    """The review sample; None where none was drawn.

    Raises
    ------
    JudgingError
        Where the sample is gone but labels of its items exist: they mean nothing without it.
    """
    if REVIEW_SAMPLE.is_file():
        return read_table(REVIEW_SAMPLE, SAMPLE_TABLE)
    if not labels_so_far().empty:
        raise JudgingError(
            f"{REVIEW_SAMPLE}: no such file, but {PEOPLE_LABELS} holds labels of its items; restore it, or move "
            f"{REVIEW_SAMPLE.parent} away for a new sample"
        )
    return None


def labelling_progress(labels: pd.DataFrame, before: int, items: int) -> str:
    """One line: how many labels are new, and how many items each reviewer has labelled."""
    given = labels.groupby("reviewer").size()
    counts = ", ".join(f"{reviewer} {n} of {items}" for reviewer, n in given.items())
    return f"{PEOPLE_LABELS}: {len(labels) - before} new labels; {counts or 'nobody has labelled an item yet'}"


def read_people() -> People | None:
    """The review sample and the labels given so far; None where there are none."""
    sample, labels = sample_so_far(), labels_so_far()
    if sample is None or labels.empty:
        return None
    wide = labels.pivot(index="item_id", columns="reviewer", values="label").fillna("")
    return People(sample, wide)


def merge_labels(present: pd.DataFrame, new: pd.DataFrame, sample: pd.DataFrame, where: str) -> pd.DataFrame:
    """The labels with new ones added, ordered by item and reviewer. Repeating an equal label changes nothing.

    Raises
    ------
    JudgingError
        Where an item is not in the sample, a label is not a decision, one reviewer labels an item twice, or a label
        would replace another. Nothing is added then.
    """
    new = new.assign(label=new["label"].str.strip().str.upper())
    _stop(
        new[~new["item_id"].isin(sample["item_id"])], where, "are not in the review sample; use the form of this sample"
    )
    _stop(
        new[~new["label"].isin(DECISION_NAMES)],
        where,
        f"have a label other than {', '.join(DECISION_NAMES)}; correct the label",
    )
    keys = ["item_id", "reviewer"]
    _stop(new[new.duplicated(keys, keep=False)], where, "are labelled twice; keep one row per item")
    both = new.merge(present, on=keys, how="left", suffixes=("", "_before"))
    changed = both[both["label_before"].notna() & (both["label_before"] != both["label"])]
    _stop(
        changed,
        where,
        "have another label already, and a label is never overwritten; if the first was a mistake, delete its row from "
        "data/people/labels.csv",
    )
    added = new[both["label_before"].isna().to_numpy()]
    merged = pd.concat([present, added], ignore_index=True).sort_values(keys)
    return merged[list(PEOPLE_TABLE.columns)].reset_index(drop=True)


def _stop(rows: pd.DataFrame, where: str, problem: str) -> None:
    if len(rows):
        shown = ", ".join(f"{item} ({label[:20]!r})" for item, label in rows[["item_id", "label"]].to_numpy()[:SHOWN])
        more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        raise JudgingError(f"{where}: {len(rows)} items {problem}: {shown}{more}")
