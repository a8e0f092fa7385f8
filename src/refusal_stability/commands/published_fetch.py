"""Before `dvc repro`: the published data in their place, and what they let run made the active study."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.files import PUBLISHED_DATA, atomic_write
from refusal_stability.params.load import load_params
from refusal_stability.replication.fetch import from_folder, from_git
from refusal_stability.replication.runnable import params_text, read_study_file, runnable_study


def run(study: Path, params_path: Path, folder: Path | None, url: str, commit: str, primary: str | None) -> None:
    """Take the data from `folder`, or from git where it is None, and write `params_path`; say what is absent."""
    count = from_folder(folder, PUBLISHED_DATA) if folder else from_git(url, commit, PUBLISHED_DATA)
    runnable = runnable_study(read_study_file(study), PUBLISHED_DATA, primary)
    text = params_text(runnable, study)
    if params_path.is_file() and params_path.read_text(encoding="utf-8") != text:
        params_path.replace(params_path.with_name("params.previous.yaml"))
    with atomic_write(params_path) as file:
        file.write(text)
    load_params(params_path)
    print("\n".join([f"{count} published files in {PUBLISHED_DATA}", *runnable.lines()]))
