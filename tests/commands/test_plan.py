"""`refusal-stability plan` on a study of two paid models and a paid judge. Only some tests start a server."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import refusal_stability
from refusal_stability.cli import main
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import Engine
from refusal_stability.files import PROMPTS, generation_file
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Condition, StudyError
from refusal_stability.tables.csv_files import read_table, write_table
from refusal_stability.tables.study import GENERATION_TABLE, PROMPT_TABLE
from refusal_stability.workload import asked

PAID = {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "NO_SUCH_KEY", "price_in": 1.0, "price_out": 2.0}
STUDY = {
    "study": "paid",
    "prompts": {"source": "table", "path": "mine.csv", "columns": {"prompt": "prompt", "id": "id"}},
    "interventions": {"none": {}},
    "sampling": {"temperatures": [0.0, 1.0], "seeds": [1, 2], "max_tokens": 100},
    "models": {
        "small": {"engine": "openai", "path": "small", "settings": PAID},
        "large": {"engine": "openai", "path": "large", "settings": PAID | {"price_in": None, "max_requests": 7}},
    },
    "judging": {
        "primary": "judge",
        "judges": {
            "judge": {"kind": "model", "model": {"engine": "openai", "path": "judge", "settings": PAID}},
            "rules": {"kind": "rules"},
        },
    },
}


def plan(folder: Path, columns: int = 200, good: bool = False, **variables: str) -> list[str]:
    """What the command says, run in this process with nothing of its environment."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        patch.chdir(folder)
        for name in [*os.environ]:
            patch.delenv(name)
        for name, value in ({"COLUMNS": str(columns), "PATH": ""} | variables).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["refusal-stability", "plan"])
        with redirect_stderr(io.StringIO()) as error, pytest.raises(SystemExit) as ended:
            main()
    return told(ended.value.code or 0, out.getvalue(), error.getvalue(), columns, good)


def told(code: object, said: str, error: str, columns: int, good: bool) -> list[str]:
    # No server is there in most of these tests, which is a problem and no error.
    assert (code, error) == (0 if good else 1, "")
    assert max(map(len, said.splitlines())) <= columns
    return [" ".join(line.split()) for line in said.splitlines()]


def test_a_process_of_its_own_says_the_same(study: Path) -> None:
    command = [sys.executable, "-m", "refusal_stability.cli", "plan"]
    # The code at test, wherever it lies; nothing else of the environment.
    env = {"COLUMNS": "200", "PATH": "", "PYTHONPATH": str(Path(refusal_stability.__file__).parent.parent)}
    ran = subprocess.run(command, cwd=study, capture_output=True, text=True, check=False, env=env)
    lines = told(ran.returncode, ran.stdout, ran.stderr, 200, False)
    # The free space changes from one moment to the next.
    assert [line for line in lines if "free" not in line] == [line for line in plan(study) if "free" not in line]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(STUDY))
    (tmp_path / "mine.csv").write_text(f"id,prompt\na,{'x' * 40}\nb,{'y' * 40}\n")
    return tmp_path


def test_requests_tokens_and_cost_are_shown_and_nothing_is_sent(study: Path) -> None:
    lines = plan(study)
    # 2 prompts x 2 temperatures x 2 seeds = 8 requests of 10 + 8 tokens and at most 100 in the answer:
    # 8 x 18 x 1 / 10^6 + 8 x 100 x 2 / 10^6 = 0.0017.
    assert "small 8 0 8 144 800 0.00" in lines
    assert "large 8 0 8 144 800 no price" in lines
    assert "large: exceeds the cap settings.max_requests; the run would stop before it sends anything" in lines
    assert not (study / "data/store").exists()


def test_batches_cost_half_and_the_plan_says_so(study: Path) -> None:
    dear = PAID | {"price_in": 1000.0, "price_out": 2000.0}
    models = {
        name: {"engine": "openai", "path": "small", "settings": dear | {"batch": name == "batched"}}
        for name in ("batched", "alone")
    }
    (study / "params.yaml").write_text(yaml.safe_dump(STUDY | {"models": models}))
    lines = plan(study)
    # (144 x 1000 + 800 x 2000) / 10^6 = 1.744, and half of it.
    assert "alone 8 0 8 144 800 1.74" in lines
    assert "batched 8 0 8 144 800 0.87" in lines
    assert "batched: sent in batches: half of price_in and price_out, and answers within a day" in lines


def test_the_prompts_are_those_of_the_source_and_not_of_the_study_before(study: Path) -> None:
    stale = pd.DataFrame({"prompt_id": ["z"], "prompt": ["z" * 40], "category": "", "source": "test"})
    write_table(stale, study / PROMPTS, PROMPT_TABLE)
    assert "study paid: 2 prompts" in plan(study)


def test_the_table_fits_a_terminal_of_80_columns(study: Path) -> None:
    name = "a-model-of-a-long-name"
    models = {name: {"engine": "openai", "path": "m", "settings": PAID}}
    many = {"temperatures": [0.0, 0.3, 0.7, 1.0], "seeds": [*range(100, 160)], "max_tokens": 30_000}
    (study / "params.yaml").write_text(yaml.safe_dump(STUDY | {"models": models, "sampling": many}))
    lines = plan(study, columns=80)
    # 2 prompts x 240 requests; 480 x 30,000 tokens at 2 a million.
    assert any(line.endswith("480 0 480 8,640 14.4 M 28.81") for line in lines)
    assert any(line.startswith(name) for line in lines)


def answer_all(study: Path, first: str, second: str) -> None:
    """Responses of the model `small` to both prompts."""
    for temperature in (0.0, 1.0):
        for seed in (1, 2):
            condition = Condition("small", "none", temperature, seed)
            table = pd.DataFrame(
                {
                    "prompt_id": ["a", "b"],
                    "prompt": ["x" * 40, "y" * 40],
                    "response": [each.format(temperature=temperature, seed=seed) for each in (first, second)],
                    "temperature": temperature,
                    "seed": seed,
                    "model": "small",
                    "intervention": "none",
                    "finish_reason": "stop",
                    "missing_reason": "",
                }
            )
            write_table(table, study / generation_file(condition), GENERATION_TABLE)


def test_a_judge_is_asked_about_distinct_pairs_once_the_responses_exist(study: Path) -> None:
    assert any(line.startswith("judge on small 8 0 8") for line in plan(study))
    answer_all(study, "always the same", "{temperature} {seed}")
    # One distinct pair of the first prompt, four of the second.
    assert any(line.startswith("judge on small 5 0 5") for line in plan(study))
    # Thinking of its own in every response to the first prompt: four more pairs.
    judged = STUDY["judging"] | {"thinking": "judge"}
    (study / "params.yaml").write_text(yaml.safe_dump(STUDY | {"judging": judged}))
    assert any(line.startswith("judge on large 16 0 16") for line in plan(study))
    for path in study.glob("data/generations/small/*.csv"):
        thinking = [f"Thinking of {path.stem}.", ""]
        write_table(read_table(path, GENERATION_TABLE).assign(thinking=thinking), path, GENERATION_TABLE)
    assert any(line.startswith("judge on small 9 0 9") for line in plan(study))


def test_a_judge_on_call_is_counted_as_an_upper_bound_and_exceeds_no_cap_for_certain(study: Path) -> None:
    paid = {"engine": "openai", "path": "judge", "settings": PAID | {"max_requests": 7}}
    settings = {"escalate_below": 0.8, "escalate_to": "expensive"}
    judges = {
        "cheap": {"kind": "trained", "path": "models/judges/cheap.json", "settings": settings},
        "expensive": {"kind": "model", "on_call": True, "model": paid},
    }
    (study / "params.yaml").write_text(yaml.safe_dump(STUDY | {"judging": {"primary": "cheap", "judges": judges}}))
    lines = plan(study)
    assert any(line.startswith("expensive on small 8 0 8") for line in lines)
    said = "\n".join(lines)
    assert "expensive on small: judges only what another judge hands over; its row assumes every response" in said
    assert "expensive on small: would exceed the cap settings.max_requests if it were asked about every" in said
    assert "expensive on small: exceeds the cap" not in said


def test_what_the_rules_hand_over_is_counted_once_the_responses_are_there(study: Path) -> None:
    paid = {"engine": "openai", "path": "judge", "settings": PAID}
    settings = {"escalate_below": 0.8, "escalate_to": "expensive"}
    judges = {
        "rules": {"kind": "rules", "settings": settings},
        "expensive": {"kind": "model", "on_call": True, "model": paid},
    }
    (study / "params.yaml").write_text(yaml.safe_dump(STUDY | {"judging": {"primary": "rules", "judges": judges}}))
    assert "expensive on small: judges only what another judge hands over" in "\n".join(plan(study))
    # The second is in a language that the rules do not know: its confidence is 0.
    answer_all(study, "I'm sorry, but I can't help with that.", "Der Laden hat am Sonntag um {seed} Uhr zu.")
    said = "\n".join(plan(study))
    assert "expensive on small 2 0 2" in said
    assert "expensive on small: judges the 2 distinct responses that other judges hand over" in said
    assert "expensive on small: judges only" not in said


def test_what_the_rules_hand_over_to_a_person_is_counted_and_costs_nothing(study: Path) -> None:
    settings = {"escalate_below": 0.8, "escalate_to": "person"}
    judges = {
        "rules": {"kind": "rules", "settings": settings},
        "person": {"kind": "people", "on_call": True, "path": "data/raw/waiting.csv"},
    }
    (study / "params.yaml").write_text(yaml.safe_dump(STUDY | {"judging": {"primary": "rules", "judges": judges}}))
    answer_all(study, "I'm sorry, but I can't help with that.", "Der Laden hat am Sonntag um {seed} Uhr zu.")
    said = "\n".join(plan(study))
    assert "person on small: a person labels the 2 distinct responses that other judges hand over" in said
    assert "person on small 2" not in said


Start = Callable[..., str]


def served(study: Path, url: str, **changes: Any) -> None:
    """Make the study one of a single model at a server, judged by rules."""
    settings = PAID | {"base_url": url}
    values = STUDY | {"models": {"small": {"engine": "openai", "path": "small", "settings": settings}}}
    (study / "params.yaml").write_text(yaml.safe_dump(values | {"judging": {}} | changes))


def test_a_judge_whose_server_lists_no_tokens_is_a_problem_that_names_the_setting(study: Path) -> None:
    params = yaml.safe_load((study / "params.yaml").read_text())
    judge = params["judging"]["judges"]["judge"]
    judge["settings"] = {"confidence": "tokens"}
    judge["model"]["settings"] = {"preset": "anthropic"}
    (study / "params.yaml").write_text(yaml.safe_dump(params))
    (problem,) = [line for line in plan(study) if line.startswith("PROBLEM judge judge: ")]
    assert "judging.judges.judge.settings.confidence: tokens is not allowed; allowed: repeats" in problem


def test_a_study_with_everything_in_place_is_said_to_be_so_and_nothing_is_completed(study: Path, server: Start) -> None:
    url = server("--models", "other,small", "--key", "k-1234567890123")
    served(study, url)
    lines = plan(study, good=True, NO_SUCH_KEY="k-1234567890123")
    assert "ok prompts: 2 from mine.csv" in lines
    assert "ok small: NO_SUCH_KEY is set" in lines
    assert f"ok small: {url} answers and lists small" in lines
    assert "ok judge rules: rules can be used" in lines
    assert any(line.startswith("ok disk: ") for line in lines)
    assert "Everything is there. Nothing was sent that anyone charges for." in lines
    assert (study / "asked").read_text() == ""


def test_a_key_that_is_not_set_or_not_taken_is_a_problem_and_no_secret_is_shown(study: Path, server: Start) -> None:
    served(study, server("--models", "small", "--key", "right"))
    lines = plan(study)
    assert "PROBLEM small: NO_SUCH_KEY is not set; export it before the run" in lines
    assert "1 problem: see above for what to do" in lines
    said = "\n".join(plan(study, NO_SUCH_KEY="wrong-key-of-mine"))
    assert "rejects the key in the environment variable NO_SUCH_KEY (HTTP 401); give the name of a variable" in said
    assert "wrong-key-of-mine" not in said


def test_a_model_that_the_server_does_not_list_is_a_problem_that_names_those_it_has(study: Path, server: Start) -> None:
    url = server("--models", "a,b,c,d,e,f,g")
    served(study, url)
    said = "\n".join(plan(study, NO_SUCH_KEY="k"))
    assert f"{url} does not list 'small'; it lists: a, b, c, d, e and 2 more; correct the model's name" in said
    served(study, server("--models", "small:latest"))
    plan(study, good=True, NO_SUCH_KEY="k")


def test_a_server_without_a_list_of_models_is_there_all_the_same(study: Path, server: Start) -> None:
    url = server()
    served(study, url)
    lines = plan(study, good=True, NO_SUCH_KEY="k")
    assert f"ok small: {url} answers; it has no list of models (HTTP 404)" in lines
    bare = url.removesuffix("/v1")
    served(study, bare)
    lines = plan(study, good=True, NO_SUCH_KEY="k")
    assert f"ok small: {bare} answers; it has no list of models (HTTP 404); most such addresses end in /v1" in lines


def test_a_server_without_batches_is_a_problem_where_batches_are_set(study: Path, server: Start) -> None:
    url = server("--models", "small")
    settings = PAID | {"base_url": url, "batch": True}
    served(study, url, models={"small": {"engine": "openai", "path": "small", "settings": settings}})
    said = "\n".join(plan(study, NO_SUCH_KEY="k"))
    assert f"models.small.settings.batch: {url} has no batches (HTTP 404); set it to false" in said
    assert "1 problem: see above for what to do" in said


def test_no_server_a_judge_without_its_file_and_a_full_disk_are_problems_with_remedies(study: Path) -> None:
    judges = {
        "gone": {"kind": "recorded", "path": "labels.csv", "settings": {"models": {"small": "s"}}},
        "learnt": {"kind": "trained", "path": "models/judges/learnt.json"},
    }
    huge = {"temperatures": [0.0], "seeds": [1], "max_tokens": 10**15}
    served(study, "http://127.0.0.1:9/v1", judging={"primary": "gone", "judges": judges}, sampling=huge)
    said = "\n".join(plan(study, NO_SUCH_KEY="k"))
    assert "http://127.0.0.1:9/v1: nothing answers there" in said
    assert "PROBLEM judge gone: params.yaml: judging.judges.gone.path: 'labels.csv': no such file or folder" in said
    assert "PROBLEM judge learnt: models/judges/learnt.json" in said
    assert "free some space" in said
    assert "4 problems" in said


def test_prompts_that_cannot_be_read_do_not_hide_the_other_problems(study: Path) -> None:
    served(study, "http://127.0.0.1:9/v1", prompts=STUDY["prompts"] | {"columns": {"prompt": "question"}})
    said = "\n".join(plan(study))
    assert "PROBLEM prompts: mine.csv" in said
    assert "question" in said
    assert "PROBLEM small: NO_SUCH_KEY is not set" in said


def test_a_model_that_cannot_be_opened_is_tried_once(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def counted(model: ModelParams, where: str) -> Engine:
        tried.append(where)
        return open_engine(model, where)

    monkeypatch.setattr(asked, "open_engine", counted)
    (work,) = asked.all_work(StudyParams(study="s", models={"m": ModelParams(path="nowhere")}), [])
    with asked.engines_of("p.yaml") as engines:
        for _ in range(2):
            with pytest.raises(StudyError, match="models path 'nowhere': no such folder"):
                engines.of(work)
        assert tried == ["p.yaml: models.m"]
        engines.try_again()
        with pytest.raises(StudyError):
            engines.of(work)
    assert len(tried) == 2


def test_a_model_that_the_study_trains_is_no_problem(study: Path) -> None:
    models = {"steady": {"path": "models/reference/steady"}}
    trained = {"steady": {"task": "chat", "profile": "steady", "seed": 1}}
    served(study, "", models=models, reference_models=trained)
    lines = plan(study, good=True)
    assert "ok steady: models/reference/steady is trained by this study before it is asked" in lines


def test_the_total_says_that_a_price_is_not_known(study: Path) -> None:
    total = next(line for line in plan(study) if line.startswith("total "))
    assert total.startswith("total 32 0 32 ")
    assert total.endswith(" + ?")
