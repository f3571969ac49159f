"""The record of one finished task, and the seal that records and manifests carry: the digest of their own content.

A sealed file has one byte-exact form. Whoever reads it encodes it again and compares, so that any flipped bit is found:
either the content's digest differs, or the bytes differ from their canonical form.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec

from mlserve_cli.contract import Value
from mlserve_cli.errors import InvalidConfig, RunMismatch, UsageError, shown
from mlserve_cli.storage import FileRecord, translated

RECORD_FORMAT = 1
BUCKETS_PER_DOUBLING = 8


class Stages(Value, frozen=True):
    """Seconds of one thread in each stage."""

    read_s: float = 0.0
    features_s: float = 0.0
    inference_s: float = 0.0
    write_s: float = 0.0

    def __add__(self, other: Stages) -> Stages:
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__struct_fields__)
        return Stages(*(mine + theirs for mine, theirs in pairs))


class Latencies(Value, frozen=True):
    """Batch latencies as a histogram over powers of two, eight buckets to a doubling: mergeable, exact to 5 %."""

    counts: dict[str, int] = {}

    def __add__(self, other: Latencies) -> Latencies:
        keys = self.counts.keys() | other.counts.keys()
        return Latencies({key: self.counts.get(key, 0) + other.counts.get(key, 0) for key in sorted(keys, key=int)})

    def quantile_s(self, share: float) -> float:
        """The latency in seconds that `share` (0 to 1) of the batches did not exceed; 0 where there was no batch."""
        left = share * sum(self.counts.values())
        for bucket in sorted(self.counts, key=int):
            left -= self.counts[bucket]
            if left <= 0:
                return float(2.0 ** ((int(bucket) + 0.5) / BUCKETS_PER_DOUBLING)) / 1e6
        return 0.0


class Sealed(Value, frozen=True):
    """A value whose file says its format and, as `digest`, the sha256 of its own content."""

    known_format: ClassVar[int]
    format: int


class TaskRecord(Sealed, frozen=True):
    """That a task is complete, and all that the manifest will say of it. Its existence is the completion (law 5).

    `scored_rows` went through the model: all good ones, or one of those that have the same features.
    """

    known_format = RECORD_FORMAT
    plan_id: str
    task: int
    rows_in: int
    rows_out: int
    rows_quarantined: int
    part: FileRecord
    quarantine: FileRecord | None
    reasons: dict[str, int]
    coerced: dict[str, int]
    stages: Stages
    latencies: Latencies
    worker: int
    started_at_s: float
    seconds: float
    peak_memory_bytes: int
    reused: bool = False
    scored_rows: int = 0
    digest: str = ""


S = TypeVar("S", bound=Sealed)


def encode_sealed(value: Sealed) -> bytes:
    """Pretty JSON, UTF-8, with `digest` set to the sha256 of the same form without it."""
    blank = msgspec.structs.replace(value, digest="")
    sealed = msgspec.structs.replace(value, digest=f"sha256:{hashlib.sha256(_pretty(blank)).hexdigest()}")
    return _pretty(sealed)


def decode_sealed(data: bytes, kind: type[S], *, where: str) -> S:
    """The value, proved to be what was written.

    Raises InvalidConfig (78) for another format, RunMismatch (65) where the seal does not hold.
    """
    try:
        value = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, UsageError) as error:  # a dialect checks itself, as a user's would
        _refuse_other_format(_format_of(data, kind), kind, where=where)
        raise RunMismatch(
            f"not readable as what it should be: {error}", where, "the file was changed or cut"
        ) from error
    if encode_sealed(value) != data:
        raise RunMismatch(
            "the content does not match its own digest", where, "the file was changed after it was written"
        )
    _refuse_other_format(value.format, kind, where=where)
    return value


def read_record(path: Path) -> TaskRecord:
    """A task's record from its file; see decode_sealed for what it raises."""
    with translated(path, "read"):
        data = path.read_bytes()
    return decode_sealed(data, TaskRecord, where=shown(str(path), limit=400))


def _format_of(data: bytes, kind: type[Sealed]) -> int:
    """The format that unreadable data claims; where it claims none, it is no other format but damage."""
    try:
        found = msgspec.json.decode(data, type=dict[str, object]).get("format")
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    return found if isinstance(found, int) else kind.known_format


def _refuse_other_format(found: int, kind: type[Sealed], *, where: str) -> None:
    """A file of another format is no damage: say so instead."""
    if found != kind.known_format:
        raise InvalidConfig(
            f"format {found} of {kind.__name__} is not known, this mlserve reads {kind.known_format}",
            where,
            "upgrade mlserve" if found > kind.known_format else "read it with the version that wrote it",
        )


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"
