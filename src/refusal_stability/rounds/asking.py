"""One model's samples, asked by rounds: completed through the store, decided by the primary judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType

import numpy as np

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.protocol import Engine
from refusal_stability.engines.shortfall import check_answered
from refusal_stability.engines.store import Store
from refusal_stability.judging.panel import judge_all
from refusal_stability.judging.protocol import Judge, JudgingError
from refusal_stability.measures.adaptive.rounds import Mask, Sampled, sample_by_rounds
from refusal_stability.measures.decision_arrays import Codes
from refusal_stability.params.judges import MAJORITY, JudgingParams
from refusal_stability.params.study import StudyParams
from refusal_stability.records import DECISIONS, MISSING, Prompt, response_to
from refusal_stability.study.sampled import design_of, predictions_of, stopping_rule_of


class Asking:
    """One model, asked by rounds with one engine and judges that stay open; use as a context manager."""

    def __init__(
        self, params: StudyParams, where: str, model: str, prompts: Sequence[Prompt], engine: Engine, store: Store
    ) -> None:
        self._params, self._where, self._model = params, f"{where}: judging", model
        self._judging = primary_alone(params.judging.of(model))
        self._prompts, self._engine, self._store = prompts, engine, store
        self._judges: dict[str, Judge] = {}
        self._missing: Counter[str] = Counter()
        self._decided = 0

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for judge in self._judges.values():
            judge.close()

    def sample(self, intervention: str) -> Sampled:
        """Ask by rounds under one intervention until every prompt is stopped."""
        cells = [
            cell for cell in self._params.requests(self._model, self._prompts) if cell[0].intervention == intervention
        ]
        design, _ = design_of(self._params, len(self._prompts))
        grid = design.rank.size

        def ask(wanted: Mask) -> Codes:
            places = np.flatnonzero(wanted).tolist()
            asked = [cells[place][1] for place in places]
            completions = complete_stored(self._engine, asked, self._store, self._model)
            blocks_count = self._judging.blocked == "refuse"
            check_answered(self._model, completions, self._judging.max_missing, blocks_count=blocks_count)
            responses = [
                response_to(cells[place][0], self._prompts[place // wanted[0].size], completion)
                for place, completion in zip(places, completions, strict=True)
            ]
            judged, _ = judge_all(self._judging, responses, self._model, self._where, kept=self._judges)
            codes = np.full(wanted.size, MISSING, dtype=np.int8)
            for place, (judgement, *_) in zip(places, judged[self._judging.primary], strict=True):
                if judgement.decision is None:
                    self._missing[judgement.missing_reason or ""] += 1
                else:
                    codes[place] = DECISIONS.index(judgement.decision)
                    self._decided += 1
            return codes.reshape(wanted.shape)

        def tell(number: int, n_open: int, spent: int) -> None:
            taken = f"round {number}: {spent} of {grid} samples"
            print(f"{self._model}, {intervention}, {taken}; {n_open} of the prompts go on")

        ids = [prompt.prompt_id for prompt in self._prompts]
        predicted = predictions_of(self._params, self._model, intervention, ids)
        found = sample_by_rounds(ask, design, stopping_rule_of(self._params), tell, predicted)
        self._check_missing()
        return found

    def _check_missing(self) -> None:
        """Fail where more samples have no decision than the study allows, as the judge stage would."""
        n_missing, allowed = self._missing.total(), self._judging.max_missing
        if n_missing > allowed * (n_missing + self._decided):
            (reason, count), *_ = self._missing.most_common(1)
            raise JudgingError(
                f"{self._model}: {n_missing} of {n_missing + self._decided} samples have no decision, more than "
                f"judging.max_missing = {allowed:.1%}. Most frequent reason ({count} times): {reason}. Fix that, "
                "choose another primary judge, or raise judging.max_missing"
            )


def primary_alone(judging: JudgingParams) -> JudgingParams:
    """The panel without the judges whose decisions no round needs."""
    if judging.primary == MAJORITY:
        return replace(judging, thinking=None)
    primary = judging.judges[judging.primary]
    needed = {judging.primary: primary}
    if (second := primary.hands_over_to) is not None:
        needed[second] = replace(judging.judges[second], on_call=True)
    return replace(judging, thinking=None, judges=needed)
