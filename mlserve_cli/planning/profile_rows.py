"""How many rows go to the quantiles of a run's profile."""

from __future__ import annotations

ROWS_WANTED = 50_000
ROWS_OF_A_SMALL_RUN = 10_000
LEAST_STEP = 40
WHOLE_ROWS = 1_000_000


def profile_every_for(rows: int, *, whole: bool = False) -> int:
    """Of how many rows one goes there, at least 1.

    A value costs 20 ns in the sketch, 1 ns in everything else that a profile counts: so one row in forty, more of a
    small run, whose start-up hides it, and 50,000 of a large one, which leave quantiles about as exact as the sketch.
    `whole` takes every row of up to a million: of a baseline, which is made once.
    """
    if whole:
        return max(1, -(-rows // WHOLE_ROWS))
    return max(1, min(LEAST_STEP, rows // ROWS_OF_A_SMALL_RUN), -(-rows // ROWS_WANTED))
