"""What a stage prints of other people's texts cannot command the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusal_stability.stages import prompts


def test_a_category_with_escapes_is_spelt_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("prompt,category\nhello,a\x1b[2Jb\n", encoding="utf-8")
    columns = "columns: {prompt: prompt, category: category}"
    models = "models: {m: {engine: openai, path: m}}"
    Path("params.yaml").write_text(f"study: s\n{models}\nprompts: {{source: table, path: mine.csv, {columns}}}\n")
    prompts.run(Path("params.yaml"))
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "a\\x1b[2Jb 1" in said
