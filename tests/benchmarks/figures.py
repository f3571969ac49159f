"""All figures of one measuring run, as they are kept in docs/: what the goals and the results page are made from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mlserve_cli.benchmark import BenchResult
from mlserve_cli.contract import Value

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FIGURES, PEERS = "benchmark.json", "peers.json"
MIB = 1 << 20


class Int8(Value, frozen=True):
    """A network in INT8 beside the same one in FP32: speed from whole processes, quality from every score.

    `moved_by_batch` is the largest difference of any score between two batch sizes.
    """

    name: str
    rows: int
    seconds: float
    fp32_seconds: float
    inference_rows_per_s: float
    fp32_inference_rows_per_s: float
    largest_difference: float
    mean_difference: float
    label_flips: float
    moved_by_batch: float


class Peak(Value, frozen=True):
    """The most memory of all processes of one run."""

    model: str
    rows: int
    workers: str
    seconds: float
    peak_memory_bytes: int
    estimated_bytes: int


class Startup(Value, frozen=True):
    """Medians of a small thing and of the least that could do it."""

    name: str
    seconds: float
    peer: str
    peer_seconds: float


class Kernel(Value, frozen=True):
    """Rows a second on one thread, by who scores them."""

    name: str
    rows_per_s: dict[str, float]


class Figures(Value, frozen=True):
    """One run of `nox -s bench`."""

    measured_at: str
    bench: BenchResult
    startup: tuple[Startup, ...] = ()
    int8: tuple[Int8, ...] = ()
    kernel: tuple[Kernel, ...] = ()
    memory: tuple[Peak, ...] = ()


class Peer(Value, frozen=True):
    """One product on one model; `trouble` says why there are no figures. 0 `batch_rows` are its own choice."""

    name: str
    version: str
    model: str
    seconds: tuple[float, ...] = ()
    peak_memory_bytes: int = 0
    batch_rows: int = 0
    difference: float | None = None
    trouble: str = ""


class Peers(Value, frozen=True):
    """One run of `nox -s peers`: mlserve is among them, in the same turns."""

    measured_at: str
    rows: int
    rounds: int
    cpu: str
    cores: int
    peers: tuple[Peer, ...]


def read_figures(folder: Path = DOCS) -> Figures | None:
    path = folder / FIGURES
    return msgspec.json.decode(path.read_bytes(), type=Figures) if path.exists() else None


def read_peers(folder: Path = DOCS) -> Peers | None:
    path = folder / PEERS
    return msgspec.json.decode(path.read_bytes(), type=Peers) if path.exists() else None


def write(value: Figures | Peers, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = FIGURES if isinstance(value, Figures) else PEERS
    (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")
