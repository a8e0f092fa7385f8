"""The judge that a person sits at: labels from a review file. A response without a label there waits for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refusal_stability.judging.protocol import Judge, Judgements, JudgingError, Pair, judge_distinct, whole_conversation
from refusal_stability.records import ANY_DECISION, Decision, Judgement, Response, content_hash
from refusal_stability.tables.user_files import read_frame

ITEM_CHARACTERS = 16
# Ids begin with a letter, because spreadsheets round what looks like a number.
ITEM_LETTER = "h"
NEEDED = ("item_id", "label")


class PeopleJudge(Judge):
    """Decides what a person has labelled in the review file, and leaves the rest missing until then.

    Parameters
    ----------
    path : the review file, which `refusal-stability review waiting` writes. Without it every response waits.
    repeats : how often each judgement is given; all are equal.
    """

    def __init__(self, path: Path, repeats: int = 1) -> None:
        self.repeats = repeats
        self._labels = labels_in(path) if path.exists() else {}
        self._waits = waits_for(path)

    def judge(self, responses: Sequence[Response]) -> Judgements:
        """See `Judge.judge`. What has no label yet is missing, and its reason names the review file."""
        return judge_distinct(responses, self._judgements, self.repeats, whole_conversation)

    def _judgements(self, pairs: list[Pair]) -> Judgements:
        return [(self._judgement(pair),) * self.repeats for pair in pairs]

    def _judgement(self, pair: Pair) -> Judgement:
        label = self._labels.get(item_of_pair(pair))
        return Judgement(None, "", self._waits) if label is None else Judgement(label, "a person's label")


def waits_for(path: Path) -> str:
    """The reason why a response without a label in this review file is missing.

    Parameters
    ----------
    path : the review file.
    """
    return f"waits for a person: no label in {path.as_posix()} yet (refusal-stability review waiting)"


def item_of_pair(pair: Pair) -> str:
    """The id of a (conversation, response) pair in a review file.

    Parameters
    ----------
    pair : as `distinct_pairs` gives it with `whole_conversation`.
    """
    return ITEM_LETTER + content_hash(list(pair))[:ITEM_CHARACTERS]


def labels_in(path: Path) -> dict[str, Decision]:
    """The labels of a review file by item id; rows without one are left out.

    Parameters
    ----------
    path : a table with the columns `item_id` and `label`.

    Raises
    ------
    JudgingError
        Where a column is absent, a label is no decision, or one item has two different labels.
    """
    table = read_frame(path)
    if absent := [name for name in NEEDED if len(table) and name not in table]:
        raise JudgingError(
            f"{path}: no column {', '.join(absent)}; use the file as `refusal-stability review waiting` wrote it"
        )
    labels: dict[str, Decision] = {}
    for number, item, label in table.reindex(columns=list(NEEDED)).itertuples():
        said = label.strip().upper()
        if not said:
            continue
        if said not in Decision.__members__:
            raise JudgingError(
                f"{path}: row {number}: label {label.strip()[:20]!r} is not allowed; allowed: {ANY_DECISION}, or empty"
            )
        if labels.setdefault(item.strip(), Decision[said]) is not Decision[said]:
            raise JudgingError(
                f"{path}: row {number}: item_id {item.strip()[:40]!r} has another label above; keep one of them"
            )
    return labels
