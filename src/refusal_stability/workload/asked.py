"""Everything that a study asks of a model: its models' responses, and its judge models' verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from refusal_stability.engines.conversation import as_sent
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import Engine
from refusal_stability.files import STORE, ArtifactError, generation_file
from refusal_stability.judging.labels import responses_of
from refusal_stability.judging.model.judge import ModelJudge
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.judging.panel import handed_over, pairs_shown
from refusal_stability.judging.protocol import Pair
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.judges import JudgeParams
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Condition, Prompt, Request, Response, StudyError
from refusal_stability.tables.csv_files import read_table_so_far
from refusal_stability.tables.sampled import cells_taken, sampled_file
from refusal_stability.tables.study import GENERATION_TABLE


@dataclass(frozen=True)
class Work:
    """What one model is asked.

    `key` is the model's place in params.yaml, and `caption` what its runs call this work. A judge has `judge`, and
    `pairs`, which are the real ones where `known`: before the responses are there, as many as there can be.
    """

    words: str
    key: str
    caption: str
    model: ModelParams
    asked_of: str
    cells: tuple[tuple[Condition, Request], ...] = ()
    judge: JudgeParams | None = None
    pairs: tuple[Pair, ...] = ()
    known: bool = True
    handed_over: bool = False

    @property
    def certain(self) -> bool:
        """Whether all of it will be asked. Of a judge on call, that is known where its pairs are those handed over."""
        return self.judge is None or not self.judge.on_call or self.handed_over

    def requests(self, engine: Engine) -> list[Request]:
        """The requests as they are sent, which is how the store knows them."""
        if self.judge is None:
            return as_sent(engine, [request for _, request in self.cells])
        name = self.caption.removeprefix("judge ")
        asked = ModelJudge(name, engine, load_rubric(self.judge.rubric), self.judge, STORE).requests(self.pairs)
        return as_sent(engine, asked)


def all_work(params: StudyParams, prompts: Sequence[Prompt]) -> Iterator[Work]:
    """Everything that the study asks, models first, then each judge model about each model's responses."""
    for name, model in params.models.items():
        cells = tuple(_sampled(params, name, prompts))
        yield Work(name, f"models.{name}", name, model, name, cells)
    answered = {name: responses_there(params, name, prompts) for name in params.models}
    for judge_name, judge in params.judging.judges.items():
        for name, responses in answered.items():
            if judge.model is not None:
                known = responses is not None
                handed = handed_over(params.judging, judge_name, responses) if responses and judge.on_call else None
                about = responses if handed is None else handed
                pairs = pairs_shown(params.judging, judge_name, about) if about is not None else None
                yield Work(
                    f"{judge_name} on {name}",
                    f"judging.judges.{judge_name}.model",
                    f"judge {judge_name}",
                    judge.model,
                    name,
                    judge=judge,
                    pairs=tuple(pairs if pairs is not None else _most_pairs(params, name, prompts, judge_name)),
                    known=known,
                    handed_over=handed is not None,
                )


def left_to_people(params: StudyParams, prompts: Sequence[Prompt]) -> Iterator[tuple[str, str, list[Pair]]]:
    """(judge, model, distinct pairs) that other judges hand over to a person, where that can be known already."""
    for name, judge in params.judging.judges.items():
        for model in params.models if judge.kind == "people" and judge.on_call else ():
            responses = responses_there(params, model, prompts)
            handed = handed_over(params.judging, name, responses) if responses is not None else None
            if handed is not None:
                yield name, model, pairs_shown(params.judging, name, handed)


def _sampled(params: StudyParams, model: str, prompts: Sequence[Prompt]) -> list[tuple[Condition, Request]]:
    """What a study asks of a model: in rounds, what they took; before them the grid, of which they take a part."""
    cells = list(params.requests(model, prompts))
    if not params.sampling.adaptive or not sampled_file(model).is_file():
        return cells
    try:
        taken = cells_taken(params, model, [prompt.prompt_id for prompt in prompts])
    except ArtifactError:
        # Of other prompts or another grid: this study's rounds are still to come.
        return cells
    return [cell for cell, was in zip(cells, taken or [], strict=True) if was]


def responses_there(params: StudyParams, model: str, prompts: Sequence[Prompt]) -> list[Response] | None:
    """One model's responses to exactly these prompts in every configuration; None before they are all there."""
    files = {condition: generation_file(condition) for condition in params.conditions(model)}
    if not all(file.exists() for file in files.values()):
        return None
    conversations = {prompt.prompt_id: prompt for prompt in prompts if prompt.earlier_turns}
    wanted = {prompt.text for prompt in prompts}
    found: list[Response] = []
    for condition, file in files.items():
        table = read_table_so_far(file, GENERATION_TABLE)
        if table is None or {*table["prompt"]} != wanted:
            return None
        found += responses_of(table, condition, conversations)
    return found


def _most_pairs(params: StudyParams, model: str, prompts: Sequence[Prompt], judge: str) -> list[Pair]:
    """As many pairs as there can be, each answer as long as it can be."""
    of_a_prompt = len(list(params.conditions(model))) * (2 if params.judging.thinking == judge else 1)
    return [
        (prompt.text, f"{number} ".ljust(4 * params.sampling.max_tokens, "x"))
        for prompt in prompts
        for number in range(of_a_prompt)
    ]


class Engines:
    """The study's engines, each opened once; see `engines_of`."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._opened: dict[str, Engine | StudyError] = {}

    def of(self, work: Work) -> Engine:
        """The engine that answers this work. Opening one loads no weights and sends nothing.

        One that cannot be opened is tried once: a hub that does not answer takes most of a minute to say so.
        """
        if work.key not in self._opened:
            try:
                self._opened[work.key] = open_engine(work.model, f"{self._where}: {work.key}")
            except StudyError as error:
                self._opened[work.key] = error
        found = self._opened[work.key]
        if isinstance(found, StudyError):
            raise found
        return found

    def try_again(self) -> None:
        """Forget which could not be opened: a study may have trained or fetched a model since."""
        self._opened = {key: found for key, found in self._opened.items() if not isinstance(found, StudyError)}

    def close(self) -> None:
        """Close those that were opened."""
        for engine in self._opened.values():
            if not isinstance(engine, StudyError):
                engine.close()


@contextmanager
def engines_of(where: str) -> Iterator[Engines]:
    """The engines of the study that the file `where` describes."""
    engines = Engines(where)
    try:
        yield engines
    finally:
        engines.close()
