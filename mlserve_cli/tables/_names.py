"""File names are bytes: their form as text that JSON and UTF-8 columns can carry, and what their endings say.

Python keeps the bytes of a name that are not UTF-8 as lone surrogates, which neither JSON nor Arrow takes. Here such a
byte stands as one of 128 private characters (U+EF80 to U+EFFF), and so does each byte of a name that really holds one
of those: the mapping goes both ways without loss, and an ordinary name stays as it is.
"""

from __future__ import annotations

import os
import re

_PRIVATE = 0xEF00
_TO_TEXT = {0xDC00 + byte: chr(_PRIVATE + byte) for byte in range(0x80, 0x100)}
_FROM_TEXT = {_PRIVATE + byte: chr(0xDC00 + byte) for byte in range(0x80, 0x100)}
_TAKEN = re.compile(r"[\uef80-\uefff]")

COMPRESSED_ENDINGS = (".gz", ".zst")


def text_of(path: str) -> str:
    """A path or a part of one as text without surrogates."""
    return _TAKEN.sub(lambda found: _as_bytes(found.group()), path).translate(_TO_TEXT)


def os_path(text: str) -> str:
    """The path that `text_of` was given."""
    return os.fsdecode(os.fsencode(text.translate(_FROM_TEXT)))


def ending_of(name: str) -> str:
    """The ending that tells the format, lower case and without a compression's: ".csv" for "A.CSV.gz"."""
    stem = name.lower()
    for ending in COMPRESSED_ENDINGS:
        stem = stem.removesuffix(ending)
    return os.path.splitext("x" + os.path.basename(stem))[1]


def _as_bytes(character: str) -> str:
    return "".join(chr(0xDC00 + byte) for byte in character.encode())
