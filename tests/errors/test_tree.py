"""The live tree of errors: as it is drawn, and fit to travel between processes."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest

from mlserve_cli import errors
from mlserve_cli.errors import Interrupted, MlserveError

EXAMPLES: dict[str, tuple[object, ...]] = {  # of classes that are made of facts
    "MissingColumn": ("flights.csv", "dep_hour", ("dep_hours", "carrier")),
    "DuplicateColumn": ("flights.csv", "hour"),
    "TypeMismatch": ("flights.parquet", "hour", "string", "float32"),
    "BadRow": ("flights.csv", 17, "dep_delay", "NA", "not a number"),
    "TooManyBadRows": (12, 10, 1000, "null in flights.csv"),
    "WorkersDied": ("flights.csv", 0, 100, 3, "killed by SIGKILL"),
    "TaskTimeout": ("flights.csv", 0, 100, 2.5),
    "ExtraMissing": ("lightgbm", "lightgbm"),
    "InputChanged": ("flights.csv", "its footer is another"),
}


def classes(of: type[MlserveError] = MlserveError) -> Iterator[type[MlserveError]]:
    yield of
    for child in of.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from classes(child)


EVERY = {one.__name__: one for one in classes()}


def made(name: str, *facts: Any) -> MlserveError:
    return EVERY[name](*facts)


def example(name: str) -> MlserveError:
    return made(name, *EXAMPLES.get(name, ("what", "where", "hint")))


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn: dict[str, tuple[str, int]] = {}
    above: list[tuple[int, str, int]] = [(-1, "Exception", 0)]
    for line in (inspect.getdoc(errors) or "").splitlines():
        match = re.match(r"([│├└─ ]*)([A-Z]\w+) +(\d+)?", line)
        if match is None or match[2] not in EVERY:
            continue
        depth = len(match[1])
        while above[-1][0] >= depth:
            above.pop()
        code = int(match[3]) if match[3] else above[-1][2]
        drawn[match[2]] = (above[-1][1], code)
        above.append((depth, match[2], code))

    assert drawn == {name: (one.__bases__[0].__name__, one.exit_code) for name, one in EVERY.items()}


def test_every_error_is_exported_by_name() -> None:
    assert set(EVERY) | {"Interrupted", "nearest", "shown"} == set(errors.__all__)


@pytest.mark.parametrize("name", EVERY)
def test_an_error_comes_through_a_pickle_as_itself(name: str) -> None:
    error = example(name)
    error.add_note("task 3")

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert (again.what, again.where, again.hint, again.exit_code) == (
        error.what,
        error.where,
        error.hint,
        error.exit_code,
    )
    assert again.__notes__ == ["task 3"]


@pytest.mark.parametrize("name", EVERY)
def test_an_error_always_says_what_to_do(name: str) -> None:
    assert example(name).hint
    if name not in EXAMPLES:
        assert made(name, "what").hint


def test_a_signal_is_no_exception_and_pickles() -> None:
    assert not issubclass(Interrupted, Exception)
    again = pickle.loads(pickle.dumps(Interrupted(15)))
    assert (type(again), again.exit_code) == (Interrupted, 143)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("flights.csv", "flights.csv"),
        ("two words", "two words"),
        (" edge", "' edge'"),
        ("", "''"),
        ("a\nb", "'a\\nb'"),
        ("\x1b[31m", "'\\x1b[31m'"),
        ("it's", "'it\\'s'"),
        ("\udcff", "'\\udcff'"),
        ("\u202egpj", "'\\u202egpj'"),
        ("x" * 100, "x" * 79 + "…"),
    ],
)
def test_values_are_shown_so_that_a_terminal_is_safe(value: str, text: str) -> None:
    assert errors.shown(value) == text


def test_the_nearest_name_is_found_whatever_its_case_and_spaces() -> None:
    assert errors.nearest("DepDelay", (" depdelay", "carrier")) == "did you mean ' depdelay'?"
    assert errors.nearest("dep_dely", ("dep_delay", "carrier")) == "did you mean dep_delay?"
    assert errors.nearest("xyz", ("dep_delay", "carrier")) == ""


@pytest.mark.parametrize("spelling", ["NA", "null", "?", "N/A", "\\N"])
def test_a_spelling_of_null_names_the_option_for_it(spelling: str) -> None:
    assert f"--null-value {errors.shown(spelling)}" in made("BadRow", "f", 1, "c", spelling, "not a number").hint


def test_a_null_names_the_option_for_it() -> None:
    assert "--nulls nan" in made("BadRow", "f", 1, "c", "", "null").hint


@pytest.mark.parametrize(("header", "option"), [("a;b;c", "';'"), ("a\tb", "tab"), ("a|b", "'|'"), ("a,b", ",")])
def test_a_header_that_is_one_column_names_the_delimiter(header: str, option: str) -> None:
    assert f"--delimiter {option}" in made("MissingColumn", "f.csv", "x", (header,)).hint
