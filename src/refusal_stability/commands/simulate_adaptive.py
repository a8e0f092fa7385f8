"""A complete study sampled again by each rule: how a user chooses a rule from a pilot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

Named = Annotated[list[str] | None, typer.Option(help="ours=theirs, e.g. seed=trial; may be repeated.")]


def simulate_adaptive(
    tables: Annotated[list[Path], typer.Argument(help="Tables with a row per labelled response, or folders of them.")],
    rule: Annotated[
        list[str] | None, typer.Option(help="population, each_prompt, agreement or full; repeatable. Default: all.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Bound on the error of a certificate.")] = 0.05,
    threshold: Annotated[float, typer.Option(help="SSI below which a prompt is unstable.")] = 0.8,
    audit: Annotated[float, typer.Option(help="Share of prompts that are sampled in full.")] = 0.1,
    budget: Annotated[float | None, typer.Option(help="Most samples, as a share of the full grid.")] = None,
    order: Annotated[
        str | None, typer.Option(help="turns, hottest_first or random. Default: what the rule needs.")
    ] = None,
    runs: Annotated[int, typer.Option(help="Replays of each rule, each with an audit of its own.")] = 5,
    seed: int = 0,
    column: Named = None,
    label: Annotated[list[str] | None, typer.Option(help="theirs=OURS, e.g. refusal=REFUSE; may be repeated.")] = None,
    missing: Annotated[list[str] | None, typer.Option(help="A label that means no decision; repeatable.")] = None,
) -> None:
    """Replay a complete study under rules of adaptive sampling: prompts found, samples spent, errors of the figures."""
    import numpy as np

    from refusal_stability.judging.label_names import decision_named, label_map
    from refusal_stability.measures.adaptive.replay import full_study, replay
    from refusal_stability.measures.adaptive.rounds import designed, first_samples, least_budget
    from refusal_stability.measures.adaptive.rules import RULES, StoppingRule
    from refusal_stability.params.adaptive import ORDERS_OF, SAMPLE_ORDERS
    from refusal_stability.records import StudyError
    from refusal_stability.study.decision_table import decision_tables
    from refusal_stability.tables.layout import as_text

    for option, value, holds, allowed in (
        ("--rule", rule, set(rule or ()) <= set(RULES), f"one of {', '.join(RULES)}"),
        ("--alpha", alpha, 0 < alpha < 0.5, "a number between 0 and 0.5"),
        ("--threshold", threshold, 0.5 < threshold <= 1, "a number over 0.5 and at most 1"),
        ("--audit", audit, 0 <= audit <= 1, "a number from 0 to 1"),
        ("--budget", budget, budget is None or 0 < budget <= 1, "a number over 0 and at most 1"),
        *(
            ("--order", order, order in (None, *ORDERS_OF.get(name, SAMPLE_ORDERS)), f"what {name} needs: {orders}")
            for name, orders in ((name, " or ".join(ORDERS_OF.get(name, SAMPLE_ORDERS))) for name in rule or RULES)
        ),
        ("--runs", runs, runs >= 1, "a whole number of at least 1"),
    ):
        if not holds:
            raise StudyError(f"{option}: {value} is not allowed; allowed: {allowed}")
    pairs = [text.partition("=") for text in column or ()]
    if wrong := next((ours + sep + theirs for ours, sep, theirs in pairs if not (ours and theirs)), None):
        raise StudyError(f"--column {wrong!r} is not allowed; allowed: a name, =, and a column of the table")
    names = label_map(label or [])
    columns = {ours: theirs for ours, _, theirs in pairs}
    for group in decision_tables(tables, columns, lambda text: decision_named(text, names), missing or ()):
        n_prompts, n_temperatures, n_seeds = group.codes.shape
        if n_temperatures * n_seeds < 2:
            raise StudyError(
                f"{group.name}: one sample per prompt; give a study with several, there is nothing to save"
            )
        print(f"{group.name}: {n_prompts} prompts x {n_temperatures} temperatures x {n_seeds} seeds")
        if group.n_absent:
            print(f"{group.n_absent} of {group.codes.size} cells of this grid have no row: counted as missing")
        whole = full_study(group.codes, group.temperatures, threshold, 0.95)
        rows: list[dict[str, Any]] = []
        for name in rule or RULES[:-1]:
            chosen = StoppingRule(name, alpha, threshold, first_samples(n_temperatures, n_seeds), 64, audit, budget)
            by = order or ORDERS_OF.get(name, SAMPLE_ORDERS)[0]
            rng = np.random.default_rng([seed, 0])
            least = least_budget(designed(group.temperatures, n_seeds, n_prompts, chosen, by, rng), chosen)
            if name != "full" and budget is not None and budget < least:
                raise StudyError(
                    f"--budget: {budget} is not allowed; allowed: at least {least:g}, which the audit and each "
                    "prompt's first samples take; give a larger budget or a smaller --audit"
                )
            replays = [
                replay(group.codes, group.temperatures, chosen, by, 0.95, np.random.default_rng([seed, run]))
                for run in range(runs)
            ]
            rows.append({"rule": name, "replays": replays, "whole": whole})
        for layout in _layouts(rows, runs):
            print("\n" + as_text(layout))
        print()


def _layouts(rows: list[dict[str, Any]], runs: int) -> list[Any]:
    """A table of the rules, and one of the figures that each would report."""
    import numpy as np

    from refusal_stability.tables.columns import COLUMNS
    from refusal_stability.tables.layout import laid_out, numbers, words

    def share(title: str, name: str) -> Any:
        def read(row: Mapping[str, Any]) -> str:
            values = np.array([getattr(one, name) for one in row["replays"]], dtype=float)
            return "-" if np.isnan(values).any() else f"{100 * values.mean():.1f}"

        return numbers(title, read)

    def mean_rounds(row: Mapping[str, Any]) -> str:
        return f"{np.mean([one.rounds for one in row['replays']]):.1f}"

    found = laid_out(
        "rules",
        f"Rules, in percent; means of {runs} replays",
        rows,
        words("rule", "rule"),
        share("samples", "spent"),
        share("verdicts", "decided"),
        share("unstable found", "unstable_found"),
        share("flips seen", "flipping_found"),
        share("false stable", "passed_as_stable"),
        share("false unstable", "called_unstable"),
        numbers("rounds", mean_rounds),
    )
    layouts = [found]
    for row in rows:
        figures = []
        for i, (value, low, high) in enumerate(row["whole"]):
            estimates = [one.estimates[i] for one in row["replays"]]
            column = COLUMNS[estimates[0].figure.column]
            within = "" if np.isnan(estimates[0].figure.temperature) else f" at T={estimates[0].figure.temperature:g}"
            got = np.array([one.value for one in estimates])
            figures.append(
                {
                    "figure": column.name + within,
                    "digits": column.decimals + 1,
                    "whole": (value, low, high),
                    "got": got.mean(),
                    "error": np.abs(got - value).max(),
                    "inside": int(((got >= low) & (got <= high)).sum()),
                    "covers": sum(one.low <= value <= one.high for one in estimates),
                    "naive": np.mean([one.as_sampled for one in estimates]),
                }
            )
        layouts.append(
            laid_out(
                "figures",
                f"{row['rule']}: figures of the full study, and as estimated",
                figures,
                words("figure", "figure"),
                numbers("full study", lambda r: _interval(r["whole"], r["digits"])),
                numbers("estimate", lambda r: _digits(r["got"], r["digits"])),
                numbers("largest error", lambda r: _digits(r["error"], r["digits"])),
                numbers("in the full interval", lambda r: _of_runs(r["inside"], r["got"], runs)),
                numbers("interval covers", lambda r: _of_runs(r["covers"], r["got"], runs)),
                numbers("as sampled", lambda r: _digits(r["naive"], r["digits"])),
            )
        )
    return layouts


def _interval(whole: tuple[float, float, float], digits: int) -> str:
    value, low, high = (_digits(one, digits) for one in whole)
    return f"{value} [{low}, {high}]"


def _digits(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _of_runs(n: int, value: float, runs: int) -> str:
    return "-" if math.isnan(value) else f"{n} of {runs}"
