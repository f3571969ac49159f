"""The ONNX form of a source model: bound to its columns as a run would bind it, and ready to score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlserve_cli.contract import Contract, Declared, DeclaredInput, bind
from mlserve_cli.errors import InvalidModel
from mlserve_cli.optimize.convert.source import Source
from mlserve_cli.session import Predictor, check_supported, facts_of, open_model, settle

if TYPE_CHECKING:
    from mlserve_cli.optimize.convert.convert import ConvertRequest


@dataclass(frozen=True, slots=True)
class OnnxSide:
    """The model's bytes, its contract with each output's true shape, and a session."""

    data: bytes
    contract: Contract
    predictor: Predictor


def open_onnx(data: bytes, source: Source, inputs: Contract, request: ConvertRequest) -> OnnxSide:
    """The model of these bytes, whose inputs are those of the source. InvalidModel (78) where it cannot be run."""
    where = f"converted from {source.library}"
    facts = facts_of(data, where=where)
    made = {spec.name for spec in facts.inputs}
    lost = [part.tensor.name for part in inputs.inputs if part.tensor.name not in made]
    strangers = made - {part.tensor.name for part in inputs.inputs}
    if strangers:
        raise InvalidModel(f"the converter made inputs that the model has not: {', '.join(sorted(strangers))}")
    declared = Declared(
        inputs=tuple(
            DeclaredInput(part.tensor.name, part.columns) for part in inputs.inputs if part.tensor.name not in lost
        ),
        nulls=inputs.nulls,
        fill=inputs.fill,
    )
    contract = bind(
        facts,
        declared,
        rename=dict(request.rename),
        nan_scores="allow",
        threshold=request.threshold,
        labels=request.labels,
        output_columns=dict(request.output_columns),
    )
    check_supported(facts, contract)
    predictor = open_model(data, where=where, contract=contract, threads=1)
    return OnnxSide(data, settle(contract, predictor=predictor), predictor)
