"""The option by which a run is profiled on its way."""

from __future__ import annotations

from typing import Annotated, Literal

from mlserve_cli.cli.command import option

PROFILE = "Profile and drift"

Profile = Annotated[
    Literal["auto", "on", "off", "whole"],
    option(
        "--profile",
        panel=PROFILE,
        choices=("auto", "on", "off", "whole"),
        help="Profile features and scores on the way; auto: a package's run into a folder; whole: quantiles of all.",
    ),
]
