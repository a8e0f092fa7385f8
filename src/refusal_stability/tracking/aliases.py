"""Short names for models: MLflow's comparison page shows the first ten characters of a parameter."""

from __future__ import annotations

import re
from collections.abc import Sequence

SHOWN = 10
WORDS = re.compile(r"[^\W_]+(?:\.\d+)*")


def aliases(names: Sequence[str]) -> dict[str, str]:
    """What to call each model where ten characters are shown: its name, unless another one begins like it.

    Names that begin alike lose the words that they share at the start, and are cut. Those still equal are numbered.
    """
    found: dict[str, str] = {}
    for name in names:
        alike = [WORDS.findall(other) or [other] for other in names if other[:SHOWN] == name[:SHOWN]]
        if len(alike) == 1:
            found[name] = name
            continue
        shared = 0
        while len({each[shared] if shared + 1 < len(each) else id(each) for each in alike}) == 1:
            shared += 1
        own = "-".join((WORDS.findall(name) or [name])[shared:])
        taken = {other[:SHOWN] for other in (*names, *found.values())}
        alias, number = own[:SHOWN].rstrip("-."), 2
        while alias in taken:
            alias = f"{own[: SHOWN - len(str(number)) - 1].rstrip('-.')}-{number}"
            number += 1
        found[name] = alias
    return found
