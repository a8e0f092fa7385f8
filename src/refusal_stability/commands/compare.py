"""Two sides' tables -> their figures side by side, paired by prompt."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.measures.tables.comparing import compare_groups
from refusal_stability.params.load import load_params
from refusal_stability.report.console import comparison_legend, comparison_text
from refusal_stability.study.label_files import settings_of
from refusal_stability.study.sides import pair_up, parse_side


def run(a: str, b: str, params_path: Path) -> None:
    """Print the comparison of two studies, models or interventions."""
    settings = settings_of(load_params(params_path).metrics)
    pairings, lonely = pair_up(parse_side(a), parse_side(b))
    print("\n".join([f"A = {a}, B = {b}", *lonely]))
    shown: dict[str, None] = {}
    for pairing in pairings:
        found = compare_groups(pairing.first, pairing.second, settings)
        print("\n".join([f"\n{pairing.name}"] * bool(pairing.name) + found.notes()))
        print(comparison_text(found.figures, found.changed))
        shown |= dict.fromkeys(found.figures["figure"])
    print(f"\n{comparison_legend(list(shown), settings.resampling.confidence)}")
