"""`refusal-stability status`: how far the study is, while it runs or after it stopped. Reads only, sends nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from refusal_stability.dvc_files import half_written
from refusal_stability.engines.http.batch.journal import Batch
from refusal_stability.engines.running import Running, runs_beside
from refusal_stability.engines.store_view import StoreView
from refusal_stability.files import STORE
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.plain_text import visible_line
from refusal_stability.progress import duration, pace, reasons
from refusal_stability.prompts.load import load_prompts
from refusal_stability.records import NO_INTERVENTION, Prompt
from refusal_stability.tables.number_format import short_count
from refusal_stability.workload.asked import Engines, all_work, engines_of
from refusal_stability.workload.state import CellState, WorkState, how_far

COLUMNS = ("done", "missing", "judged", "rate", "left", "tokens", "cost")
UNKNOWN = "-"
CELLS_SHOWN = 12
HALF_WRITTEN = (
    "left half written by a `dvc repro` that was killed, so DVC refuses to start. Run `make repro`, or "
    "`refusal-stability mend-lock` and then `dvc repro`"
)
EXPLAINED = (
    "done: answers in the store. missing: asked, but without an answer. judged: decided by the primary judge. rate and "
    "left: of the run that is going on, else as earlier runs went. cost: of the answers in the store."
)


def run(params_path: Path, as_json: bool, every_cell: bool, watch: float | None) -> None:
    """Print how far each model and judge is, once or every `watch` seconds."""
    params = load_params(params_path)
    prompts = load_prompts(params.prompts)
    with engines_of(str(params_path)) as engines:
        while True:
            engines.try_again()
            runs = runs_beside(STORE)
            states = list(_states(params, prompts, engines, runs))
            if as_json:
                print(_as_json(params, states, runs), flush=True)
            else:
                _show(params, states, runs, every_cell)
            if watch is None:
                return
            try:
                time.sleep(watch)
            except KeyboardInterrupt:
                return


def _states(params: StudyParams, prompts: list[Prompt], engines: Engines, runs: list[Running]) -> Iterator[WorkState]:
    with StoreView(STORE) as store:
        for work in all_work(params, prompts):
            yield how_far(work, engines, params.judging, prompts, store, runs)


def _as_json(params: StudyParams, states: list[WorkState], runs: list[Running]) -> str:
    """One line of JSON."""
    running = [{"caption": said.caption, "process": said.process, "done": said.done, "total": said.total,
                "missing": said.missing, "rate": said.rate} for said in runs if said.alive]  # fmt: skip
    return json.dumps({"study": params.study, "running": running, "work": [asdict(state) for state in states]})


def _show(params: StudyParams, states: list[WorkState], runs: list[Running], every_cell: bool) -> None:
    console = Console()
    alive = [said for said in runs if said.alive]
    going = f"running: {', '.join(said.caption for said in alive)}" if alive else "no run is going on"
    table = Table("asked", title=f"study {params.study}: {going}", box=SIMPLE, padding=(0, 1, 0, 0))
    table.columns[0].overflow = "fold"
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for state in states:
        table.add_row(state.words, *_row(state))
    console.print(table, markup=False)
    for state in states:
        if state.problem:
            console.print(visible_line(f"{state.words}: not known: {state.problem}"), markup=False)
        for batch in state.batches:
            console.print(f"{state.words}: {_batch(batch)}", markup=False)
        if state.missing:
            console.print(visible_line(f"{state.words}: missing: {reasons(state.missing)}"), markup=False)
        if undecided := sum(cell.undecided for cell in state.configurations):
            console.print(
                f"{state.words}: not decided by the primary judge: {undecided:,} of its answers", markup=False
            )
        for line in _cells(state, every_cell):
            console.print(line, markup=False)
    for path in half_written():
        console.print(visible_line(f"{path}: {HALF_WRITTEN}"), markup=False)
    if not STORE.exists():
        console.print(f"There is no {STORE}: nothing has been asked yet.", markup=False)
    console.print(EXPLAINED, markup=False)
    sys.stdout.flush()


def _row(state: WorkState) -> list[str]:
    if state.problem:
        return [UNKNOWN] * len(COLUMNS)
    total = "?" if state.total is None else short_count(state.total)
    missing = sum(state.missing.values())
    return [
        f"{short_count(state.done)}/{total}",
        short_count(missing),
        UNKNOWN if state.judged is None else short_count(state.judged),
        UNKNOWN if state.rate is None else pace(state.rate),
        UNKNOWN if state.seconds_left is None else duration(state.seconds_left),
        short_count(state.prompt_tokens + state.answer_tokens),
        "no price" if state.cost is None else f"{state.cost:,.2f}",
    ]


def _batch(batch: Batch) -> str:
    """A batch as the run that follows it saw it last."""
    named = batch.batch_id or batch.name
    return visible_line(
        f"batch {named}: {batch.state}, {batch.completed:,} of {batch.requests:,} answered, {batch.failed:,} failed, "
        f"sent {time.strftime('%Y-%m-%d %H:%M', time.localtime(batch.created))}"
    )


def _cells(state: WorkState, every: bool) -> Iterator[str]:
    """A line for each configuration that is not finished, or for all."""
    shown = [cell for cell in state.configurations if every or not cell.finished]
    finished = sum(cell.finished for cell in state.configurations)
    if not shown or (finished == 0 and not any(cell.done for cell in shown) and not every):
        return
    yield f"{state.words}: {finished} of {len(state.configurations)} configurations are finished"
    for cell in shown if every else shown[:CELLS_SHOWN]:
        yield f"  {_cell(cell)}"
    if not every and len(shown) > CELLS_SHOWN:
        yield f"  and {len(shown) - CELLS_SHOWN} more: refusal-stability status --all"


def _cell(cell: CellState) -> str:
    under = "" if cell.intervention == NO_INTERVENTION else f"{cell.intervention}, "
    undecided = f", {cell.undecided:,} not decided" if cell.undecided else ""
    missing = f", {sum(cell.missing.values()):,} missing: {reasons(cell.missing)}" if cell.missing else ""
    return (
        f"{under}temperature {cell.temperature:g}, seed {cell.seed}: {cell.done:,} of {cell.total:,}, "
        f"{cell.judged:,} judged{undecided}{missing}"
    )
