"""What the system says becomes an exit code that a scheduler can act on."""

from __future__ import annotations

import errno
import os
import pickle

import pytest

from mlserve_cli.errors import Forbidden, IOFailed, MlserveError, OutputError, OutputExists
from mlserve_cli.storage import translated


@pytest.mark.parametrize(
    ("number", "wanted", "exit_code"),
    [
        (errno.ENOSPC, IOFailed, 74),
        (errno.EDQUOT, IOFailed, 74),
        (errno.EIO, IOFailed, 74),
        (errno.EFBIG, IOFailed, 74),
        (errno.EROFS, OutputError, 73),
        (errno.ENOENT, OutputError, 73),
        (errno.ENOTDIR, OutputError, 73),
        (errno.ENAMETOOLONG, OutputError, 73),
        (errno.ELOOP, OutputError, 73),
        (errno.EEXIST, OutputExists, 73),
        (errno.ENOTEMPTY, OutputExists, 73),
        (errno.EACCES, Forbidden, 77),
        (errno.EPERM, Forbidden, 77),
    ],
    ids=lambda value: errno.errorcode.get(value, str(value)) if isinstance(value, int) else value.__name__,
)
def test_each_error_of_the_system_has_its_class(number: int, wanted: type[MlserveError], exit_code: int) -> None:
    with pytest.raises(MlserveError) as caught, translated("out/part", "write"):
        raise OSError(number, os.strerror(number))

    assert type(caught.value) is wanted
    assert caught.value.exit_code == exit_code
    assert caught.value.what == f"cannot write: {os.strerror(number)}"
    assert caught.value.where == "out/part"
    assert caught.value.hint
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_what_is_not_of_the_system_passes() -> None:
    with pytest.raises(ValueError, match="mine"), translated("out", "write"):
        raise ValueError("mine")
