"""Whether a study's settings of adaptive sampling can be used, for `plan`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refusal_stability.params.study import StudyParams
from refusal_stability.records import Prompt
from refusal_stability.study.sampled import design_of, predictions_of
from refusal_stability.workload.needs import Check, checked


def rounds_check(params: StudyParams, prompts: Sequence[Prompt]) -> Iterator[Check]:
    """Whether the settings of adaptive sampling fit the study, as the stage `sample` will ask; none for full grids."""
    if not params.sampling.adaptive or not prompts:
        return
    ((rule, chosen),) = params.sampling.adaptive.items()
    ids = [prompt.prompt_id for prompt in prompts]

    def look() -> str:
        design, _ = design_of(params, len(prompts))
        for model in params.models:
            for intervention in params.interventions:
                predictions_of(params, model, intervention, ids)
        started = f", predictions from {chosen.predictions}" if chosen.predictions else ""
        return f"{rule}, {design.audited.sum()} of {len(prompts)} prompts audited{started}"

    yield checked("sampling.adaptive", look)
