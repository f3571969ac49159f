"""Which model scores a row: a keyed hash of the row's key, the same in any process, on any machine, in any order.

SipHash-2-4 (Aumasson and Bernstein, 2012) of the key's text, under a key made of the experiment's name. Nothing but the
text goes in, so an id is assigned alike as int32, as int64, as text and in a CSV, whatever stands beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlserve_cli.contract import compute as pc
from mlserve_cli.contract import text_array

Words = NDArray[np.uint64]
Arms = NDArray[np.int64]
WHOLE = 1 << 64
BLOCK_ROWS = 8_192  # the state of so many rows stays in the second-level cache
KEY_TYPES = "whole numbers, texts, booleans or dates"


def assign(keys: pa.Array, *, salt: str, percents: Sequence[float]) -> Arms:
    """Which arm each row belongs to (int64, shape [rows]), -1 where the key is null.

    The first arm takes what the others leave. The others lie side by side from 0 on, so that each row which a growing
    second arm had stays with it.
    """
    known = _with_one_text(keys)
    hashes = siphash(_as_binary(known), key=key_of(salt))
    arms = np.zeros(len(hashes), np.int64)
    for arm, (begin, end) in enumerate(_spans(percents), start=1):
        if begin < end:
            arms[(hashes >= np.uint64(begin)) & (hashes <= np.uint64(end - 1))] = arm
    if known.null_count:
        nulls = pc.indices_nonzero(known.is_null())  # to_numpy() imports pandas where that is installed
        arms[np.frombuffer(nulls.buffers()[1], np.uint64, len(nulls), nulls.offset * 8)] = -1
    return arms


def takes_key(kind: pa.DataType) -> bool:
    """Whether a column of this type may be a key: each value must have one text, whoever wrote it.

    A float may, as far as it holds whole numbers: that is what pandas makes of ids where one is missing.
    """
    if pa.types.is_dictionary(kind):
        return takes_key(kind.value_type)
    types = pa.types
    simple = (types.is_integer, types.is_boolean, types.is_date, types.is_floating, types.is_null, _is_text)
    return any(test(kind) for test in simple)


def key_of(salt: str) -> tuple[int, int]:
    """SipHash's key, two words of 64 bits: of sha256 of the experiment's name the first half."""
    digest = hashlib.sha256(salt.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def siphash(texts: pa.Array, *, key: tuple[int, int]) -> Words:
    """SipHash-2-4 of each of `texts` (large binary, no nulls): uint64, shape [rows].

    About 60 ns a row for keys of up to 15 bytes; all rows of a block go through a word together, longest last.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int64, len(texts) + 1, texts.offset * 8)
    words = _overlapping_words(texts.buffers()[2])
    found = np.empty(len(texts), np.uint64)
    for start in range(0, len(texts), BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, len(texts))
        found[start:stop] = _hash_block(words, offsets[start : stop + 1], key)
    return found


def _spans(percents: Sequence[float]) -> list[tuple[int, int]]:
    """Of all arms but the first the hashes from which on and up to which (exclusive) they are theirs."""
    reached, spans = Fraction(0), []
    for percent in percents[1:]:
        begin, reached = reached, reached + Fraction(repr(float(percent))) / 100
        spans.append((int(begin * WHOLE), int(reached * WHOLE)))
    return spans


def _with_one_text(keys: pa.Array) -> pa.Array:
    """The keys in a type whose values have one text each; NaN is null.

    Raises ArrowInvalid where a float is no whole number.
    """
    if pa.types.is_dictionary(keys.type):
        keys = keys.dictionary_decode()
    if pa.types.is_floating(keys.type):
        keys = pc.if_else(pc.is_nan(keys), pa.nulls(1, keys.type)[0], keys).cast(pa.int64())
    return keys.cast(pa.date32()) if pa.types.is_date64(keys.type) else keys


def _as_binary(keys: pa.Array) -> pa.Array:
    """Each key's text as large binary; nothing of a null."""
    texts = keys if _is_text(keys.type) else keys.cast(pa.string())
    return pc.fill_null(texts.cast(pa.large_binary()), text_array([""])[0].cast(pa.large_binary()))


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    binaries = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return any(test(kind) for test in (*texts, *binaries))


def _overlapping_words(data: pa.Buffer | None) -> Words:
    """The 8 bytes from each byte on as a little-endian word; past the end stand zeros."""
    size = 0 if data is None else data.size
    padded = np.zeros(size + 8, np.uint8)
    if data is not None:
        padded[:size] = np.frombuffer(data, np.uint8)
    return np.ndarray((size + 1,), np.dtype("<u8"), padded.data, strides=(1,))


def _hash_block(words: Words, offsets: NDArray[np.int64], key: tuple[int, int]) -> Words:
    """The rows of a block, ordered by their numbers of whole words, so that those still on their way are a tail."""
    lengths = np.diff(offsets)
    order = np.argsort(lengths >> 3, kind="stable")
    begins, lengths = offsets[:-1][order], lengths[order]
    whole = lengths >> 3
    state = _State(len(order), key)
    for place in range(int(whole.max(initial=0))):
        first = int(np.searchsorted(whole, place, side="right"))
        state.take(words[begins[first:] + 8 * place], first)
    rest = (lengths & 7).astype(np.uint64)
    last = words[begins + 8 * whole] & ((np.uint64(1) << (rest << np.uint64(3))) - np.uint64(1))
    state.take(last | (lengths.astype(np.uint64) << np.uint64(56)), 0)
    found = np.empty(len(order), np.uint64)
    found[order] = state.finished()
    return found


class _State:
    """SipHash's four words of each row of a block."""

    def __init__(self, rows: int, key: tuple[int, int]) -> None:
        k0, k1 = key
        start = (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)
        self._v = np.empty((4, rows), np.uint64)
        self._v[:] = np.array(start, np.uint64)[:, None]
        self._spare = np.empty(rows, np.uint64)

    def take(self, message: Words, first: int) -> None:
        """One word into each row from `first` on."""
        self._v[3, first:] ^= message
        self._round(first)
        self._round(first)
        self._v[0, first:] ^= message

    def finished(self) -> Words:
        """The hash of each row."""
        self._v[2] ^= np.uint64(0xFF)
        for _ in range(4):
            self._round(0)
        found: Words = np.bitwise_xor.reduce(self._v, axis=0)
        return found

    def _round(self, first: int) -> None:
        v0, v1, v2, v3 = (word[first:] for word in self._v)
        spare = self._spare[first:]
        _mix(v0, v1, 13, spare)
        _turn(v0, 32, spare)
        _mix(v2, v3, 16, spare)
        _mix(v0, v3, 21, spare)
        _mix(v2, v1, 17, spare)
        _turn(v2, 32, spare)


def _mix(left: Words, right: Words, by: int, spare: Words) -> None:
    np.add(left, right, out=left)
    _turn(right, by, spare)
    np.bitwise_xor(right, left, out=right)


def _turn(word: Words, by: int, spare: Words) -> None:
    """Rotate left."""
    np.right_shift(word, np.uint64(64 - by), out=spare)
    np.left_shift(word, np.uint64(by), out=word)
    np.bitwise_or(word, spare, out=word)
