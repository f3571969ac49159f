"""The options of a run that has more than one model: who scores beside the champion, and whose rows are whose."""

from __future__ import annotations

from typing import Annotated

from mlserve_cli.cli import parse
from mlserve_cli.cli.command import option
from mlserve_cli.cli.options import MODEL

ROLLOUT = "Other models"

ModelUnlessSplit = Annotated[
    str | None,
    option(
        "--model",
        "-m",
        panel=MODEL,
        metavar="MODEL",
        help="An .onnx file, a package folder, or NAME, NAME@ALIAS, NAME:VERSION in the registry.",
    ),
]
Challengers = Annotated[
    list[str] | None,
    option(
        "--challenger",
        panel=ROLLOUT,
        metavar="MODEL",
        help="Scores the same rows beside --model, whose output it does not touch; may be given several times.",
    ),
]
Canary = Annotated[
    float | None,
    option(
        "--canary",
        panel=ROLLOUT,
        metavar="PCT",
        help="The --challenger scores this share of the rows in place of --model, as in 5 or 2.5%.",
        converter=parse.percent,
    ),
]
Split = Annotated[
    list[str] | None,
    option(
        "--split",
        panel=ROLLOUT,
        metavar="A=50,B=50",
        help="Split the rows among these models; the first takes the place of --model.",
    ),
]
SplitKey = Annotated[
    str | None,
    option(
        "--split-key",
        panel=ROLLOUT,
        metavar="COL",
        help="All rows with one value here go to one model, in each run. Default: --id-column.",
    ),
]
SplitSalt = Annotated[
    str | None,
    option(
        "--split-salt",
        panel=ROLLOUT,
        metavar="TEXT",
        help="The experiment's name: under another one other rows go to each model. Default: the models' names.",
    ),
]
