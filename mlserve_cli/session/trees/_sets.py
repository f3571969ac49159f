"""Sets of categories as versions before 5 write them: branches that ask for one value after another."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from mlserve_cli.session.trees._ensemble import Ensemble, Ints, Mode, distinct


def with_sets(ensemble: Ensemble) -> Ensemble:
    """Branches that ask one feature for one value after another, with one node for a yes, become one set.

    It is how versions before 5 write a set of categories, and the only way in which nodes may share a child.
    """
    links = _links(ensemble)
    if not len(links):
        return ensemble
    after = dict(zip(links.tolist(), ensemble.false[links].tolist(), strict=True))
    mode, missing, false = ensemble.mode.copy(), ensemble.missing_true.copy(), ensemble.false.copy()
    members = dict(ensemble.members)
    for head in sorted(set(after) - set(after.values())):
        chain = [head]
        while chain[-1] in after:
            chain.append(after[chain[-1]])
        mode[head], false[head] = Mode.MEMBER, ensemble.false[chain[-1]]
        missing[head] = np.any(ensemble.missing_true[chain])
        members[head] = distinct(ensemble.threshold[chain])
    return replace(ensemble, mode=mode, missing_true=missing, false=false, members=members)


def _links(ensemble: Ensemble) -> Ints:
    """The EQ branches whose no leads to another of the same feature and yes, which has no other parent."""
    equals = np.flatnonzero((ensemble.mode == Mode.EQ) & ~ensemble.is_leaf)
    following = ensemble.false[equals]
    parents = np.bincount(
        np.concatenate([ensemble.true[~ensemble.is_leaf], ensemble.false[~ensemble.is_leaf]]),
        minlength=len(ensemble.is_leaf),
    )
    alike = (
        (ensemble.mode[following] == Mode.EQ)
        & ~ensemble.is_leaf[following]
        & (ensemble.feature[following] == ensemble.feature[equals])
        & (ensemble.true[following] == ensemble.true[equals])
        & (parents[following] == 1)
        & (following > equals)  # as they are written; and a ring has no beginning
    )
    links: Ints = equals[alike]
    return links
