"""`refusal-stability plan`: what the active study would send and cost at most, and whether what it needs is there."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from refusal_stability.engines.forecast import Forecast, forecast
from refusal_stability.files import STORE
from refusal_stability.params.engines import engine_settings
from refusal_stability.params.load import load_params
from refusal_stability.params.study import StudyParams
from refusal_stability.plain_text import visible_line
from refusal_stability.prompts.load import load_prompts
from refusal_stability.records import OtherEnvironment, Prompt, StudyError
from refusal_stability.rounds.ahead import expected_share
from refusal_stability.study.sampled import design_of, predictions_of
from refusal_stability.tables.number_format import short_count
from refusal_stability.tables.sampled import sampled_file
from refusal_stability.workload.asked import all_work, engines_of, left_to_people
from refusal_stability.workload.needs import (
    Check,
    checked,
    is_trained_first,
    judge_checks,
    model_checks,
    space_check,
)

COLUMNS = ("requests", "stored", "to send", "prompt\ntokens", "answer\ntokens", "cost")
EXPLAINED = (
    "Prompt tokens are estimated from text length. Answer tokens are upper bounds. The cost rests on both. Prices and "
    "caps are settings of each model."
)
CAPPED = "exceeds the cap settings.{}; the run would stop before it sends anything"
CAPPED_IF_ALL = "would exceed the cap settings.{} if it were asked about every response"
ON_CALL = "judges only what another judge hands over; its row assumes every response"
BY_A_PERSON = "a person labels the {:,} distinct responses that other judges hand over; a label costs no request"
HANDED_OVER = "judges the {:,} distinct responses that other judges hand over"
EXPECTED = "by the predictions, its rounds take about {:.0%} of the grid, {:,} of {:,} samples"
UNANSWERED = "counted as if every response were a different text; judges are asked about equal ones once"


def run(params_path: Path) -> None:
    """Print requests, tokens, cost and checks. The exit status is 1 where something that a run needs is not there."""
    where = str(params_path)
    params = load_params(params_path)
    console = Console()
    prompts, checks = _prompts(params)
    notes: list[str] = []
    found: dict[str, Forecast] = {}
    costs: list[float | None] = []
    table = Table("asked", title=f"study {params.study}: {len(prompts)} prompts", box=SIMPLE, padding=(0, 1, 0, 0))
    table.columns[0].overflow = "fold"
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    works = list(all_work(params, prompts))
    with engines_of(where) as engines:
        checks += [*rounds_check(params, prompts), *model_checks(works, engines, params, where)]
        checks += judge_checks(params, where)
        for work in works:
            if is_trained_first(work.model, params):
                notes.append(f"{work.words}: not counted: its model is trained first; it runs here for free")
                continue
            settings = engine_settings(work.model)
            try:
                one = forecast(engines.of(work).identity, work.requests(engines.of(work)), STORE, settings)
            except OtherEnvironment:
                raise
            except StudyError:
                notes.append(f"{work.words}: not counted; its PROBLEM below says why")
                continue
            found[work.words] = one
            costs.append(one.cost(settings))
            table.add_row(visible_line(work.words), *_cells(one, costs[-1]))
            notes += [f"{work.words}: {settings.price_note}"] if settings.price_note else []
            capped = CAPPED if work.certain else CAPPED_IF_ALL
            notes += [f"{work.words}: {capped.format(cap)}" for cap in one.beyond(settings)]
            notes += [] if work.certain else [f"{work.words}: {ON_CALL}"]
            notes += [f"{work.words}: {HANDED_OVER.format(len(work.pairs))}"] if work.handed_over else []
            notes += [] if work.known else [f"{work.words}: {UNANSWERED}"]
    notes += [
        f"{judge} on {of}: {BY_A_PERSON.format(len(pairs))}" for judge, of, pairs in left_to_people(params, prompts)
    ]
    if len(found) > 1:
        table.add_section()
        table.add_row("total", *_total(list(found.values()), costs))
    console.print(table)
    if params.sampling.adaptive:
        notes.append(in_rounds(params))
        notes += _rounds_ahead(params, prompts, found)
    for note in (*notes, EXPLAINED):
        console.print(visible_line(note), markup=False)
    _show(console, [*checks, space_check(found, Path())])


def in_rounds(params: StudyParams) -> str:
    """What the counts mean where prompts are sampled in rounds."""
    ((rule, chosen),) = params.sampling.adaptive.items()
    most = "" if chosen.budget is None else f" The budget allows {chosen.budget:.0%} of the grid."
    return (
        f"sampled in rounds by {rule}: a model that was not sampled yet counts with its full grid, an upper bound."
        f"{most} `refusal-stability simulate-adaptive` tells from a pilot how much a rule takes"
    )


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


def _rounds_ahead(params: StudyParams, prompts: list[Prompt], found: dict[str, Forecast]) -> list[str]:
    """What the predictions say of the models that were not sampled yet; `rounds_check` says where none are."""
    ((_, chosen),) = params.sampling.adaptive.items()
    said: list[str] = []
    for name, settings in params.models.items():
        if name not in found or sampled_file(name).is_file():
            continue
        try:
            share = expected_share(params, name, [prompt.prompt_id for prompt in prompts])
        except StudyError:
            return []
        if share is None:
            continue
        grid, cost = found[name].requests, found[name].cost(engine_settings(settings))
        price = "" if cost is None else f" and {cost * share:,.2f} of the cost"
        said.append(f"{name}: {EXPECTED.format(share, round(share * grid), grid)}{price}")
    if chosen.predictions is not None and not said and prompts:
        said.append(f"{chosen.predictions} predicts nothing for the models still to be sampled")
    return said


def _prompts(params: StudyParams) -> tuple[list[Prompt], list[Check]]:
    """The study's prompts, read from their source, and the check that says so."""
    try:
        prompts = load_prompts(params.prompts, tell=print)
    except StudyError as error:
        return [], [Check("prompts", False, str(error))]
    return prompts, [Check("prompts", True, f"{len(prompts)} from {params.prompts.path or params.prompts.source}")]


def _show(console: Console, checks: list[Check]) -> None:
    """A line for each check; the lines of what is not there say what to do."""
    console.print("\nWhat the run needs:")
    for check in checks:
        said = visible_line(f"{check.about}: {check.said}")
        console.print(f"{'ok' if check.good else 'PROBLEM':8} {said}", markup=False)
    problems = sum(not check.good for check in checks)
    if problems:
        console.print(f"{problems} problem{'s' if problems > 1 else ''}: see above for what to do", markup=False)
        sys.exit(1)
    console.print("Everything is there. Nothing was sent that anyone charges for.", markup=False)


def _cells(found: Forecast, cost: float | None) -> list[str]:
    counts = (found.requests, found.stored, found.to_send, found.prompt_tokens, found.answer_tokens)
    return [*map(short_count, counts), "no price" if cost is None else f"{cost:,.2f}"]


def _total(found: list[Forecast], costs: list[float | None]) -> list[str]:
    """The sums; where a price is not known, the cost is at least that of the others."""
    names = ("requests", "stored", "to_send", "prompt_tokens", "answer_tokens")
    sums = [short_count(sum(getattr(one, name) for one in found)) for name in names]
    known = sum(cost for cost in costs if cost is not None)
    unpriced = any(cost is None for cost in costs)
    return [*sums, f"{known:,.2f} + ?" if unpriced and known else "no price" if unpriced else f"{known:,.2f}"]
