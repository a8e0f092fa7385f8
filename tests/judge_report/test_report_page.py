import re

import pandas as pd

from refusal_stability.judge_report.comparison import compare_raters, disagreements
from refusal_stability.judge_report.page import SHOWN, agreement, judges_page
from refusal_stability.judge_report.ratings import Ratings
from refusal_stability.report.html import html_report
from refusal_stability.tables.layout import as_text

EVIL = "</div><script>alert('x')</script><img src=x onerror=alert(1)>&{{ 7 * 7 }}"


def page(rows):
    table = pd.DataFrame(
        {
            "prompt_id": [f"p{i}" for i in range(rows)],
            "prompt": EVIL,
            "response": [f"{EVIL} {i}" for i in range(rows)],
            "n": 1,
            "one": "REFUSE",
            "two": "COMPLY",
        }
    )
    ratings = Ratings(table, ["one", "two"])
    tables = compare_raters(ratings, 100, 0) | {"corrected_rates": [], "rater_thresholds": []}
    return html_report(judges_page("<b>study</b>", "one", "intro", tables, disagreements(ratings)))


def test_model_text_is_shown_and_never_run():
    text = page(1)
    assert "<script" not in text
    assert "onerror=alert(1)&gt;" in text
    known = "html head meta link title style body a header nav ol li main section h1 h2 p div table caption thead tbody"
    found = set(re.findall(r"<(?!style>)/?([a-z][a-z0-9]*)", text.split("</style>")[1]))
    assert found <= {*known.split(), "tr", "th", "td", "bdi"}
    assert "{{ 7 * 7 }}" in text
    assert "&lt;b&gt;study" in text


def test_the_page_forbids_itself_to_load_or_run_anything():
    assert "default-src 'none'" in page(1)


def test_a_long_list_is_cut_and_says_so():
    text = page(SHOWN + 5)
    assert f"{SHOWN} of {SHOWN + 5} distinct responses" in text
    assert text.count('<td class="verbatim">') == 2 * SHOWN


def test_a_pair_with_nothing_in_common_or_one_decision_only_is_told_without_a_nan():
    table = pd.DataFrame({"prompt_id": ["p", "q"], "prompt": "Q", "response": ["a", "b"], "n": 1})
    table = table.assign(one="REFUSE", two="REFUSE", three="")
    tables = compare_raters(Ratings(table, ["one", "two", "three"]), 100, 0)
    lines = [re.split(r"  +", line) for line in as_text(agreement(tables)).splitlines()]
    assert lines[1][:5] == ["First", "Second", "Basis", "Labelled by both", "Prompts"]
    assert lines[2][:7] == ["one", "two", "all responses", "2", "2", "100.0% [22.4, 100.0]", "–"]
    assert lines[3] == ["one", "three", "all responses", "0", "0", "–", "–", "–", "–"]
    assert "nan" not in as_text(agreement(tables))
