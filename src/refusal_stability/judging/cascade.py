"""A cascade of two judges: what the first is not confident about, the second decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from refusal_stability.judging.protocol import Judge, Judgements, JudgingError
from refusal_stability.records import Judgement, Response


def is_unsure(judgement: Judgement, below: float) -> bool:
    """Whether a judgement is handed over: its judge gives a confidence, and it is under the threshold."""
    return judgement.confidence is not None and judgement.confidence < below


class Cascade(Judge):
    """Hands over to another judge what the first judge decides with too little confidence.

    Parameters
    ----------
    first : a judge that gives a confidence.
    below : a response whose confidence is under this is handed over.
    open_second : opens the other judge, once, when there is something to hand over.
    where : the first judge's key in params.yaml, for error messages.
    """

    def __init__(self, first: Judge, below: float, open_second: Callable[[], Judge], where: str) -> None:
        self.first = first
        self.below = below
        self._open_second = open_second
        self._where = where

    def judge(self, responses: Sequence[Response]) -> Judgements:
        """See `Judge.judge`. The reasoning says what was handed over, and what the first judge made of it."""
        judged = self.first.judge(responses)
        unsure = [i for i, (first, *_) in enumerate(judged) if is_unsure(first, self.below)]
        if unsure:
            seconds = self._second_judgements([responses[i] for i in unsure])
            for position, second in zip(unsure, seconds, strict=True):
                handed = f"handed over ({judged[position][0].reasoning}): "
                judged[position] = tuple(replace(j, reasoning=handed + j.reasoning) for j in second)
        return judged

    def knows(self, model: str) -> bool:
        """Whether the first judge knows the model."""
        return self.first.knows(model)

    def close(self) -> None:
        """Release the first judge; the second is released after use."""
        self.first.close()

    def _second_judgements(self, responses: Sequence[Response]) -> Judgements:
        second = self._open_second()
        try:
            model = responses[0].condition.model
            if not second.knows(model):
                raise JudgingError(
                    f"{self._where}.settings.escalate_to: that judge has no labels of {model}; give them in its "
                    "settings.models, or hand over to a judge that knows every model"
                )
            return second.judge(responses)
        finally:
            second.close()
