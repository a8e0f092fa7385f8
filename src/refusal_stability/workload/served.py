"""Which served models answered a study: those of its own requests, not of all that its store has ever kept."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from refusal_stability.engines.store import completion_key
from refusal_stability.engines.store_view import StoreView
from refusal_stability.files import PROMPTS, STORE
from refusal_stability.params.load import load_params
from refusal_stability.records import StudyError, canonical_json
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import PROMPT_TABLE, prompts_of
from refusal_stability.workload.asked import all_work, engines_of


def served_to(params_path: Path, store_path: Path = STORE) -> set[tuple[str, str]]:
    """Model and fingerprint, as servers said, of the answers that the study in this folder rests on.

    A store keeps the answers of earlier builds too. Where an engine cannot be opened, its requests are not known, and
    the whole store counts. So it does where none of the requests is in it: the parameters were edited after the run.
    """
    with StoreView(store_path) as store:
        whole = store.served()
        if not whole:
            return whole
        keys: list[str] = []
        with suppress(StudyError), engines_of(str(params_path)) as engines:
            prompts = prompts_of(read_table(PROMPTS, PROMPT_TABLE))
            for work in all_work(load_params(params_path), prompts):
                engine = engines.of(work)
                identity = canonical_json(dict(engine.identity))
                keys += [completion_key(identity, request) for request in work.requests(engine)]
            return store.served(keys) or whole
        return whole
