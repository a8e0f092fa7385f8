"""When judging a text twice can tell something: when the judge can decide it differently."""

from __future__ import annotations

from refusal_stability.params.judges import JudgingParams
from refusal_stability.params.study import StudyParams


def repeats_advice(params: StudyParams) -> list[str]:
    """Advice on repeats; none where every model's judge gives equal texts equal labels."""
    by_model = (params.judging.of(model) for model in params.models)
    if not any(_can_differ(judging, judging.primary) for judging in by_model):
        return []
    return [
        "Each text was judged once, so judge noise is mixed with seed noise. Set its repeats to 2 to separate them."
    ]


def _can_differ(judging: JudgingParams, name: str) -> bool:
    """Whether a language model decides, itself or where the judge is not sure; a panel is taken once."""
    judge = judging.judges.get(name)
    if judge is None:
        return False
    second = judge.hands_over_to
    return judge.model is not None or (second is not None and _can_differ(judging, second))
