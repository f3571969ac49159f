"""The record of one finished task."""

from __future__ import annotations

from pathlib import Path

from mlserve_cli.contract import Sealed, Value, decode_sealed
from mlserve_cli.errors import shown
from mlserve_cli.profiles import Profile
from mlserve_cli.storage import FileRecord, translated

RECORD_FORMAT = 1
BUCKETS_PER_DOUBLING = 8


class Stages(Value, frozen=True):
    """Seconds of one thread in each stage."""

    read_s: float = 0.0
    features_s: float = 0.0
    inference_s: float = 0.0
    write_s: float = 0.0
    profile_s: float = 0.0

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


class PairedColumn(Value, frozen=True):
    """One score of the champion beside the challenger's over some rows: of challenger minus champion the sum, the sum
    of the absolute values and the largest of them.

    `sample` are evenly spread pairs, float64 (champion, challenger), little-endian, in base64.
    """

    values: int = 0
    total: float = 0.0
    absolute: float = 0.0
    largest: float = 0.0
    sample: str = ""


class RivalRecord(Value, frozen=True):
    """What a challenger made of one task: its part and the comparison, or the `error` that ended it, and nothing else.

    `rows` were scored by both, of the champion's others it failed on `rows_failed`. Of the `labelled` rows, which
    have a prediction of each, `agreed` have the same.
    """

    name: str
    error: str = ""
    part: FileRecord | None = None
    rows: int = 0
    rows_failed: int = 0
    labelled: int = 0
    agreed: int = 0
    columns: dict[str, PairedColumn] = {}
    inference_s: float = 0.0


class TaskRecord(Sealed, frozen=True):
    """That a task is complete, and all that the manifest will say of it. Its existence is the completion (law 5).

    `scored_rows` went through the model: all good ones, or one of those that have the same features. `arm_rows` are
    those that each model of a split scored, and the rows whose key is null. `profile` is that of the rows in the part,
    where the plan asks for one: in the record itself, so that a task that is complete has it.
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
    challengers: tuple[RivalRecord, ...] = ()
    arm_rows: tuple[int, ...] = ()
    rows_without_key: int = 0
    profile: Profile | None = None
    digest: str = ""


def read_record(path: Path) -> TaskRecord:
    """A task's record from its file; see decode_sealed for what it raises."""
    with translated(path, "read"):
        data = path.read_bytes()
    return decode_sealed(data, TaskRecord, where=shown(str(path), limit=400))
