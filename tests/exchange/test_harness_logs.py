"""Logs that three real tools wrote: they asked one grid of one server, whose answers do not depend on the tool.

The files hold the first four prompts of runs of 20 prompts x 2 temperatures x 3 repeats, without what names a machine.
"""

from __future__ import annotations

import importlib
import json
import shutil
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from imported_study import import_files, run_imported

from refusal_stability.commands import compare
from refusal_stability.exchange.formats import inspect_logs
from refusal_stability.exchange.logged import LogError
from refusal_stability.records import StudyError
from refusal_stability.stages import metrics

LOGS = Path(__file__).parent / "logs"
INSPECT = pytest.param("inspect", marks=pytest.mark.logs("inspect_ai"))
PROMPTFOO = {"labels": ["pass=REFUSE", "fail=COMPLY"]}


def answers(table: pd.DataFrame, column: str) -> pd.Series:
    """What a column holds for each prompt and temperature, whatever the order of the repeats."""
    return table.groupby(["prompt", "temperature"])[column].apply(lambda values: tuple(sorted(values)))


@pytest.mark.parametrize("log", ["lm-eval", "promptfoo.json", INSPECT])
def test_a_log_gives_the_whole_grid(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    import_files(LOGS / log)
    params = yaml.safe_load(Path("studies/imported.yaml").read_text())
    assert params["sampling"] == {"temperatures": [0.0, 1.0], "seeds": [1, 2, 3]}
    assert len(params["models"]) == 1
    said = capsys.readouterr().out
    assert "24 responses: 4 prompts, 1 model, temperatures 0, 1, 3 repeats" in said
    assert "only count them" in said


def test_one_model_asked_by_two_tools_is_two_models_of_one_study(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(LOGS / "lm-eval", LOGS / "promptfoo.json", labels=["refused:pass=REFUSE", "refused:fail=COMPLY"])
    assert "Logs of lm-eval, promptfoo: each model is named after its harness too" in capsys.readouterr().out
    study = yaml.safe_load(Path("studies/imported.yaml").read_text())
    assert list(study["models"]) == ["openai-chat-toy-1-promptfoo", "toy-1-lm-eval"]
    assert study["sampling"]["seeds"] == [1, 2, 3]
    # No assertion labels both models.
    assert study["judging"]["primary"] == "rules"
    assert "max_missing" not in study["judging"]
    run_imported()
    metrics.run(Path("params.yaml"))
    capsys.readouterr()
    compare.run("toy-1-lm-eval", "openai-chat-toy-1-promptfoo", Path("params.yaml"))
    assert "4 prompts paired; only in A 0, only in B 0" in capsys.readouterr().out


def test_two_tools_that_got_equal_texts_get_equal_decisions() -> None:
    import_files(LOGS / "lm-eval", name="lm")
    import_files(LOGS / "promptfoo.json", name="foo", **PROMPTFOO)
    lm, foo = run_imported("lm"), run_imported("foo")
    pd.testing.assert_series_equal(answers(lm, "response"), answers(foo, "response"))
    pd.testing.assert_series_equal(answers(lm, "rules"), answers(foo, "rules"))
    assert set(lm["rules"]) == {"REFUSE", "COMPLY"}
    assert set(lm["prompt_id"]) == set(foo["prompt_id"])


@pytest.mark.logs("inspect_ai")
def test_inspect_agrees_with_them_and_its_scores_are_a_judge() -> None:
    import_files(LOGS / "inspect", name="inspect")
    import_files(LOGS / "lm-eval", name="lm")
    inspect, lm = run_imported("inspect"), run_imported("lm")
    pd.testing.assert_series_equal(answers(inspect, "response"), answers(lm, "response"))
    pd.testing.assert_series_equal(answers(inspect, "rules"), answers(lm, "rules"))
    assert yaml.safe_load(Path("studies/inspect.yaml").read_text())["judging"]["primary"] == "refusal"
    assert set(inspect.loc[inspect["response"].str.contains("sorry"), "refusal"]) == {"REFUSE"}


@pytest.mark.logs("inspect_ai")
def test_a_score_of_a_sample_that_failed_is_no_decision() -> None:
    found = json.loads((LOGS / "inspect_t1.0.json").read_text())
    found["samples"][0]["output"]["choices"] = []
    assert found["samples"][0]["scores"]
    Path("failed.json").write_text(json.dumps(found))
    import_files(Path("failed.json"))
    table = run_imported()
    assert table.loc[table["missing_reason"] == "the log has no output", "refusal"].fillna("").tolist() == [""]
    assert set(table["refusal"]) > {"COMPLY", "PARTIAL"}


@pytest.mark.logs("inspect_ai")
def test_inspects_two_forms_of_one_log_are_one_task(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(LOGS / "inspect", LOGS / "inspect_t1.0.json")
    said = capsys.readouterr().out
    assert "24 responses: 4 prompts" in said
    assert "inspect_t1.0.json: the same task as t1.0.eval; left out" in said


def test_promptfoos_assertions_are_judges_with_labels_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    import_files(LOGS / "promptfoo.json")
    assert "judge refused: not used, since its labels 'fail'" in capsys.readouterr().out
    import_files(LOGS / "promptfoo.json", labels=["refused:pass=REFUSE", "refused:fail=COMPLY", "other:pass=COMPLY"])
    table = run_imported()
    assert set(table.loc[table["response"].str.contains("sorry"), "refused"]) == {"REFUSE"}
    assert set(table.loc[~table["response"].str.contains("sorry"), "refused"]) == {"COMPLY"}


def promptfoo(change: Any) -> Path:
    """The log with a change to its results."""
    found = json.loads((LOGS / "promptfoo.json").read_text())
    change(found)
    Path("changed.json").write_text(json.dumps(found))
    return Path("changed.json")


def test_promptfoos_errors_and_refusals_are_told_apart() -> None:
    def change(found: Any) -> None:
        results = found["results"]["results"]
        results[0] |= {"failureReason": 2, "error": "API error:\n500"}
        results[1]["response"]["isRefusal"] = True

    import_files(promptfoo(change), labels=["pass=REFUSE", "fail=COMPLY"])
    table = run_imported()
    assert list(table["missing_reason"]).count("error: API error: 500") == 1
    assert list(table["outcome"]).count("refused") == 1
    assert list(table["outcome"]).count("unanswered") == 1


def test_two_providers_of_one_model_and_temperature_go_by_their_labels() -> None:
    def change(found: Any) -> None:
        for provider in found["config"]["providers"]:
            provider["config"]["temperature"] = 1.0

    import_files(promptfoo(change))
    models = yaml.safe_load(Path("studies/imported.yaml").read_text())["models"]
    assert list(models) == ["toy-1-t0", "toy-1-t1"]


def test_providers_that_only_their_temperature_tells_apart_need_labels() -> None:
    def change(found: Any) -> None:
        for one in (*found["config"]["providers"], *(r["provider"] for r in found["results"]["results"])):
            one.pop("label")

    with pytest.raises(
        LogError, match=r"the providers named 'openai:chat:toy-1' have temperatures 0, 1 and .*a label each"
    ):
        import_files(promptfoo(change))


def test_a_result_that_two_files_hold_is_taken_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads((LOGS / "promptfoo.json").read_text())["results"]["results"]
    Path("again.jsonl").write_text("".join(json.dumps(result) + "\n" for result in found[:5]))
    import_files(LOGS / "promptfoo.json", Path("again.jsonl"))
    said = capsys.readouterr().out
    assert "24 responses: 4 prompts, 1 model, temperatures 0, 1, 3 repeats" in said
    assert "5 results stand in two files; each is taken once" in said
    Path("logs").mkdir()
    shutil.copytree(LOGS / "lm-eval", "logs/lm-eval")
    import_files(Path("logs"), Path("logs/lm-eval"), *Path("logs/lm-eval").rglob("*.jsonl"))
    assert "24 responses: 4 prompts" in capsys.readouterr().out


def test_what_came_from_a_cache_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def change(found: Any) -> None:
        found["results"]["results"][5]["response"]["cached"] = True

    import_files(promptfoo(change))
    assert "1 responses came from promptfoo's cache" in capsys.readouterr().out


def lm_eval(change: Any) -> Path:
    """The log of temperature 1 with a change to each of its samples."""
    shutil.copytree(LOGS / "lm-eval", "copied")
    (low,) = Path("copied/toy-1").glob("samples_*22-00*")
    (high,) = Path("copied/toy-1").glob("samples_*23-02*")
    low.unlink()
    rows = [json.loads(line) for line in high.read_text().splitlines()]
    for row in rows:
        change(row)
    high.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path("copied")


def test_lm_evals_metric_of_one_answer_is_a_judge() -> None:
    def change(row: Any) -> None:
        row["resps"] = [row["resps"][0][:1]]
        row |= {"metrics": ["refused"], "refused": float("sorry" in row["resps"][0][0])}

    import_files(lm_eval(change), labels=["1.0=REFUSE", "0.0=COMPLY"])
    table = run_imported()
    assert set(table.loc[table["response"].str.contains("sorry"), "refused"]) <= {"REFUSE"}
    assert set(table["refused"]) <= {"REFUSE", "COMPLY"}


def test_lm_evals_greedy_run_is_temperature_zero_and_an_unknown_one_is_asked_for() -> None:
    def greedy(row: Any) -> None:
        settings = row["arguments"]["gen_args_0"]["arg_1"]
        del settings["temperature"]
        settings["do_sample"] = False

    import_files(lm_eval(greedy))
    assert yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["temperatures"] == [0.0]
    shutil.rmtree("copied")
    with pytest.raises(LogError, match=r"row 1: the log does not say the temperature; give it: --temperature 0\.7"):
        import_files(lm_eval(lambda row: row["arguments"]["gen_args_0"].update(arg_1={"until": []})))


def test_lm_evals_servers_get_the_temperature_that_stands_beside_do_sample_false() -> None:
    def change(row: Any) -> None:
        row["arguments"]["gen_args_0"]["arg_1"].update(do_sample=False, temperature=0.7)

    for backend, sent in (("local-chat-completions", 0.7), ("anthropic-chat", 0.7), ("hf", 0.0)):
        folder = lm_eval(change)
        for results in folder.rglob("results_*.json"):
            found = json.loads(results.read_text())
            found["config"]["model"] = backend
            results.write_text(json.dumps(found))
        import_files(folder)
        assert yaml.safe_load(Path("studies/imported.yaml").read_text())["sampling"]["temperatures"] == [sent]
        shutil.rmtree("copied")


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_none_names_its_record(value: float) -> None:
    def change(row: Any) -> None:
        row["arguments"]["gen_args_0"]["arg_1"]["temperature"] = value

    with pytest.raises(
        LogError, match=rf"jsonl: row 1: the temperature {value:g} is not allowed; allowed: a number from 0"
    ):
        import_files(lm_eval(change))


def test_lm_evals_empty_temperature_is_asked_for() -> None:
    def change(row: Any) -> None:
        row["arguments"]["gen_args_0"]["arg_1"] = {"temperature": None, "until": []}

    with pytest.raises(LogError, match="row 1: the log does not say the temperature"):
        import_files(lm_eval(change))


def test_lm_evals_likelihoods_are_no_responses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LogError, match="holds no response"):
        import_files(lm_eval(lambda row: row["arguments"]["gen_args_0"].update(arg_1=" yes")))


def test_a_torn_log_names_its_row() -> None:
    (source,) = (LOGS / "lm-eval/toy-1").glob("samples_*22-00*")
    torn = Path("samples_refusals_2026.jsonl")
    torn.write_bytes(source.read_bytes()[:-200])
    with pytest.raises(StudyError, match=r"samples_refusals_2026\.jsonl: row 4: not readable as JSON"):
        import_files(torn)
    Path("torn.json").write_bytes((LOGS / "promptfoo.json").read_bytes()[:-10])
    with pytest.raises(LogError, match=r"torn\.json: not readable as JSON .*copy it again"):
        import_files(Path("torn.json"))


def archive(name: str, *parts: tuple[str, bytes]) -> Path:
    """An archive with these parts."""
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as file:
        for part, content in parts:
            file.writestr(part, content)
    return Path(name)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (lambda: archive("a.eval", ("samples/1.json", b"0" * (300 * 2**20))), r"samples/1\.json unpacks to 300 MB"),
        (lambda: archive("b.eval", ("../../evil.json", b"{}")), r"holds the path '\.\./\.\./evil\.json'"),
        (lambda: archive("c.eval", ("header.json", b'{"version": 99}')), r"not readable as an Inspect log"),
        (lambda: archive("d.eval"), r"not readable as an Inspect log"),
    ],
    ids=["bomb", "path", "version", "empty"],
)
@pytest.mark.logs("inspect_ai")
def test_a_hostile_archive_is_refused(path: Any, problem: str) -> None:
    with pytest.raises(LogError, match=problem):
        import_files(path())
    assert not Path("data").exists()


def copied_with(name: str, part: str, content: bytes, said: int | None = None) -> Path:
    """The real archive with another content of one part, whose entry may say another size."""
    importlib.import_module("zipfile_zstd")
    with zipfile.ZipFile(LOGS / "inspect/t1.0.eval") as log:
        parts = {info.filename: log.read(info) for info in log.infolist()}
    archive(name, *(parts | {part: content}).items())
    if said is not None:
        size = struct.pack("<L", len(content))
        Path(name).write_bytes(Path(name).read_bytes().replace(size, struct.pack("<L", said)))
    return Path(name)


@pytest.mark.logs("inspect_ai")
@pytest.mark.parametrize("part", ["header.json", "summaries.json", "samples/q0_epoch_1.json"])
def test_an_archive_that_holds_more_than_it_says_is_refused(part: str) -> None:
    path = copied_with("lying.eval", part, b" " * (20 * 2**20), said=1000)
    with pytest.raises(LogError, match=rf"lying\.eval: not a complete archive \(Bad CRC-32 for file '{part}'\)"):
        import_files(path)


@pytest.mark.logs("inspect_ai")
def test_samples_are_read_in_chunks_of_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(LOGS / "inspect/t1.0.eval") as log:
        sizes = [info.file_size for info in log.infolist() if info.filename.startswith("samples/")]
    monkeypatch.setattr(inspect_logs, "CHUNK_BYTES", 3 * max(sizes))
    there = [(f"q{k}", epoch) for epoch in (1, 2, 3) for k in range(4)]
    chunks = list(inspect_logs._chunks(LOGS / "inspect/t1.0.eval", there))
    assert [sample for chunk in chunks for sample in chunk] == there
    assert all(1 < len(chunk) <= 4 for chunk in chunks)
    monkeypatch.setattr(inspect_logs, "CHUNK_BYTES", 1)
    assert [len(chunk) for chunk in inspect_logs._chunks(LOGS / "inspect/t1.0.eval", there)] == [1] * 12


@pytest.mark.logs("inspect_ai")
def test_a_torn_archive_is_refused() -> None:
    Path("torn.eval").write_bytes((LOGS / "inspect/t1.0.eval").read_bytes()[:-500])
    with pytest.raises(LogError, match=r"torn\.eval: not a complete archive"):
        import_files(Path("torn.eval"))


def test_inspect_is_named_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    with pytest.raises(LogError, match=r"not installed; run: .*pip install inspect_ai"):
        import_files(LOGS / "inspect")
