"""The trained judge: a classifier's likeliest decision, with its probability as the confidence."""

from __future__ import annotations

from collections.abc import Sequence

from refusal_stability.judging.protocol import Judge, Judgements, Pair, judge_distinct
from refusal_stability.judging.trained.classifier import Classifier, Floats
from refusal_stability.records import Judgement, Response

CONFIDENCE_DIGITS = 6


class TrainedJudge(Judge):
    """Judges by a classifier.

    Parameters
    ----------
    classifier : gives the probabilities.
    repeats : equal repeats.
    """

    def __init__(self, classifier: Classifier, repeats: int = 1) -> None:
        self.classifier = classifier
        self.repeats = repeats

    def judge(self, responses: Sequence[Response]) -> Judgements:
        """See `Judge.judge`. The reasoning lists every decision's probability."""
        return judge_distinct(responses, self._judgements, self.repeats)

    def _judgements(self, pairs: list[Pair]) -> Judgements:
        chances = self.classifier.probabilities([q for q, _ in pairs], [r for _, r in pairs])
        return [(self._judgement(row),) * self.repeats for row in chances]

    def _judgement(self, chances: Floats) -> Judgement:
        classes = self.classifier.classes
        listed = ", ".join(f"{c} {p:.2f}" for c, p in zip(classes, chances, strict=True))
        # Six digits are the same on every machine; rounding may not take it above 1.
        confidence = min(1.0, round(float(chances.max()), CONFIDENCE_DIGITS))
        return Judgement(classes[int(chances.argmax())], listed, confidence=confidence)
