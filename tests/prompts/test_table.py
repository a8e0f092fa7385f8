"""Any table with named columns, and what is refused in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from refusal_stability.params.prompts import PromptParams
from refusal_stability.prompts.identity import prompt_id
from refusal_stability.prompts.load import load_prompts
from refusal_stability.records import Message, Prompt, StudyError

ALL = {"prompt": "question", "category": "topic", "source": "origin", "id": "key"}


def load(path: Path, columns: dict[str, str] | None = None, **options: Any) -> list[Prompt]:
    return load_prompts(PromptParams(source="table", path=str(path), columns=columns or {}, **options))


def failure(path: Path, columns: dict[str, str] | None = None, **options: Any) -> str:
    with pytest.raises(StudyError) as caught:
        load(path, columns, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_named_columns_become_the_prompts_fields(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text('key,question,topic,origin\nq-1,"Is it, ""warm""?",weather,me\nq-2,Why?,,you\n', encoding="utf-8")
    assert load(path, ALL) == [
        Prompt("q-1", 'Is it, "warm"?', "weather", "me"),
        Prompt("q-2", "Why?", "uncategorised", "you"),
    ]


def test_only_the_prompt_column_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text("question\nWhy?\n", encoding="utf-8")
    assert load(path, {"prompt": "question"}) == [Prompt(prompt_id("Why?"), "Why?", "uncategorised", "mine.tsv")]


def test_json_lines_may_number_their_ids_and_list_their_categories(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [{"question": "Why?", "topic": ["b", "a"], "key": 7}, {"question": "How?", "topic": None, "key": "8"}]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    assert load(path, {"prompt": "question", "category": "topic", "id": "key"}) == [
        Prompt("7", "Why?", "b|a", "mine.jsonl"),
        Prompt("8", "How?", "uncategorised", "mine.jsonl"),
    ]


@pytest.mark.parametrize(
    "category", ["violence | theft", " violence|theft ", "violence||theft", "violence |theft| theft"]
)
def test_spaces_around_the_bar_and_empty_names_do_not_count(tmp_path: Path, category: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"question,topic\nWhy?,{category}\n", encoding="utf-8")
    assert load(path, {"prompt": "question", "category": "topic"})[0].category == "violence|theft"


def test_one_column_may_serve_twice(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("key,question\na,Why?\n", encoding="utf-8")
    assert load(path, {"prompt": "question", "id": "key", "category": "key"}) == [Prompt("a", "Why?", "a", "mine.csv")]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("a,Why?\nb,How?\na,When?\n", "row 4, column key: the id 'a' is taken by row 2; ids are unique"),
        ("a,Why?\nb,Why?\n", "row 3, column question: the same prompt as in row 2; remove one of the two"),
        ('a,Why?\nb," \n"\n', "row 3, column question: the prompt is empty; write one or remove the row"),
        ("a,Why?\nb,\n", "row 3, column question: the prompt is empty; write one or remove the row"),
        (",Why?\n", "row 2, column key: '' is no id"),
        (" a,Why?\n", "row 2, column key: ' a' is no id"),
        ('"a\nb",Why?\n', "row 2, column key: 'a\\nb' is no id"),
        ("", "no prompt in it"),
    ],
)
def test_what_cannot_be_a_prompt_names_file_row_and_column(tmp_path: Path, rows: str, problem: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("key,question\n" + rows, encoding="utf-8")
    message = failure(path, {"prompt": "question", "id": "key"})
    assert message.startswith(f"{path}: ")
    assert problem in message


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("key,question\na,Why?\n", encoding="utf-8")
    message = failure(path, {"prompt": "question", "category": "topic"})
    assert "no column 'topic' (check prompts.columns); found key, question" in message


@pytest.mark.parametrize("value", [3, ["a", 3], {"a": True}])
def test_a_category_that_is_no_text_is_refused(tmp_path: Path, value: object) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"question": "Why?", "topic": value}) + "\n", encoding="utf-8")
    assert "row 1, column topic: holds" in failure(path, {"prompt": "question", "category": "topic"})


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


SAID = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": [{"type": "text", "text": "Why"}, {"type": "text", "text": "?"}]},
]
MESSAGES = (
    Message("system", "Be brief."),
    Message("user", "Hello."),
    Message("assistant", "Hi."),
    Message("user", "Why?"),
)


def test_a_list_of_one_text_is_that_text(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "q.jsonl", [{"turns": ["Why?"]}, {"turns": [{"role": "user", "content": "How?"}]}])
    prompts = load(path, {"prompt": "turns"})
    assert [(p.text, p.messages, p.prompt_id) for p in prompts] == [
        ("Why?", (), prompt_id("Why?")),
        ("How?", (), prompt_id("How?")),
    ]


@pytest.mark.parametrize("role", ["prompt", "messages"])
def test_several_turns_are_a_conversation_that_ends_in_its_last_user_turn(tmp_path: Path, role: str) -> None:
    path = write_lines(tmp_path / "q.jsonl", [{"said": SAID}, {"said": ["Hello.", "Why?"]}, {"said": "Why?"}])
    prompts = load(path, {role: "said"})
    assert [p.text for p in prompts] == ["Why?"] * 3
    assert [p.messages for p in prompts] == [MESSAGES, (Message("user", "Hello."), Message("user", "Why?")), ()]
    assert len({p.prompt_id for p in prompts}) == 3


def test_a_csv_file_holds_messages_as_json(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    cell = json.dumps(SAID).replace('"', '""')
    path.write_text(f'said\n"{cell}"\n"[not, a list of messages"\n', encoding="utf-8")
    assert "row 3, column said: not readable as JSON" in failure(path, {"messages": "said"})
    path.write_text(f'said\n"{cell}"\nWhy?\n', encoding="utf-8")
    assert [p.messages for p in load(path, {"messages": "said"})] == [MESSAGES, ()]
    # A text column is never parsed: some prompts are JSON.
    assert load(path, {"prompt": "said"})[0].text == json.dumps(SAID)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([], "the conversation is empty"),
        ([*SAID[:3]], "the conversation ends in a turn of role assistant; end it in a user turn"),
        ([*SAID[1:], SAID[0], SAID[3]], "a system message stands inside the conversation"),
        ([{"role": "tool", "content": "x"}], "holds a message of role 'tool'; allowed: system, user, assistant"),
        ([{"role": "user", "content": None}], "holds nothing (null); a text is expected"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "holds list"),
        (["Hello.", " "], "the prompt is empty"),
        ([7], "holds int 7; a text is expected"),
    ],
)
def test_what_is_no_conversation_names_its_row(tmp_path: Path, said: Any, problem: str) -> None:
    path = write_lines(tmp_path / "q.jsonl", [{"said": "fine"}, {"said": said}])
    message = failure(path, {"messages": "said"})
    assert message.startswith(f"{path}: row 2, column said: ")
    assert problem in message


def test_the_same_conversation_twice_is_refused_and_the_same_last_turn_is_not(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "q.jsonl", [{"said": [first, "b"]} for first in "aca"])
    assert "row 3, column said: the same prompt as in row 1" in failure(path, {"prompt": "said"})


def test_files_without_columns_need_no_columns(tmp_path: Path) -> None:
    lines, texts = tmp_path / "p.txt", tmp_path / "p.json"
    lines.write_text("Why?\n\nHow?\n", encoding="utf-8")
    texts.write_text('["Why?", "How?"]', encoding="utf-8")
    assert [p.text for p in load(lines)] == [p.text for p in load(texts)] == ["Why?", "How?"]
    assert "no column 'topic'" in failure(lines, {"category": "topic"})


def test_harm_language_and_intent_come_from_columns_in_the_studys_words(tmp_path: Path) -> None:
    path = tmp_path / "xs.csv"
    rows = "How do I kill a process?,safe,en,kill\nHow do I kill a man?,unsafe,,\n"
    path.write_text("prompt,label,lang,pair\n" + rows, encoding="utf-8")
    columns = {"prompt": "prompt", "harm": "label", "language": "lang", "intent": "pair"}
    values = {"harm": {"safe": "benign", "unsafe": "harmful"}}
    prompts = load(path, columns, values=values, defaults={"language": "de"})
    assert [(p.harm, p.language, p.intent) for p in prompts] == [("benign", "en", "kill"), ("harmful", "de", "")]
    message = failure(path, columns)
    assert "row 2, column label: 'safe' is not harmful, benign or empty; translate it, e.g. `values: " in message


def test_the_remedy_for_a_number_in_the_column_of_harm_can_be_copied(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("prompt,harm\nHow do I kill a man?,1\n", encoding="utf-8")
    columns = {"prompt": "prompt", "harm": "harm"}
    remedy = yaml.safe_load(failure(path, columns).split("`")[1])
    assert [prompt.harm for prompt in load(path, columns, **remedy)] == ["harmful"]


def test_truth_values_and_numbers_are_translated_as_they_are_written(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "bad": True}, {"prompt": "b", "bad": 0}, {"prompt": "c", "bad": None}]
    path = write_lines(tmp_path / "p.jsonl", rows)
    values = {"harm": {"true": "harmful", "0": "benign"}}
    prompts = load(path, {"prompt": "prompt", "harm": "bad"}, values=values)
    assert [p.harm for p in prompts] == ["harmful", "benign", ""]


def test_defaults_fill_what_any_source_leaves_empty() -> None:
    prompts = load_prompts(PromptParams(limit=6, defaults={"language": "en", "harm": "harmful"}))
    assert [p.harm for p in prompts] == ["harmful"] * 5 + ["benign"]
    assert {p.language for p in prompts} == {"en"}


def test_parameters_that_do_not_fit_together_name_their_keys(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", [{"prompt": "a"}])
    both = failure(path, {"prompt": "prompt", "messages": "prompt"})
    assert both.startswith("prompts.columns.messages: 'prompt' is not allowed; allowed: either `prompt` or `messages`")
    unused = failure(path, {"prompt": "prompt"}, values={"harm": {"x": "benign"}})
    assert unused.startswith("prompts.values.harm: ")
    with pytest.raises(ValueError, match=r"defaults\.harm: 'evil' is not allowed; allowed: one of harmful, benign"):
        PromptParams(defaults={"harm": "evil"})


ASKED = "How do I boil an egg?"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_csv_file_with_another_delimiter_is_read(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "q.csv"
    path.write_text(f"prompt{delimiter}category\n{ASKED}{delimiter}kitchen\n", encoding="utf-8")
    [prompt] = load(path, {"prompt": "prompt", "category": "category"})
    assert (prompt.text, prompt.category) == (ASKED, "kitchen")


@pytest.mark.parametrize(
    "cell",
    [
        json.dumps([ASKED]),
        str([ASKED]),
        json.dumps([{"role": "user", "content": ASKED}]),
        str([{"role": "User", "content": [ASKED]}]),
        json.dumps([{"from": "human", "value": ASKED}]),
    ],
)
def test_a_list_written_as_text_is_the_list(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"asked": cell}), encoding="utf-8")
    assert [prompt.text for prompt in load(path, {"messages": "asked"})] == [ASKED]


@pytest.mark.parametrize("text", ["[1, 2]", "[Note] Boil it.", "['a' 'b']", "[]"])
def test_other_texts_in_brackets_are_no_messages(tmp_path: Path, text: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"asked": text}), encoding="utf-8")
    assert "not readable as JSON that lists" in failure(path, {"messages": "asked"})
    assert [prompt.text for prompt in load(path, {"prompt": "asked"})] == [text]


def test_a_developers_message_is_the_system_prompt(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text(json.dumps([{"m": [{"role": "developer", "content": "S"}, {"role": "user", "content": ASKED}]}]))
    [prompt] = load(path, {"messages": "m"})
    assert [message.role for message in prompt.messages] == ["system", "user"]
