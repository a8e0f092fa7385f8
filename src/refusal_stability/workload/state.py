"""How far a study is: from the store, from what runs beside it say of themselves, and from the files of its stages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from refusal_stability.engines.http.batch.journal import Batch, Journal
from refusal_stability.engines.running import Running, latest_of, work_name
from refusal_stability.engines.store import Session, completion_key
from refusal_stability.engines.store_view import StoredTokens, StoreView
from refusal_stability.files import generation_file, label_file
from refusal_stability.params.engines import engine_settings
from refusal_stability.params.judges import JudgingParams
from refusal_stability.records import (
    Condition,
    OtherEnvironment,
    Outcome,
    Prompt,
    StudyError,
    canonical_json,
    text_hash,
)
from refusal_stability.tables.csv_files import read_table_so_far
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE
from refusal_stability.workload.asked import Engines, Work


@dataclass(frozen=True)
class CellState:
    """How far one configuration is. `judged`, and what no store keeps of `missing`, its stages' files tell.

    `judged` are the responses that the primary judge decided, `undecided` those that it was given and did not decide.
    """

    intervention: str
    temperature: float
    seed: int
    total: int
    done: int
    missing: Mapping[str, int] = field(default_factory=dict)
    judged: int = 0
    undecided: int = 0

    @property
    def finished(self) -> bool:
        """Whether every response is there and went through the primary judge."""
        return self.judged + self.undecided >= self.total and not self.missing


@dataclass(frozen=True)
class WorkState:
    """How far a model, or a judge model on a model's responses, is.

    `total` is None for a judge before the responses are there. `rate` is that of the run that is going on, else that
    of the earlier ones, a second. `batches` are those at a vendor. `problem` says why nothing is known.
    """

    words: str
    judge: bool
    total: int | None = None
    done: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    judged: int | None = None
    running: bool = False
    rate: float | None = None
    seconds_left: float | None = None
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: float | None = None
    problem: str = ""
    configurations: tuple[CellState, ...] = ()
    batches: tuple[Batch, ...] = ()


def how_far(
    work: Work,
    engines: Engines,
    judging: JudgingParams,
    prompts: Sequence[Prompt],
    store: StoreView,
    runs: list[Running],
) -> WorkState:
    """How far one piece of work is; an engine that cannot be opened is a problem of this work only."""
    try:
        engine = engines.of(work)
        identity = canonical_json(dict(engine.identity))
        keys = [completion_key(identity, request) for request in work.requests(engine)]
        stored = store.tokens(keys)
        cells = _cells(work, keys, stored, judging, prompts) if work.judge is None else ()
    except OtherEnvironment:
        raise
    except StudyError as error:
        return WorkState(work.words, work.judge is not None, problem=str(error))
    total = len(set(keys)) if work.known else None
    run = latest_of(runs).get(work_name(identity, work.caption))
    # A judge asks about one model after the other under one name: the run is about the one that it has the size of.
    alive = run is not None and run.alive and run.total == total
    left = 0 if total is None else total - len(stored)
    missing: Mapping[str, int] = dict(sum((Counter(cell.missing) for cell in cells), Counter()))
    if run is not None and left and run.total == total:
        # Among these are those that no store keeps, since asking again may help.
        missing = run.missing
    if run is not None and alive:
        rate, left = run.rate, run.total - run.done
    else:
        rate = _rate_of([s for s in store.sessions() if (s.identity, s.caption) == (identity, work.caption)])
    prompt, answer = sum(one.prompt for one in stored.values()), sum(one.answer for one in stored.values())
    return WorkState(
        work.words,
        work.judge is not None,
        total,
        sum(one.missing is None for one in stored.values()),
        missing,
        sum(cell.judged for cell in cells) if work.judge is None else None,
        alive,
        rate,
        left / rate if rate and left else None,
        prompt,
        answer,
        engine_settings(work.model).cost(prompt, answer),
        configurations=cells,
        batches=tuple(_batches(identity, store)),
    )


def _batches(identity: str, store: StoreView) -> Iterator[Batch]:
    """The batches at a vendor whose answers are not stored yet."""
    for batch, keys in Journal(store.path).pending(text_hash(identity)):
        if len(store.tokens(keys)) < len(keys):
            yield batch


def _rate_of(sessions: list[Session]) -> float | None:
    seconds = sum(session.seconds for session in sessions)
    return sum(session.completions for session in sessions) / seconds if seconds > 0 else None


def _cells(
    work: Work,
    keys: Sequence[str],
    stored: Mapping[str, StoredTokens],
    judging: JudgingParams,
    prompts: Sequence[Prompt],
) -> tuple[CellState, ...]:
    totals: Counter[Condition] = Counter()
    done: Counter[Condition] = Counter()
    missing: dict[Condition, Counter[str]] = defaultdict(Counter)
    for (condition, _), key in zip(work.cells, keys, strict=True):
        totals[condition] += 1
        if (one := stored.get(key)) is not None and one.missing is not None:
            missing[condition][one.missing] += 1
        elif one is not None:
            done[condition] += 1
    texts = {prompt.text for prompt in prompts}
    return tuple(_cell(c, totals[c], done[c], dict(missing[c]), judging, texts) for c in totals)


def _cell(
    condition: Condition, total: int, done: int, missing: Mapping[str, int], judging: JudgingParams, texts: set[str]
) -> CellState:
    judged = undecided = 0
    place = (condition.intervention, condition.temperature, condition.seed, total, done)
    responses = read_table_so_far(generation_file(condition), GENERATION_TABLE)
    # Files of another study, or of other prompts, say nothing about this one.
    if responses is not None and {*responses["prompt"]} == texts:
        without = (responses["missing_reason"] != "") & (responses["outcome"] != Outcome.NOT_SAMPLED)
        missing = dict(Counter(responses.loc[without, "missing_reason"]))
        judged, undecided = _judged_in(condition, judging, set(responses.loc[~without, "prompt_id"]))
    return CellState(*place, missing, judged, undecided)


def _judged_in(condition: Condition, judging: JudgingParams, prompt_ids: set[str]) -> tuple[int, int]:
    """How many of these responses the primary judge decided, and how many it was given and did not decide."""
    labels = read_table_so_far(label_file(condition), LABEL_TABLE)
    if labels is None:
        return 0, 0
    judge = judging.of(condition.model).primary
    primary = labels[(labels["judge"] == judge) & (labels["repeat"] == 0) & labels["prompt_id"].isin(prompt_ids)]
    decided = int((primary["label"] != "").sum())
    return decided, len(primary) - decided
