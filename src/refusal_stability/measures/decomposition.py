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
# What `_copies` tells of a prompt.
COPIES = ("prompt", "temperatures", "temperature 0")


@dataclass(frozen=True)
class Layout:
    """Which levels a design has, and where in a row of prompt totals each quantity stands."""

    levels: tuple[str, ...]
    place: dict[object, int]


@dataclass(frozen=True)
class Components:
    """Variance components and their ANOVA table.

    Attributes
    ----------
    names : the design's levels from the outermost, then `numerical`, `sampling` where seeds can be split, then `total`.
    variance : (b, len(names)) unbiased; negative estimates are left as they are.
    share : (b, len(names)) of the total.
    degrees_of_freedom, mean_square : (b, number of levels).
    """

    names: tuple[str, ...]
    variance: Floats
    share: Floats
    degrees_of_freedom: Floats
    mean_square: Floats


def prompt_totals(
    codes: NDArray[np.int8], temperatures: Sequence[float], copied: Texts | None = None
) -> tuple[Floats, Ints, Layout]:
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
    totals : (D, m) of the distinct prompts, `weights` : (D,) how many prompts show each, and their layout.
    """
    names = [name for name, size in zip(NESTED, codes.shape[1:], strict=True) if size > 1]
    sizes = [size for size in codes.shape[1:] if size > 1]
    kept = codes.reshape(len(codes), *(sizes or [1]))
    some = (kept >= 0).any(axis=tuple(range(1, kept.ndim)))
    inner = tally(kept[some])
    rows = inner.reshape(len(inner), math.prod(inner.shape[1:]))
    shared = copied is not None and names[-1:] == ["judge"] and len(names) > 1
    if copied is not None and shared:
        together = _copies(codes[some], copied[some], temperatures)
        rows = np.column_stack([rows.astype(np.float64), together])
    distinct = distinct_rows(rows)
    y = distinct.rows[:, : math.prod(inner.shape[1:])].astype(np.int64).reshape(len(distinct.rows), *sizes[:-1], K)
    columns = _columns(y, len(sizes))
    if shared:
        whole, by_temperature, at_zero = distinct.rows[:, -len(COPIES) :].T
        columns |= {"shared squares": whole * columns["n"], ("shared", 0): whole}
        if len(names) == len(NESTED):
            columns["shared", 1] = by_temperature
    if "seed" in names:
        columns |= _at_zero(y, names, temperatures, at_zero if shared else None)
    table = np.column_stack([np.asarray(c, dtype=np.float64) for c in columns.values()])
    layout = Layout(("prompt", *names), {key: i for i, key in enumerate(columns)})
    return table, distinct.weights, layout


def _copies(codes: NDArray[np.int8], texts: Texts, temperatures: Sequence[float]) -> Floats:
    """How far each prompt's decisions are copies (P, 3), as `COPIES` names it.

    With m_tr the decided responses of text t at repeat r in a group of n decisions, it is the sum over groups of
    `sum m_tr^2 / n`: how often one decision's own error enters the group's sum of squares over n. Without copies every
    m_tr is 1, and a group counts once.
    """
    n_prompts, n_temperatures, _, n_repeats = codes.shape
    flat = labels_within_rows(texts.reshape(n_prompts, -1)).reshape(texts.shape)
    decided = codes >= 0
    by_temperature = np.zeros((n_prompts, n_temperatures))
    for t in range(n_temperatures):
        by_temperature[:, t] = _error_share(flat[:, t], decided[:, t])
    whole = _error_share(flat.reshape(n_prompts, -1), decided.reshape(n_prompts, -1, n_repeats))
    zero = np.flatnonzero(np.asarray(temperatures) == 0)
    return np.column_stack([whole, by_temperature.sum(axis=1), by_temperature[:, zero].sum(axis=1)])


def _error_share(labels: NDArray[np.int64], decided: NDArray[np.bool_]) -> Floats:
    """`sum m_tr^2 / n` of each prompt; labels (P, C) are equal for equal texts, decided is (P, C, R)."""
    together = (labels[:, :, None] == labels[:, None, :]).astype(np.float64)
    squares = np.einsum("pcr,pcd,pdr->p", decided, together, decided, optimize=True)
    n = decided.sum(axis=(1, 2))
    return np.where(n > 0, squares / np.maximum(n, 1), 0.0)


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


def _at_zero(y: Ints, names: list[str], temperatures: Sequence[float], shared: Floats | None) -> dict[object, Floats]:
    """The part of the seed level's sum of squares, and of its coefficient for judges, that lies at temperature 0."""
    zero = np.flatnonzero(np.asarray(temperatures) == 0)
    at = y[:, zero] if "temperature" in names else y[:, None][:, : len(zero)]
    judged = names[-1] == "judge"  # then y counts within responses, else within temperatures
    cell = at.sum(axis=-1)
    group = at.sum(axis=-2) if judged else at
    size = group.sum(axis=-1)
    within = _over_groups(_ratio((at**2).sum(axis=-1), cell)) if judged else _over_groups(cell)
    between = _over_groups(_ratio((group**2).sum(axis=-1), size))
    errors = _over_groups(size > 0) if shared is None else shared
    return {
        "squares at zero": within - between,
        "judge coefficient at zero": _over_groups(cell > 0) - errors if judged else np.zeros(len(y)),
    }


def components(totals: Floats, layout: Layout) -> Components:
    """Unbiased variance components (Henderson's method 1) from totals over prompts.

    Where a judge's decisions on equal texts are copies, its error enters the sums of the groups above the responses
    once for each text and repeat, times the copies, not once for each response; the coefficients say so.

    The decision is a one-hot vector; its variance is the Gini variance `sum_c p_c (1 - p_c)`. With T_i the sum over
    the groups of level i of `|sum y|^2 / n`, the expectation of `T_i - T_(i-1)` is linear in the components with
    coefficients that the group sizes give, so the triangular system is solved from the innermost level outwards. For
    a complete design this is the textbook nested ANOVA.

    Parameters
    ----------
    totals : (b, m) rows of `prompt_totals` summed over prompts: the study's own, or bootstrap resamples.
    layout : as `prompt_totals` gave it.

    Returns
    -------
    Components

    References
    ----------
    Henderson (1953), doi:10.2307/3001853; Searle, Casella & McCulloch (1992), Variance Components, ch. 5,
    doi:10.1002/9780470316856
    """

    def of(key: object) -> Floats:
        return totals[:, layout.place[key]]

    def coefficient(i: int, j: int) -> Floats:
        return _coefficient(of, i, j, depth, n, layout)

    depth = len(layout.levels) - 1  # level `depth` is the single decision
    n = of("n")
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = [sum(of(("y", c)) ** 2 for c in range(K)) / n, *(of(("squares", i)) for i in range(depth)), n]
        groups = [np.ones_like(n), *(of(("groups", i)) for i in range(depth)), n]
        variance: list[Floats] = [n] * (depth + 1)
        for i in range(depth, -1, -1):
            rest = squares[i + 1] - squares[i]
            for j in range(depth, i, -1):
                rest = rest - variance[j] * (coefficient(i, j) - coefficient(i - 1, j))
            variance[i] = rest / (n - coefficient(i - 1, i))
        freedom = np.column_stack([groups[i + 1] - groups[i] for i in range(depth + 1)])
        mean_square = np.column_stack([squares[i + 1] - squares[i] for i in range(depth + 1)]) / freedom
        total = sum(variance)
        names, columns = list(layout.levels), list(variance)
        if "seed" in names:
            level = names.index("seed")
            judge = variance[-1] if names[-1] == "judge" else 0.0
            at_zero = of("squares at zero") - judge * of("judge coefficient at zero")
            numerical = at_zero / (n - coefficient(level - 1, level))
            names += ["numerical", "sampling"]
            columns += [numerical, variance[level] - numerical]
        table = np.column_stack([*columns, total])
        return Components((*names, "total"), table, table / table[:, -1:], freedom, mean_square)


def _coefficient(of: Callable[[object], Floats], i: int, j: int, depth: int, n: Floats, layout: Layout) -> Floats:
    """How often the component of level j enters the expectation of T_i; level -1 is the study as a whole."""
    if j <= i:
        return n
    if j == depth:
        if i < 0:
            return of("shared squares") / n if "shared squares" in layout.place else np.ones_like(n)
        return of(("shared", i)) if ("shared", i) in layout.place else of(("groups", i))
    return of(("size squares", j)) / n if i < 0 else of(("k", i, j))
