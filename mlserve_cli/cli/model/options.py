"""Options that several commands of `mlserve model` share."""

from __future__ import annotations

from typing import Annotated

from mlserve_cli.cli.command import option

PLACE, PAST, WORDS = "Where it goes", "For the history", "What else it says"

Registry = Annotated[
    str | None,
    option(
        "--registry",
        panel=PLACE,
        metavar="DIR",
        help="The registry's folder. Default: mlserve/registry in the user's data folder.",
    ),
]
Name = Annotated[
    str | None,
    option("--name", panel=PLACE, metavar="NAME", help="Register the result as the next version of NAME."),
]
Package = Annotated[
    str | None,
    option("--output", "-o", panel=PLACE, metavar="DIR", help="Write the result as a package folder."),
]
Baseline = Annotated[
    str,
    option(
        "--baseline",
        panel=WORDS,
        metavar="F",
        help="The profile of the training data, of `mlserve profile` or a run: later runs are held against it.",
    ),
]
Why = Annotated[str, option("--why", panel=PAST, metavar="TEXT", help="Why it is done.")]
By = Annotated[str | None, option("--by", panel=PAST, metavar="WHO", help="Who does it. Default: the login name.")]
