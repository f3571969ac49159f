"""The bytes of a text file as a stream of bounded memory: a range of it, decompressed, in an encoding that keeps ASCII.

`open_source` stacks what is needed: the raw file (hashed as it passes), a decompressor, a transcoder. Everything in
the stack has `readinto` and nothing else is asked of it.
"""

from __future__ import annotations

import codecs
import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import pyarrow as pa

from mlserve_cli.tables._values import Compression

READ_BYTES = 1 << 20


class Hash(Protocol):
    """What of hashlib's objects is used here."""

    def update(self, data: memoryview, /) -> None: ...


class Source(Protocol):
    """Bytes in order; 0 is the end."""

    def readinto(self, buffer: memoryview, /) -> int: ...


@contextmanager
def open_source(
    path: str,
    *,
    compression: Compression = "none",
    encoding: str = "utf-8",
    digest: Hash | None = None,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Source]:
    """The text of bytes [start, stop) of the file at `path`; with `digest`, all raw bytes have passed it at the end."""
    with open(path, "rb", buffering=0) as file:
        raw = _Raw(file, digest=digest, start=start, stop=stop)
        unpacked: Source = raw if compression == "none" else _Unpacked(raw, compression)
        yield unpacked if encoding_kind(encoding) != "stream" else _Transcoded(unpacked, encoding)
        if digest is not None:
            raw.drain()


def encoding_kind(encoding: str) -> Literal["utf-8", "single", "stream"]:
    """How a text in `encoding` is cut: as it is, as it is and made UTF-8 afterwards, or made UTF-8 beforehand.

    "single" are the encodings of one byte per character that agree with ASCII: there the bytes of a delimiter, a quote
    and a line end mean nothing else, so such a file can be cut into blocks like UTF-8.
    """
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        return "utf-8"
    every = bytes(range(256)).decode(encoding, errors="replace")
    return "single" if len(every) == 256 and every[:128] == bytes(range(128)).decode("ascii") else "stream"


def can_be_entered(compression: Compression, encoding: str) -> bool:
    """Whether reading may begin at any record, not only at the first."""
    return compression == "none" and encoding_kind(encoding) != "stream"


class HashedAside:
    """sha256 on a thread of its own, so that a large file is hashed and cut at the same time."""

    def __init__(self, pool: Executor) -> None:
        self._pool, self._digest = pool, hashlib.sha256()
        self._running: Future[None] | None = None

    def update(self, data: memoryview, /) -> None:
        """Takes a copy: the buffer is filled anew while the thread still reads."""
        copy = bytes(data)
        self._wait()
        self._running = self._pool.submit(self._digest.update, copy)

    def hexdigest(self) -> str:
        """The digest of all that has passed."""
        self._wait()
        return self._digest.hexdigest()

    def _wait(self) -> None:
        if self._running is not None:
            self._running.result()


class BadEncoding(ValueError):
    """Bytes that are no text in the encoding; everything before them was delivered."""


class _Raw(io.RawIOBase):
    """A range of a file, hashed as it is read."""

    def __init__(self, file: io.FileIO, *, digest: Hash | None, start: int, stop: int | None) -> None:
        self._file, self._digest = file, digest
        self._left = None if stop is None else stop - start
        file.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        if self._left is not None:
            view = view[: self._left]
        count = self._file.readinto(view) or 0
        if self._left is not None:
            self._left -= count
        if self._digest is not None:
            self._digest.update(view[:count])
        return count

    def drain(self) -> None:
        """Reads the rest, for the digest's sake."""
        rest = memoryview(bytearray(READ_BYTES))
        while self.readinto(rest):
            pass


class _Unpacked:
    """Decompressed by pyarrow, which takes several members in a row and finds a truncated one."""

    def __init__(self, raw: io.RawIOBase, compression: Compression) -> None:
        self._stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), compression)

    def readinto(self, buffer: memoryview, /) -> int:
        return int(self._stream.readinto(buffer))


class _Transcoded:
    """Made UTF-8 on the way."""

    def __init__(self, source: Source, encoding: str) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._raw = memoryview(bytearray(READ_BYTES))
        self._ready = memoryview(b"")
        self._failure: BadEncoding | None = None
        self._at_end = False

    def readinto(self, buffer: memoryview, /) -> int:
        while not self._ready and not self._at_end:
            if self._failure is not None:
                raise self._failure
            self._advance()
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _advance(self) -> None:
        count = self._source.readinto(self._raw)
        self._at_end = count == 0
        try:
            text = self._decoder.decode(self._raw[:count], final=self._at_end)
        except UnicodeDecodeError as error:
            self._failure, self._at_end = BadEncoding(error.reason), False
            text = error.object[: error.start].decode(error.encoding, errors="ignore")
        self._ready = memoryview(text.encode("utf-8", errors="surrogatepass"))
