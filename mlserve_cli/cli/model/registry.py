"""`mlserve model package`, `add`, `list`, `show`, `alias`, `rollback`, `history`, `remove`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlserve_cli.cli import options, parse
from mlserve_cli.cli.command import option
from mlserve_cli.cli.model.options import PAST, PLACE, WORDS, Baseline, By, Registry, Why
from mlserve_cli.cli.model.options import Package as Output
from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.errors import UsageError, shown

if TYPE_CHECKING:
    from mlserve_cli.registry import Change

MODEL, SCORES = "Model", "Golden rows"

Alias = Annotated[
    str,
    option("--alias", panel=PLACE, metavar="ALIAS", help="Let NAME@ALIAS name this version, too."),
]
Named = Annotated[str, typer.Argument(metavar="NAME@ALIAS", help="The alias.", show_default=False)]


def package(
    onnx: Annotated[str, option("--onnx", panel=MODEL, metavar="FILE", help="The model, an .onnx file.")],
    data: Annotated[
        list[str],
        option("--data", panel=MODEL, metavar="PATH", help="Rows that it was trained on, or like them: as --input."),
    ],
    name: Annotated[
        str,
        option(
            "--name", panel=PLACE, metavar="NAME", help="The model's name. Registered so where no --output is given."
        ),
    ],
    output: Output = None,
    registry: Registry = None,
    alias: Alias = "",
    features: options.Features = None,
    rename: options.Rename = None,
    nulls: options.Nulls = None,
    fill: Annotated[
        list[str] | None,
        option(
            "--fill",
            panel=MODEL,
            metavar="COL=VALUE",
            help="What stands for a null in a text, integer or boolean column; may be given again.",
        ),
    ] = None,
    threshold: options.Threshold = None,
    labels: options.Labels = True,
    output_columns: options.OutputColumns = None,
    classes: Annotated[
        list[str] | None,
        option(
            "--classes",
            panel=MODEL,
            metavar="A,B,…",
            help="The labels behind the probabilities, in their order, where the model does not name them.",
        ),
    ] = None,
    expected: Annotated[
        list[str] | None,
        option(
            "--expected",
            panel=SCORES,
            metavar="COL,…|OUT=COL",
            help="Columns of the data with the scores that the training library gives: all rows are compared first.",
        ),
    ] = None,
    golden_rows: Annotated[
        int,
        option(
            "--golden-rows",
            panel=SCORES,
            metavar="N",
            help="Rows that every run scores first.",
            converter=parse.positive_count,
        ),
    ] = 64,
    tolerance: Annotated[
        float,
        option(
            "--tolerance",
            panel=SCORES,
            metavar="X",
            help="How far a score may be from the expected one.",
            converter=parse.number,
        ),
    ] = 1e-5,
    baseline: Baseline = "",
    provenance: Annotated[
        list[str] | None,
        option(
            "--provenance", panel=WORDS, metavar="KEY=VALUE", help="Where it comes from; may be given several times."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        option("--metric", panel=WORDS, metavar="NAME=NUMBER", help="How good it is; may be given several times."),
    ] = None,
    license: Annotated[
        str, option("--license", panel=WORDS, metavar="TEXT", help="Its licence, as an SPDX expression.")
    ] = "",
    description: Annotated[str, option("--description", panel=WORDS, metavar="TEXT", help="What it is.")] = "",
    why: Why = "",
    by: By = None,
    input_format: options.InputFormat = None,
    delimiter: options.Delimiter = "",
    encoding: options.Encoding = "utf-8",
    quote: options.Quote = '"',
    null_value: options.NullValue = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Make a package: the model with its columns, golden rows with scores, provenance, and digests over all of it.

    \b
        mlserve model package --onnx net.onnx --data train/ --name churn
        mlserve model package --onnx net.onnx --data train/ --name x -o ./x

    The columns are those that `mlserve score` would feed it; what nobody names is refused, not guessed.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life
    from mlserve_cli.scoring.package_model import PackageRequest

    request = PackageRequest(
        onnx=onnx,
        data=tuple(data),
        name=name,
        features=tuple(features or ()),
        rename=parse.renames(rename),
        nulls=nulls or "error",
        fill=dict(map(_pair, fill or ())),
        threshold=threshold,
        labels=labels,
        output_columns=parse.pairs(output_columns or (), "--output-columns"),
        classes=parse.names(classes or ()),
        expected=parse.names(expected or ()),
        golden_rows=golden_rows,
        tolerance=tolerance,
        baseline=baseline,
        provenance=dict(map(_pair, provenance or ())),
        metrics={key: _metric(key, value) for key, value in map(_pair, metric or ())},
        license=license,
        description=description,
        who=by or "",
        dialect=parse.dialect(delimiter, encoding=encoding, quote=quote, null_value=null_value),
        input_format=input_format,
    )
    made = life.package(request, output=output or "", registry=registry, alias=alias, why=why, by=by or "")
    from mlserve_cli.cli.model.looks import packaged_facts, packaged_lines

    TERMINAL.show_result(packaged_lines(made), packaged_facts(made))
    return 0


def add(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A package folder or an .onnx file.", show_default=False)
    ],
    name: Annotated[
        str, option("--name", panel=PLACE, metavar="NAME", help="The name to add it under. Default: its own.")
    ] = "",
    registry: Registry = None,
    alias: Alias = "",
    why: Why = "",
    by: By = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Add a package to the registry, as the next version of its name. The same content again is the same version.

    \b
        mlserve model add ./churn --why "trained on November"
        mlserve model add gbm.onnx --name churn --alias champion
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life

    change = life.add(model, name=name, registry=registry, alias=alias, why=why, by=by or "")
    done = "is there already as" if change.already else "added as"
    named = f", and {change.name}@{change.alias} names it" if change.alias else ""
    return _show_change(f"{shown(model, limit=400)} {done} {change.name}:{change.version}{named}", change)


def list_models(
    registry: Registry = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """List the registry's names, each with its versions and aliases.

    \b
        mlserve model list
        mlserve model list --registry /shared/models --json
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life
    from mlserve_cli.cli.model.looks import listed_facts, listed_lines

    found = life.list(registry=registry)
    wrong = next((one.wrong for one in found if one.wrong is not None), None)
    TERMINAL.show_result(listed_lines(found), listed_facts(found), on_request=wrong is not None)
    if wrong is not None:
        raise wrong
    return 0


def show(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="NAME, NAME@ALIAS, NAME:VERSION, or a package folder.", show_default=False
        ),
    ],
    registry: Registry = None,
    trust_policy: options.TrustPolicy = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Show a version: its columns, where it comes from, the gates that it passed, who signed it, what ran with it.

    \b
        mlserve model show churn
        mlserve model show churn:3 --json
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life
    from mlserve_cli.cli.model.looks import shown_facts, shown_lines

    found = life.show(model, registry=registry)
    trust = life.trust_check(model, registry=registry, trust_policy=trust_policy)
    TERMINAL.show_result(shown_lines(found, trust), shown_facts(found, trust))
    return 0


def alias(
    named: Named,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version that it names from now on.")],
    if_passes: Annotated[
        str,
        option(
            "--if-passes",
            panel=PAST,
            metavar="GATE",
            help="Only where the latest recorded verdict of this gate on the version is that it passed; else exit 4.",
        ),
    ] = "",
    registry: Registry = None,
    why: Why = "",
    by: By = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Let an alias name a version: what runs with NAME@ALIAS uses it from its next start on.

    \b
        mlserve model alias churn@champion 4 --why "0.02 more AUC on October"
        mlserve model alias churn@champion 4 --if-passes promotion

    `mlserve compare`, `evaluate` and `drift` record verdicts, each with --gate NAME --record.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life

    change = life.alias(named, _number(version), if_passes=if_passes, registry=registry, why=why, by=by or "")
    before = f", before {change.before}" if change.before and not change.already else ""
    done = "named already" if change.already else "names"
    return _show_change(f"{change.name}@{change.alias} {done} version {change.version}{before}", change)


def rollback(
    named: Named,
    expected: Annotated[
        str,
        option(
            "--leaving",
            panel=PAST,
            metavar="VERSION",
            help="The version to leave: where that was done already, nothing is. For tasks that may be retried.",
        ),
    ] = "",
    registry: Registry = None,
    why: Why = "",
    by: By = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Let an alias name what it named before. A second rollback goes one step further back.

    \b
        mlserve model rollback churn@champion --why "odd scores"
        mlserve model rollback churn@champion --leaving 4
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life

    left = _number(expected) if expected else 0
    change = life.rollback(named, expected=left, registry=registry, why=why, by=by or "")
    done = "was rolled back already to" if change.already else "names again"
    return _show_change(f"{change.name}@{change.alias} {done} version {change.version}, before {change.before}", change)


def history(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model's name.", show_default=False)],
    registry: Registry = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Show who did what when and why, and prove that nothing of it was changed or left out.

    \b
        mlserve model history churn
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life
    from mlserve_cli.cli.model.looks import history_facts, history_lines

    found = life.history(name, registry=registry)
    TERMINAL.show_result(history_lines(name, found), history_facts(name, found))
    return 0


def remove(
    named: Annotated[str, typer.Argument(metavar="NAME:VERSION", help="The version.", show_default=False)],
    unused_days: Annotated[
        float,
        option(
            "--unused-days",
            panel=PAST,
            metavar="N",
            help="Refuse where a run used it in the last N days.",
            converter=parse.number,
        ),
    ] = 30.0,
    registry: Registry = None,
    why: Why = "",
    by: By = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Remove a version that no alias and no recent run names. Its number is never used again.

    \b
        mlserve model remove churn:2 --why "trained on the wrong month"
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life

    change = life.remove(named, unused_days=unused_days, registry=registry, why=why, by=by or "")
    return _show_change(f"{change.name}:{change.version} removed", change)


def _show_change(line: str, change: Change) -> int:
    from mlserve_cli.cli.model.looks import change_facts

    TERMINAL.show_result([line], change_facts(change))
    return 0


def _number(text: str) -> int:
    try:
        return parse.positive_count(text)
    except ValueError:
        raise UsageError(f"{shown(text)} is no version", "", "as in 3") from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UsageError(f"{shown(text)} is not of the form KEY=VALUE", "", "as in auc=0.72")
    return key, value


def _metric(key: str, text: str) -> float:
    try:
        return parse.number(text)
    except ValueError as error:
        raise UsageError(f"{shown(key)}: {error}", "--metric", "as in --metric auc=0.72") from None
