"""What the options say of other models: who scores beside the champion, and whose rows are whose."""

from __future__ import annotations

from fractions import Fraction

from mlserve_cli.errors import UsageError
from mlserve_cli.scoring.request import ScoreRequest


def arms_of(request: ScoreRequest) -> dict[str, float]:
    """The models of a split with their percents, the champion first; a canary is a split of two. Else none.

    Raises UsageError (2) where the options contradict each other.
    """
    check_options(request)
    if request.canary is not None:
        rest = 100 - Fraction(repr(float(request.canary)))
        return {request.model: float(rest), request.challengers[0]: float(request.canary)}
    return dict(request.split)


def check_options(request: ScoreRequest) -> None:
    """Refuse what the options of challengers, canary and split cannot mean together. Raises UsageError (2)."""
    _check_models(request)
    if request.canary is not None:
        _check_canary(request, request.canary)
    if request.split:
        _check_shares(request)
    _check_rows(request)


def _check_models(request: ScoreRequest) -> None:
    if request.split and request.model:
        raise UsageError("--model and --split both name the champion", "", "the first model of --split is the champion")
    if request.split and request.canary is not None:
        raise UsageError("--canary and --split contradict each other", "", "a canary is a split of two: say one")
    if not request.split and not request.model:
        raise UsageError("no model is named", "", "--model MODEL, or --split A=50,B=50")
    if len(set(request.challengers)) < len(request.challengers):
        raise UsageError("--challenger names a model twice", "", "once is enough")
    if request.challengers and request.reuse is not None:
        raise UsageError(
            "--reuse contradicts --challenger: rows that are not scored again have nothing to be compared with",
            "",
            "leave one of them out",
        )


def _check_canary(request: ScoreRequest, percent: float) -> None:
    if len(request.challengers) != 1:
        raise UsageError(
            f"--canary takes exactly one --challenger, not {len(request.challengers)}",
            "",
            "say which model is to score these rows: --challenger NAME:VERSION",
        )
    if request.challengers[0] == request.model:
        raise UsageError("--challenger and --model name the same model", "--canary", "a canary has two")
    if not 0 <= percent <= 100:
        raise UsageError(f"--canary {percent:g} is no percentage", "", "from 0 to 100")


def _check_shares(request: ScoreRequest) -> None:
    if len(request.split) < 2:
        raise UsageError("--split names one model", "", "as in --split churn:4=50,churn:5=50")
    if any(percent < 0 for percent in request.split.values()):
        raise UsageError("a share of --split is below 0", "", "from 0 to 100")
    total = sum(Fraction(repr(float(percent))) for percent in request.split.values())
    if total != 100:
        raise UsageError(f"the shares of --split are {float(total):g} in all", "", "they must be 100")


def _check_rows(request: ScoreRequest) -> None:
    """By what rows are split, where they are."""
    option = "--split" if request.split else "--canary"
    if not request.split and request.canary is None:
        for name, value in (("--split-key", request.split_key), ("--split-salt", request.split_salt)):
            if value is not None:
                raise UsageError(f"{name} without --split or --canary", "", "leave it out, or say which rows are whose")
        return
    if request.split_key is None and request.id_column is None:
        raise UsageError(
            "rows are split by a column that says whom they are about, and none is named",
            option,
            "--split-key COLUMN, as in --split-key customer_id; without it --id-column is taken",
        )
    if request.reuse is not None:
        raise UsageError(f"--reuse contradicts {option}", "", "leave --reuse out: each row is scored by its own model")
    if request.deduplicate == "on":
        raise UsageError(f"--deduplicate on contradicts {option}", "", "leave --deduplicate out")
    if request.canary is None and request.challengers:
        raise UsageError(
            "--challenger beside --split", "", "compare it with one model: --model and --challenger, without --split"
        )
