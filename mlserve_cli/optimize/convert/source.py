"""What every source library is made into before anything is converted: its inputs, its own scores, its ONNX form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from numpy.typing import NDArray

from mlserve_cli.errors import ExtraMissing, InvalidModel, MlserveError, shown

Precision = Literal["float32", "float64"]
Rounding = Literal["exact", "down", "nearest"]
Tensors = Mapping[str, NDArray[Any]]
MATRIX = "X"


@dataclass(frozen=True, slots=True)
class SourceInput:
    """One tensor that the model takes. `columns` is empty where the library does not name them.

    `shape` is that of one row; `dtype` is "float" where the data decides between float32 and float64. `fill` stands for
    a missing text.
    """

    tensor: str
    columns: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: Literal["float", "float32", "float64", "int64", "string"] = "float"
    fill: str | None = None

    @property
    def width(self) -> int:
        """Values per row."""
        total = 1
        for size in self.shape:
            total *= size
        return total


@dataclass(frozen=True, slots=True)
class Scores:
    """The library's own: float outputs, each [rows, …], and the label of each row, where it gives one."""

    values: tuple[NDArray[Any], ...]
    labels: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A loaded model.

    `exact_in` is the precision in which the library compares features with thresholds. `to_onnx` gives the model over
    inputs of a precision, with thresholds rounded so. `paths` says which leaf each row takes in each tree, [rows, …],
    with thresholds rounded to float32 or not; None where rounding cannot move a row. `computes` where trees read what
    steps before them compute in `exact_in`.
    """

    library: str
    inputs: tuple[SourceInput, ...]
    kind: Literal["classifier", "regressor", "network"]
    takes_missing: bool
    exact_in: Precision
    to_onnx: Callable[[Precision, Rounding], bytes]
    predict: Callable[[Tensors], Scores]
    packages: tuple[str, ...]
    paths: Callable[[Rounding, Tensors], NDArray[Any]] | None = None
    note: str = ""
    computes: bool = False

    @property
    def versions(self) -> str:
        """The libraries that it was converted with."""
        return ", ".join(f"{name} {found}" for name in self.packages if (found := _version(name)))


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Imports of an extra's libraries; ExtraMissing (69) names the extra."""
    try:
        yield
    except ImportError as error:
        raise ExtraMissing((error.name or str(error)).partition(".")[0], name) from error


def reading(library: str, file: str) -> AbstractContextManager[None]:
    """A library reads a file of which nothing is known yet: whatever it raises, the file is no good (78)."""
    return _said(
        f"{library} cannot read it",
        shown(file, limit=400),
        "is the file whole, and of a version that is installed here? --from says of which library it is",
    )


def converting(library: str, file: str) -> AbstractContextManager[None]:
    """A converter at work: it raises anything at all on what it does not know (78)."""
    return _said(
        f"this {library} model cannot become ONNX",
        shown(file, limit=400),
        "its converter does not know all of it; --verbose shows where it stopped",
    )


def scoring(library: str) -> AbstractContextManager[None]:
    """A library scores rows of which it knows nothing: what it raises is said as its own (78)."""
    return _said(
        f"{library} itself cannot score these rows",
        "--data",
        "give it rows like those that the model was trained on",
    )


@contextmanager
def _said(what: str, where: str, hint: str) -> Iterator[None]:
    try:
        yield
    except (MlserveError, MemoryError):
        raise
    except Exception as error:
        raise InvalidModel(f"{what}: {first_line(error)}", where, hint) from error


def first_line(error: Exception) -> str:
    """What an exception says, short: some converters print the whole model."""
    text = next(iter(str(error).strip().splitlines()), "")
    return shown(f"{type(error).__name__}: {text}" if text else type(error).__name__, limit=200)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
