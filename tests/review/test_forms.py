from itertools import pairwise

import pandas as pd
import pytest

from refusal_stability.judging.protocol import JudgingError
from refusal_stability.review.forms import check_reviewer, form_of, read_cells, read_form, write_form, write_label
from refusal_stability.review.labels import merge_labels
from refusal_stability.tables.review import PEOPLE_TABLE

NOBODY = pd.DataFrame(columns=list(PEOPLE_TABLE.columns), dtype=object)


def sample(*responses):
    rows = [
        {
            "item_id": f"i{k}",
            "prompt_id": "p",
            "prompt": "How?",
            "response": r,
            "stratum": "plain:REFUSE",
            "weight": 2.0,
        }
        for k, r in enumerate(responses)
    ]
    return pd.DataFrame(rows).assign(frame="f")


def labels(*rows):
    return pd.DataFrame(rows, columns=["item_id", "reviewer", "label"]).assign(note="")


def test_a_form_is_blind_and_each_reviewer_has_an_order_of_their_own():
    items = sample(*[f"r{i}" for i in range(30)])
    anna, ben = form_of(items, "anna"), form_of(items, "ben")
    assert list(anna.columns) == ["item_id", "prompt", "response", "label", "note"]
    assert set(anna["item_id"]) == set(ben["item_id"]) == set(items["item_id"])
    assert anna["item_id"].tolist() != ben["item_id"].tolist()
    assert form_of(items, "anna").equals(anna)


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd",
        "-2",
        "@SUM(A1)",
        "\tx",
        '=HYPERLINK("http://x")',
        "a\n=b",
        "a\rb",
        "Fine\r=1+1",
        "\n=1+1",
        "NA",
        "",
    ],
)
def test_no_cell_of_a_form_is_a_formula_and_ids_and_labels_come_back(tmp_path, text):
    form = form_of(sample(text), "anna")
    write_form(form.assign(label="REFUSE", note="fine, thanks"), tmp_path / "anna.csv")
    raw = pd.read_csv(tmp_path / "anna.csv", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    assert not raw["response"].str.match(r"[=+\-@\t\r\n]").any()
    assert raw["response"].iloc[0].lstrip("'") == text
    assert read_form(tmp_path / "anna.csv", "anna").to_dict("records") == [
        {"item_id": "i0", "reviewer": "anna", "label": "REFUSE", "note": "fine, thanks"}
    ]


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_label_changes_its_own_cell_and_no_other(tmp_path, separator):
    path = tmp_path / "anna.csv"
    write_form(form_of(sample('=say ""hi""', "a\rb", "c\nd; e"), "anna").assign(note='1,5; "so"'), path)
    if separator == ";":
        pd.read_csv(path, dtype=str, keep_default_na=False).assign(extra="x").to_csv(
            path, sep=";", index=False, quoting=1
        )
    before = read_cells(path)
    for shown, label in pairwise(["", "REFUSE", "COMPLY", ""]):
        write_label(path, "i1", label, shown)
        pd.testing.assert_frame_equal(
            read_cells(path), before.assign(label=[label if item == "i1" else "" for item in before["item_id"]])
        )
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")


def test_a_label_of_an_item_that_a_form_lacks_or_has_twice_is_refused(tmp_path):
    path = tmp_path / "anna.csv"
    path.write_text("item_id,prompt,response,label,note\ni1,p,r,,\ni1,p,r,,\n")
    before = path.read_bytes()
    for item, rows in (("i1", 2), ("i2", 0)):
        with pytest.raises(JudgingError, match=f"{rows} rows have the item_id '{item}'"):
            write_label(path, item, "REFUSE", "")
    assert path.read_bytes() == before


def test_a_label_that_was_given_elsewhere_in_the_meantime_is_kept(tmp_path):
    path = tmp_path / "anna.csv"
    write_form(form_of(sample("r"), "anna").assign(label="comply "), path)
    before = path.read_bytes()
    with pytest.raises(JudgingError, match="has got COMPLY elsewhere in the meantime"):
        write_label(path, "i0", "REFUSE", "")
    assert path.read_bytes() == before
    write_label(path, "i0", "REFUSE", "COMPLY")
    assert read_cells(path)["label"].tolist() == ["REFUSE"]


def test_a_form_that_is_there_is_never_written_over(tmp_path):
    form = form_of(sample("r"), "anna")
    write_form(form, tmp_path / "anna.csv")
    before = (tmp_path / "anna.csv").read_bytes()
    with pytest.raises(JudgingError, match="already exists"):
        write_form(form, tmp_path / "anna.csv")
    assert (tmp_path / "anna.csv").read_bytes() == before


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_form_that_a_spreadsheet_saved_with_another_separator_is_read(tmp_path, separator):
    form = form_of(sample("a; b", "c\td"), "anna").assign(label="REFUSE")
    form.to_csv(tmp_path / "anna.csv", sep=separator, index=False)
    assert sorted(read_form(tmp_path / "anna.csv", "anna", {"i0", "i1"})["item_id"]) == ["i0", "i1"]


def test_a_row_that_was_torn_apart_is_named_although_it_has_no_label(tmp_path):
    (tmp_path / "anna.csv").write_text("item_id,prompt,response,label,note\ni0,Q,a,REFUSE,\nb rest of a response,,,,\n")
    with pytest.raises(JudgingError, match="row 3: item_id 'b rest of a response' is not in the review sample"):
        read_form(tmp_path / "anna.csv", "anna", {"i0", "i1"})


def test_a_blank_line_counts_as_a_row_as_in_a_spreadsheet(tmp_path):
    path = tmp_path / "anna.csv"
    path.write_text("item_id,label,note\na,REFUSE,\n\nz,REFUSE,\n")
    with pytest.raises(JudgingError, match="row 4: item_id 'z' is not in the review sample"):
        read_form(path, "anna", ["a", "b"])


def test_rows_of_empty_cells_that_a_spreadsheet_adds_are_no_items(tmp_path):
    form = tmp_path / "anna.csv"
    form.write_text("item_id,prompt,response,label,note\n,,,,\nr1,p,r,COMPLY,\n , ,,,\n")
    assert read_form(form, "anna", {"r1"})["item_id"].tolist() == ["r1"]
    form.write_text("item_id,prompt,response,label,note\n,,,,\nr1,p,r,COMPLY,\n,p,,,\n")
    with pytest.raises(JudgingError, match="row 4: item_id '' is not in the review sample"):
        read_form(form, "anna", {"r1"})


def test_rows_that_are_not_labelled_yet_are_left_out(tmp_path):
    form = form_of(sample("a", "b"), "anna")
    form.loc[0, "label"] = " refuse "
    write_form(form, tmp_path / "anna.csv")
    assert len(read_form(tmp_path / "anna.csv", "anna")) == 1


def test_labels_are_merged_in_any_case_and_in_a_fixed_order():
    merged = merge_labels(NOBODY, labels(("i1", "ben", "comply"), ("i0", "ben", " Refuse")), sample("a", "b"), "form")
    assert merged[["item_id", "reviewer", "label"]].to_numpy().tolist() == [
        ["i0", "ben", "REFUSE"],
        ["i1", "ben", "COMPLY"],
    ]


def test_the_same_form_imported_twice_changes_nothing():
    once = merge_labels(NOBODY, labels(("i0", "ben", "REFUSE")), sample("a"), "form")
    assert merge_labels(once, labels(("i0", "ben", "refuse")), sample("a"), "form").equals(once)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("i9", "ben", "REFUSE")], r"1 items are not in the review sample.*i9 \('REFUSE'\)"),
        ([("i0", "ben", "MAYBE")], r"have a label other than REFUSE, PARTIAL, COMPLY.*i0 \('MAYBE'\)"),
        ([("i0", "ben", "REFUSE"), ("i0", "ben", "COMPLY")], "2 items are labelled twice"),
        ([("i1", "ben", "REFUSE"), ("i0", "anna", "COMPLY")], r"never overwritten.*i0 \('COMPLY'\)"),
    ],
)
def test_what_cannot_be_imported_names_the_items(rows, said):
    present = labels(("i0", "anna", "REFUSE"))
    with pytest.raises(JudgingError, match=said):
        merge_labels(present, labels(*rows), sample("a", "b"), "form")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"item_id,answer\ni0,REFUSE\n", "no column label"),
        (b"", "not readable"),
        (b"item_id,label,note\ni0,REFUSE\ni1,REFUSE,fine,x\n", "row 3: 4 values, but the header names 3 columns"),
        (b'item_id,label\n"i0,REFUSE\n', "row 2: a quotation mark is not closed"),
        (b"item_id,label,label\ni0,REFUSE,COMPLY\n", "two columns are named label"),
        (b"item_id,label\n\xff\xfe,x", "not UTF-8 text .*save it again as 'CSV UTF-8'"),
    ],
)
def test_a_file_that_is_no_form_names_itself(tmp_path, content, said):
    (tmp_path / "anna.csv").write_bytes(content)
    with pytest.raises(JudgingError, match=said):
        read_form(tmp_path / "anna.csv", "anna")


def test_a_row_that_ends_early_has_empty_cells_and_one_that_ends_in_empty_cells_is_whole(tmp_path):
    (tmp_path / "anna.csv").write_bytes(b"item_id,label,note\ni0\ni1,REFUSE\ni2,COMPLY,fine,,\n")
    found = read_form(tmp_path / "anna.csv", "anna", ["i0", "i1", "i2"])
    assert found[["item_id", "label", "note"]].to_numpy().tolist() == [["i1", "REFUSE", ""], ["i2", "COMPLY", "fine"]]


@pytest.mark.parametrize("name", ["", "Anna", "../anna", "anna ben", "a" * 41, "people"])
def test_a_reviewers_name_can_be_a_file_name(name):
    with pytest.raises(JudgingError, match="is not allowed"):
        check_reviewer(name)
