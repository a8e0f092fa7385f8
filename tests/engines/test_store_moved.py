"""A store whose file is removed, moved or replaced while a run writes to it: an error, and no answer is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store, StoreError
from refusal_stability.records import Completion, Message, Request, Sampling

COUNT = 8
REQUESTS = [Request((Message("user", f"{number}"),), Sampling(1.0, 0, 0)) for number in range(COUNT)]


class Echo:
    """Answers with the prompt, counts, and does something before its answer of one number."""

    def __init__(self, at: int = -1, act: Callable[[], object] = lambda: None) -> None:
        self.identity = {"engine": "echo"}
        self.description: dict[str, str] = {}
        self.sent: list[str] = []
        self._at, self._act = at, act

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for position, request in enumerate(requests):
            self.sent.append(request.messages[-1].content)
            if position == self._at:
                self._act()
            yield position, Completion(f"echo {self.sent[-1]}", "stop", 1, 2)

    def close(self) -> None:
        pass


def all_removed(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def file_removed(path: Path) -> None:
    path.unlink()


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def folder_removed(path: Path) -> None:
    # Renamed first: the run renews its progress file there meanwhile, which a removal file by file would stumble over.
    gone = path.parent.rename(path.parent.with_name("gone"))
    shutil.rmtree(gone)


def replaced(path: Path) -> None:
    """By a store that has other rows."""
    all_removed(path)
    with Store(path) as store:
        complete_stored(Echo(), [Request((Message("user", "other"),), Sampling(1.0, 0, 0))], store, "other")


def run(path: Path, engine: Echo) -> list[str]:
    with Store(path) as store:
        return [completion.text for completion in complete_stored(engine, REQUESTS, store, "echo")]


@pytest.mark.parametrize("at", [0, 3, COUNT - 1])
@pytest.mark.parametrize("act", [all_removed, file_removed, moved, folder_removed, replaced])
def test_the_run_stops_and_the_next_one_sends_only_what_had_no_answer(
    act: Callable[[Path], None], at: int, tmp_path: Path
) -> None:
    path = tmp_path / "store" / "s.sqlite"
    first, second = Echo(at, lambda: act(path)), Echo()
    with pytest.raises(StoreError, match=rf"removed, moved or replaced.*; its {at + 1} completions were written there"):
        run(path, first)
    assert first.sent == [str(number) for number in range(at + 1)]
    assert run(path, second) == [f"echo {number}" for number in range(COUNT)]
    assert second.sent == [str(number) for number in range(at + 1, COUNT)]
    assert not list(path.parent.glob("*.rescued"))


def test_removed_after_the_last_answer_is_an_error_too(tmp_path: Path) -> None:
    path, second = tmp_path / "s.sqlite", Echo()

    def first() -> None:
        with Store(path) as store:
            complete_stored(Echo(), REQUESTS, store, "echo")
            all_removed(path)

    with pytest.raises(StoreError, match=f"its {COUNT} completions were written there again"):
        first()
    run(path, second)
    assert second.sent == []


def test_another_error_of_the_run_is_shown_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, second = tmp_path / "s.sqlite", Echo()

    def fail() -> None:
        path.unlink()
        raise EngineError("the server is gone")

    with pytest.raises(EngineError, match="the server is gone"):
        run(path, Echo(2, fail))
    assert f"{path}: somebody removed, moved or replaced" in capsys.readouterr().err
    run(path, second)
    assert len(second.sent) == COUNT - 2


def test_where_something_else_has_the_name_the_answers_lie_beside_it(tmp_path: Path) -> None:
    path, second = tmp_path / "s.sqlite", Echo()

    def act() -> None:
        all_removed(path)
        path.write_text("no database" * 100)

    with pytest.raises(StoreError, match=r"its 3 completions are in .*s\.sqlite\.rescued now.*move that file to"):
        run(path, Echo(2, act))
    assert path.read_text().startswith("no database")
    path.with_name("s.sqlite.rescued").replace(path)
    run(path, second)
    assert len(second.sent) == COUNT - 3
