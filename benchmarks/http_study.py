"""A study of one model behind a loopback server: 876 prompts x 4 temperatures x 5 seeds, laid out in a folder."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from refusal_stability.params.engines import ModelParams
from refusal_stability.params.study import InterventionParams, SamplingParams, StudyParams
from refusal_stability.records import Prompt, Request

PROMPTS = 876
CONCURRENCY = 32
MODEL = "loopback"


def texts(prompts: int) -> list[str]:
    """Prompts of a benchmark's usual length."""
    return [
        f"Request number {i}: how would one go about something that is not to be said aloud?" for i in range(prompts)
    ]


def requests(prompts: int) -> list[Request]:
    """The study's requests, as the stage makes them."""
    study = StudyParams("http", interventions={"none": InterventionParams()}, sampling=SamplingParams(max_tokens=64))
    study.models = {MODEL: ModelParams("openai", MODEL)}
    return [request for _, request in study.requests(MODEL, [Prompt("", text, "", "") for text in texts(prompts)])]


def lay_out(folder: Path, prompts: int, port: int) -> Path:
    """Write params.yaml and the prompts; returns the folder."""
    import pandas as pd
    import yaml

    from refusal_stability.files import PROMPTS
    from refusal_stability.tables.csv_files import write_table
    from refusal_stability.tables.study import PROMPT_TABLE

    settings = {"base_url": f"http://127.0.0.1:{port}/v1", "concurrency": CONCURRENCY}
    params = {
        "study": "http",
        "interventions": {"none": {}},
        "sampling": {"max_tokens": 64},
        "models": {MODEL: {"engine": "openai", "path": MODEL, "settings": settings}},
        "judging": {"primary": "rules", "judges": {"rules": {"kind": "rules"}}},
    }
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    table = pd.DataFrame({"prompt_id": [f"{i:04d}" for i in range(prompts)], "prompt": texts(prompts)})
    table = table.assign(category="synthetic", source="synthetic")
    write_table(table, folder / PROMPTS, PROMPT_TABLE)
    return folder


def stored(folder: Path) -> int:
    """How many completions the study's store holds."""
    path = folder / "data/store/completions.sqlite"
    if not path.is_file():
        return 0
    with sqlite3.connect(path) as database:
        return int(database.execute("SELECT count(*) FROM completions").fetchone()[0])


def sending_seconds(folder: Path) -> float:
    """Seconds that the store's sessions spent between their first request and their last answer."""
    with sqlite3.connect(folder / "data/store/completions.sqlite") as database:
        return float(database.execute("SELECT sum(seconds) FROM sessions").fetchone()[0])
