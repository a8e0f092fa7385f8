"""One model's samples, asked by rounds: completed through the store, decided by the primary judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType

import numpy as np

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.protocol import Engine
from refusal_stability.engines.shortfall import check_answered
from refusal_stability.engines.store import Store
from refusal_stability.judging.panel import judge_all
from refusal_stability.judging.protocol import Judge, JudgingError
from refusal_stability.measures.adaptive.rounds import Design, Sampled, rounds_of
from refusal_stability.params.judges import MAJORITY, JudgingParams
from refusal_stability.params.study import StudyParams
from refusal_stability.plain_text import visible_line
from refusal_stability.records import DECISIONS, MISSING, Condition, Prompt, Request, response_to
from refusal_stability.study.sampled import design_of, predictions_of, stopping_rule_of

Cell = tuple[Condition, Prompt, Request]


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

    def sample(self) -> dict[str, Sampled]:
        """Ask by rounds, under all interventions at once, until every prompt is stopped."""
        design, _ = design_of(self._params, len(self._prompts))
        ids = [prompt.prompt_id for prompt in self._prompts]
        getattr(self._engine, "keep_prompts", lambda: None)()
        cells: dict[str, list[Cell]] = {name: [] for name in self._params.interventions}
        for place, (condition, request) in enumerate(self._params.requests(self._model, self._prompts)):
            prompt = self._prompts[place // (len(cells) * design.rank.shape[1])]
            cells[condition.intervention].append((condition, prompt, request))
        rounds = {}
        for name in cells:
            predicted = predictions_of(self._params, self._model, name, ids)
            rounds[name] = rounds_of(design, stopping_rule_of(self._params), self._teller(name, design), predicted)
        wanted, found = {name: next(some) for name, some in rounds.items()}, {}
        while wanted:
            places = [(name, place) for name, mask in wanted.items() for place in np.flatnonzero(mask).tolist()]
            codes = {name: np.full(design.rank.size, MISSING, dtype=np.int8) for name in wanted}
            for (name, place), code in zip(
                places, self._ask([cells[name][place] for name, place in places]), strict=True
            ):
                codes[name][place] = code
            for name in list(wanted):
                try:
                    wanted[name] = rounds[name].send(codes[name].reshape(design.shape))
                except StopIteration as end:
                    found[name] = end.value
                    del wanted[name]
            # What is left cannot mend a share that the missing exceed in the whole grid.
            self._check_missing(design.rank.size * len(cells) if wanted else 0)
        return {name: found[name] for name in cells}

    def _ask(self, cells: Sequence[Cell]) -> list[int]:
        """The decision's code of each, or `MISSING`."""
        completions = complete_stored(self._engine, [request for *_, request in cells], self._store, self._model)
        blocks_count = self._judging.blocked == "refuse"
        check_answered(self._model, completions, self._judging.max_missing, blocks_count=blocks_count)
        responses = [
            response_to(condition, prompt, completion)
            for (condition, prompt, _), completion in zip(cells, completions, strict=True)
        ]
        judged, _ = judge_all(self._judging, responses, self._model, self._where, kept=self._judges)
        codes = []
        for judgement, *_ in judged[self._judging.primary]:
            if judgement.decision is None:
                self._missing[judgement.missing_reason or ""] += 1
                codes.append(MISSING)
            else:
                codes.append(DECISIONS.index(judgement.decision))
                self._decided += 1
        return codes

    def _teller(self, intervention: str, design: Design) -> Callable[[int, int, int], None]:
        def tell(number: int, n_open: int, spent: int) -> None:
            taken = f"round {number}: {spent} of {design.rank.size} samples"
            print(visible_line(f"{self._model}, {intervention}, {taken}; {n_open} of the prompts go on"))

        return tell

    def _check_missing(self, n_samples: int) -> None:
        """Fail where more of so many samples have no decision than the study allows, as the judge stage would."""
        n_missing, allowed = self._missing.total(), self._judging.max_missing
        n_asked = n_missing + self._decided
        if n_missing > allowed * max(n_samples, n_asked):
            (reason, count), *_ = self._missing.most_common(1)
            raise JudgingError(
                f"{self._model}: {n_missing} of {n_asked} samples have no decision, more than "
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
