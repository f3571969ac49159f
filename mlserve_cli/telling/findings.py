"""What an audit finds odd: one value for every kind of it."""

from __future__ import annotations

from typing import Literal, get_args

from mlserve_cli.contract import Scalar, Value

Kind = Literal[
    "volume",
    "quarantine",
    "duration",
    "failures",
    "new-user",
    "new-host",
    "new-model",
    "new-version",
    "changed-model",
    "gap",
    "hour",
    "clock",
    "never-ended",
    "torn",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Finding(Value, frozen=True):
    """Something odd: `kind` says which, `what` in words, `figures` in numbers, `place` in which line of the log.

    `when` is the time of the run that it is about, `run` its name, `job` what it is one of; "" where it is about none.
    """

    kind: Kind
    when: str
    place: str
    job: str
    run: str
    what: str
    figures: dict[str, Scalar]
