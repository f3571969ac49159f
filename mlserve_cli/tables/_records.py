"""A CSV cut into pieces of whole records, strictly and in bounded memory, without a loop over rows.

`whole_records` fills a buffer, finds the last record that ends in it outside quotes, hands out what stands before and
carries the rest. All it needs are a few passes of numpy or memchr over bytes that are in the cache: without quotes it
is newline counting. Whatever two readers could understand differently is refused here, with its line: a quote that
opens within a field, text after a closing quote, a quote still open at the end, NUL, bytes that are not of the
encoding, fields over the limit.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from mlserve_cli.errors import CorruptFile, shown
from mlserve_cli.tables._quotes import Bytes, Mask, Quoting
from mlserve_cli.tables._source import BadEncoding, Source, encoding_kind
from mlserve_cli.tables._values import Dialect

PIECE_BYTES = 1 << 20  # measured: 1 and 2 MiB are best; below, calls cost more than passes, above, the cache is left
RECORD_BYTES = 1 << 25  # a record may be this long where its fields keep to their limit

LF, CR = 10, 13
BOM = b"\xef\xbb\xbf"


class Rules(msgspec.Struct, frozen=True):
    """What the cutting goes by. `line` is the physical line at the start, 0 where it is not known."""

    name: str
    delimiter: str
    dialect: Dialect
    line: int = 1
    piece_bytes: int = PIECE_BYTES

    @property
    def may_be_marked(self) -> bool:
        """Whether a byte order mark at the start of the stream is one, not text."""
        return self.line == 1 and encoding_kind(self.dialect.encoding) != "single"

    def fail(self, what: str, *, line: int, hint: str) -> CorruptFile:
        """The error for something on `line`."""
        place = f", line {line}" if self.line else ""
        return CorruptFile(what, shown(self.name, limit=400) + place, hint)


class Piece(msgspec.Struct, frozen=True):
    """Whole records in the file's own encoding (uint8, shape [n]); valid until the next piece is asked for.

    `ends` (bool, [n]) marks the bytes that end a line outside quotes; CR LF are two of them. `start` is the offset of
    the first byte in the stream, `line` its physical line.
    """

    data: Bytes
    ends: Mask
    start: int
    line: int
    quoted: bool

    def rows(self, *, one_column: bool) -> int:
        """Records in here; a blank line is one only where the file has a single column."""
        if not len(self.data):
            return 0
        ends = int(np.count_nonzero(self.ends))
        unfinished = int(not self.ends[-1])
        if one_column:
            return ends - self._pairs() + unfinished
        adjacent = int(np.count_nonzero(self.ends[1:] & self.ends[:-1]))
        return ends - adjacent - int(self.ends[0]) + unfinished

    def first_record(self) -> tuple[int, int, int]:
        """Where the first record that is not blank starts, where it stops, and where the next line begins."""
        size = len(self.data)
        start = int(np.argmin(self.ends)) if size and not self.ends.all() else size
        stop = start + int(np.argmax(self.ends[start:])) if self.ends[start:].any() else size
        after = stop + (2 if self.data[stop : stop + 2].tobytes() == b"\r\n" else 1)
        return start, stop, min(after, size)

    def after(self, offset: int) -> Piece:
        """What follows the first `offset` bytes."""
        return Piece(
            self.data[offset:],
            self.ends[offset:],
            self.start + offset,
            self.line + _lines_in(self.data[:offset]),
            self.quoted,
        )

    def _pairs(self) -> int:
        """How many CR LF pairs end a line."""
        returns = (self.data[:-1] == CR) & self.ends[:-1]
        return int(np.count_nonzero(returns & (self.data[1:] == LF))) if returns.any() else 0


def whole_records(source: Source, rules: Rules) -> Iterator[Piece]:
    """Pieces of `source` that end with a record; a last record need not have a line end."""
    buffer, held, line = bytearray(rules.piece_bytes), 0, rules.line
    start, at_end = 0, False
    while not at_end:
        size, at_end = _filled(source, buffer, held, rules=rules, line=line)
        if start == 0 and buffer.startswith(BOM, 0, size) and rules.may_be_marked:
            buffer, size, start = buffer[len(BOM) :] + bytes(len(BOM)), size - len(BOM), len(BOM)
        data = np.frombuffer(buffer, np.uint8, count=size)
        ends, quoting = _line_ends(buffer, data, rules)
        if quoting:
            _check_quotes(data, quoting, rules=rules, line=line, at_end=at_end)
        _check_bytes(buffer, data, rules=rules, line=line)
        _check_lengths(data, ends, quoting, rules=rules, line=line)
        cut = size if at_end else _last_end(data, ends)
        if cut:
            _check_encoding(data[:cut], rules=rules, line=line)
            yield Piece(data[:cut], ends[:cut], start, line, quoting is not None)
            line += _lines_in(data[:cut])
            start += cut
        buffer, held = _carried(buffer, cut, size)


def _filled(source: Source, buffer: bytearray, held: int, *, rules: Rules, line: int) -> tuple[int, bool]:
    """How far the buffer is filled now, and whether the source is at its end."""
    view = memoryview(buffer)
    while held < len(buffer):
        try:
            count = source.readinto(view[held:])
        except BadEncoding as error:
            data = np.frombuffer(buffer, np.uint8, count=held)
            raise _not_of_encoding(rules, line + _lines_in(data), str(error)) from error
        if count == 0:
            return held, True
        held += count
    return held, False


def _carried(buffer: bytearray, cut: int, size: int) -> tuple[bytearray, int]:
    """The bytes behind the cut at the front of the buffer, which doubles where one record fills it."""
    held = size - cut
    if cut == 0 and size:
        return buffer + bytearray(len(buffer)), held
    buffer[:held] = buffer[cut:size]
    return buffer, held


def _line_ends(buffer: bytearray, data: Bytes, rules: Rules) -> tuple[Mask, Quoting | None]:
    """Which bytes end a line outside quotes, and how the quotes stand where there are any."""
    size = len(data)
    ends: Mask = data == LF
    if buffer.find(b"\r", 0, size) >= 0:
        ends |= data == CR
    quote = rules.dialect.quote
    if not quote or buffer.find(quote.encode(), 0, size) < 0:
        return ends, None
    quoting = Quoting.of(data, quote)
    return quoting.outside(ends), quoting


def _last_end(data: Bytes, ends: Mask) -> int:
    """Where the last finished record stops; a CR in the last byte may be half of a CR LF and waits."""
    size = len(ends) - int(len(ends) > 0 and data[-1] == CR)
    for stop in range(size, 0, -PIECE_BYTES // 16):
        start = max(stop - PIECE_BYTES // 16, 0)
        if (found := np.flatnonzero(ends[start:stop])).size:
            return start + int(found[-1]) + 1
    return 0


def _check_quotes(data: Bytes, quoting: Quoting, *, rules: Rules, line: int, at_end: bool) -> None:
    hint = "double it inside a quoted field, or read quotes as they are with --quote ''"
    if wrong := quoting.misplaced(data, neighbours=b"\n\r" + rules.delimiter.encode()):
        at, what = wrong
        raise rules.fail(what, line=line + _lines_in(data[:at]), hint=hint)
    if at_end and quoting.is_open:
        what = "a quote that opens here is still open at the end of the file"
        raise rules.fail(what, line=line + _lines_in(data[: quoting.opened_at()]), hint=hint)


def _check_bytes(buffer: bytearray, data: Bytes, *, rules: Rules, line: int) -> None:
    at = buffer.find(0, 0, len(data))
    if at >= 0:
        wide = data[:2].tobytes() in (b"\xff\xfe", b"\xfe\xff") or data[1::2][:8].tobytes() == bytes(8)
        hint = "it looks like UTF-16: --encoding utf-16" if wide else "is it text? other encodings by --encoding"
        raise rules.fail("there is a NUL byte", line=line + _lines_in(data[:at]), hint=hint)


def _check_lengths(data: Bytes, ends: Mask, quoting: Quoting | None, *, rules: Rules, line: int) -> None:
    """No field over the limit, no record that outgrows memory. A field can only be too long where its record is."""
    limit = rules.dialect.max_field_bytes
    if len(data) <= limit or (record := _longest_gap(ends))[0] <= limit:
        return
    parts: Mask = data == ord(rules.delimiter)
    if quoting:
        parts = quoting.outside(parts)
    field = _longest_gap(parts | ends)
    if field[0] > limit:
        what = f"a field is longer than {limit} bytes"
        hint = "a quote left open? --quote '' reads quotes as they are; --max-field-bytes raises the limit"
        raise rules.fail(what, line=line + _lines_in(data[: field[1]]), hint=hint)
    longest = max(RECORD_BYTES, 2 * limit)
    if record[0] > longest:
        what = f"a record is longer than {longest} bytes"
        raise rules.fail(what, line=line + _lines_in(data[: record[1]]), hint="is it CSV at all, with lines?")


def _longest_gap(marks: Mask) -> tuple[int, int]:
    """The most bytes between two marks, and where they begin. In slices: positions take eight times the marks."""
    longest, at, begin = 0, 0, 0
    for base in range(0, len(marks), PIECE_BYTES):
        stops = np.flatnonzero(marks[base : base + PIECE_BYTES]) + base
        if len(stops):
            lengths = np.diff(stops, prepend=begin - 1) - 1
            if (most := int(lengths.max())) > longest:
                longest, at = most, int(stops[int(lengths.argmax())]) - most
            begin = int(stops[-1]) + 1
    return max((longest, at), (len(marks) - begin, begin))


def _check_encoding(data: Bytes, *, rules: Rules, line: int) -> None:
    """UTF-8 is proved here; one-byte encodings prove themselves when they are made UTF-8; the rest is UTF-8 by now."""
    if int(data.max()) < 128:
        return
    encoding = rules.dialect.encoding
    try:
        str(data.data, "utf-8" if encoding_kind(encoding) != "single" else encoding)
    except UnicodeDecodeError as error:
        raise _not_of_encoding(rules, line + _lines_in(data[: error.start]), error.reason) from error


def _not_of_encoding(rules: Rules, line: int, reason: str) -> CorruptFile:
    encoding = rules.dialect.encoding
    hint = "name the right one with --encoding" + (", such as latin-1 or cp1252" if encoding.startswith("utf") else "")
    return rules.fail(f"a byte is not {shown(encoding)} ({reason})", line=line, hint=hint)


def _lines_in(data: Bytes) -> int:
    """Physical line ends in `data`, those inside quotes too."""
    returns = np.flatnonzero(data == CR)
    lone = (
        len(returns) - int(np.count_nonzero(data[np.minimum(returns + 1, len(data) - 1)] == LF)) if len(returns) else 0
    )
    return int(np.count_nonzero(data == LF)) + lone
