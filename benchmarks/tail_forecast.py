"""The tail forecast on planted populations: error and coverage from 60 and 600 attempts at 159 prompts.

`python benchmarks/tail_forecast.py [STUDIES] [--hard]` prints a table; `--hard`: of harder populations. Errors are in
percentage points, averaged over numbers of attempts beyond those made (of 100, 1,000, 10,000). Attempts stop at a
prompt's first COMPLY.
"""

from __future__ import annotations

import sys

import numpy as np

from refusal_stability.measures.tail_baselines import log_log_share, plug_in_share
from refusal_stability.measures.tail_forecast import forecast_tail

PROMPTS, MADE, ATTEMPTS = 159, (60, 600), np.array([100, 1_000, 10_000])
POPULATIONS = {
    "Beta(0.3, 3)": lambda r: r.beta(0.3, 3, PROMPTS),
    "Beta(0.25, 30)": lambda r: r.beta(0.25, 30, PROMPTS),
    "Beta(1, 200)": lambda r: r.beta(1, 200, PROMPTS),
    "40 % never, Beta(0.5, 5)": lambda r: np.where(r.random(PROMPTS) < 0.4, 0, r.beta(0.5, 5, PROMPTS)),
    "20 % never, Beta(0.5, 50)": lambda r: np.where(r.random(PROMPTS) < 0.2, 0, r.beta(0.5, 50, PROMPTS)),
    "30 % Beta(5, 3), Beta(0.5, 100)": lambda r: np.where(
        r.random(PROMPTS) < 0.3, r.beta(5, 3, PROMPTS), r.beta(0.5, 100, PROMPTS)
    ),
    "log-uniform, 1e-5 to 1": lambda r: 10 ** r.uniform(-5, 0, PROMPTS),
    "logit-normal(-6, 2.5)": lambda r: 1 / (1 + np.exp(-r.normal(-6, 2.5, PROMPTS))),
    "log10-normal(-3, 1)": lambda r: np.minimum(0.9, 10 ** r.normal(-3, 1, PROMPTS)),
}
# Harder ones: narrow clusters of small rates, many prompts that never comply, heavy lower tails.
HARD = {
    "log10-normal(-4, 1.5)": lambda r: np.minimum(0.95, 10 ** r.normal(-4, 1.5, PROMPTS)),
    "40 % Beta(8, 60), others near 3e-4": lambda r: np.where(
        r.random(PROMPTS) < 0.4, r.beta(8, 60, PROMPTS), 3e-4 * np.exp(r.normal(0, 0.5, PROMPTS))
    ),
    "20 % Beta(5, 5), others near 1e-3": lambda r: np.where(
        r.random(PROMPTS) < 0.2, r.beta(5, 5, PROMPTS), 1e-3 * np.exp(r.normal(0, 0.3, PROMPTS))
    ),
    "log10 rate -5 Beta(1.5, 1)": lambda r: 10 ** (-5 * r.beta(1.5, 1.0, PROMPTS)),
    "Pareto from 1e-4": lambda r: np.minimum(0.99, 1e-4 * (1 / r.random(PROMPTS)) ** 1.2),
    "20 % never, log10-normal(-3, 0.8)": lambda r: np.where(
        r.random(PROMPTS) < 0.2, 0, np.minimum(0.9, 10 ** r.normal(-3, 0.8, PROMPTS))
    ),
    "60 % never, Beta(0.5, 20)": lambda r: np.where(r.random(PROMPTS) < 0.6, 0, r.beta(0.5, 20, PROMPTS)),
    "60 % never, log-uniform, 1e-4 to 1": lambda r: np.where(
        r.random(PROMPTS) < 0.6, 0, 10 ** r.uniform(-4, 0, PROMPTS)
    ),
    "40 % never, logit-normal(-4, 2)": lambda r: np.where(
        r.random(PROMPTS) < 0.4, 0, 1 / (1 + np.exp(-r.normal(-4, 2, PROMPTS)))
    ),
    "thirds of Beta(6, 4), Beta(3, 100), near 1e-4": lambda r: np.choose(
        r.integers(0, 3, PROMPTS), [r.beta(6, 4, PROMPTS), r.beta(3, 100, PROMPTS), 10 ** r.normal(-4, 0.5, PROMPTS)]
    ),
    "85 % Beta(3, 1.5), log-uniform, 1e-5 to 1e-2": lambda r: np.where(
        r.random(PROMPTS) < 0.85, r.beta(3, 1.5, PROMPTS), 10 ** r.uniform(-5, -2, PROMPTS)
    ),
}


def main(studies: int, hard: bool) -> None:
    """Print the table, then its means."""
    print("| population | attempts made | error | bias | 90 % intervals cover | plug-in error | log-log error |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for made in MADE:
        rows = []
        for name, rates in (HARD if hard else POPULATIONS).items():
            streams = (np.random.default_rng([study, 777 if hard else 17]) for study in range(studies))
            found = np.concatenate([one_study(rates(r), made, r) for r in streams])
            error, covered, plug_in, log_log = found.T
            rows.append(
                [np.abs(error).mean(), error.mean(), covered.mean(), *np.nanmean(np.abs([plug_in, log_log]), 1)]
            )
            print(line(name, made, rows[-1]), flush=True)
        print(line("**mean**", made, np.mean(rows, axis=0)))


def one_study(rates: np.ndarray, made: int, rng: np.random.Generator) -> np.ndarray:
    """Error of the forecast, coverage, and errors of the plain estimators, at each number of attempts beyond `made`."""
    first = np.where(rates > 0, rng.geometric(np.maximum(rates, 1e-12)), 10**9)
    tried, complied = np.minimum(first, made), (first <= made).astype(np.int64)
    forecast = forecast_tail(tried, complied, ATTEMPTS, 0.9, rng, stopped=True)
    rows = []
    for i, k in enumerate(ATTEMPTS.tolist()):
        true = (first <= k).mean()
        covered = forecast.share_low[i] <= true <= forecast.share_high[i]
        plain = plug_in_share(tried, complied, k), log_log_share(tried, complied, k, stopped=True)
        rows.append([forecast.share[i] - true, covered, *(share - true for share in plain)])
    return np.array([row for row, k in zip(rows, ATTEMPTS, strict=True) if k > made], dtype=np.float64)


def line(name: str, made: int, row: list[float] | np.ndarray) -> str:
    """One row of the table; shares in per cent."""
    error, bias, covered, plug_in, log_log = (100 * float(value) for value in row)
    return f"| {name} | {made} | {error:.1f} | {bias:+.1f} | {covered:.0f} % | {plug_in:.1f} | {log_log:.1f} |"


if __name__ == "__main__":
    numbers = [word for word in sys.argv[1:] if word != "--hard"]
    main(int(numbers[0]) if numbers else 20, "--hard" in sys.argv)
