r"""File names are bytes: their form as text that JSON and UTF-8 columns can carry, and what their endings say.

Python keeps the bytes of a name that are not UTF-8 as lone surrogates, which neither JSON nor Arrow takes. Here such a
byte stands as \xNN, and a backslash that would look like the start of one as \x5c: the mapping goes both ways without
loss, and an ordinary name stays as it is.
"""

from __future__ import annotations

import os
import re

COMPRESSED_ENDINGS = (".gz", ".zst")

_ODD = re.compile(r"[\udc80-\udcff]|\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def text_of(path: str) -> str:
    """A path or a part of one as text without surrogates."""
    return _ODD.sub(lambda found: f"\\x{os.fsencode(found.group())[0]:02x}", path)


def os_path(text: str) -> str:
    """The path that `text_of` was given."""
    return _ESCAPED.sub(lambda found: os.fsdecode(bytes([int(found.group(1), 16)])), text)


def ending_of(name: str) -> str:
    """The ending that tells the format, lower case and without a compression's: ".csv" for "A.CSV.gz"."""
    stem = os.path.basename(name).lower()
    for ending in COMPRESSED_ENDINGS:
        stem = stem.removesuffix(ending)
    return os.path.splitext(f"x{stem}")[1]  # the x: a file that is called ".csv" has that ending
