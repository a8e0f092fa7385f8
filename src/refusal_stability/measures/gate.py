"""A gate: does a figure change by more than a margin, surely not, or is that not known yet?

Each rule names a change that is too much. One-sided confidence bounds of the mean change over paired prompts decide:
the change is beyond the margin (fail), it is not (pass), or neither can be said (not enough data).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from refusal_stability.measures.distinct import Floats
from refusal_stability.records import StudyError

Decision = Literal["pass", "fail", "not enough data"]
PASS: Decision = "pass"
FAIL: Decision = "fail"
NOT_ENOUGH: Decision = "not enough data"
POWER = 0.8  # with which the prompts or samples that are named would decide
MOST_PROMPTS = MOST_SAMPLES = 1_000_000
WRITTEN = re.compile(r"\s*(\|?)\s*([A-Za-z_]+)\s*(\|?)\s*([<>])\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*(%?)\s*")


@dataclass(frozen=True)
class GateRule:
    """What counts as too much change.

    Attributes
    ----------
    text : as it was written.
    figure : a figure of the comparison.
    signs : the directions that are watched: +1 a rise, -1 a fall; both for an equivalence test.
    margin : the change in each watched direction that is still allowed, in the figure's unit.
    """

    text: str
    figure: str
    signs: tuple[int, ...]
    margin: float


@dataclass(frozen=True)
class Change:
    """One figure's paired changes.

    Attributes
    ----------
    differences : (P,) second side minus first, for each prompt where both are defined.
    span : the largest change that one prompt can show, in the figure's unit.
    within : the part of the differences' variance that more samples a prompt would take away; NaN where the figure
        itself depends on the number of samples.
    samples : samples a prompt on each side.
    single : prompts without a difference because a side has one sample, which cannot show instability.
    """

    differences: Floats
    span: float
    within: float
    samples: float
    single: int = 0


@dataclass(frozen=True)
class RuleOutcome:
    """A rule's outcome.

    Attributes
    ----------
    rule, decision : the rule and what was decided.
    n_prompts : prompts that the change rests on.
    change : mean change, second side minus first.
    low, high : one-sided bounds of the change at the level for a pass.
    prompts_needed, samples_needed : prompts, or samples a prompt and side, that would decide with power 0.8 if the
        change stays as it is; None where the rule is decided, or where no number up to a million would. With fewer than
        two prompts nothing can be projected: `samples_needed` is then 2 where more samples would give prompts.
    """

    rule: GateRule
    decision: Decision
    n_prompts: int
    change: float
    low: float
    high: float
    prompts_needed: int | None = None
    samples_needed: int | None = None


def parse_rule(text: str, spans: Mapping[str, float]) -> GateRule:
    """Read a rule such as `pct_flipped > +5`, `mean_ssi < -0.02` or `|mean_ssi| > 0.02`.

    Parameters
    ----------
    text : the figure, the direction that is too much, and the margin of the change in the figure's unit. With `%`, the
        margin is in percentage points, also of a figure between 0 and 1.
    spans : the figures that can be named, each with the largest change it can show: at most 1, or percentage points.

    Returns
    -------
    GateRule

    Raises
    ------
    StudyError
        Where the text is no rule, names no such figure, allows less than no change in its own direction, or allows more
        change than there can be.
    """
    found = WRITTEN.fullmatch(text)
    if found is None or found[1] != found[3]:
        raise StudyError(
            f'--fail-if: {text!r} is no rule; write one such as "pct_flipped > +5", "mean_ssi < -0.02" or '
            '"|mean_ssi| > 0.02", and give --fail-if once for each rule'
        )
    either, figure, way, margin = bool(found[1]), found[2], found[4], float(found[5])
    if figure not in spans:
        raise StudyError(f"--fail-if: {text!r} names no figure of the comparison; one of {', '.join(spans)}")
    span = spans[figure]
    if found[6] and span <= 1:
        margin /= 100
    if either and way == "<":
        raise StudyError(f'--fail-if: {text!r} would fail where nothing changes; write "|{figure}| > {abs(margin):g}"')
    sign = 1 if way == ">" else -1
    if sign * margin < 0 or (either and margin == 0):
        raise StudyError(
            f"--fail-if: {text!r} would fail where nothing changes; the margin of `>` is 0 or more, that of `<` 0 or "
            "less, and that of `|...|` over 0"
        )
    if abs(margin) >= span:
        unit = "in percentage points" if span > 1 else "between 0 and 1"
        raise StudyError(
            f"--fail-if: {text!r} could never fail: {figure} is {unit} and changes by {span:.3g} at most; write a "
            "smaller margin"
        )
    return GateRule(text.strip(), figure, (1, -1) if either else (sign,), abs(margin))


def bound(differences: Floats, span: float, alpha: float, sign: int) -> float:
    """A one-sided confidence bound of a mean change, also where few or no prompts changed.

    Parameters
    ----------
    differences : (P,) changes of the prompts.
    span : the largest change that one prompt can show.
    alpha : the chance that the true mean change lies beyond the bound.
    sign : +1 for the upper bound, -1 for the lower.

    Returns
    -------
    The bound, within `[-span, span]`; the end of that range for fewer than two prompts.

    Notes
    -----
    Student's bound, as if `z^2 / 2` more prompts had changed by all that they can, in the bound's direction. Where
    changes are rare that is the score bound of a Poisson count: of P prompts without a change it leaves 3.3 / P of them
    possible at `alpha` 0.05, where Student's bound alone would be 0 and the exact one is 3.0 / P.

    References
    ----------
    Wilson (1927), doi:10.1080/01621459.1927.10502953; Agresti & Coull (1998), doi:10.1080/00031305.1998.10480550
    """
    n = len(differences)
    if n < 2:
        return sign * span
    mean, variance = float(differences.mean()), float(differences.var())
    return sign * min(span, _upper(sign * mean, variance, span, n, alpha))


def _upper(mean: float, variance: float, span: float, n: int, alpha: float, power: float = 0) -> float:
    """The bound for n prompts of a mean and variance; with `power`, the bound that is met with that chance."""
    added = float(stats.norm.ppf(1 - alpha)) ** 2 / 2
    total = n + added
    centre = (n * mean + added * span) / total
    spread = (n * (variance + mean**2) + added * span**2) / total - centre**2
    reach = float(stats.t.ppf(1 - alpha, max(n - 1, 1))) + (float(stats.norm.ppf(power)) if power else 0.0)
    return centre + reach * math.sqrt(max(spread, 0.0) / total)


def check_rule(rule: GateRule, change: Change, alpha: float, n_fail_tests: int) -> RuleOutcome:
    """Decide one rule.

    Parameters
    ----------
    rule : what is too much.
    change : the figure's changes.
    alpha : the chance of a wrong fail over all rules together, and of a wrong pass of this one.
    n_fail_tests : one-sided tests that could fail the gate, over all its rules and comparisons: `alpha` is divided by
        it (Bonferroni). A pass needs every rule's own, so its level is not divided (intersection-union test).

    Returns
    -------
    RuleOutcome
        Fails where a bound at `alpha / n_fail_tests` lies beyond the margin in a watched direction. Passes where the
        bounds at `alpha` are within the margin in all of them.

    References
    ----------
    Schuirmann (1987), doi:10.1007/BF01068419; Berger & Hsu (1996), doi:10.1214/ss/1032280304
    """
    d, span = change.differences, change.span
    mean = float(d.mean()) if len(d) else math.nan
    low, high = (bound(d, span, alpha, sign) for sign in (-1, 1))
    strict = alpha / n_fail_tests
    failed = any(sign * bound(d, span, strict, -sign) > rule.margin for sign in rule.signs)
    passed = all(sign * (high if sign > 0 else low) <= rule.margin for sign in rule.signs)
    if failed or passed or len(d) < 2:
        decision = FAIL if failed else PASS if passed else NOT_ENOUGH
        least_samples = 2 if decision == NOT_ENOUGH and change.single else None
        return RuleOutcome(rule, decision, len(d), mean, low, high, samples_needed=least_samples)
    prompts = least(lambda n: _decides(rule, change, alpha, strict, n, 1.0), len(d) + 1, MOST_PROMPTS)
    samples = None
    if not math.isnan(change.within):
        samples = least(
            lambda n: _decides(rule, change, alpha, strict, len(d), change.samples / n),
            math.floor(change.samples) + 1,
            MOST_SAMPLES,
        )
    return RuleOutcome(rule, NOT_ENOUGH, len(d), mean, low, high, prompts, samples)


def _decides(rule: GateRule, change: Change, alpha: float, strict: float, n: int, remaining: float) -> bool:
    """Whether n prompts, `remaining` of whose noise within prompts is left, would decide if the change stays."""
    mean, span = float(change.differences.mean()), change.span
    within = 0.0 if math.isnan(change.within) else change.within
    variance = float(change.differences.var()) - within * (1 - remaining)
    variance = max(variance, remaining * within)  # what is left of the noise within prompts is there in any case
    beyond = [sign for sign in rule.signs if sign * mean > rule.margin]
    if beyond:
        return any(-_upper(-sign * mean, variance, span, n, strict, POWER) > rule.margin for sign in beyond)
    return all(_upper(sign * mean, variance, span, n, alpha, POWER) <= rule.margin for sign in rule.signs)


def least(decides: Callable[[int], bool], first: int, most: int) -> int | None:
    """The least number from `first` to `most` that decides, to within 1 %.

    Parameters
    ----------
    decides : false up to some number and true from there on.
    first, most : the range.

    Returns
    -------
    None where `most` does not decide.
    """
    if first > most or not decides(most):
        return None
    low, high = first - 1, most
    while high - low > max(1, high // 100):
        middle = math.isqrt(max(low, 1) * high) if high > 2 * max(low, 1) else (low + high) // 2
        middle = min(max(middle, low + 1), high - 1)
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def gate_decision(checks: Sequence[RuleOutcome]) -> Decision:
    """The gate's decision: fail where one rule fails, pass where all pass, else not enough data.

    Parameters
    ----------
    checks : the outcome of every rule.

    Returns
    -------
    Decision
    """
    decisions = {found.decision for found in checks}
    return FAIL if FAIL in decisions else NOT_ENOUGH if NOT_ENOUGH in decisions else PASS


def noise_within(full: Floats, parts: Floats, n: Floats, n_parts: Floats) -> float:
    """The variance that sampling within prompts adds to paired differences.

    Parameters
    ----------
    full : (P,) differences over all samples, of a figure whose expectation does not depend on their number.
    parts : (b, P) differences over b random parts of the samples, drawn without replacement.
    n, n_parts : (P,) samples a side in all and in a part.

    Returns
    -------
    The mean variance. A part of m of N samples differs from the whole by `(N - m) / m` times the variance of the whole.
    """
    return float(np.mean(np.square(parts - full) * n_parts / (n - n_parts)))
