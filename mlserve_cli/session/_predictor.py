"""The seam to what runs a model, and ONNX Runtime behind it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlserve_cli.contract import Contract, Output, TensorSpec, check_threshold
from mlserve_cli.errors import InvalidModel, shown
from mlserve_cli.session._facts import read_model
from mlserve_cli.session._runtime import RowsFailed, ort, refusing, run_failures
from mlserve_cli.session._zipmap import cut_zipmaps

_PROBE_ROWS = 13  # a number that few models have classes or outputs of, so that no other axis passes for the rows

Tensors: TypeAlias = Mapping[str, NDArray[Any]]


# Files of forests larger than this lie beyond the second-level cache. Over them a session with one thread goes row by
# row through all trees; with two it goes tree by tree through blocks of 128 rows, whoever carries them out: 233k rows/s
# against 171k on two cores, a random forest of 100 trees with 700 leaves.
LARGE_TREES_BYTES = 4 << 20


def threads_for(family: str, *, size_bytes: int) -> int:
    """A session's threads, by the model alone and never by the machine: over trees they decide the order of the sums,
    and with it the last bit of a score. Two on one core score as two on two cores."""
    return 2 if family == "trees" and size_bytes >= LARGE_TREES_BYTES else 1


class Predictor(Protocol):
    """Tensors in, tensors out: the only way to a model runtime."""

    def predict(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """The contract's outputs for one batch (by tensor name, rows on axis 0), at least one row.

        RowsFailed where the runtime fails on the batch; InvalidModel where an output has not one row per input row.
        """
        ...


def open_predictor(
    path: str,
    *,
    sha256: str,
    contract: Contract,
    threads: int,
    cores: int = 0,
    allowed_external: frozenset[str] = frozenset(),
) -> Predictor:
    """ONNX Runtime on the model at `path`, loaded from the very bytes whose digest was checked against `sha256`.

    Its session has `threads` of its own. Where `cores` says how many there are, callers share them: no more batches
    run at once than have a core for each thread.
    """
    folder = os.path.dirname(os.path.abspath(path)) if allowed_external else ""
    data = checked_model(path, sha256=sha256)
    predictor = open_model(data, where=path, contract=contract, threads=threads, external_folder=folder)
    if threads > 1 and cores:
        predictor.take_turns(max(cores // threads, 1))
    return predictor


def open_model(
    data: bytes, *, where: str, contract: Contract, threads: int, external_folder: str = ""
) -> OnnxPredictor:
    """ONNX Runtime on a model that may lie in no file yet; `where` names it for errors."""
    wanted = tuple(output.tensor.name for output in contract.outputs)
    data = cut_zipmaps(data, wanted=wanted, where=where)
    session = open_session(data, path=where, threads=threads, external_folder=external_folder)
    missing = set(wanted) - {output.name for output in session.get_outputs()}
    if missing:
        raise InvalidModel(f"the model has no output {shown(sorted(missing)[0])}", shown(where, limit=400))
    return OnnxPredictor(session, outputs=wanted, fixed_batch=fixed_batch(contract))


def checked_model(path: str, *, sha256: str) -> bytes:
    """The bytes of the model file, proved to be those that are meant."""
    data = read_model(path)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise InvalidModel(
            f"the model is not the one that was asked for: its digest is {found}, expected {sha256}",
            shown(path, limit=400),
            "it changed since; run again with the file that is meant",
        )
    return data


def open_session(data: bytes, *, path: str, threads: int, external_folder: str = "") -> Any:
    """An ONNX Runtime session on a model's bytes; `path` names it for errors."""
    with refusing(path):
        return ort.InferenceSession(
            data,
            _options(threads, external_folder=external_folder),
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # its fallback prints a banner and loads the same file once more
        )


def fixed_batch(contract: Contract) -> int | None:
    """The rows that the model takes at a time, where it fixes them."""
    return next((size for part in contract.inputs if (size := part.tensor.shape[0]) is not None), None)


class OnnxPredictor:
    """One ONNX Runtime session. Pads to the model's fixed batch, if it has one, and cuts the padding off again."""

    __slots__ = ("_fixed_batch", "_outputs", "_session", "_turns")

    def __init__(self, session: Any, *, outputs: tuple[str, ...], fixed_batch: int | None) -> None:
        self._session, self._outputs, self._fixed_batch = session, list(outputs), fixed_batch
        self._turns: AbstractContextManager[object] = nullcontext()

    def take_turns(self, at_once: int) -> None:
        """Let no more batches than `at_once` run together: two trees at a time would drive each other from the cache
        (a random forest of 5 MiB on two cores: 127k rows/s, and 161k in turns)."""
        self._turns = threading.BoundedSemaphore(at_once)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the tensors that it takes."""
        return tuple(value.name for value in self._session.get_inputs())

    @property
    def output_types(self) -> dict[str, str]:
        """ONNX Runtime's word for the type of each of the model's outputs, as in tensor(float)."""
        return {value.name: value.type for value in self._session.get_outputs()}

    def predict(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """See Predictor."""
        rows = len(next(iter(tensors.values())))
        if self._fixed_batch is None or self._fixed_batch == rows:
            return self._run(tensors, rows)
        return self._run_padded(tensors, rows, self._fixed_batch)

    def _run(self, tensors: Tensors, rows: int) -> dict[str, NDArray[Any]]:
        with self._turns, run_failures(rows):
            found = self._session.run(self._outputs, tensors)
        outputs = dict(zip(self._outputs, found, strict=True))
        for name, values in outputs.items():
            if not isinstance(values, np.ndarray):
                raise InvalidModel(f"output {shown(name)} is a {type(values).__name__}, not a tensor")
            if values.ndim == 0 or len(values) != rows:
                raise InvalidModel(
                    f"output {shown(name)} has shape {list(values.shape)} for {rows} input rows",
                    "",
                    "an output must have one row per input row, on its first axis",
                )
        return outputs

    def _run_padded(self, tensors: Tensors, rows: int, size: int) -> dict[str, NDArray[Any]]:
        pieces = []
        for start in range(0, rows, size):
            piece = {name: values[start : start + size] for name, values in tensors.items()}
            here = min(size, rows - start)
            if here < size:
                piece = {
                    name: np.concatenate([values, np.repeat(values[-1:], size - here, axis=0)])
                    for name, values in piece.items()
                }
            pieces.append({name: values[:here] for name, values in self._run(piece, size).items()})
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in self._outputs}


def settle(contract: Contract, *, predictor: Predictor) -> Contract:
    """The contract with every output's true dtype and shape; InvalidModel where rows in are not rows out.

    Declared shapes lie or say nothing, and both must be known before the first batch: so some made-up rows are run.
    A model that cannot score those keeps what it declared.
    """
    try:
        found = predictor.predict(made_up_rows(contract))
    except RowsFailed:
        found = {}
    outputs = tuple(_settled(output, found.get(output.tensor.name)) for output in contract.outputs)
    check_threshold(outputs, contract.threshold)
    return msgspec.structs.replace(contract, outputs=outputs)


def made_up_rows(contract: Contract) -> dict[str, NDArray[Any]]:
    """Some rows that any honest model takes, by input."""
    rows = fixed_batch(contract) or _PROBE_ROWS
    return {part.tensor.name: _made_up(part.tensor, rows) for part in contract.inputs}


def _made_up(spec: TensorSpec, rows: int) -> NDArray[Any]:
    """Zeros, and empty strings; ones for ints, since a whole number divided by 0 ends the process."""
    shape = (rows, *(size or 1 for size in spec.shape[1:]))
    if spec.dtype == "string":
        return np.full(shape, "", dtype=object)
    return np.full(shape, 1 if "int" in spec.dtype else 0, dtype=spec.dtype)


def _settled(output: Output, values: NDArray[Any] | None) -> Output:
    spec = output.tensor
    if values is None:
        if spec.width is None:
            raise InvalidModel(
                f"output {shown(spec.name)} leaves its width open, and the model cannot score made-up rows to show it",
                "",
                "export it with all axes but the first fixed",
            )
        return output
    dtype = "string" if values.dtype.kind in "OUS" else str(values.dtype)
    shape = (spec.shape[0], *values.shape[1:])
    return msgspec.structs.replace(output, tensor=msgspec.structs.replace(spec, dtype=dtype, shape=shape))


def _options(threads: int, *, external_folder: str) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what it would print, its exceptions say
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if external_folder:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", external_folder)
    return options
