"""Advice in messages names options as the face in use does."""

from __future__ import annotations

import copy
import pickle

import pytest

from tb2csv.errors import LogdirError, OptionError, OutputError, Tb2csvError
from tb2csv.messages import Message, Option, advice, command_line_spelling, python_spelling

REPLACE = advice("{} to replace it", Option("overwrite", value=True))
ONE_OF = advice("choose one value with {}", Option("on_duplicate", "first"))
SEE = advice("see {}", "restarts", "merge_subruns")


@pytest.mark.parametrize(
    ("part", "in_python", "on_the_command_line"),
    [
        (REPLACE, "overwrite=True to replace it", "--overwrite to replace it"),
        (ONE_OF, "choose one value with on_duplicate='first'", "choose one value with --on-duplicate first"),
        (SEE, "see restarts and merge_subruns", "see --restarts and --merge-subruns"),
        (advice("try {braces}"), "try {braces}", "try {braces}"),
    ],
)
def test_each_face_spells_options_in_its_own_way(part: object, in_python: str, on_the_command_line: str) -> None:
    message = Message("out {} is not empty", (advice("give another folder"), part))  # type: ignore[arg-type]
    assert str(message) == f"out {{}} is not empty; give another folder, or {in_python}"
    expected = f"out {{}} is not empty; give another folder, or {on_the_command_line}"
    assert message.spelled(command_line_spelling) == expected


def test_options_that_a_face_lacks_are_left_out() -> None:
    message = Message("it was restarted", (SEE, REPLACE))
    titles = {"restarts": "the choice Restarts"}
    assert message.spelled(lambda option: titles.get(option.name)) == "it was restarted; see the choice Restarts"
    assert message.spelled(lambda _: None) == "it was restarted"


@pytest.mark.parametrize("error_type", [Tb2csvError, LogdirError, OutputError, OptionError])
def test_an_error_is_one_sentence_and_survives_copies(error_type: type[Tb2csvError]) -> None:
    error = error_type("/out is not empty", advice("give another folder"), REPLACE)
    for each in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert str(each) == "/out is not empty; give another folder, or overwrite=True to replace it."
        expected = "/out is not empty; give another folder, or --overwrite to replace it."
        assert each.spelled(command_line_spelling) == expected
        assert each.spelled(lambda _: None) == "/out is not empty; give another folder."
    assert str(error_type("It is gone.")) == error_type("It is gone.").spelled(python_spelling) == "It is gone."
