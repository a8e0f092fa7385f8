"""The report as one HTML file that needs nothing else: styles and figures inside, no script, no request."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_stability.plain_text import visible
from refusal_stability.report.content import Report

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
PNG_SIZE_AT = 16
PIXELS_A_DOT = 2


def html_report(report: Report) -> str:
    """The whole report as a page."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    page = _environment().get_template("report.html.j2")
    return page.render(report=report, style=style, style_hash=_hash(style))


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_visible,
    )
    environment.filters["data_uri"] = _data_uri
    environment.filters["png_size"] = _png_size
    return environment


def _visible(value: Any) -> Any:
    """What a page shows of a value: a text of others without characters that steer a browser or a terminal."""
    from markupsafe import Markup

    # A line end of Windows is one.
    return visible(value.replace("\r\n", "\n")) if isinstance(value, str) and not isinstance(value, Markup) else value


def _hash(style: str) -> str:
    """What the page's Content-Security-Policy names its one style sheet by: no other style can take effect."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _png_size(png: bytes) -> tuple[int, int]:
    """Width and height to show a PNG at: every figure on one scale, and the page does not jump as they appear."""
    pixels = (int.from_bytes(png[start : start + 4], "big") for start in (PNG_SIZE_AT, PNG_SIZE_AT + 4))
    width, height = (max(1, round(length / PIXELS_A_DOT)) for length in pixels)
    return width, height
