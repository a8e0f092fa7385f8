"""The commands that compare: two sides, a side with a saved baseline, and a study with its own past."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
Params = Annotated[Path, typer.Option("--params", help="The study's parameter file.")]
PARAMS = Path("params.yaml")


@app.command()
def compare(
    a: str,
    b: str,
    fail_if: Annotated[
        list[str] | None, typer.Option(help='A gate\'s rule, e.g. "pct_flipped > +5"; may be repeated.')
    ] = None,
    alpha: Annotated[float, typer.Option(help="Chance of a wrong fail, over all rules together.")] = 0.05,
    markdown: Annotated[Path | None, typer.Option(help="File for the gate's summary for a pull request.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="File for the gate's outcome as JSON.")] = None,
    junit: Annotated[Path | None, typer.Option(help="File for the gate's outcome as JUnit XML.")] = None,
    params: Params = PARAMS,
) -> None:
    """Compare two models, interventions or studies, paired by prompt.

    A and B: MODEL, MODEL/INTERVENTION, FOLDER:MODEL[/INTERVENTION], or FOLDER for a whole study. @NAME stands for the
    folder of a saved baseline. With --fail-if the exit code is 0 (pass), 3 (fail) or 4 (not enough data).
    """
    command = import_module("refusal_stability.commands.compare")
    files = {"--markdown": markdown, "--json": as_json, "--junit": junit}
    code = command.run(a, b, params, fail_if or [], alpha, {name: file for name, file in files.items() if file})
    if code:
        raise typer.Exit(code)


@app.command()
def baseline(
    name: Annotated[str, typer.Argument(help="A name such as release-1. Compare with it as @release-1.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a baseline of this name.")] = False,
    params: Params = PARAMS,
) -> None:
    """Keep this study's figures, prompts, parameters and served models in data/baselines/NAME."""
    import_module("refusal_stability.commands.baseline").run(name, force, params)


@app.command()
def history(params: Params = PARAMS) -> None:
    """Write every version of the study that MLflow still has into reports/history: a page and a CSV file."""
    import_module("refusal_stability.commands.history").run(params)


@app.command()
def design(
    model: str,
    budget: Annotated[float, typer.Option(help="What a study may cost, in responses.")],
    intervention: Annotated[str, typer.Option(help="Intervention of the pilot.")] = "none",
    decision: Annotated[str, typer.Option(help="The decision whose mean share is to be known.")] = "REFUSE",
    most_intents: Annotated[int | None, typer.Option(help="Intents there are. Default: the pilot's.", min=2)] = None,
    judge_cost: Annotated[float, typer.Option(help="Price of one judgement, in responses.")] = 0.0,
    prompt_cost: Annotated[float, typer.Option(help="Price of writing one prompt, in responses.")] = 0.0,
    params: Params = PARAMS,
) -> None:
    """Compute from a pilot on how many intents, phrasings, seeds and so on a budget is best spent."""
    command = import_module("refusal_stability.commands.design")
    command.run(model, intervention, decision, budget, most_intents, judge_cost, prompt_cost, params)
