"""The options by which rows are held against those that a model was trained on."""

from __future__ import annotations

from typing import Annotated

from mlserve_cli.cli.command import option
from mlserve_cli.cli.profile_options import PROFILE

DriftProfile = Annotated[
    str | None,
    option(
        "--drift-profile",
        panel=PROFILE,
        metavar="F",
        help="Hold the rows against a profile.json, a run or a package. Default: the model's baseline, if any.",
    ),
]
DriftThresholds = Annotated[
    str | None,
    option(
        "--drift-thresholds",
        panel=PROFILE,
        metavar="F.toml",
        help="How far each column may move, and how seldom chance may raise an alarm. Default: PSI 0.2, 1 %.",
    ),
]
FailOnDrift = Annotated[
    bool,
    option("--fail-on-drift", panel=PROFILE, help="Where a column has drifted, commit the run and exit with 4."),
]
