"""Looks at a model from all sides and goes on after the first thing that is wrong, so that one call tells all."""

from __future__ import annotations

from collections.abc import Sequence

from mlserve_cli.contract import Contract, Declared, DeclaredInput, ModelFacts, bind
from mlserve_cli.errors import InvalidModel, UsageError, shown
from mlserve_cli.scoring.resolve import ResolvedModel, resolve
from mlserve_cli.session import find_unsupported, newer_opsets, runtime_version, unknown_operators
from mlserve_cli.validation.apart import ProcessApart
from mlserve_cli.validation.findings import Finding, Outcome, Validated, of_error
from mlserve_cli.validation.rows import TrialRows, rows_to_try
from mlserve_cli.validation.trials import Trial, check_with_onnx, load, measure, score_alike, score_golden, score_odd


def validate(
    model: str,
    *,
    data: Sequence[str] = (),
    features: Sequence[str] = (),
    registry: str | None = None,
    trust_policy: str | None = None,
) -> Validated:
    """All that is wrong or odd about MODEL, found on rows of `data`, else on its golden rows, else on made-up ones.

    Raises InputMissing (66) where there is no such model or data, DataError (65) where no row of the data fits it, and
    Untrusted (77) where a trust policy does not let it run; what is wrong with the model itself is in the report.
    """
    try:
        resolved = resolve(model, registry=registry, trust_policy=trust_policy)
    except InvalidModel as error:
        return Validated(shown(model, limit=400), "", "", "none", (of_error("package", error),), {})
    contract, naming = _bound(resolved, tuple(features))
    outcomes = [_package(resolved), _signature(resolved), naming, _structure(resolved, contract)]
    rows = None if contract is None else rows_to_try(resolved, contract, data=data)
    outcomes += _trials(resolved, contract, rows)
    package = resolved.package
    return Validated(
        name=package.name,
        version=package.version,
        digest=package.digest,
        rows="none" if rows is None else rows.source,
        findings=tuple(finding for outcome in outcomes for finding in outcome.findings),
        figures={name: value for outcome in outcomes for name, value in outcome.figures.items()},
    )


def _trials(resolved: ResolvedModel, contract: Contract | None, rows: TrialRows | None) -> list[Outcome]:
    """What needs the model's own code to run, one trial after the other, as far as each makes sense."""
    trial = Trial(
        path=resolved.package.model_path,
        sha256=resolved.facts.sha256,
        external=resolved.package.external_files,
        contract=contract,
        golden=None if contract is None else resolved.planned(contract),
        rows=rows,
    )
    with ProcessApart(rows) as apart:
        outcomes = [apart.run("checker", check_with_onnx, trial), apart.run("runtime", load, trial)]
        if contract is None or _has_error(outcomes[1]):
            return outcomes
        outcomes.append(apart.run("golden rows", score_golden, trial))
        outcomes.append(apart.run("same scores", score_alike, trial))
        if _was_scored(outcomes[-1]):
            outcomes.append(apart.run("missing values", score_odd, trial))
            outcomes.append(apart.run("cost", measure, trial))
        return [*outcomes, *([Outcome(rows.findings)] if rows is not None else [])]


def _bound(resolved: ResolvedModel, features: tuple[str, ...]) -> tuple[Contract | None, Outcome]:
    """The contract; for a model whose columns nothing names, one with a list column for each input."""
    facts, declared = resolved.facts, resolved.package.declared
    try:
        contract = bind(facts, declared, features=features)
    except UsageError:
        raise
    except InvalidModel as error:
        if features or (declared is not None and declared.inputs):
            return None, Outcome((of_error("contract", error),))
        return _with_lists(facts, declared, error)
    columns = f"{len(contract.columns):,} columns feed {len(contract.inputs):,} inputs"
    return contract, Outcome((Finding("contract", "ok", columns),))


def _with_lists(facts: ModelFacts, declared: Declared | None, error: InvalidModel) -> tuple[Contract | None, Outcome]:
    lists = tuple(DeclaredInput(spec.name, (spec.name,)) for spec in facts.inputs)
    outputs = declared.outputs if declared is not None else ()
    try:
        contract = bind(facts, Declared(inputs=lists, outputs=outputs))
    except InvalidModel:
        return None, Outcome((of_error("contract", error),))
    return contract, Outcome((of_error("contract", error, severity="warning"),))


def _package(resolved: ResolvedModel) -> Outcome:
    package = resolved.package
    if not package.file:
        return Outcome(
            (
                Finding(
                    "package",
                    "note",
                    "a bare ONNX file: no contract, no golden rows, no signature",
                    "mlserve model package makes a package of it",
                ),
            )
        )
    findings = [Finding("package", "ok", f"every digest holds: {package.digest}")]
    if package.golden is None:
        findings.append(
            Finding("golden rows", "note", "there are none, so nothing proves that this machine scores as training did")
        )
    return Outcome(tuple(findings))


def _signature(resolved: ResolvedModel) -> Outcome:
    checked = resolved.signature
    if checked is None:
        return Outcome((Finding("signature", "note", "not looked at: there is no trust policy"),))
    if not checked.signed:
        return Outcome((Finding("signature", "warning", "nobody whom the policy knows signed it; it lets such run"),))
    return Outcome((Finding("signature", "ok", f"signed by {shown(checked.signer)}, key {checked.key_id[:16]}"),))


def _structure(resolved: ResolvedModel, contract: Contract | None) -> Outcome:
    """What mlserve refuses to run, and what this ONNX Runtime does not know."""
    facts = resolved.facts
    refused = find_unsupported(facts, contract, allowed_external=resolved.package.external_files)
    findings = [of_error("structure", error) for error in refused]
    newer = "export it for an older opset, or install a newer onnxruntime"
    for domain, (opset, known) in newer_opsets(facts).items():
        text = f"opset {opset} of {shown(domain)}; onnxruntime {runtime_version()} knows up to {known}"
        findings.append(Finding("opset", "warning", text, newer))
    unknown = unknown_operators(facts)
    if unknown:
        names = ", ".join(map(shown, unknown))
        findings.append(Finding("operators", "error", f"onnxruntime {runtime_version()} does not know {names}", newer))
    if not findings:
        opsets = ", ".join(f"{domain} {version}" for domain, version in facts.opsets.items())
        findings = [Finding("structure", "ok", f"opset {opsets}; {len(facts.operators)} operators, all known")]
    return Outcome(tuple(findings), {"size_bytes": float(facts.size_bytes)})


def _was_scored(outcome: Outcome) -> bool:
    """Whether the rows can be scored at all; where not, there is nothing more to try with them."""
    return not any(finding.check == "same scores" and finding.severity != "ok" for finding in outcome.findings)


def _has_error(outcome: Outcome) -> bool:
    return any(finding.severity == "error" for finding in outcome.findings)
