"""Holds a run's rows against the profile that they should look like: read before the first batch, judged at the end.

Without `--drift-profile` it is the model's own baseline, the profile of the rows that it was trained on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mlserve_cli.errors import InvalidConfig, UsageError, shown
from mlserve_cli.planning import Plan
from mlserve_cli.profiles import Drift, Profile
from mlserve_cli.registry import PACKAGE_FILE, find, is_path
from mlserve_cli.scoring.request import ScoreRequest
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.tables import text_of

if TYPE_CHECKING:  # with the sketches, which only runs that are compared need
    from mlserve_cli.profiles import Thresholds

DRIFT_EXIT_CODE = 4


class DriftCheck(msgspec.Struct, frozen=True):
    """What the run is held against, what people call it, and how far from it a column may be."""

    base: Profile
    name: str
    thresholds: Thresholds

    def judge(self, profile: Profile) -> Drift:
        """How far the run's rows are from it."""
        from mlserve_cli.profiles import drift

        return drift(self.base, profile, thresholds=self.thresholds, name=self.name)


def drift_check(request: ScoreRequest, plan: Plan, model: ResolvedModel) -> DriftCheck | None:
    """What the run is to be held against, read and known to be comparable before anything is scored.

    None where the run has no profile, or where nothing is named and the model has no baseline.

    Raises UsageError (2) where drift is asked about and there is nothing to compare with, InvalidConfig (78) for
    thresholds or a profile that do not fit, and what `read_profile` does.
    """
    if not plan.profile_every:
        return None
    from mlserve_cli.profiles import read_profile, read_thresholds

    if request.drift_profile is not None:
        base, name = named_profile(request.drift_profile, registry=request.registry)
    elif model.package.baseline_path:
        base, name = read_profile(Path(model.package.baseline_path)), f"the baseline of {model.found.spelled}"
    else:
        _refuse_without_base(request, model)
        return None
    check = DriftCheck(base, name, read_thresholds(request.drift_thresholds))
    _check_columns(check, plan)
    return check


def named_profile(name: str, *, registry: str | None = None) -> tuple[Profile, str]:
    """The profile that a file, a run, a package or a model of the registry has, and what to call it.

    Raises InputMissing (66) where there is none, RunMismatch (65) or InvalidModel (78) where it does not hold.
    """
    from mlserve_cli.profiles import read_profile

    if not is_path(name) or name.endswith(".onnx") or (Path(name) / PACKAGE_FILE).is_file():
        found = find(name, registry=Path(registry) if registry is not None else None)
        if not found.package.baseline_path:
            raise _no_baseline(found.spelled)
        return read_profile(Path(found.package.baseline_path)), f"the baseline of {found.spelled}"
    return read_profile(Path(name)), text_of(name)


def wants_profile(request: ScoreRequest) -> bool:
    """Whether a drift option asks for the run's profile. Raises UsageError (2) where --profile off forbids it."""
    asked = {
        "--drift-profile": request.drift_profile is not None,
        "--drift-thresholds": request.drift_thresholds is not None,
        "--fail-on-drift": request.fail_on_drift,
    }
    named = [option for option, is_asked in asked.items() if is_asked]
    if named and request.profile == "off":
        raise UsageError(f"{named[0]} contradicts --profile off", "", "drift is told from the run's profile")
    return bool(named)


def _refuse_without_base(request: ScoreRequest, model: ResolvedModel) -> None:
    if request.fail_on_drift or request.drift_thresholds is not None:
        option = "--fail-on-drift" if request.fail_on_drift else "--drift-thresholds"
        error = _no_baseline(model.found.spelled)
        raise UsageError(error.what, option, error.hint)


def _no_baseline(spelled: str) -> UsageError:
    return UsageError(
        f"there is nothing to compare with: {shown(spelled)} has no baseline",
        "",
        "name a profile with --drift-profile, or give the model one: mlserve model baseline MODEL profile.json",
    )


def _check_columns(check: DriftCheck, plan: Plan) -> None:
    """A profile of other data, and limits of columns that nobody has, are found before the run and not after it."""
    known = {*check.base.features, *check.base.scores}
    written = {column for output in plan.contract.outputs for column in output.columns}
    check.thresholds.check_columns({*known, *plan.contract.columns, *written})
    if not known & {name for column in plan.contract.columns for name in (column, f"{column}[0]")}:
        raise InvalidConfig(
            "the profile has none of the columns that the model reads",
            shown(check.name, limit=400),
            "profile the rows that the model was trained on: mlserve profile DATA --model MODEL -o profile.json",
        )
