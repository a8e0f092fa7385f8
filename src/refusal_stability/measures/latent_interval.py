"""One end of a profile-likelihood interval of a figure of the true decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from refusal_stability.measures.confusion_odds import FURTHEST, label_likelihood
from refusal_stability.measures.distinct import Floats
from refusal_stability.measures.latent_fit import LONGEST, ErrorFit, Evidence, climbed, placed

STRENGTHS = 7  # of tilts that are tried for an end
NEAR = 0.12  # of the root of the deviance that bounds the interval
AS_LIKELY = 3  # digits to which roots of the deviance are told apart
SOON = 0.6  # standard errors of the labels: an error that cannot be this much larger is limited
APART = 0.3  # log odds: starts that are closer lead to the same maximum
REFUTED = 1.0  # deviance by which the counts contradict it


def more_errors(evidence: Evidence, odds: Floats, errors: float) -> Floats:
    """Log odds of a judge that errs more often.

    Parameters
    ----------
    evidence : the study and its labels.
    odds : (K (K - 1),) log odds of the errors.
    errors : how many of the labels' standard errors each one is larger.

    Returns
    -------
    (K (K - 1),)
    """
    step = errors / np.sqrt(np.diagonal(label_likelihood(evidence.known, odds)[2]))
    return np.asarray(np.minimum(odds + np.minimum(step, 2 * LONGEST), FURTHEST))


def n_limited(evidence: Evidence, place: ErrorFit) -> int:
    """How many of a judge's errors cannot be much larger.

    Parameters
    ----------
    evidence : the study and its labels.
    place : the confusion matrix.

    Returns
    -------
    Errors that the counts contradict by `REFUTED` when this one alone is `SOON` standard errors larger.
    """
    more, found = more_errors(evidence, place.odds, SOON), 0
    for i in range(len(more)):
        odds = np.where(np.arange(len(more)) == i, more, place.odds)
        found += placed(evidence, odds, (place.shares, place.shares)).contradicted - place.contradicted > REFUTED
    return int(found)


@dataclass(frozen=True)
class Step:
    """What a tilt of some strength leads to: the root of the deviance that is lost, and the figure."""

    strength: float
    root: float
    figure: float
    place: ErrorFit


@dataclass
class ProfileSide:
    """The values of a figure on one side of its estimate, and what deviance they lose.

    Attributes
    ----------
    evidence : the study and its labels.
    centre : the estimate.
    value : (G,) what prompts at each point add to the figure, with the sign that makes the end the largest value.
    spread : about the figure's standard error, to begin with.
    far : where a second search starts, which may end at a higher maximum. Several errors often have to grow together
        before a figure changes, so one search from the estimate is not enough.
    steps : what was tried.
    """

    evidence: Evidence
    centre: ErrorFit
    value: Floats
    spread: float
    far: ErrorFit | None = None
    steps: list[Step] = field(default_factory=list)

    def end(self, bound: float) -> tuple[float, ErrorFit]:
        """The largest figure that loses `bound` in deviance, and the confusion matrix there.

        Parameters
        ----------
        bound : of the deviance.

        Returns
        -------
        figure, place
        """
        root = np.sqrt(bound)
        strength, tried = root / self.spread / 2, 0
        inside, outside = self._around(root)
        if self.steps:
            strength = self._between(root, min(self.steps, key=lambda step: abs(step.root - root)), inside, outside)
        while tried < STRENGTHS and (outside is None or outside.strength > 1.05 * inside.strength):
            step, tried = self.tilted(strength), tried + 1
            self.steps.append(step)
            if abs(step.root - root) < NEAR:
                return step.figure + (bound - step.root**2) / 2 / strength, step.place
            inside, outside = self._around(root)
            strength = self._between(root, step, inside, outside)
        if outside is None:
            return inside.figure, inside.place
        part = (root - inside.root) / max(outside.root - inside.root, 1e-9)
        return inside.figure + part * (outside.figure - inside.figure), (outside if part > 0.5 else inside).place

    def stable_end(self, bounds: Sequence[float]) -> float:
        """The largest figure where the deviance is bounded by the number of errors that are limited there.

        Parameters
        ----------
        bounds : of the deviance, by the number of errors that are limited.

        Returns
        -------
        The figure. The search comes from outside, since an error may be limited only where the others are large.
        """
        bound = max(bounds)
        while True:
            figure, place = self.end(bound)
            own = bounds[n_limited(self.evidence, place)]
            if own >= bound:
                return figure
            bound = own

    def _around(self, root: float) -> tuple[Step, Step | None]:
        """The last step inside a bound, and the first one outside.

        Where the counts decide nothing, all steps are as likely: the furthest of them is the last.
        """
        start = Step(0.0, 0.0, float(self.value @ self.centre.shares), self.centre)
        within = [start, *[s for s in self.steps if s.root <= root]]
        inside = max(within, key=lambda step: (round(step.root, AS_LIKELY), step.figure))
        outside = min((s for s in self.steps if s.root > root), key=lambda step: step.root, default=None)
        return inside, outside

    def tilted(self, strength: float) -> Step:
        """The most likely confusion matrix and population where a larger figure is rewarded.

        Parameters
        ----------
        strength : log-likelihood that a unit of the figure is worth.

        Returns
        -------
        Step
        """
        weaker = max((s for s in self.steps if s.strength <= strength), key=lambda s: s.strength, default=None)
        stronger = min((s for s in self.steps if s.strength > strength), key=lambda s: s.strength, default=None)
        near = weaker.place if weaker else self.centre
        far = stronger.place if stronger else self.far
        tilt = strength * self.value
        place = climbed(self.evidence, near, tilt)
        if far is not None and float(abs(far.odds - near.odds).max()) > APART:
            place = max(place, climbed(self.evidence, far, tilt), key=lambda fit: fit.height)
        lost = max(place.deviance - self.centre.deviance, 0.0)
        return Step(strength, float(np.sqrt(lost)), float(self.value @ place.tilted), place)

    @staticmethod
    def _between(root: float, last: Step, inside: Step, outside: Step | None) -> float:
        strength = last.strength * float(np.clip(root / max(last.root, 1e-3), 0.3, 4.0))
        if outside is not None and not inside.strength * 1.05 < strength < outside.strength * 0.95:
            strength = float(np.sqrt(max(inside.strength, outside.strength / 10) * outside.strength))
        return strength
