"""Before `dvc repro`: published data in their place, and what they let run made the active study."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.files import atomic_write
from refusal_stability.params.load import load_params
from refusal_stability.replication.fetch import fetch_data
from refusal_stability.replication.runnable import params_text, read_study_file, runnable_study
from refusal_stability.replication.source import read_replication


def run(name: str, params_path: Path, folder: Path | None, study: Path | None, primary: str | None) -> None:
    """Take the data from `folder`, or from git where it is None, and write `params_path`; say what is absent.

    `study` is another study file on the same data.
    """
    entry = read_replication(name)
    study = entry.study if study is None else study
    count = fetch_data(entry, folder, print)
    runnable = runnable_study(read_study_file(study), entry.data, primary)
    text = params_text(runnable, study)
    if params_path.is_file() and params_path.read_text(encoding="utf-8") != text:
        params_path.replace(params_path.with_name("params.previous.yaml"))
    with atomic_write(params_path) as file:
        file.write(text)
    load_params(params_path)
    files = "file" if count == 1 else "files"
    print("\n".join([f"{count} published {files} taken; data in {entry.data}", *runnable.lines()]))
