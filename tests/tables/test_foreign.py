"""Exceptions of pyarrow and of the system become errors of our tree: each one is listed, none gets through."""

from __future__ import annotations

import errno
import inspect
import pickle

import pyarrow as pa
import pytest

from mlserve_cli.errors import CorruptFile, Forbidden, InputMissing, IOFailed, MlserveError, UnsafeInput
from mlserve_cli.tables._foreign import FOREIGN, translated

ARROW = sorted(
    (kind for _, kind in inspect.getmembers(pa.lib, inspect.isclass) if issubclass(kind, pa.ArrowException)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", ARROW, ids=lambda kind: kind.__name__)
def test_every_exception_class_of_pyarrow_is_translated(kind: type[Exception]) -> None:
    with pytest.raises(MlserveError) as refused, translated("x.parquet"):
        raise kind("some\ndetail")
    assert isinstance(refused.value, CorruptFile)
    assert refused.value.where == "x.parquet"
    assert isinstance(refused.value.__cause__, kind)
    assert type(pickle.loads(pickle.dumps(refused.value))) is CorruptFile


@pytest.mark.parametrize("kind", [OSError, ValueError, KeyError, UnicodeError, MemoryError, OverflowError])
def test_python_exceptions_that_damaged_files_cause_are_translated(kind: type[Exception]) -> None:
    assert any(issubclass(kind, foreign) for foreign in FOREIGN)
    with pytest.raises(CorruptFile), translated("x"):
        raise kind("detail")


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOENT, InputMissing),
        (errno.ENOTDIR, InputMissing),
        (errno.ENAMETOOLONG, InputMissing),
        (errno.ESTALE, InputMissing),
        (errno.EACCES, Forbidden),
        (errno.EPERM, Forbidden),
        (errno.ELOOP, UnsafeInput),
        (errno.EIO, IOFailed),
        (errno.EMFILE, IOFailed),
        (errno.ENOMEM, IOFailed),
    ],
)
def test_errors_of_the_system_are_told_apart_by_their_number(number: int, error: type[MlserveError]) -> None:
    with pytest.raises(error), translated("x"):
        raise OSError(number, "detail")


def test_errors_of_our_own_and_bugs_pass_as_they_are() -> None:
    for passing in (CorruptFile("what"), TypeError("a bug"), AttributeError("a bug"), AssertionError()):
        with pytest.raises(type(passing)) as same, translated("x"):
            raise passing
        assert same.value is passing
