"""The lines of an audit log: one when a run begins, one when it has ended, each sealed and naming the one before it."""

from __future__ import annotations

import hashlib

import msgspec

from mlserve_cli.contract import Value, encode_canonical
from mlserve_cli.errors import InvalidConfig

AUDIT_FORMAT = 1


class Entry(Value, frozen=True, tag_field="event"):
    """What every line says. `previous` is the digest of the line before, "" in the first of all.

    `torn` is the sha256 of what stands between the two: an append that was cut off, "" where there is nothing. `run`
    is this attempt's own name, the same in both of its lines. `digest` is the sha256 of the line without it.
    """

    format: int
    sequence: int
    previous: str
    torn: str
    when: str
    run: str
    user: str
    host: str
    digest: str


class Started(Entry, frozen=True, tag="started"):
    """A run is about to begin. `model` is as it was asked for, `inputs` and `output` as they were given in `directory`;
    `job` is what the run is one of, the same every night."""

    pid: int
    mlserve: str
    job: str
    model: str
    inputs: list[str]
    output: str
    directory: str
    command: list[str]


class Model(Value, frozen=True):
    """What made the scores."""

    name: str
    version: str
    digest: str
    alias: str


class Ended(Entry, frozen=True, tag="ended"):
    """A run has ended. Where it did before there was a plan, `model` is null and the counts are 0.

    `others` are the challengers that scored beside the model, and the models that a split shared the rows among.
    `plan` is the run's id, `inputs_digest` the sha256 over the plan's inputs (names, sizes, fingerprints), `manifest`
    the digest that the committed manifest carries, "" where nothing was committed. `error` is the class of what ended
    it, without the message: that may hold a value of somebody's data.
    """

    model: Model | None
    others: list[Model]
    plan: str
    inputs_digest: str
    files: int
    rows_in: int
    rows_out: int
    rows_quarantined: int
    seconds: float
    status: str
    exit_code: int
    error: str
    manifest: str


class BrokenLine(Exception):
    """A line that is JSON and does not hold: `args` say why."""


def encode_line(entry: Started | Ended) -> bytes:
    """The line, without its end: canonical JSON, with `digest` set."""
    blank = encode_canonical(msgspec.structs.replace(entry, digest=""))
    return encode_canonical(msgspec.structs.replace(entry, digest=f"sha256:{hashlib.sha256(blank).hexdigest()}"))


def decode_line(line: bytes) -> Started | Ended | None:
    """The entry; None where the line is no JSON at all, as what is left of an append that was cut off.

    Raises BrokenLine where it does not hold, InvalidConfig (78) for a newer format.
    """
    try:
        loose = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    try:
        entry = msgspec.json.decode(line, type=Started | Ended)
    except msgspec.DecodeError as error:
        _refuse_newer(loose)
        raise BrokenLine(f"it is no entry of an audit log: {error}") from None
    if encode_line(entry) != line:
        _refuse_newer(loose)
        raise BrokenLine("it is not what its own digest says: the line was changed")
    return entry


def torn_digest(cut: bytes) -> str:
    """What the next entry says of an append that was cut off."""
    return f"sha256:{hashlib.sha256(cut).hexdigest()}" if cut else ""


def _refuse_newer(loose: object) -> None:
    found = loose.get("format") if isinstance(loose, dict) else None
    if isinstance(found, int) and found > AUDIT_FORMAT:
        raise InvalidConfig(f"format {found} of an audit log is not known", "", "upgrade mlserve")
