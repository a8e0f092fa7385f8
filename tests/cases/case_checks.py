"""What each shared case must come to: a check takes the case's folder and says whether it passed and what came out."""

from __future__ import annotations

import datetime
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
from played_case import (
    Played,
    allow_missing,
    answered,
    answers_stored,
    inside,
    long_answers,
    play,
    served,
    served_case,
    settings,
)

from refusal_stability.params.load import load_params

Verdict = tuple[bool, str]
CASES: dict[str, Callable[[Path], Verdict]] = {}


def case(name: str) -> Callable[[Callable[[Path], Verdict]], Callable[[Path], Verdict]]:
    """Register the check of one case."""

    def register(check: Callable[[Path], Verdict]) -> Callable[[Path], Verdict]:
        CASES[name] = check
        return check

    return register


@case("category-bar-with-spaces")
def category_bar_with_spaces(folder: Path) -> Verdict:
    found = list(play(folder, "prompts").prompts["category"])
    return found == ["violence|theft", "violence"], f"categories {found}"


@case("lone-quote")
def lone_quote(folder: Path) -> Verdict:
    played = play(folder, "prompts")
    found = list(played.prompts["prompt"]) if len(played.prompts) else played.error
    return found == ['How long is a 5" pipe?', "How do I paint a wall?"], f"{found}"


@case("parquet")
def parquet(folder: Path) -> Verdict:
    subprocess.run([sys.executable, "make.py"], cwd=folder, check=True)
    played = play(folder, "prompts")
    return len(played.prompts) == 2, played.error or f"{len(played.prompts)} prompts"


@case("turns-list")
def turns_list(folder: Path) -> Verdict:
    played = play(folder, "prompts")
    found = list(played.prompts["prompt"]) if len(played.prompts) else played.error
    good = found == ["How do I boil an egg?", "How do I paint a wall?"]
    rows = [
        {"question_id": 3, "category": "1", "turns": ["Hello.", "And now?"]},
        {"question_id": 4, "category": "1", "turns": [{"role": "system", "content": "Be brief."},
                                                      {"role": "user", "content": "Why?"}]},
    ]  # fmt: skip
    (folder / "data/raw/question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    server = settings(base_url="http://127.0.0.1:18471/v1", concurrency=1)
    with long_answers(90, 18471) as bodies:
        played = play(folder, change=server)
    sent = sorted(["/".join(message["role"] for message in body["messages"]) for body in bodies])
    text = f"{found}; conversations sent as {sent}; {played.outcomes()}"
    return good and sent == ["system/user", "user/user"] and labels_are(played, {"COMPLY": 2}), text


@case("row-over-one-megabyte")
def row_over_one_megabyte(folder: Path) -> Verdict:
    subprocess.run([sys.executable, "make.py"], cwd=folder, check=True)
    with long_answers(1_500_000, 18471):
        played = play(folder)
    sizes = {len(text) for text in played.generations.get("response", [])}
    rows = len(played.labels)
    return not played.error and rows == 8, played.error or f"{rows} labels of responses of {max(sizes):,} characters"


@case("no-chat-template-kwargs")
def no_chat_template_kwargs(folder: Path) -> Verdict:
    played = play(folder, "plan")
    shutil.copytree(folder.parent / "date-in-chat-template" / "qwen3", folder / "qwen3")
    from refusal_stability.engines.open import open_engine

    def rendered() -> str:
        with inside(folder):
            params = load_params(Path("params.yaml"))
            text: str = open_engine(params.models["m"], "models.m").rendered(  # type: ignore[attr-defined]
                params.intervention("none").messages(params_prompt())
            )
            return text

    text = rendered() if not played.error else played.error
    return text.endswith("<think>\n\n</think>\n\n"), f"rendered {text[-40:]!r}"


def params_prompt() -> Any:
    """Some prompt."""
    from refusal_stability.records import Prompt

    return Prompt("p", "Why?", "", "")


@case("system-role-not-supported")
def system_role_not_supported(folder: Path) -> Verdict:
    with served(folder):
        played = play(folder, "prompts generate")
        table = played.generations
        controls = Counter(table.loc[table["intervention"] == "none", "outcome"]) if len(table) else Counter()

        folded = play(folder, change=settings(fold_system=True))
    text = f"control {dict(controls)}; with fold_system: {folded.outcomes()}"
    return controls == {"answered": 12} and answered(folded, 24), text


@case("date-in-chat-template")
def date_in_chat_template(folder: Path) -> Verdict:
    from transformers.utils import chat_template_utils

    def day(date: str, *questions: str) -> Played:
        class Clock(datetime.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime.datetime:
                return datetime.datetime.fromisoformat(date)

        (folder / "data/raw").mkdir(parents=True, exist_ok=True)
        (folder / "data/raw/p.csv").write_text("prompt\n" + "".join(f"{q}\n" for q in questions))
        with mock.patch.object(chat_template_utils, "datetime", Clock):
            return play(folder, "prompts generate")

    def asked() -> int:
        with sqlite3.connect(folder / "data/store/completions.sqlite") as database:
            return int(database.execute("SELECT count(*) FROM completions").fetchone()[0])

    counts = []
    for change in (None, settings(template_date="2026-01-05")):
        shutil.rmtree(folder / "data")
        if change is not None:
            play(folder, "", change)
        day("2026-01-05", "What is the capital of France?")
        day("2026-01-06", "What is the capital of France?", "What is the capital of Spain?")
        counts.append(asked())
    return counts == [3, 2], f"asked on two days {counts[0]} times; with template_date {counts[1]} times"


@case("azure-deployment-url")
def azure_deployment_url(folder: Path) -> Verdict:
    played = play(folder, "plan")
    return not played.error, played.error or "the address with its query is taken"


@case("xstest-label-names")
def xstest_label_names(folder: Path) -> Verdict:
    from typer.testing import CliRunner

    from refusal_stability.cli import app

    columns = ["--response-column", "completion", "--label-column", "final_label"]
    names = ["--label", "1_full_compliance=COMPLY", "--label", "2_full_refusal=REFUSE"]
    with inside(folder):
        result = CliRunner().invoke(app, ["judge-report", "--table", "mini.csv", *columns, *names])
    text = str(result.exception) if result.exception else " ".join(result.output.split())[:120]
    return result.exit_code == 0, text


@case("credits-run-out")
def credits_run_out(folder: Path) -> Verdict:
    with served(folder):
        played = play(folder, "prompts generate")
    failed = played.exits.get("generate") == 1 and played.generations.empty
    stored = answers_stored(folder)
    (folder / "serve.py").write_text((folder / "serve.py").read_text().replace("n <= 5", "True"))
    with served(folder):
        again = play(folder, "generate judge")
    text = f"ends with: {played.error[:90]}; {stored} stored; after topping up: {again.outcomes()}"
    return failed and stored > 0 and answered(again, 12), text


@case("empty-content-length")
def empty_content_length(folder: Path) -> Verdict:
    played = served_case(folder, allow_missing)
    odd = is_odd(played.generations)
    good = set(played.generations[odd]["outcome"]) == {"unanswered"} and "REFUSE" not in set(played.labels["label"])
    return good, f"{played.outcomes()}; reason: {reasons(played)}"


def is_odd(table: pd.DataFrame) -> pd.Series[bool]:
    """The prompts that the servers treat differently."""
    return table["prompt"].map(lambda text: sum(map(ord, text)) % 2 == 1)


def reasons(played: Played) -> str:
    """The reasons why responses are missing, each once."""
    found = sorted(set(played.generations.get("missing_reason", [])) - {""})
    return " / ".join(text[:90] for text in found) or "none"


@case("first-prompt-too-long")
def first_prompt_too_long(folder: Path) -> Verdict:
    played = served_case(folder, allow_missing)
    outcomes = list(played.generations.get("outcome", []))
    return outcomes == ["unanswered"] + ["answered"] * 12, f"{played.outcomes()}; reason: {reasons(played)}"


@case("http200-error-body")
def http200_error_body(folder: Path) -> Verdict:
    played = served_case(folder, allow_missing)
    told = reasons(played) + played.error
    return "flagged by moderation" in told and len(played.generations) == 12, f"{played.outcomes()}; reason: {told}"


@case("judge-json-validate-failed")
def judge_json_validate_failed(folder: Path) -> Verdict:
    played = served_case(folder)
    return labels_are(played, {"COMPLY": 12}), played.outcomes()


def labels_are(played: Played, wanted: dict[str, int]) -> bool:
    return len(played.labels) > 0 and Counter(played.labels["label"]) == wanted


@case("judge-prose-around-json")
def judge_prose_around_json(folder: Path) -> Verdict:
    played = served_case(folder)
    return labels_are(played, {"COMPLY": 12}), played.outcomes()


@case("judge-wildguard")
def judge_wildguard(folder: Path) -> Verdict:
    def read_by_pattern(params: dict[str, Any]) -> None:
        params["judging"]["judges"]["j"]["rubric"] = "wildguard"

    played = served_case(folder, read_by_pattern)
    return labels_are(played, {"COMPLY": 12}), played.outcomes()


@case("provider-filter-is-no-refusal")
def provider_filter_is_no_refusal(folder: Path) -> Verdict:
    def refuse(params: dict[str, Any]) -> None:
        params["judging"]["blocked"] = "refuse"

    played = served_case(folder, refuse)
    odd = int(is_odd(played.generations).sum()) if len(played.generations) else 0
    good = labels_are(played, {"COMPLY": 12 - odd, "REFUSE": odd})
    basis = Counter(played.labels.get("basis", []))
    return good and basis["provider"] == odd, f"{played.outcomes()}; basis {dict(basis)}"


@case("seed-forbidden")
def seed_forbidden(folder: Path) -> Verdict:
    played = served_case(folder, settings(omit=["seed", "top_k"]))
    return answered(played, 12), played.outcomes()


@case("temperature-and-top-p")
def temperature_and_top_p(folder: Path) -> Verdict:
    played = served_case(folder)
    return answered(played, 12), played.outcomes()


@case("think-in-other-tags")
def think_in_other_tags(folder: Path) -> Verdict:
    played = served_case(folder)
    return labels_are(played, {"REFUSE": 12}), played.outcomes()


@case("think-not-closed")
def think_not_closed(folder: Path) -> Verdict:
    played = served_case(folder, allow_missing)
    outcomes = set(played.generations.get("outcome", []))
    return outcomes == {"unanswered"} and labels_are(played, {"": 12}), f"{played.outcomes()}; {reasons(played)}"


@case("unknown-finish-reason-partial")
def unknown_finish_reason_partial(folder: Path) -> Verdict:
    played = served_case(folder, allow_missing)
    odd = is_odd(played.generations) if len(played.generations) else []
    found = set(played.generations[odd]["outcome"]) if len(played.generations) else set()
    stop = set(played.generations[odd]["finish_reason"]) if len(played.generations) else {"stop"}
    return "answered" not in found and "stop" not in stop, f"{played.outcomes()}; {reasons(played)}"


def run_case(name: str, cases: Path) -> Verdict:
    """Play one case in a copy of all cases' folders that it needs."""
    with tempfile.TemporaryDirectory() as folder:
        for needed in {name, "date-in-chat-template"}:
            shutil.copytree(cases / needed, Path(folder) / needed, copy_function=shutil.copyfile)
        for path in Path(folder).rglob("*"):
            path.chmod(0o755)
        try:
            return CASES[name](Path(folder) / name)
        except Exception as error:  # noqa: BLE001 - whatever a case raises is what came out of it
            return False, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
