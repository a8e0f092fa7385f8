"""`refusal-stability plan`: what the active study would send, and an upper bound of its cost. Nothing is sent."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from refusal_stability.engines.forecast import Forecast, forecast
from refusal_stability.engines.protocol import EngineError
from refusal_stability.files import STORE
from refusal_stability.params.engines import engine_settings
from refusal_stability.params.load import load_params
from refusal_stability.prompts.load import load_prompts
from refusal_stability.tables.number_format import short_count
from refusal_stability.workload.asked import all_work, engines_of

COLUMNS = ("requests", "stored", "to send", "prompt\ntokens", "answer\ntokens", "cost")
EXPLAINED = (
    "Prompt tokens are estimated from text length. Answer tokens and cost are upper bounds. Prices and caps are "
    "settings of each model."
)
CAPPED = "exceeds the cap settings.{}; the run would stop before it sends anything"
CAPPED_IF_ALL = "would exceed the cap settings.{} if it were asked about every response"
ON_CALL = "judges only what another judge hands over; its row assumes every response"


def run(params_path: Path) -> None:
    """Print requests, tokens and cost of every model and every judge model of the study."""
    params = load_params(params_path)
    prompts = load_prompts(params.prompts, tell=print)
    table = Table("asked", title=f"study {params.study}: {len(prompts)} prompts", box=SIMPLE, padding=(0, 1, 0, 0))
    table.columns[0].overflow = "fold"
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    notes: list[str] = []
    with engines_of(str(params_path)) as engines:
        for work in all_work(params, prompts):
            try:
                engine = engines.of(work)
            except EngineError as error:
                notes.append(f"{work.words}: not counted: {error}")
                continue
            settings = engine_settings(work.model)
            found = forecast(engine.identity, work.requests(engine), STORE, settings)
            table.add_row(work.words, *_cells(found, found.cost(settings)))
            capped = CAPPED if work.certain else CAPPED_IF_ALL
            notes += [f"{work.words}: {capped.format(cap)}" for cap in found.beyond(settings)]
            notes += [] if work.certain else [f"{work.words}: {ON_CALL}"]
    console = Console()
    console.print(table)
    for note in (*notes, EXPLAINED):
        console.print(note, markup=False)


def _cells(found: Forecast, cost: float | None) -> list[str]:
    counts = (found.requests, found.stored, found.to_send, found.prompt_tokens, found.answer_tokens)
    return [*map(short_count, counts), "no price" if cost is None else f"{cost:,.2f}"]
