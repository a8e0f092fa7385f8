"""Texts of others in messages: seen, on one line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from refusal_stability.cli import main
from refusal_stability.plain_text import VisibleStream, visible_line, visible_streams


def test_what_is_not_seen_is_spelt_out() -> None:
    assert visible_line("a\x1b[31mb\nc\u202ed\u200b é 漢") == "a\\x1b[31mb c\\u202ed\\u200b é 漢"


@given(st.text())
def test_a_line_is_printable_and_text_that_is_already_so_is_kept(text: str) -> None:
    line = visible_line(text)
    assert visible_line(line) == line
    assert "\x1b" not in line
    assert len(line.splitlines()) <= 1


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@given(st.text())
def test_what_is_printed_has_no_power_over_a_terminal_and_keeps_all_that_is_seen(text: str) -> None:
    written = io.StringIO()
    print(f"a{text}", file=VisibleStream(written))  # type: ignore[arg-type]
    said = written.getvalue()
    assert all(mark.isprintable() or mark in "\n\t" or not mark.isascii() for mark in said)
    assert not set(said) & set("\x1b\r\x08\x9b\u202e\u200b\ud800")
    if f"a{text}".isprintable():
        assert said == f"a{text}\n"


@pytest.mark.parametrize("terminal", [Terminal, io.StringIO])
def test_rich_colours_a_terminal_and_nothing_else(terminal: type[io.StringIO]) -> None:
    written = terminal()
    # As Console() does it, which takes sys.stdout.
    stream = VisibleStream(written)
    Console(file=stream, force_terminal=None).print("[bold]a[/bold]")  # type: ignore[arg-type]
    assert ("\x1b[1m" in written.getvalue()) == (terminal is Terminal)
    assert "a" in written.getvalue()


def test_bars_of_other_libraries_still_move_and_texts_that_begin_alike_do_not() -> None:
    written = io.StringIO()
    stream = VisibleStream(written)  # type: ignore[arg-type]
    for text in ("\r 50%|## |", "\x1b[A", "\r\x1b[Kdone", "\x1b[2Jgone", "\x1b]0;title\x07"):
        stream.write(text)
    assert written.getvalue() == "\r 50%|## |\x1b[A\r\x1b[Kdone\\x1b[2Jgone\\x1b]0;title\\x07"


def test_streams_come_back_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), visible_streams():
        print("\x1b[2J", 1 / 0)
    print("\x1b")
    assert capsys.readouterr().out == "\x1b\n"


def test_a_command_spells_out_what_a_file_of_others_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    header = "prompt,response,seed,temperature,label,evil\x1b[31mcolumn"
    Path("t.csv").write_text(f"{header}\nhow,no,1,0.5,REF\x1b[2JUSE,x\nhow,yes,2,0.5,COMPLY,x\n", encoding="utf-8")
    options = ["--constant", "model=m", "--label", "REF\x1b[2JUSE=REFUSE"]
    monkeypatch.setattr("sys.argv", ["refusal-stability", "import", "t.csv", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().out
    assert not ended.value.code
    assert "\x1b" not in said
    assert "'REF\\x1b[2JUSE' (1)" in said
    assert "evil\\x1b[31mcolumn" in said
