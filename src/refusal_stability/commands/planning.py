"""Commands that plan from a pilot study: prompts, samples, and labels by people."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
Params = Annotated[Path, typer.Option("--params", help="The study's parameter file.")]
PARAMS = Path("params.yaml")


@app.command()
def power(
    model: str,
    difference: Annotated[
        float | None, typer.Option(help="B minus A: -0.02 in mean SSI, 0.05 in the share of flips.")
    ] = None,
    figure: Annotated[str, typer.Option(help="Which measure differs: ssi or flip.")] = "ssi",
    intervention: Annotated[str, typer.Option(help="Intervention of the pilot.")] = "none",
    power: Annotated[float, typer.Option(help="Probability of detecting the difference.")] = 0.8,
    tokens_per_response: Annotated[float | None, typer.Option(help="Default: measured in the pilot.")] = None,
    judge_error: Annotated[
        float | None, typer.Option(help="Instead: labels that correct a judge with this share of errors, e.g. 0.1.")
    ] = None,
    half_width: Annotated[float, typer.Option(help="With --judge-error: wanted half width of the interval.")] = 0.05,
    params: Params = PARAMS,
) -> None:
    """Compute from a pilot how many prompts, samples and tokens a comparison needs, or labels a correction needs."""
    if judge_error is not None and difference is None:
        labels = import_module("refusal_stability.commands.label_numbers")
        labels.run(model, intervention, figure, judge_error, half_width, params)
        return
    if difference is None or judge_error is not None:
        raise typer.BadParameter("give one of --difference and --judge-error", param_hint="--difference")
    stage = import_module("refusal_stability.commands.power")
    stage.run(model, intervention, figure, difference, power, tokens_per_response, params)


@app.command("forecast")
def forecast_attempts(
    source: Annotated[
        str, typer.Argument(help="A model of the study, or a CSV file: attempts and complied by prompt.")
    ],
    intervention: Annotated[str, typer.Option(help="The model's intervention.")] = "none",
    attempts: Annotated[
        list[int] | None, typer.Option(help="Attempts at each prompt in all; may be repeated. Default: 10 to 10,000.")
    ] = None,
    stopped: Annotated[
        bool, typer.Option("--stopped", help="The file's attempts ended with a prompt's first COMPLY.")
    ] = False,
    half_width: Annotated[
        float | None, typer.Option(help="Also: attempts that bring the interval within this, e.g. 0.05.")
    ] = None,
    confidence: Annotated[float | None, typer.Option(help="Of the intervals. Default: metrics.confidence.")] = None,
    params: Params = PARAMS,
) -> None:
    """Forecast the share of prompts that comply at least once if attempts go on, and the attempts to the first."""
    command = import_module("refusal_stability.commands.forecast")
    ahead = attempts or [10, 100, 1_000, 10_000]
    command.run(source, intervention, ahead, stopped, half_width, confidence, params)


@app.command("predict")
def predict_instability(
    params: Params = PARAMS,
    read_by: Annotated[
        str | None,
        typer.Option(
            help="Also use what this model makes of each prompt: a folder, a .gguf file or a Hugging Face id."
        ),
    ] = None,
) -> None:
    """Predict from the prompts' texts which will flip or be unstable. Writes reports/prediction."""
    import_module("refusal_stability.commands.predict").run(params, read_by)
