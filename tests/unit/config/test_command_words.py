"""A word of a command line means what it was made of, to Hydra and to a shell."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from confs import CONF
from hydra.core.override_parser.overrides_parser import OverridesParser

import hardneg
from hardneg.config.command_words import (
    MULTI_SELECT,
    as_value,
    command_line,
    in_shell,
    plain,
    to_type,
    value_of,
)


def test_a_value_is_quoted_only_where_hydra_would_read_it_otherwise():
    for bare in ("/runs/first_1.0+b", "bm25", "..", "2026-01-02/a"):
        assert as_value(bare) == bare
    assert as_value("it's") == "'it\\'s'"
    parser = OverridesParser.create()
    others = (
        "a b",
        "x=1",
        "[a]",
        "a,b",
        "/home/jürgen/a~b",
        "10",
        "1e5",
        "null",
        "true",
        "nan",
        "{a: b}",
        "a:b",
        "a\\",
        "a\\'b",
        "'",
    )
    for text in (*others, "/runs/first_1.0+b", "it's"):
        assert parser.parse_override(f"key={as_value(text)}").value() == text
    assert all(as_value(text)[0] == "'" for text in others)


def test_a_value_means_the_same_in_a_list_and_in_a_dictionary():
    parser = OverridesParser.create()
    for text in ("a", "-", "+", "x.", "1.", "-5a", "1_000", "1-2", "e", "a b", "it's", "tRuE", "inf", ".", "10", "a\\"):
        assert parser.parse_override(f"key=[{as_value(text)},{as_value(text)}]").value() == [text, text]
        assert parser.parse_override(f"key={{x: {as_value(text)}}}").value() == {"x": text}


def test_quotes_go_where_they_say_nothing():
    assert plain("data.path='x/y.csv'") == "data.path=x/y.csv" and plain("data.path='x, y'") == "data.path='x, y'"


def test_a_line_for_a_shell_has_the_same_words():
    words = ["data.path='x, y'", "negatives=[in_batch,given]", "a='b$c'", "data.path=x", "a='\"'"]
    assert shlex.split(in_shell(words)) == words
    assert in_shell(words[:1]) == "\"data.path='x, y'\""


def test_what_a_message_tells_to_type_can_be_pasted():
    assert command_line("resume", Path("outputs/a")) == "hardneg resume outputs/a"
    assert shlex.split(command_line("index", "switch", "my index, a=b", "BUILD"))[2:] == [
        "switch",
        "my index, a=b",
        "BUILD",
    ]
    for path in ("a/b.csv", "my set, x=1.csv", "it's", "jürgen"):
        (word,) = shlex.split(to_type("data.path", path))
        assert OverridesParser.create().parse_override(word).value() == path
    assert to_type("data.path", "a/b.csv") == "data.path=a/b.csv"


def test_no_message_names_a_path_in_a_command_bare():
    bare = re.compile(
        r"hardneg (?:resume|search|import|index (?:switch|rollback|list)) \{|(?:ckpt|index\.)path=\{\w+\.?\w*\} makes"
    )
    said = {file.name: bare.findall(file.read_text("utf-8")) for file in Path(hardneg.__file__).parent.rglob("*.py")}
    assert not {name: found for name, found in said.items() if found}


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("1e-5", 1e-5), ("True", True), ("null", None), ("007", "007"), ("infinity", "infinity"), ("[7", "[7")],
)
def test_a_bare_text_is_what_hydra_reads_it_as(text, value):
    assert value_of(text) == value and type(value_of(text)) is type(value)


def test_the_groups_of_several_options_are_those_that_the_commands_choose_lists_of():
    lists = re.compile(r"^  - (\w+): \[", re.MULTILINE)
    assert {group for path in CONF.glob("*.yaml") for group in lists.findall(path.read_text())} == set(MULTI_SELECT)
