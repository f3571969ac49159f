"""What the manifest says of a model that scored rows of a run."""

from __future__ import annotations

from mlserve_cli.manifest import ModelAccount
from mlserve_cli.planning import Plan
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.tables import text_of


def model_account(model: ResolvedModel, plan: Plan) -> ModelAccount:
    """The model of a plan, as it was found."""
    facts = model.facts
    return ModelAccount(
        name=plan.model.name,
        version=plan.model.version,
        digest=plan.model.digest,
        sha256=plan.model.sha256,
        size_bytes=facts.size_bytes,
        precision=facts.precision,
        family=facts.family,
        opsets=facts.opsets,
        producer=facts.producer,
        inputs=facts.inputs,
        outputs=facts.outputs,
        golden_rows="passed" if plan.model.golden else "none",
        predictor=plan.predictor,
        predictor_reason=plan.predictor_reason,
        alias=model.found.alias,
        registry=text_of(model.found.registry),
        signature=model.signature,
    )
