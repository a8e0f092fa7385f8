"""`refusal-stability plan`: what the active study would send, and what that may cost. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from refusal_stability.engines.forecast import Forecast, forecast
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import Engine, EngineError
from refusal_stability.files import PROMPTS, STORE, generation_file
from refusal_stability.judging.model.judge import ModelJudge
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.params.engines import ModelParams, engine_settings
from refusal_stability.params.judges import JudgeParams
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Request
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import GENERATION_TABLE, PROMPT_TABLE, prompts_of

Asked = Callable[[Engine], list[Request]]
COLUMNS = ("work", "engine", "requests", "stored", "to send", "prompt tokens", "answer tokens", "cost")
EXPLAINED = (
    "Prompt tokens are told from the texts' length, about; answer tokens and cost are the most that can be. Caps and "
    "prices: settings of the engine `openai`."
)
ON_CALL = "on call; its row is the most that there can be, as if every response were handed over to it"


def run(params_path: Path) -> None:
    """Print requests, tokens and cost of every model and every judge model of the study."""
    params = load_params(params_path)
    prompts = read_table(PROMPTS, PROMPT_TABLE)
    table = Table(*COLUMNS, title=f"study {params.study}: {len(prompts)} prompts")
    for column in table.columns[2:]:
        column.justify = "right"
    table.columns[0].overflow = "fold"
    notes = []
    for name, model, asked, sure in work(params, prompts):
        where = f"{params_path}: {name}"
        try:
            engine = open_engine(model, where)
        except EngineError as error:
            notes.append(f"{name}: {error}")
            continue
        settings = engine_settings(model, where)
        found = forecast(engine.identity, asked(engine), STORE, settings)
        engine.close()
        table.add_row(name, model.engine, *_counts(found, found.cost(settings)))
        passed = (
            "passes the cap settings.{}; nothing would be sent"
            if sure
            else ("would pass the cap settings.{} if it were handed every response; nothing would be sent then")
        )
        notes += [f"{name}: {passed.format(cap)}" for cap in found.beyond(settings)]
        notes += [] if sure else [f"{name}: {ON_CALL}"]
    console = Console()
    console.print(table)
    for note in (*notes, EXPLAINED):
        console.print(note, markup=False)


def work(params: StudyParams, prompts: pd.DataFrame) -> Iterator[tuple[str, ModelParams, Asked, bool]]:
    """Everything that the study asks: (name, model, what is asked of its engine, whether all of it is), models first.

    A judge on call is asked only what another hands over, which nobody knows beforehand.
    """
    for name, model in params.models.items():
        requests = [request for _, request in params.requests(name, prompts_of(prompts))]
        yield f"models.{name}", model, lambda _, requests=requests: requests, True  # type: ignore[misc]
    for judge_name, judge in params.judging.judges.items():
        if judge.model is not None:
            for name in params.models:
                asked = partial(_judge_requests, judge=judge, pairs=_pairs(params, name, prompts))
                yield f"judging.judges.{judge_name} on {name}", judge.model, asked, not judge.on_call


def _judge_requests(engine: Engine, judge: JudgeParams, pairs: list[tuple[str, str]]) -> list[Request]:
    return ModelJudge("", engine, load_rubric(judge.rubric), judge, STORE).requests(pairs)


def _pairs(params: StudyParams, model: str, prompts: pd.DataFrame) -> list[tuple[str, str]]:
    """The distinct (prompt, response) pairs of a model; before it has answered, as many and as long as there can be."""
    files = [generation_file(condition) for condition in params.conditions(model)]
    if all(file.exists() for file in files):
        tables = [read_table(file, GENERATION_TABLE) for file in files]
        rows = pd.concat(table[table["missing_reason"] == ""] for table in tables)
        return list(dict.fromkeys(zip(rows["prompt"], rows["response"], strict=True)))
    return [
        (prompt, f"{number} ".ljust(4 * params.sampling.max_tokens, "x"))
        for prompt in prompts["prompt"]
        for number in range(len(files))
    ]


def _counts(found: Forecast, cost: float | None) -> list[str]:
    numbers = (found.requests, found.stored, found.to_send, found.prompt_tokens, found.answer_tokens)
    return [*(f"{number:,}" for number in numbers), "no price" if cost is None else f"{cost:,.2f}"]
