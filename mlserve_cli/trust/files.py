"""Small files that are given by hand or by others: keys, policies, signatures."""

from __future__ import annotations

from mlserve_cli.errors import Forbidden, InputMissing, InvalidConfig, IOFailed, shown


def read_file(path: str, *, limit_bytes: int) -> bytes:
    """The file's bytes.

    Raises InputMissing (66) where there is none, Forbidden (77) where it may not be read, InvalidConfig (78) where it
    is larger than any such file.
    """
    where = shown(path, limit=400)
    try:
        with open(path, "rb") as file:
            data = file.read(limit_bytes + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputMissing("there is no such file", where) from error
    except PermissionError as error:
        raise Forbidden("the file may not be read", where) from error
    except IsADirectoryError as error:
        raise InvalidConfig("this is a folder, not a file", where) from error
    except (OSError, ValueError) as error:
        raise IOFailed(f"the file cannot be read: {error}", where) from error
    if len(data) > limit_bytes:
        raise InvalidConfig(f"the file is larger than {limit_bytes:,} bytes", where)
    return data
