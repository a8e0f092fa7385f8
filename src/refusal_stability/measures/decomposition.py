"""Where instability comes from: the Gini variance of the decision in nested, unbiased ANOVA components."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusal_stability.measures.determinism import Texts, labels_within_rows
from refusal_stability.measures.distinct import Floats, Ints, distinct_rows
from refusal_stability.measures.stability import K, tally

NESTED = ("temperature", "seed", "judge")
KNOWN, UNKNOWN = 0, 1  # judge noise: measured on the text itself, or taken to be the study's mean


@dataclass(frozen=True)
class Design:
    """Which levels a design has, and where in a row of prompt totals each quantity stands."""

    levels: tuple[str, ...]
    temperatures: tuple[float, ...]
    place: dict[object, int]


@dataclass(frozen=True)
class Components:
    """Variance components and their ANOVA table.

    Attributes
    ----------
    names : the design's levels from the outermost, then `numerical`, `sampling` where seeds can be split, then `total`,
        then, where seeds can be split, `seed at T=...` for each temperature: the variance between its seeds alone.
    variance : (b, len(names)) unbiased; negative estimates are left as they are.
    share : (b, len(names)) of the total.
    degrees_of_freedom, mean_square : (b, len(names)) NaN where a component has none: `numerical`, `sampling`, `total`.
    """

    names: tuple[str, ...]
    variance: Floats
    share: Floats
    degrees_of_freedom: Floats
    mean_square: Floats


def prompt_totals(
    codes: NDArray[np.int8], temperatures: Sequence[float], copied: Texts | None = None
) -> tuple[Floats, Ints, Design]:
    """Everything about each prompt that the ANOVA needs; the components depend on their sums over prompts alone.

    Parameters
    ----------
    codes : (P, T, S, R) decision codes, missing allowed; a level of size one is no level.
    temperatures : (T,)
    copied : (P, T, S) numbers equal exactly for responses of one text, where the judge decided each text once per
        repeat and its decisions were copied to all responses of that text: their judge errors are then one error, not
        several. None where each response was judged by itself.

    Returns
    -------
    totals : (D, m) of the distinct prompts, `weights` : (D,) how many prompts show each, and their design.
    """
    names = [name for name, size in zip(NESTED, codes.shape[1:], strict=True) if size > 1]
    sizes = [size for size in codes.shape[1:] if size > 1]
    kept = codes.reshape(len(codes), *(sizes or [1]))
    some = (kept >= 0).any(axis=tuple(range(1, kept.ndim)))
    inner = tally(kept[some])
    counts = inner.reshape(len(inner), math.prod(inner.shape[1:]))
    judged = names[-1:] == ["judge"]
    noise: dict[object, Floats] = {}
    if judged and copied is not None:
        noise = _judge_noise(tally(codes[some]), codes[some] >= 0, copied[some], names)
    distinct = distinct_rows(np.column_stack([counts, *noise.values()]) if noise else counts)
    n_counts = counts.shape[1]
    rows = distinct.rows[:, :n_counts].astype(np.int64)
    columns = _columns(rows.reshape(len(rows), *sizes[:-1], K), len(sizes))
    if judged and copied is None:  # then the counts say it all, and few of them are distinct
        noise = _judge_noise(rows.reshape(len(rows), *codes.shape[1:3], K), None, None, names)
    else:
        noise = dict(zip(noise, distinct.rows[:, n_counts:].T, strict=True))
    columns |= noise
    if "seed" in names:
        columns |= _by_temperature(rows.reshape(len(rows), *sizes[:-1], K), names)
    table = np.column_stack([np.asarray(c, dtype=np.float64) for c in columns.values()])
    design = Design(("prompt", *names), tuple(temperatures), {key: i for i, key in enumerate(columns)})
    return table, distinct.weights, design


def _judge_noise(
    counts: Ints, decided: NDArray[np.bool_] | None, texts: Texts | None, names: list[str]
) -> dict[object, Floats]:
    """What the judge's errors add to each prompt's sums of squares over n, level by level.

    A text's error variance s^2 is estimated from its own repeats, because a judge errs more on some texts than on
    others and the model may repeat just those that it does not. With m_tr responses of text t decided at repeat r in a
    group of n decisions, one error is in the group's sum m_tr times: it adds `sum s_t^2 m_tr^2 / n`. Texts with a
    single decision have no estimate of their own; what they add is kept apart, per unit of variance (`UNKNOWN`).

    `counts` (P, T, S, 3) of each response's decisions; where texts are shared, `decided` (P, T, S, R) and `texts`
    (P, T, S).
    """
    n_prompts, n_temperatures, n_seeds, _ = counts.shape
    n = counts.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        own = np.where(n > 1, (n - (counts**2).sum(axis=-1) / n) / (n - 1), np.nan)
    if texts is not None:
        first = labels_within_rows(texts.reshape(n_prompts, -1))
        own = np.take_along_axis(own.reshape(n_prompts, -1), first, axis=1).reshape(own.shape)
    variance = np.stack([np.nan_to_num(own), np.isnan(own).astype(np.float64)])  # known, unknown

    def added(n_cells: int) -> Floats:
        """The part (2, P, groups) of each group of so many responses that follow each other."""
        times = n.reshape(-1, n_cells)
        size = times.sum(axis=-1)
        if texts is not None and decided is not None:
            times = _copies(texts.reshape(-1, n_cells), decided.reshape(-1, n_cells, decided.shape[-1]))
        parts = (variance.reshape(2, -1, n_cells) * times).sum(axis=-1)
        return np.asarray(parts / np.maximum(size, 1), dtype=np.float64).reshape(2, n_prompts, -1)

    whole, by_temperature = added(n_temperatures * n_seeds)[:, :, 0], added(n_seeds)
    cells = np.where(n > 0, variance, 0.0).sum(axis=-1)
    columns: dict[object, Floats] = {}
    for k in (KNOWN, UNKNOWN):
        columns["noise", -1, k] = whole[k] * n.sum(axis=(1, 2))
        if len(names) > 1:
            columns["noise", 0, k] = whole[k]
        if len(names) == len(NESTED):
            columns["noise", 1, k] = by_temperature[k].sum(axis=1)
        columns["noise", len(names) - 1, k] = cells[k].sum(axis=1)
        if "seed" in names:
            for t in range(n_temperatures):
                columns["noise between seeds", t, k] = cells[k][:, t] - by_temperature[k][:, t]
    return columns


def _copies(texts: Texts, decided: NDArray[np.bool_]) -> Ints:
    """For each cell of a group, the responses of its text that were decided at the same repeat, summed over repeats.

    `texts` (G, C), `decided` (G, C, R) -> (G, C)
    """
    n_groups, n_cells, n_repeats = decided.shape
    text = np.arange(n_groups)[:, None] * n_cells + labels_within_rows(texts)
    key = text[:, :, None] * n_repeats + np.arange(n_repeats)
    times = np.bincount(key[decided], minlength=n_groups * n_cells * n_repeats)
    return np.asarray(np.where(decided, times[key], 0).sum(axis=-1), dtype=np.int64)


def _columns(y: Ints, depth: int) -> dict[object, Floats]:
    """Per prompt: N, its decisions, and for each level its sum of squares, group count and coefficients.

    `y` (D, ..., 3) counts decisions in the groups of the level above the single decisions, which is level `depth`.
    """
    # decisions and sizes of the groups of every level, from the prompt (level 0) inwards
    by_level = [y.sum(axis=tuple(range(1 + i, y.ndim - 1))) for i in range(max(depth, 1))]
    sizes = [counts.sum(axis=-1) for counts in by_level]
    columns: dict[object, Floats] = {"n": sizes[0].astype(np.float64)}
    columns |= {("y", c): by_level[0][:, c].astype(np.float64) for c in range(K)}
    for i in range(depth):
        columns["squares", i] = _over_groups(_ratio((by_level[i] ** 2).sum(axis=-1), sizes[i]))
        columns["groups", i] = _over_groups(sizes[i] > 0)
        columns["size squares", i] = _over_groups(sizes[i] ** 2)
        for j in range(i + 1, depth):
            inner = (sizes[j] ** 2).sum(axis=tuple(range(1 + i, sizes[j].ndim)))
            columns["k", i, j] = _over_groups(_ratio(inner, sizes[i]))
    return columns


def _over_groups(values: NDArray[np.generic]) -> Floats:
    return np.asarray(values.sum(axis=tuple(range(1, values.ndim))), dtype=np.float64)


def _ratio(top: Ints, bottom: Ints) -> Floats:
    return np.asarray(np.where(bottom > 0, top / np.maximum(bottom, 1), 0.0), dtype=np.float64)


def _by_temperature(y: Ints, names: list[str]) -> dict[object, Floats]:
    """Each temperature's part of the seed level: sum of squares, degrees of freedom, the component's coefficient."""
    at = y if "temperature" in names else y[:, None]
    if names[-1] == "judge":  # then y counts within responses, else within temperatures
        cell, group = at.sum(axis=-1), at.sum(axis=-2)
        inner = _ratio((at**2).sum(axis=-1), cell).sum(axis=-1)
        n_cells, squares = (cell > 0).sum(axis=-1), (cell**2).sum(axis=-1)
    else:
        group = at
        inner = n_cells = squares = at.sum(axis=-1)
    size = group.sum(axis=-1)
    within = inner - _ratio((group**2).sum(axis=-1), size)
    freedom, coefficient = n_cells - (size > 0), size - _ratio(squares, size)
    columns: dict[object, Floats] = {}
    for t in range(at.shape[1]):
        columns |= {("within", t): within[:, t], ("freedom", t): freedom[:, t], ("seeds", t): coefficient[:, t]}
    return columns


def components(totals: Floats, design: Design) -> Components:
    """Unbiased variance components (Henderson's method 1) from totals over prompts.

    The decision is a one-hot vector; its variance is the Gini variance `sum_c p_c (1 - p_c)`. With T_i the sum over
    the groups of level i of `|sum y|^2 / n`, the expectation of `T_i - T_(i-1)` is linear in the components with
    coefficients that the group sizes give, so the triangular system is solved from the innermost level outwards. For
    a complete design this is the textbook nested ANOVA.

    What the judge's errors add to T_i is taken from each text's own repeats (`_judge_noise`), so that neither copies of
    a decision on equal texts nor texts that are harder to judge than others are taken for another component.

    Parameters
    ----------
    totals : (b, m) rows of `prompt_totals` summed over prompts: the study's own, or bootstrap resamples.
    design : as `prompt_totals` gave it.

    Returns
    -------
    Components

    References
    ----------
    Henderson (1953), doi:10.2307/3001853; Searle, Casella & McCulloch (1992), Variance Components, ch. 5,
    doi:10.1002/9780470316856
    """

    def of(key: object) -> Floats:
        return totals[:, design.place[key]]

    depth = len(design.levels) - 1  # level `depth` is the single decision
    judged = design.levels[-1] == "judge"
    n = of("n")
    variance: list[Floats] = [n] * (depth + 1)

    def errors(*key: object) -> Floats:
        return of((*key, KNOWN)) + variance[depth] * of((*key, UNKNOWN))

    def added(i: int, j: int) -> Floats:
        """What component j adds to the expectation of T_i."""
        if judged and j == depth and i < depth:
            return errors("noise", i) / (n if i < 0 else 1)
        return variance[j] * _coefficient(of, i, j, depth, n)

    with np.errstate(invalid="ignore", divide="ignore"):
        squares = [sum(of(("y", c)) ** 2 for c in range(K)) / n, *(of(("squares", i)) for i in range(depth)), n]
        groups = [np.ones_like(n), *(of(("groups", i)) for i in range(depth)), n]
        for i in range(depth, -1, -1):
            rest = squares[i + 1] - squares[i]
            for j in range(depth, i, -1):
                rest = rest - (added(i, j) - added(i - 1, j))
            variance[i] = rest / (n - _coefficient(of, i - 1, i, depth, n))
        freedom = [groups[i + 1] - groups[i] for i in range(depth + 1)]
        squared = [squares[i + 1] - squares[i] for i in range(depth + 1)]
        names, columns, total = list(design.levels), list(variance), sum(variance, np.zeros_like(n))
        if "seed" not in names:
            names, columns = [*names, "total"], [*columns, total]
        else:
            ts = range(len(design.temperatures))
            within = [of(("within", t)) for t in ts]
            sampled = [within[t] - errors("noise between seeds", t) if judged else within[t] for t in ts]
            level = names.index("seed")
            at_zero = [sampled[t] for t in ts if design.temperatures[t] == 0]
            numerical = sum(at_zero, np.zeros_like(n)) / (n - _coefficient(of, level - 1, level, depth, n))
            names += ["numerical", "sampling", "total", *(f"seed at T={t:g}" for t in design.temperatures)]
            columns += [numerical, variance[level] - numerical, total]
            columns += [sampled[t] / of(("seeds", t)) for t in ts]
            undefined = [np.full_like(n, np.nan)] * 3
            freedom, squared = [*freedom, *undefined], [*squared, *undefined]
            freedom, squared = [*freedom, *(of(("freedom", t)) for t in ts)], [*squared, *within]
        if len(freedom) < len(names):
            freedom, squared = [*freedom, np.full_like(n, np.nan)], [*squared, np.full_like(n, np.nan)]
        table, degrees = np.column_stack(columns), np.column_stack(freedom)
        return Components(tuple(names), table, table / total[:, None], degrees, np.column_stack(squared) / degrees)


def _coefficient(of: Callable[[object], Floats], i: int, j: int, depth: int, n: Floats) -> Floats:
    """How often the component of level j enters the expectation of T_i; level -1 is the study as a whole."""
    if j <= i:
        return n
    if j == depth:
        return np.ones_like(n) if i < 0 else of(("groups", i))
    return of(("size squares", j)) / n if i < 0 else of(("k", i, j))
