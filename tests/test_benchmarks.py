"""The benchmarks' runner, and every benchmark at its quick size (without vLLM, which make test-vllm's machine has)."""

from __future__ import annotations

import importlib
import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
SLOW = ("startup", "stages")


@pytest.fixture(autouse=True)
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], dict[str, object]]:
    """A function that runs a benchmark's script at its quick size, in this process; what it found."""
    for variable, value in module("harness").ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)

    def run(name: str) -> dict[str, object]:
        file, script = tmp_path / "found.json", str(BENCHMARKS / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [script, "--quick", "--json", str(file)])
        runpy.run_path(script, run_name="__main__")
        return found(name, file)

    return run


def found(name: str, file: Path) -> dict[str, object]:
    """What a benchmark wrote."""
    outcome = json.loads(file.read_text())
    assert outcome["name"] == name
    assert outcome["findings"]
    return outcome


def test_the_runner_names_every_benchmark_there_is() -> None:
    measuring = {f.stem for f in BENCHMARKS.glob("*.py") if "def measure(quick: bool)" in f.read_text()}
    assert set(module("run_all").BENCHMARKS) == measuring


def test_the_verdict_follows_the_median_and_the_bar() -> None:
    finding = module("harness").Finding
    assert finding("speed", [1.0, 9.0, 5.0], "x", 5.0, True).verdict == "met"
    assert finding("speed", [1.0, 9.0, 4.9], "x", 5.0, True).verdict == "MISSED"
    assert finding("memory", [1.0, 9.0, 5.0], "MiB", 5.0).verdict == "met"
    assert finding("memory", [1.0, 9.0, 5.1], "MiB", 5.0).verdict == "MISSED"
    assert finding("shown", [1.0], "").verdict == ""
    assert finding("absent", [], "", 5.0, True, "no GPU").verdict == "skipped: no GPU"


def test_ways_run_in_turn_and_every_other_round_backwards() -> None:
    order: list[str] = []

    def way(name: str) -> float:
        order.append(name)
        return float(len(order))

    harness = module("harness")
    found = harness.in_turn({"a": lambda: way("a"), "b": lambda: way("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [1.0, 4.0, 5.0], "b": [2.0, 3.0, 6.0]}
    assert harness.ratios(found["b"], found["a"]) == [2.0, 0.75, 1.2]


def test_a_childs_time_memory_and_failure_are_told(tmp_path: Path) -> None:
    harness = module("harness")
    script = "x = bytearray(80_000_000); print(len(x)); [i for i in range(3_000_000)]"
    child = harness.run_child([sys.executable, "-c", script], tmp_path)
    assert child.out == "80000000\n"
    assert 80 < child.mb < 300
    assert child.cpu > 0
    assert child.seconds > 0
    with pytest.raises(SystemExit, match="no such thing"):
        harness.run_child([sys.executable, "-c", "raise SystemExit('no such thing')"])
    with pytest.raises(SystemExit, match="absent-command"):
        harness.run_child(["absent-command"])


def test_what_the_parent_held_is_not_counted_as_the_childs_memory() -> None:
    script = (
        "import sys, harness\n"
        "held = bytearray(b'x') * (300 << 20)\n"
        "print(harness.run_child([sys.executable, '-c', 'print(1)']).mb, len(held))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    assert float(ran.stdout.split()[0]) < 60


def test_the_report_shows_bars_verdicts_and_what_was_skipped() -> None:
    harness, run_all = module("harness"), module("run_all")
    findings = [
        harness.Finding("requests | sent", [1400.0, 1600.0, 1700.0], "requests/s", 1500.0, True),
        harness.Finding("peak memory", [512.0], "MiB", 500.0),
        harness.skipped("engine", "x", "vLLM is not installed", 0.95, True),
    ]
    outcome = harness.Outcome("http_overhead", findings, 12.0, "0.1, 0.2, 0.3", False)
    page = run_all.report({"cores": "2"}, [outcome])
    assert "Bars met: 1. Missed: 1 (http_overhead: peak memory). Skipped: 1." in page
    assert r"| requests \| sent | 1,600 requests/s | 1,400 to 1,700, 3 runs | ≥ 1,500 requests/s | met |" in page
    assert "| peak memory | 512 MiB | 1 run | ≤ 500 MiB | MISSED |" in page
    assert "skipped: vLLM is not installed" in page
    assert "load average when it\nbegan 0.1, 0.2, 0.3" in page


def test_the_page_says_what_bounds_a_figure_that_misses_its_bar() -> None:
    harness, run_all = module("harness"), module("run_all")
    findings = [
        harness.Finding("time", [9.0], "s", 5.0, bound="Text is drawn twice."),
        harness.Finding("time of another", [4.0], "s", 5.0, bound="Not said of what is met."),
        harness.Finding("memory", [9.0], "MB", 5.0),
    ]
    page = run_all.report({"cores": "2"}, [harness.Outcome("startup", findings, 1.0, "0", False)])
    assert page.count("Missed: time. Text is drawn twice.\n") == 1
    assert "Not said" not in page
    assert "Missed: memory" not in page


def test_the_page_names_what_failed_what_was_not_measured_and_what_is_of_another_commit() -> None:
    harness, run_all = module("harness"), module("run_all")
    some = [harness.Finding("speed", [2.0], "x", 1.0, True)]
    old = harness.Outcome("judging", some, 1.0, "0", False, when="2026-01-01 10:00", commit="aaaa")
    new = harness.Outcome("resume", some, 1.0, "0", False, when="2026-01-02 10:00", commit="bbbb")
    broken = harness.Outcome("metrics", [], 0.0, "0", False, when="2026-01-01 11:00", commit="aaaa", failed="status 1")
    page = run_all.report({"cores": "2"}, [new, old, broken])
    absent = [name for name in run_all.BENCHMARKS if name not in ("judging", "resume", "metrics")]
    assert "Bars met: 2. Missed: 0. Skipped: 0. Benchmarks that failed: 1 (metrics); not measured: 7 (" in page
    assert page.count("**NOT MEASURED**") == len(absent) == 7
    assert all(f"`make bench ARGS={name}`" in page for name in absent)
    assert "**FAILED** at 2026-01-01 11:00 UTC, commit aaaa: status 1" in page
    assert page.count("**Measured at another commit** (aaaa) than the newest figures on this page (bbbb)") == 1


def test_a_benchmark_that_fails_loses_its_old_figures_and_the_others_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    harness, run_all = module("harness"), module("run_all")
    old = [harness.Outcome(n, [harness.Finding("old " + n, [1.0], "")], 1.0, "0", False) for n in ("judging", "resume")]
    run_all.write(tmp_path / "benchmarks.json", old)
    (tmp_path / "judging.py").write_text("raise SystemExit('broken')")
    monkeypatch.setattr(run_all, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--reports", str(tmp_path), "judging"])
    with pytest.raises(SystemExit, match="judging failed"):
        run_all.main()
    page = (tmp_path / "benchmarks.md").read_text()
    assert "**FAILED**" in page
    assert "old judging" not in page
    assert "old resume" in page


def test_a_quick_run_leaves_the_reports_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_all = module("run_all")
    before = (ROOT / "reports/benchmarks.json").read_bytes()
    monkeypatch.setattr(run_all, "run", lambda name, quick: module("harness").Outcome(name, [], 0.0, "0", quick))
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--quick", "resume"])
    run_all.main()
    page = Path(capsys.readouterr().out.split("The page: ")[1].strip())
    assert page.is_file()
    assert ROOT not in page.parents
    assert (ROOT / "reports/benchmarks.json").read_bytes() == before


def test_an_outcome_tells_its_commit_minute_versions_and_wait_policy(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    command = [sys.executable, str(BENCHMARKS / "resume.py"), "--quick", "--json", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    outcome = found("resume", file)
    assert outcome["commit"] == module("harness").commit()
    assert len(str(outcome["when"])) == len("2026-01-01 10:00")
    assert set(outcome["versions"]) == {"aiohttp", "pandas", "pyarrow"}
    assert outcome["wait_policy"] == "PASSIVE"


def test_one_benchmark_run_alone_renews_its_part_of_the_report_only(tmp_path: Path) -> None:
    harness, run_all = module("harness"), module("run_all")
    other = harness.Outcome("resume", [harness.Finding("kept from before", [1.0], "")], 1.0, "0, 0, 0", True)
    found = {"machine": harness.machine(), "outcomes": [harness.asdict(other)]}
    (tmp_path / "benchmarks.json").write_text(json.dumps(found))
    command = [sys.executable, str(BENCHMARKS / "run_all.py"), "--quick", "--reports", str(tmp_path), "http_overhead"]
    subprocess.run(command, check=True, capture_output=True)
    page = (tmp_path / "benchmarks.md").read_text()
    assert "kept from before" in page
    assert "## Harness overhead over HTTP" in page
    assert run_all.kept(tmp_path / "benchmarks.json", quick=False) == {}
    assert list(run_all.kept(tmp_path / "benchmarks.json", quick=True)) == ["http_overhead", "resume"]


@pytest.mark.parametrize("name", ["judging", "transformers_grid", "metrics", "not_spent"])
def test_a_benchmark_works_at_its_quick_size(name: str, quick: Callable[[str], dict[str, object]]) -> None:
    for finding in quick(name)["findings"]:
        assert finding["skipped"] or all(value >= 0 for value in finding["values"])


def response(prompt: str, seed: int, text: str, label: str, confidence: float) -> dict[str, object]:
    """A row as `not_spent.with_rules` gives it."""
    place = {"model": "m", "prompt_id": prompt, "prompt": prompt, "temperature": 0.0, "seed": seed}
    return {**place, "response": text, "label": label, "rules": label, "confidence": confidence}


def test_what_is_not_spent_is_counted_as_by_hand() -> None:
    import pandas as pd

    not_spent = module("not_spent")
    # Prompts of one token, answers of two; the first two answers are one text.
    rows = pd.DataFrame(
        [
            response("pppp", 1, "aaaaaaaa", "REFUSE", 0.9),
            response("pppp", 2, "aaaaaaaa", "REFUSE", 0.9),
            response("qqqq", 1, "bbbbbbbb", "COMPLY", 0.2),
            response("qqqq", 2, "cccccccc", "COMPLY", 0.9),
        ]
    ).assign(prompt_tokens=1.0, answer_tokens=2.0, sampled=[True] * 3 + [False], handed_over=[False] * 2 + [True] * 2)
    template, rubric, end = not_spent.TEMPLATE_TOKENS, not_spent.RUBRIC_TOKENS, not_spent.RUBRIC_END_TOKENS
    verdict = module("gpu_recipe").VERDICT_TOKENS
    spent = not_spent.Spent
    assert not_spent.of_model(rows) == spent(4, 4, 4 * (1 + template), 8, 4 * (rubric + 3), 4 * verdict)
    once = not_spent.of_model(rows, once=True)
    assert (once.requests, once.calls, once.judge_read) == (4, 3, 3 * (rubric + 3))
    prefix = not_spent.of_model(rows, prefix=True)
    assert (prefix.read, prefix.judge_read) == (2 * (1 + template), rubric - end + 4 * (end + 3))
    adaptive = not_spent.of_model(rows, adaptive=True)
    assert (adaptive.requests, adaptive.calls, adaptive.written) == (3, 3, 6)
    assert not_spent.of_model(rows, cascade=True).calls == 2
    assert not_spent.of_model(rows, once=True, adaptive=True, cascade=True).calls == 1
    rates = module("gpu_recipe").Rates("GPU", 1000.0, 100.0, 3.6)
    # (1,000 / 1,000 + 100 / 100 s) x $0.001.
    assert spent(read=1000, written=100).dollars(rates) == pytest.approx(0.002)
    # 1.5 x (1,000 / 1,000 + 1.2 x 100 / 100 s) x $0.001.
    assert spent(judge_read=1000, judge_written=100).dollars(rates) == pytest.approx(0.0033)


def test_without_published_data_what_is_not_spent_is_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    not_spent = module("not_spent")
    monkeypatch.setattr(not_spent, "PUBLISHED", tmp_path / "absent")
    found = not_spent.measure(True)
    assert [finding.verdict.split(";")[0] for finding in found.findings] == ["skipped: no published data"]
    assert found.notes == []


@pytest.mark.pipeline
@pytest.mark.parametrize("name", SLOW)
def test_a_benchmark_of_all_stages_works_at_its_quick_size(
    name: str, quick: Callable[[str], dict[str, object]]
) -> None:
    whats = [finding["what"] for finding in quick(name)["findings"]]
    assert any(what.startswith("dvc repro with nothing to do") for what in whats)


def test_memory_is_told_to_grow_with_what_it_grew_most_with() -> None:
    stages, child = module("stages"), module("harness").Child

    def held(mb: float) -> list[object]:
        return [child(1.0, 1.0, mb - 50, "", ""), child(1.0, 1.0, mb, "", "")]

    runs = {"whole": held(400), "fewer": held(340), "single": held(250)}
    # 60 and 150 MB more for the 60,000 rows that a quarter of 80,000 lacks.
    line = stages.growth("judge", runs, held(300), 80_000)
    assert line.startswith("- judge: by prompts 1, by models 2.5; answers 4 times as long, one model: 50 MB more.")
    assert line.endswith("Driver: models.")
    assert stages.growth("judge", runs, held(900), 80_000).endswith("Driver: answer length.")
    level = {"whole": held(400), "fewer": held(390), "single": held(380)}
    assert "Driver: nothing here" in stages.growth("judge", level, held(390), 80_000)


def test_without_vllm_its_benchmark_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vllm_grid = module("vllm_grid")
    monkeypatch.setattr(vllm_grid, "VLLM_PYTHON", tmp_path / "absent")
    monkeypatch.setattr(vllm_grid.importlib.util, "find_spec", lambda name: None)
    assert {finding.verdict for finding in vllm_grid.measure(True).findings} == {
        "skipped: vLLM is not installed; `make vllm` makes its environment"
    }


def test_the_gpu_recipe_refuses_without_a_gpu_and_adds_up_on_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = module("gpu_recipe")
    monkeypatch.setattr(recipe, "gpu_name", lambda: "")
    monkeypatch.setattr(sys, "argv", ["gpu_recipe.py"])
    with pytest.raises(SystemExit, match="nvidia-smi finds no GPU"):
        recipe.main()
    works = recipe.full_study()
    assert len(works) == 6
    # 876 prompts of 60 tokens; x 20, at 132 tokens an answer.
    assert (works[0].requests, works[0].read, works[0].written) == (17_520, 52_560, 2_312_640)
    # 549 tokens of rubric once, then 9,829 pairs of 20 + 132 tokens, the rubric's end of 37 and a verdict of 80.
    assert (works[3].requests, works[3].read, works[3].written) == (9_829, 549 + 9_829 * 189, 786_320)
    rates = recipe.Rates("GPU", 40_000, 10_000, 3.0)
    # (120 s + 52,560 / 40,000 + 2,312,640 / 10,000) / 3,600.
    assert works[0].hours(rates) == pytest.approx(0.09794, abs=1e-5)
    # (120 s + 1.5 x 1,858,230 / 40,000 + 1.8 x 786,320 / 10,000) / 3,600.
    assert works[3].hours(rates) == pytest.approx(0.092006, abs=1e-5)
    assert recipe.paper(rates)[-1].endswith(f"${3 * sum(w.hours(rates) for w in works):.2f} |")


def test_the_page_prefers_measured_rates_to_assumed_ones_and_prices_no_unknown_gpu(tmp_path: Path) -> None:
    recipe = module("gpu_recipe")
    assumed = "\n".join(recipe.page(tmp_path))
    assert assumed.count("**ASSUMED, not measured**") == 2
    assert "no rate here is measured" in assumed
    rates = recipe.Rates("NVIDIA L4", 5_000.0, 900.0, recipe.price_of("NVIDIA L4"), {"driver": "570.1"})
    found = module("gpu_measure").Found({"8B, random weights": {"read": [4_900.0, 5_000.0, 5_100.0]}})
    path = recipe.keep(found, rates, "NVIDIA L4", tmp_path)
    assert path.name == "gpu-nvidia-l4.json"
    assert recipe.measured_before(tmp_path) == [rates]
    known = "\n".join(recipe.page(tmp_path))
    assert "ASSUMED" not in known
    assert "**Measured** on one NVIDIA L4 (driver 570.1): 5,000 tokens read and 900 written a second" in known
    assert "$" not in known
    assert recipe.price_of("NVIDIA H200") == 4.0


def test_rates_of_fewer_rounds_replace_no_earlier_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe, found_so_far = module("gpu_recipe"), module("gpu_measure").Found
    monkeypatch.setattr(recipe, "driver", lambda: "570.1")

    def kept(written: Sequence[float], read: Sequence[float]) -> tuple[str, list[float]]:
        found = found_so_far({"8B, random weights": {"written": list(written), "read": list(read)}})
        rates = recipe.rates_of(found, "8B, random weights", "NVIDIA L4", None)
        path = recipe.keep(found, rates, "NVIDIA L4", tmp_path)
        return path.name, [one.written for one in recipe.measured_before(tmp_path)]

    file = "gpu-nvidia-l4.json"
    assert kept([1.0], [1.0]) == (file, [1.0])
    assert kept([3.0, 3.0, 3.0], [1.0, 1.0]) == (file, [3.0])
    # The least of both parts counts: one round, where the file has two.
    assert kept([5.0, 5.0], [1.0]) == (f"{file}.part", [3.0])
    assert kept([7.0, 7.0], [1.0, 1.0]) == (file, [7.0])
    assert "rounds 2" in "\n".join(recipe.page(tmp_path))


def test_coverage_of_effects_counts_the_intervals_that_hold_the_truth(capsys: pytest.CaptureFixture[str]) -> None:
    coverage = module("effects_coverage")
    coverage.main(studies=2, prompts=80, resamples=5)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| 2 |", "| 4 |"))]
    expected = []
    for odds_ratio in coverage.ODDS_RATIOS:
        found = [name for seed in range(2) for name in coverage.covered(odds_ratio, seed, 80, 5)]
        shares = " | ".join(f"{found.count(name) / 2:.1%}" for name in coverage.EFFECTS)
        expected.append(f"| {odds_ratio:g} | 2 | {shares} |")
    assert rows == expected


def test_coverage_at_the_truth_prints_the_studies_that_ended(capsys: pytest.CaptureFixture[str]) -> None:
    at_truth = module("judge_error_at_truth")
    size = {"prompts": 60, "samples": 20, "labels": 300, "only": [0, 1]}
    at_truth.main(studies=1, **size)
    printed = capsys.readouterr().out
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| ")][1:]
    assert [row[1] for row in rows] == ["1", "1"]
    assert "All 2 studies:" in printed
    for row in rows:
        uncorrected, covered = (float(row[3]), row[5])
        assert 0 < uncorrected < 1
        assert covered in ("0", "1")
    at_truth.main(studies=1, minutes=-1.0, **size)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_recipe_models_tokenizer_spells_every_word_of_its_vocabulary(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    module("untrained").save_model(tmp_path, "tiny")
    module("gpu_measure").cover(tmp_path, 3_000)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == 3_000
    assert tokenizer.decode([2_999]).strip() == "word2999"


def test_parts_that_no_longer_fit_are_left_out_with_the_reason() -> None:
    now = 0.0
    kept: list[tuple[str, float]] = []

    def taking(seconds: float) -> Callable[[], float]:
        def run() -> float:
            nonlocal now
            now += seconds
            return seconds

        return run

    parts = {"written": taking(10), "loop": taking(30), "read": taking(5)}
    out = module("gpu_measure").rounds_of(parts, 3, lambda: 78 - now, lambda *part: kept.append(part), lambda: now)
    # 10 + 30 + 5, then 10 again: the loop's 30 do not fit in the 23 that are left, and reading does.
    assert [name for name, _ in kept] == ["written", "loop", "read", "written", "read", "written", "read"]
    assert out == {"loop": "from round 2 on: 23 s were left, and it takes about 30 s"}


def test_a_part_that_hangs_is_ended_and_what_was_measured_before_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, gpu = module("gpu_recipe"), module("gpu_measure")
    reports, watched = tmp_path / "reports", gpu.watched

    def hanging(command: Sequence[str], seconds: float, meanwhile: Callable[[], None]) -> str:
        path, model = Path(command[3]), command[4]
        found = gpu.Found.read(path)
        found.speeds[model] = {"load": [20.0], "written": [100.0]}
        found.write(path)
        why: str = watched([sys.executable, "-c", "import time; time.sleep(3600)"], 2.0, meanwhile)
        return why

    monkeypatch.setattr(gpu, "watched", hanging)
    monkeypatch.setattr(recipe, "gpu_name", lambda: "NVIDIA L4")
    recipe.report(False, None, 8.0, reports)
    assert "Left out: SmolLM2-135M: ended by the time limit" in capsys.readouterr().out
    # Nothing was read, so there are no rates, and an earlier file would keep its place.
    assert [file.name for file in reports.iterdir()] == ["gpu-nvidia-l4.json.part"]
    kept = json.loads((reports / "gpu-nvidia-l4.json.part").read_text())
    assert kept["rates"] is None
    by_what = {one["what"]: one for one in kept["findings"]}
    assert by_what["8B, random weights: written"]["values"] == [100.0]
    assert by_what["8B, random weights: read"]["skipped"].startswith("ended by the time limit")


def test_a_model_for_which_no_time_is_left_is_named(tmp_path: Path) -> None:
    gpu, recipe = module("gpu_measure"), module("gpu_recipe")
    found = gpu.measure([gpu.SHAPE_8B], tmp_path / "found.json", 0.0, lambda _: None)
    assert [f.verdict for f in recipe.findings_of(found)] == ["skipped: time ran out before this model started"]
