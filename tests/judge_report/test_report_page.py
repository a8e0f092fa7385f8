import re

import pandas as pd

from refusal_stability.judge_report.comparison import compare_raters, disagreements
from refusal_stability.judge_report.page import SHOWN, agreement_lines, render
from refusal_stability.judge_report.ratings import Ratings

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
    tables = compare_raters(ratings, 100, 0) | {"corrected_rates": []}
    return render("<b>study</b>", "one", "intro", tables, disagreements(ratings))


def test_model_text_is_shown_and_never_run():
    text = page(1)
    assert "<script" not in text
    assert "onerror=alert(1)&gt;" in text
    assert (
        re.search(r"<(?!/?(?:html|head|meta|title|style|body|h1|h2|p|div|table|tr|th|td|span|!doctype)\b)[a-z]", text)
        is None
    )
    assert "{{ 7 * 7 }}" in text
    assert "&lt;b&gt;study" in text


def test_the_page_forbids_itself_to_load_or_run_anything():
    assert "default-src 'none'" in page(1)


def test_a_long_list_is_cut_and_says_so():
    text = page(SHOWN + 5)
    assert f"{SHOWN} of {SHOWN + 5} distinct responses" in text
    assert text.count('class="text"') == 2 * SHOWN


def test_a_pair_with_nothing_in_common_or_one_decision_only_is_told_without_a_nan():
    table = pd.DataFrame({"prompt_id": ["p", "q"], "prompt": "Q", "response": ["a", "b"], "n": 1})
    table = table.assign(one="REFUSE", two="REFUSE", three="")
    lines = agreement_lines(compare_raters(Ratings(table, ["one", "two", "three"]), 100, 0))
    assert lines[0].startswith(
        "one against two (all responses): n 2, accuracy 1.000 [1.000, 1.000], kappa not defined,"
    )
    assert lines[1] == "one against three (all responses): no response decided by both"
    assert "nan" not in "".join(lines)
