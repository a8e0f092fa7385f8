"""What every judge offers: responses in, judgements out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from refusal_stability.records import Judgement, Response, StudyError


class JudgingError(StudyError):
    """A judge that cannot work, or labels that a study cannot use: says why, and the remedy."""


class Judge(Protocol):
    """What every judge offers."""

    def judge(self, responses: Sequence[Response]) -> list[tuple[Judgement, ...]]:
        """For each response, in order, one judgement for each of the judge's repeats.

        A response that is missing is never judged: its judgements are missing and carry its reason. (A recorded
        judge is the exception: its labels may outlive the responses.)
        """
        ...

    def knows(self, model: str) -> bool:
        """Whether the judge can judge this model's responses; recorded labels may cover some models only."""
        ...

    def close(self) -> None:
        """Release the judge's model or files."""
        ...
