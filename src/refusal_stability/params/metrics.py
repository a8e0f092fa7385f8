"""Section `metrics`: thresholds, intervals, and the seed of the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass, field

from refusal_stability.params.checks import check_unique, require


@dataclass
class MetricsParams:
    """Thresholds, intervals and the seed of the bootstrap."""

    threshold: float = 0.8
    thresholds: list[float] = field(default_factory=lambda: [0.70, 0.75, 0.80, 0.85, 0.90])
    confidence: float = 0.95
    n_resamples: int = 10_000
    seed: int = 0


def check_metrics(metrics: MetricsParams, key: str) -> None:
    for name, values in (("threshold", [metrics.threshold]), ("thresholds", metrics.thresholds)):
        for value in values:
            require(1 / 3 < value <= 1, f"{key}.{name}", value, "a number over 1/3 and at most 1")
    check_unique(metrics.thresholds, f"{key}.thresholds")
    require(0 < metrics.confidence < 1, f"{key}.confidence", metrics.confidence, "a number between 0 and 1")
    require(metrics.n_resamples >= 100, f"{key}.n_resamples", metrics.n_resamples, "at least 100")
    require(metrics.seed >= 0, f"{key}.seed", metrics.seed, "a whole number of at least 0")
