"""Open the judge that `params.yaml` describes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from refusal_stability.files import STORE
from refusal_stability.judging.cascade import Cascade
from refusal_stability.judging.protocol import Judge, JudgingError
from refusal_stability.params.judge_kinds import JUDGE_KINDS
from refusal_stability.params.judges import JudgeParams, judge_settings


def open_judge(
    name: str, params: JudgeParams, where: str, panel: Mapping[str, JudgeParams] | None = None, store: Path = STORE
) -> Judge:
    """Open a judge, and the judge that it hands over to where there is one.

    Parameters
    ----------
    name : the judge's name in params.yaml.
    params : its parameters.
    where : its key, for error messages.
    panel : all judges of the study by name, for a judge that hands responses over to another.
    store : the file of completions already paid for.

    Raises
    ------
    JudgingError, RubricError, EngineError
        Where the judge's kind, rubric, file or model cannot be had.
    """
    judge = open_alone(name, params, where, store)
    second = params.hands_over_to
    if second is None:
        return judge

    def open_second() -> Judge:
        return open_judge(second, (panel or {})[second], f"{where}.settings.escalate_to", panel, store)

    return Cascade(judge, judge_settings(params, where).escalate_below, open_second, where)


def open_alone(name: str, params: JudgeParams, where: str, store: Path = STORE) -> Judge:
    """Open a judge without the one that it hands over to; see `open_judge`."""
    if params.kind == "rules":
        from refusal_stability.judging.rules.judge import RuleJudge

        return RuleJudge(params.repeats)
    if params.kind == "model" and params.model is not None:
        from refusal_stability.engines.open import open_engine
        from refusal_stability.judging.model.judge import ModelJudge
        from refusal_stability.judging.model.rubric import load_rubric

        rubric = load_rubric(params.rubric)
        return ModelJudge(name, open_engine(params.model, f"{where}.model"), rubric, params, store)
    if params.kind == "recorded":
        from refusal_stability.judging.recorded import RecordedJudge

        return RecordedJudge(params, judge_settings(params, where), where)
    if params.kind == "people":
        from refusal_stability.judging.people import PeopleJudge

        return PeopleJudge(Path(params.path or ""), params.repeats)
    if params.kind == "trained":
        from refusal_stability.judging.trained.classifier_file import load_classifier
        from refusal_stability.judging.trained.judge import TrainedJudge

        return TrainedJudge(load_classifier(Path(params.path or "")), params.repeats)
    raise JudgingError(
        f"{where}.kind: {params.kind!r} is not a judge that can be opened; one of {', '.join(JUDGE_KINDS)}"
    )
