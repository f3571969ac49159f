"""PyTorch: a torch.export file, a TorchScript file, or a whole module that was pickled; by torch.onnx."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np

from mlserve_cli.errors import InvalidModel, UsageError, shown
from mlserve_cli.optimize.convert.from_pickle import refuse_pickle
from mlserve_cli.optimize.convert.source import (
    MATRIX,
    Precision,
    Rounding,
    Scores,
    Source,
    SourceInput,
    Tensors,
    converting,
    extra,
    reading,
)

BATCH_ROWS = 4_096
EXAMPLE_ROWS = 3  # not 1, which torch.export takes for a constant


def from_torch(data: bytes, format: str, *, file: str, width: int, allow_pickle: bool) -> Source:
    """The Source of a file of one of PyTorch's formats; `width` is how many features are named, 0 for none.

    TorchScript and pickled modules do not say what they take: one matrix, as wide as --features names.
    """
    if format == "torch-pickle":
        refuse_pickle(file, allowed=allow_pickle)
    with extra("torch"):
        import onnxscript  # noqa: F401
        import torch
    with reading("PyTorch", file), _quiet():
        if format == "torch-export":
            return _of_program(torch.export.load(io.BytesIO(data)), file=file)
        if format == "torchscript":
            return _of_script(torch.jit.load(io.BytesIO(data), map_location="cpu").eval(), width, file=file)
        module = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
        if not isinstance(module, torch.nn.Module):
            raise InvalidModel(
                f"it holds a {shown(type(module).__name__)}, not a module",
                shown(file, limit=400),
                "weights alone are no model: torch.export.save(torch.export.export(model, example), FILE)",
            )
        example = (torch.zeros(EXAMPLE_ROWS, _named(width, file)),)
        rows = ({0: torch.export.Dim("rows")},)
        return _of_program(torch.export.export(module.eval(), example, dynamic_shapes=rows), file=file)


def _named(width: int, file: str) -> int:
    if not width:
        raise UsageError(
            "the file does not say what the network takes",
            shown(file, limit=400),
            "name the columns with --features a,b,c, or save it with torch.export.save, which says it",
        )
    return width


def _of_program(program: Any, *, file: str) -> Source:
    wanted = program.graph_signature.user_inputs
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    inputs = tuple(_input(node.name, node.meta["val"], file=file) for node in nodes)
    sizes = [node.meta["val"].shape[0] for node in nodes]  # symbols among them cannot be hashed
    fixed = next((size for size in sizes if isinstance(size, int)), 0)
    return _source(
        inputs, partial(_export_program, program, file=file), partial(_predict, program.module(), inputs, fixed), fixed
    )


def _of_script(module: Any, width: int, *, file: str) -> Source:
    inputs = (SourceInput(MATRIX, (), (_named(width, file),), "float32"),)
    return _source(
        inputs, partial(_export_script, module, width, file=file), partial(_predict, module, inputs, 0), fixed=0
    )


def _source(inputs: tuple[SourceInput, ...], to_onnx: Any, predict: Any, fixed: int) -> Source:
    return Source(
        library="torch",
        inputs=inputs,
        kind="network",
        takes_missing=False,
        exact_in="float32",
        to_onnx=to_onnx,
        predict=predict,
        packages=("torch", "onnxscript"),
        note=f"exported for {fixed} rows at a time, so it is fed {fixed} rows at a time" if fixed else "",
    )


def _input(name: str, example: Any, *, file: str) -> SourceInput:
    kinds: dict[str, Literal["float32", "float64", "int64"]] = {
        f"torch.{kind}": kind for kind in ("float32", "float64", "int64")
    }
    kind = kinds.get(str(example.dtype))
    shape = [size if isinstance(size, int) else None for size in example.shape[1:]]
    if kind is None or example.dim() < 1 or None in shape:
        raise InvalidModel(
            f"its input {shown(name)} is {example.dtype} of shape {list(example.shape)}",
            shown(file, limit=400),
            "tensors of float32, float64 or int64 with one free axis, the rows, can be fed",
        )
    return SourceInput(name, (), tuple(size for size in shape if size is not None), kind)


def _predict(module: Any, inputs: tuple[SourceInput, ...], fixed: int, tensors: Tensors) -> Scores:
    import torch

    rows = len(next(iter(tensors.values())))
    size = fixed or BATCH_ROWS
    found = []
    for start in range(0, rows, size):
        here = min(size, rows - start)
        places = np.minimum(np.arange(start, start + (fixed or here)), rows - 1)  # the last row fills a fixed batch
        fed = [torch.from_numpy(np.ascontiguousarray(tensors[one.tensor][places], dtype=_dtype(one))) for one in inputs]
        with torch.no_grad():
            outputs = module(*fed)
        several = outputs if isinstance(outputs, tuple | list) else (outputs,)
        found.append([output.detach().numpy()[:here] for output in several])
    return Scores(tuple(np.concatenate(pieces) for pieces in zip(*found, strict=True)))


def _dtype(one: SourceInput) -> str:
    return "float32" if one.dtype == "float" else one.dtype


def _export_program(program: Any, _precision: Precision, _rounding: Rounding, *, file: str) -> bytes:
    import torch

    with converting("PyTorch", file), _quiet():
        exported = torch.onnx.export(program, dynamo=True, verbose=False)
        if exported is None:
            raise InvalidModel("torch.onnx gave nothing back", shown(file, limit=400))
        data: bytes = exported.model_proto.SerializeToString(deterministic=True)
        return data


def _export_script(module: Any, width: int, _precision: Precision, _rounding: Rounding, *, file: str) -> bytes:
    """By the older exporter: the new one does not take TorchScript."""
    import torch

    written = io.BytesIO()
    with converting("PyTorch", file), _quiet():
        torch.onnx.export(
            module,
            (torch.zeros(EXAMPLE_ROWS, width),),
            written,
            dynamo=False,
            input_names=[MATRIX],
            output_names=["score"],
            dynamic_axes={MATRIX: {0: "rows"}, "score": {0: "rows"}},
        )
    return written.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """torch warns of what it will change one day, and logs which of its other packages are not there."""
    log = logging.getLogger("torch")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
