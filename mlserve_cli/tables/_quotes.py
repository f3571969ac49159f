"""Which bytes of a text stand in quotes, and whether the quotes stand where they may: 64 bytes at a time.

One bit per byte, packed in words. Before a byte stands an odd number of quotes if the XOR of all bits up to it is one:
within a word that takes six shifts, across words one pass over a 64th of the text. Measured on fully quoted text: twice
as fast as positions of quotes and searches among them, and no slower where quotes are dense.
"""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Words = NDArray[np.uint64]

ONE, LAST = np.uint64(1), np.uint64(63)


class Quoting(msgspec.Struct, frozen=True):
    """The quotes of a text, and what is `inside`: from each opening one up to the closing one.

    Bit i of word j is byte 64 j + i; both arrays have shape [ceil(size / 64)].
    """

    quotes: Words
    inside: Words
    size: int

    @classmethod
    def of(cls, data: Bytes, quote: str) -> Self:
        """`data` (uint8, shape [n]) starts outside quotes."""
        quotes = _packed(data == ord(quote))
        inside = quotes.copy()
        for shift in (1, 2, 4, 8, 16, 32):
            inside ^= inside << np.uint64(shift)
        odd = np.bitwise_xor.accumulate(inside >> LAST)
        inside[1:] ^= odd[:-1] * np.uint64(0xFFFF_FFFF_FFFF_FFFF)
        return cls(quotes, inside, len(data))

    @property
    def is_open(self) -> bool:
        """Whether the text ends inside quotes."""
        return bool(self.size) and bool(self.inside[-1] >> LAST)  # the bits behind the end repeat the last byte's

    def outside(self, marks: Mask) -> Mask:
        """Those of the marks (bool, [n]) that do not stand in quotes."""
        return _unpacked(_packed(marks) & ~self.inside, self.size)

    def misplaced(self, data: Bytes, *, neighbours: bytes) -> tuple[int, str] | None:
        """The first quote that opens or closes in the middle of a field, and what is wrong with it.

        A quote opens after one of the `neighbours` or as the second of a doubled one, and closes before one of them or
        as the first. Both rules look at one byte beside it. Only the first offence is real: behind it inside and
        outside are exchanged.
        """
        may_stand_beside = data == neighbours[0]
        for byte in neighbours[1:]:
            may_stand_beside |= data == byte
        beside = _packed(may_stand_beside) | self.quotes
        opening = self.quotes & self.inside & ~_shifted_up(beside)
        closing = self.quotes & ~self.inside & ~_shifted_down(beside, self.size)
        at = _first(opening | closing)
        if at is None:
            return None
        return at, "a quote stands inside a field" if _first(opening) == at else "text follows a closing quote"

    def opened_at(self) -> int:
        """Where the quote stands that is still open: the last that opens and is not half of a doubled one."""
        closing = self.quotes & ~self.inside
        doubled = _shifted_up(closing)
        doubled[:1] &= ~ONE
        return int(np.flatnonzero(_unpacked(self.quotes & self.inside & ~doubled, self.size))[-1])


def _packed(mask: Mask) -> Words:
    """A bit for each byte; the last word is filled up with zeros."""
    packed = np.zeros(-(-len(mask) // 64) * 8, np.uint8)
    packed[: -(-len(mask) // 8)] = np.packbits(mask, bitorder="little")
    return packed.view("<u8")


def _unpacked(words: Words, size: int) -> Mask:
    return np.unpackbits(words.view(np.uint8), count=size, bitorder="little").view(np.bool_)


def _shifted_up(words: Words) -> Words:
    """Each bit where the next byte is; nothing stands before the first byte, and that may be so."""
    shifted = words << ONE
    shifted[1:] |= words[:-1] >> LAST
    shifted[:1] |= ONE
    return shifted


def _shifted_down(words: Words, size: int) -> Words:
    """Each bit where the byte before is; what stands behind the last byte is not known yet, and may be right."""
    shifted = words >> ONE
    shifted[:-1] |= words[1:] << LAST
    if size:
        shifted[-1] |= ONE << np.uint64((size - 1) % 64)
    return shifted


def _first(words: Words) -> int | None:
    """The place of the first bit that is set."""
    found = np.flatnonzero(words)
    if not len(found):
        return None
    word = int(words[found[0]])
    return int(found[0]) * 64 + (word & -word).bit_length() - 1
