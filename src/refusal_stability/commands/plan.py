"""`refusal-stability plan`: what the active study would send, and an upper bound of its cost. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from refusal_stability.engines.forecast import Forecast, forecast
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import Engine, EngineError
from refusal_stability.files import STORE, generation_file
from refusal_stability.judging.model.judge import ModelJudge
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.params.engines import ModelParams, engine_settings
from refusal_stability.params.judges import JudgeParams
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.prompts.load import load_prompts
from refusal_stability.records import Prompt, Request
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import GENERATION_TABLE

COLUMNS = ("requests", "stored", "to send", "prompt\ntokens", "answer\ntokens", "cost")
EXPLAINED = (
    "Prompt tokens are estimated from text length. Answer tokens and cost are upper bounds. Prices and caps are "
    "settings of each model."
)
CAPPED = "exceeds the cap settings.{}; the run would stop before it sends anything"
CAPPED_IF_ALL = "would exceed the cap settings.{} if it were asked about every response"
ON_CALL = "judges only what another judge hands over; its row assumes every response"
EXACT_BELOW = 100_000


class Work(NamedTuple):
    """What one model is asked: the words for it, its key, the requests, and whether all of them are certain."""

    words: str
    key: str
    model: ModelParams
    requests: Callable[[Engine], list[Request]]
    certain: bool


def run(params_path: Path) -> None:
    """Print requests, tokens and cost of every model and every judge model of the study."""
    params = load_params(params_path)
    prompts = load_prompts(params.prompts, tell=print)
    table = Table("asked", title=f"study {params.study}: {len(prompts)} prompts", box=SIMPLE, padding=(0, 1, 0, 0))
    table.columns[0].overflow = "fold"
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    notes: list[str] = []
    for work in all_work(params, prompts):
        try:
            engine = open_engine(work.model, f"{params_path}: {work.key}")
        except EngineError as error:
            notes.append(f"{work.words}: not counted: {error}")
            continue
        settings = engine_settings(work.model)
        found = forecast(engine.identity, work.requests(engine), STORE, settings)
        engine.close()
        table.add_row(work.words, *_cells(found, found.cost(settings)))
        capped = CAPPED if work.certain else CAPPED_IF_ALL
        notes += [f"{work.words}: {capped.format(cap)}" for cap in found.beyond(settings)]
        notes += [] if work.certain else [f"{work.words}: {ON_CALL}"]
    console = Console()
    console.print(table)
    for note in (*notes, EXPLAINED):
        console.print(note, markup=False)


def all_work(params: StudyParams, prompts: Sequence[Prompt]) -> Iterator[Work]:
    """Everything that the study asks, models first, then each judge model about each model's responses."""
    for name, model in params.models.items():
        requests = [request for _, request in params.requests(name, prompts)]
        yield Work(name, f"models.{name}", model, partial(_same, requests), True)
    for judge_name, judge in params.judging.judges.items():
        if judge.model is not None:
            for name in params.models:
                about = partial(_judge_requests, judge, _pairs(params, name, prompts, judge_name))
                key = f"judging.judges.{judge_name}.model"
                yield Work(f"{judge_name} on {name}", key, judge.model, about, not judge.on_call)


def _same(requests: list[Request], _: Engine) -> list[Request]:
    return requests


def _judge_requests(judge: JudgeParams, pairs: list[tuple[str, str]], engine: Engine) -> list[Request]:
    return ModelJudge("", engine, load_rubric(judge.rubric), judge, STORE).requests(pairs)


def _pairs(params: StudyParams, model: str, prompts: Sequence[Prompt], judge: str) -> list[tuple[str, str]]:
    """The distinct (prompt, text) pairs that a judge is shown; before these prompts are answered, an upper bound."""
    thinking = params.judging.thinking == judge
    files = [generation_file(condition) for condition in params.conditions(model)]
    if all(file.exists() for file in files):
        rows = pd.concat(read_table(file, GENERATION_TABLE) for file in files)
        if {*rows["prompt"]} == {prompt.text for prompt in prompts}:
            answered = rows[rows["missing_reason"] == ""]
            pairs = [*zip(answered["prompt"], answered["response"], strict=True)]
            if thinking:
                thought = rows[rows["thinking"].str.strip() != ""]
                pairs += zip(thought["prompt"], thought["thinking"], strict=True)
            return list(dict.fromkeys(pairs))
    return [
        (prompt.text, f"{number} ".ljust(4 * params.sampling.max_tokens, "x"))
        for prompt in prompts
        for number in range(len(files) * (2 if thinking else 1))
    ]


def _cells(found: Forecast, cost: float | None) -> list[str]:
    counts = (found.requests, found.stored, found.to_send, found.prompt_tokens, found.answer_tokens)
    return [*map(_short, counts), "no price" if cost is None else f"{cost:,.2f}"]


def _short(count: int) -> str:
    """A count in at most seven characters: `52,560`, `540 k`, `26.9 M`."""
    if count < EXACT_BELOW:
        return f"{count:,}"
    return f"{count / 1e3:,.0f} k" if count < 1e6 else f"{count / 1e6:,.1f} M"
