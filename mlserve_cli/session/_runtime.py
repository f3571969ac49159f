"""ONNX Runtime, imported without its telemetry, and its exceptions in our words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The Linux wheel writes a device id and an event database under the user's cache folder and holds an upload address;
# switching that off after the import is too late (measured with 1.32).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as _state

from mlserve_cli.errors import InvalidModel, shown

__all__ = ["FOREIGN", "RowsFailed", "operator_schemas", "ort", "refusing", "run_failures"]

# ONNX Runtime's own classes share no base, and newer versions have more of them (1.24 knows no DeviceReset).
_OWN = tuple(each for each in vars(_state).values() if isinstance(each, type) and issubclass(each, Exception))

# Everything that a load or a run was seen to raise: its own, and what its binding lets through (a flipped bit gives
# UnicodeDecodeError, a ValueError; a lost file RuntimeError).
FOREIGN: tuple[type[Exception], ...] = (
    *_OWN,
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,  # this and the next two are how pybind11 hands over C++'s own
    OverflowError,
    MemoryError,
)


class RowsFailed(Exception):
    """ONNX Runtime could not score a batch; which of its rows are to blame the caller finds by bisection.

    No MlserveError: it never ends a command. Facts are positional, as everywhere.
    """

    def __init__(self, rows: int, detail: str) -> None:
        super().__init__(rows, detail)
        self.rows, self.detail = rows, detail

    def __str__(self) -> str:
        return f"the model failed on a batch of {self.rows} rows: {self.detail}"


@contextmanager
def refusing(path: str) -> Iterator[None]:
    """While a model is loaded: whatever comes is the model's fault."""
    try:
        yield
    except FOREIGN as error:
        raise InvalidModel(
            f"ONNX Runtime {ort.__version__} cannot load the model: {first_line(error)}",
            shown(path, limit=400),
            "export it for an older opset, or install a newer onnxruntime, if it is the version that is refused",
        ) from error


@contextmanager
def run_failures(rows: int) -> Iterator[None]:
    """While a batch of `rows` is run: whatever comes is some row's fault until bisection says otherwise."""
    try:
        yield
    except FOREIGN as error:
        raise RowsFailed(rows, first_line(error)) from error


def runtime_version() -> str:
    """ONNX Runtime's version."""
    return str(ort.__version__)


def operator_schemas() -> list[Any]:
    """Every operator that the runtime knows, once for each opset in which it changed: domain, name, since_version."""
    return list(_state.get_all_operator_schema())


def first_line(error: Exception) -> str:
    """What ONNX Runtime says without its status prefix, source paths and stack, cut to a line."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    text = _PREFIXES.sub("", line) or line
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:300]


# "[ONNXRuntimeError] : 1 : FAIL : Load model failed:/src/graph.cc:46 void f(int, int) " before what a person can read
_PREFIXES = re.compile(r"\A(\[ONNXRuntimeError\] : \d+ : \w+ : )?([^/]* failed:)?(/\S+:\d+ .*?\) (const )?)?")
