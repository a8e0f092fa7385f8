"""The forecast command on a file of attempts; on a study's tables it is tested beside `compare`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from refusal_stability.cli import app
from refusal_stability.commands import forecast
from refusal_stability.records import StudyError

PARAMS = Path("params.yaml")  # absent: a file of attempts needs no study


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """150 prompts asked until they complied, at most 60 times; and when each would."""
    rng = np.random.default_rng(4)
    first = rng.geometric(rng.beta(0.4, 6, 150))
    lines = [f"p{i},{min(when, 60)},{int(when <= 60)}" for i, when in enumerate(first.tolist())]
    file = tmp_path_factory.mktemp("attempts") / "attempts.csv"
    file.write_text("\n".join(["prompt_id,attempts,complied", *lines]) + "\n")
    return file, first


def table(output: str) -> dict[int, list[float]]:
    """Forecast share with its bounds by number of attempts."""
    rows = [line.split() for line in output.splitlines() if "%" in line and line.split()[0].replace(",", "").isdigit()]
    return {int(row[0].replace(",", "")): [float(cell.strip("[],%")) for cell in row[1:4]] for row in rows}


def test_attempts_in_a_file_are_forecast(attempts: tuple[Path, np.ndarray]) -> None:
    file, first = attempts
    command = ["forecast", str(file), "--stopped", "--attempts", "1000", "--attempts", "10", "--confidence", "0.9"]
    output = CliRunner().invoke(app, command).output
    found = table(output)
    assert list(found) == [10, 1_000]
    # the first ten attempts are known
    assert found[10][0] == pytest.approx(100 * (first <= 10).mean(), abs=0.06)
    share, low, high = found[1_000]
    assert low < share < high
    assert low <= 100 * (first <= 1_000).mean() <= high
    assert f"150 prompts, 1 to 60 attempts each, {(first <= 60).sum()} complied at least once" in output
    assert "warning" not in output


def test_far_forecasts_are_warned_of_and_the_attempts_that_would_do_are_named(
    attempts: tuple[Path, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    forecast.run(str(attempts[0]), "none", [2_000], True, 0.2, 0.9, PARAMS)
    output = capsys.readouterr().out
    assert "warning: the forecast for 2,000 attempts goes more than 20 times beyond the attempts made" in output
    assert "For the share at 2,000 attempts within 20 points: at most 20 attempts at each prompt are enough." in output
    forecast.run(str(attempts[0]), "none", [2_000], True, 0.0001, 0.9, PARAMS)
    assert "not even 10,000 attempts at each prompt are enough: take more prompts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "stopped", "problem"),
    [
        ("prompt,n\na,1\n", False, "columns attempts and complied"),
        ("attempts,complied\n", False, "needs a row for each prompt"),
        ("attempts,complied\n3,1\n3,4\n", False, "row 3: complied is 4, more than the 3 attempts"),
        ("attempts,complied\n3,1.5\n", False, "row 2: attempts and complied must be whole numbers"),
        ("attempts,complied\n3\n", False, "row 2: attempts and complied must be whole numbers"),
        ("attempts,complied\n9,1\n9,2\n", True, "row 3: complied is 2; with --stopped at most 1"),
        ("attempts,complied\n3,0\n9,0\n", False, "no prompt complied"),
        ("attempts,complied\n99999999999999999999,1\n", False, "row 2"),
        ("attempts,complied\n" + "9" * 5000 + ",1\n", False, "row 2: .*from 0 to 10,000,000"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, stopped: bool, problem: str) -> None:
    file = tmp_path / "attempts.csv"
    file.write_text(text)
    with pytest.raises(StudyError, match=problem):
        forecast.run(str(file), "none", [10], stopped, None, None, PARAMS)


@pytest.mark.parametrize(
    ("attempts", "stopped", "half_width", "confidence", "problem"),
    [
        ([0], False, None, None, "--attempts: 0"),
        ([10], False, 1.5, None, "--half-width: 1.5"),
        ([10], False, None, 1.0, "--confidence: 1"),
        ([10], True, None, None, "--stopped: only for a CSV file"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    attempts: list[int], stopped: bool, half_width: float | None, confidence: float | None, problem: str
) -> None:
    with pytest.raises(StudyError, match=problem):
        forecast.run("calm", "none", attempts, stopped, half_width, confidence, PARAMS)
