"""The study's tables -> a baseline under a name."""

from __future__ import annotations

from refusal_stability.engines.store_view import StoreView
from refusal_stability.files import STORE
from refusal_stability.study.side_settings import by_model, save_baseline


def run(name: str, force: bool) -> None:
    """Save the baseline and say how to compare with it."""
    with StoreView(STORE) as store:
        served = by_model(store.served())
    folder = save_baseline(name, served, force)
    print(f"{folder}: saved; compare with it as @{name}, e.g. `refusal-stability compare @{name} .`")
