"""ONNX Runtime's own quantisers, each as bytes in, bytes out; nothing is printed, and no file stays.

Which nodes they may change is told by name: nodes without one get one first, always the same.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlserve_cli.errors import ExtraMissing, InvalidModel
from mlserve_cli.optimize.rows import Rows

Mode = Literal["dynamic", "static", "fp16", "weight-only"]
Calibration = Literal["minmax", "entropy", "percentile"]
MODES: tuple[Mode, ...] = ("dynamic", "static", "fp16", "weight-only")
CALIBRATIONS: tuple[Calibration, ...] = ("minmax", "entropy", "percentile")
# What holds nearly all weights and time of a model; what stands around it stays as it was.
OPERATORS: dict[Mode, frozenset[str]] = {
    "dynamic": frozenset({"MatMul", "Gemm", "Conv", "LSTM", "Attention", "EmbedLayerNormalization"}),
    "static": frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose"}),
    "weight-only": frozenset({"MatMul", "Gemm"}),
    "fp16": frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose", "LSTM", "GRU", "RNN", "Attention"}),
}
EXTRA = "quantize"
# Weights of 7 bits: processors without VNNI add two products of 8 bits into 16 and cut off what is over, so scores
# would be others there, and wrong.
REDUCE_RANGE = True


@dataclass(frozen=True, slots=True)
class Settings:
    """How to quantise. `bits` and `block_size` are for weight-only alone, `calibration` for static."""

    mode: Mode
    per_channel: bool = True
    calibration: Calibration = "minmax"
    bits: int = 8
    block_size: int = 32

    @property
    def parameters(self) -> dict[str, str | int | bool]:
        """What counts of it, as the lineage keeps it."""
        known: dict[str, str | int | bool] = {"mode": self.mode}
        if self.mode in ("dynamic", "static"):
            known["per_channel"] = self.per_channel
        if self.mode == "static":
            known["calibration"] = self.calibration
        if self.mode == "weight-only":
            known |= {"bits": self.bits, "block_size": self.block_size}
        return known


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model ready to be quantised: every node has a name, and `nodes` (name, operator) are those that may change."""

    data: bytes
    nodes: tuple[tuple[str, str], ...]


def prepare(data: bytes, settings: Settings) -> Prepared:
    """Raises ExtraMissing (69) where a library is missing, InvalidModel (78) where there is nothing to quantise."""
    model = parse_model(data)
    _name_nodes(model)
    if settings.mode in ("dynamic", "weight-only"):
        model = _with_matmuls(model)
        _name_nodes(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    nodes = tuple(
        (node.name, node.op_type)
        for node in model.graph.node
        if node.op_type in OPERATORS[settings.mode] and constants.intersection(node.input)
    )
    if not nodes:
        raise InvalidModel(
            f"there is nothing to quantise: no {', '.join(sorted(OPERATORS[settings.mode]))} with weights",
            "",
            "trees and linear models gain nothing by it; mlserve model prune may",
        )
    return Prepared(model.SerializeToString(), nodes)


def quantised(
    prepared: Prepared, settings: Settings, *, excluded: Sequence[str] = (), rows: Rows | None, batch_rows: int
) -> bytes:
    """The model with all its `nodes` but the excluded quantised. `rows` calibrate where the mode is static."""
    model = parse_model(prepared.data)
    chosen = [name for name, _ in prepared.nodes if name not in excluded]
    with _silence(), tempfile.TemporaryDirectory(prefix="mlserve-") as folder:
        target = Path(folder) / "model.onnx"
        if settings.mode == "fp16":
            return _fp16(model, list(excluded))
        if settings.mode == "weight-only":
            return _weight_only(model, settings, chosen)
        if settings.mode == "static":
            _static(model, target, settings, chosen, rows=rows, batch_rows=batch_rows)
        else:
            _dynamic(model, target, settings, chosen)
        return target.read_bytes()


def parse_model(data: bytes) -> Any:
    """An onnx.ModelProto. Raises ExtraMissing (69) where onnx is not installed."""
    try:
        import onnx
    except ImportError as error:
        raise ExtraMissing("onnx", EXTRA) from error
    return onnx.load_model_from_string(data)


def _dynamic(model: Any, target: Path, settings: Settings, chosen: list[str]) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        model,
        target,
        per_channel=settings.per_channel,
        reduce_range=REDUCE_RANGE,
        weight_type=QuantType.QInt8,
        nodes_to_quantize=chosen,
    )


def _static(
    model: Any, target: Path, settings: Settings, chosen: list[str], *, rows: Rows | None, batch_rows: int
) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    if rows is None:
        raise ValueError("static quantisation needs rows")
    methods = {
        "minmax": CalibrationMethod.MinMax,
        "entropy": CalibrationMethod.Entropy,
        "percentile": CalibrationMethod.Percentile,
    }
    quantize_static(
        model,
        target,
        _Reader(rows, batch_rows),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=sorted(OPERATORS["static"]),
        per_channel=settings.per_channel,
        reduce_range=REDUCE_RANGE,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_quantize=chosen,
        calibrate_method=methods[settings.calibration],
    )


def _fp16(model: Any, excluded: list[str]) -> bytes:
    """Weights and arithmetic in half precision; inputs and outputs keep their types, so the contract does too."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    converted = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *_ML], node_block_list=excluded
    )
    found: bytes = converted.SerializeToString()
    return found


_ML = ("LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor", "Normalizer", "LabelEncoder")


def _weight_only(model: Any, settings: Settings, chosen: list[str]) -> bytes:
    try:
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    except ImportError as error:
        raise ExtraMissing("onnx-ir", EXTRA) from error
    quantizer = MatMulNBitsQuantizer(
        model,
        bits=settings.bits,
        block_size=settings.block_size,
        is_symmetric=False,
        nodes_to_include=chosen,
        # ONNX Runtime's own default changes every MatMul that it is not told to leave
        nodes_to_exclude=[node.name for node in model.graph.node if node.name not in chosen],
    )
    quantizer.process()
    found: bytes = quantizer.model.model.SerializeToString()
    return found


def _with_matmuls(model: Any) -> Any:
    """Gemm as MatMul and Add: only the former has kernels for packed weights and for ranges found as it runs."""
    from onnxruntime.quantization.onnx_model import ONNXModel

    whole = ONNXModel(model)
    whole.replace_gemm_with_matmul()
    return whole.model


def _name_nodes(model: Any) -> None:
    taken = {node.name for node in model.graph.node}
    for place, node in enumerate(model.graph.node):
        if not node.name:
            name = f"{node.op_type}_{place}"
            node.name = name if name not in taken else f"{name}_of_mlserve"


class _Reader:
    """Rows as ONNX Runtime's calibration asks for them."""

    def __init__(self, rows: Rows, batch_rows: int) -> None:
        size = min(batch_rows, len(rows))  # histograms want every batch of one size: a shorter last one stays out
        self._batches = (batch for batch in rows.batches(size) if len(next(iter(batch.values()))) == size)

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, None after the last."""
        return next(self._batches, None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._batches

    def __next__(self) -> dict[str, Any]:
        return next(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Part of a calibration in strides, which is not asked for here."""


@contextmanager
def _silence() -> Iterator[None]:
    """They advise on the root logger and print while they calibrate; nothing may stand after our last line."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
