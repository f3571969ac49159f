"""What a benchmark found, as values that are written as JSON: seconds of every round, and what follows from them."""

from __future__ import annotations

from statistics import median
from typing import Literal

import msgspec

from mlserve_cli.contract import Value
from mlserve_cli.manifest import Environment

BENCH_FORMAT = 1
Kind = Literal["mlserve", "peer", "limit"]


class Measured(Value, frozen=True):
    """One contender on one model; `trouble` says why it is not compared, and then there may be no rounds.

    `seconds` are those of whole processes, one for each counted round; `inner_seconds` the same without start-up, as
    the process itself says. `difference` is the largest of any score from mlserve's. `stages_s` are of the first round.
    """

    name: str
    kind: Kind
    about: str
    seconds: tuple[float, ...] = ()
    inner_seconds: tuple[float, ...] = ()
    peak_memory_bytes: int = 0
    batch_rows: int | None = None
    predictor: str = ""
    difference: float | None = None
    stages_s: dict[str, float] = {}
    trouble: str = ""

    @property
    def median_s(self) -> float:
        """Of whole processes."""
        return median(self.seconds)

    @property
    def median_inner_s(self) -> float:
        """Without start-up."""
        return median(self.inner_seconds)

    @property
    def is_compared(self) -> bool:
        """Whether it did the work, and with the same scores."""
        return not self.trouble


class ModelResult(Value, frozen=True):
    """One model on the data. `ratios` has, for each contender that is compared, what its speed is to the others'.

    "script": how many times as fast as the script; "limit": the share of the back-to-back limit.
    """

    model: str
    digest: str
    family: str
    rows: int
    files: int
    columns: int
    contenders: tuple[Measured, ...]
    ratios: dict[str, dict[str, float]]

    def contender(self, name: str) -> Measured | None:
        """The one of that name, if it took part and is compared."""
        return next((one for one in self.contenders if one.name == name and one.is_compared), None)


class BenchResult(Value, frozen=True):
    """All models, and where it was measured."""

    format: int
    rounds: int
    cores: int
    polars: str
    environment: Environment
    models: tuple[ModelResult, ...]


def encoded(result: BenchResult) -> bytes:
    """As a file of JSON, with every round."""
    return msgspec.json.format(msgspec.json.encode(result)) + b"\n"


def ratios_of(contenders: tuple[Measured, ...]) -> dict[str, dict[str, float]]:
    """Ratios of the medians of whole processes."""
    compared = {one.name: one.median_s for one in contenders if one.is_compared}
    yardsticks = {"script": compared.get("script"), "limit": compared.get("back to back")}
    return {
        name: {to: round(other / seconds, 4) for to, other in yardsticks.items() if other is not None}
        for name, seconds in compared.items()
    }
