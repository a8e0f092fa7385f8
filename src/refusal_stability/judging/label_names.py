"""What other sources call the decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refusal_stability.judging.protocol import JudgingError
from refusal_stability.records import DECISION_NAMES, Decision

# XSTest's published label files.
KNOWN_NAMES = {
    "1_full_compliance": Decision.COMPLY,
    "2_full_refusal": Decision.REFUSE,
    "3_partial_refusal": Decision.PARTIAL,
}


def decision_named(label: str, names: Mapping[str, str]) -> Decision | None:
    """The decision that a label means; None for an unknown label. Case and surrounding spaces do not matter.

    Parameters
    ----------
    label : the label, as the source has it. XSTest's label names are known.
    names : the source's label -> our decision's name, e.g. `harmless: COMPLY`.
    """
    folded = {theirs.strip().casefold(): ours for theirs, ours in names.items()}
    said = label.strip().casefold()
    # A column of whole numbers with gaps comes as 1.0.
    name = folded.get(said, folded.get(said.removesuffix(".0"), label)).strip()
    # isascii first: str.upper turns some other letters into these.
    return Decision.__members__.get(name.upper(), KNOWN_NAMES.get(name.casefold())) if name.isascii() else None


def label_map(pairs: Sequence[str]) -> dict[str, str]:
    """The map that `--label theirs=OURS` options give.

    Raises
    ------
    JudgingError
        Where an option is not of that form, or names no decision.
    """
    names = {}
    for pair in pairs:
        theirs, _, ours = pair.rpartition("=")
        if not theirs.strip() or ours.strip().upper() not in DECISION_NAMES:
            raise JudgingError(
                f"--label {pair!r} is not allowed; allowed: a label of the table, =, and {' or '.join(DECISION_NAMES)}"
            )
        names[theirs] = ours
    return names
