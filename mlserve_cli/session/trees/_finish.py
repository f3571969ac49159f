"""From the trees' sums to the node's outputs: average, base values, the transform, the label, as ONNX Runtime has them.

Its classifier knows several cases for two classes, by which of them have weights and how many base values there are;
they are told apart here once, for all rows. Exponentials are computed in double precision and rounded, which is what
the C library's single-precision ones give.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlserve_cli.session.trees._ensemble import Ensemble, Flags, Unsupported

Array = NDArray[Any]


class Finish(msgspec.Struct, frozen=True):
    """What decides how an ensemble's sums become its outputs, found once: over 100,000 nodes, for each batch, it took
    as long as the trees. `always` and `never`: the targets for which every row gets a weight, and those for which none.
    """

    ensemble: Ensemble
    always: Flags
    never: Flags
    has_one_class: bool
    has_positive_weights: bool


def prepare_finish(ensemble: Ensemble) -> Finish:
    """What `finish` needs to know. Raises Unsupported for what it has no rule for."""
    always, never = _weighed(ensemble)
    _check(ensemble, always, never)
    return Finish(
        ensemble=ensemble,
        always=always,
        never=never,
        has_one_class=_are_one(ensemble.weight_target),
        has_positive_weights=bool(np.all(ensemble.weight_value >= 0)),
    )


def _are_one(values: NDArray[np.int64]) -> bool:
    """Whether there is one value, and no other; unique() would import numpy.ma, 10 ms of every start."""
    return len(values) > 0 and bool(np.all(values == values[0]))


def _check(ensemble: Ensemble, always: Flags, never: Flags) -> None:
    if ensemble.post_transform not in ("NONE", *_TRANSFORMS):
        raise Unsupported(f"it asks for the transform {ensemble.post_transform}")
    row_decides = ensemble.is_classifier or ensemble.aggregate in ("MIN", "MAX") or len(ensemble.base_values)
    if row_decides and not np.all(always | never):
        raise Unsupported("only some of its leaves weigh a class")
    if len(ensemble.base_values) not in (0, 1, ensemble.targets):
        raise Unsupported("it has neither one base value nor one for each target")
    if ensemble.is_classifier and not np.any(always):
        raise Unsupported("its leaves weigh no class")
    if ensemble.targets == 2 and ensemble.post_transform == "PROBIT" and never[1] and len(ensemble.base_values) < 2:
        raise Unsupported("it asks for PROBIT over the score of one class")


def finish(how: Finish, sums: Array) -> tuple[Array, Array | None]:
    """Scores (float32 [rows, targets]; float64 from version 5 over doubles) and labels, if the node gives them."""
    ensemble = how.ensemble
    if ensemble.is_classifier:
        return _classified(how, sums)
    scores = sums / sums.dtype.type(len(ensemble.roots)) if ensemble.aggregate == "AVERAGE" else sums
    if len(ensemble.base_values) == ensemble.targets:
        scores = scores + ensemble.base_values
    scores[:, how.never] = 0  # nor has a target a base value that no leaf weighs
    if ensemble.targets == 1:  # a lone target is transformed by PROBIT alone
        return (_probit(scores) if ensemble.post_transform == "PROBIT" else scores), None
    return _transformed(ensemble, scores), None


def _classified(how: Finish, sums: Array) -> tuple[Array, Array]:
    ensemble = how.ensemble
    assert ensemble.labels is not None
    if ensemble.targets > 2:
        scores, picked = _many_classes(how, sums)
    else:
        scores, picked = _two_classes(how, sums)
        if not how.has_one_class and ensemble.labels.dtype != object:
            return scores, picked  # ONNX Runtime says 1 and 0 then, whatever the labels are
    return scores, ensemble.labels[picked]


def _many_classes(how: Finish, sums: Array) -> tuple[Array, Array]:
    ensemble, weighed = how.ensemble, how.always
    if len(ensemble.base_values):
        sums, weighed = sums + ensemble.base_values, np.ones_like(weighed)
    known = np.flatnonzero(weighed)
    return _transformed(ensemble, sums), known[np.argmax(sums[:, known], axis=1)]


def _two_classes(how: Finish, sums: Array) -> tuple[Array, Array]:
    """The cases of two classes: weights for one of them alone, or for both. A class without weights scores 0."""
    ensemble, (has_first, has_second) = how.ensemble, how.always
    base = ensemble.base_values
    first, second = sums[:, 0], sums[:, 1]
    if len(base) == 2 and has_second:  # the first base value counts for nothing, and so does the second class's sum
        second = base[1] + first
        first = -second if has_first else first
    elif len(base) and has_first:
        first = first + base[0]
    picked = _is_positive(how, second if has_second else first)
    if has_second or len(base) == 2:
        return _transformed(ensemble, np.stack([first, second], axis=1)), picked
    return _from_one(how, first), picked


def _is_positive(how: Finish, weight: Array) -> Array:
    picked = weight > (0.5 if how.has_one_class and how.has_positive_weights else 0)
    return picked.astype(np.int64)


def _from_one(how: Finish, score: Array) -> Array:
    """Both classes' scores where the trees give one."""
    if how.ensemble.post_transform == "LOGISTIC":
        return _logistic(np.stack([-score, score], axis=1))
    return np.stack([1 - score if how.has_positive_weights else -score, score], axis=1)


def _weighed(ensemble: Ensemble) -> tuple[Flags, Flags]:
    """For each target: whether every row gets a weight for it, and whether none does."""
    tree = np.searchsorted(np.sort(ensemble.roots), np.arange(len(ensemble.is_leaf)), side="right")
    keys = tree[ensemble.weight_leaf] * ensemble.targets + ensemble.weight_target
    found, counts = np.unique(keys, return_counts=True)
    leaves = np.bincount(tree[ensemble.is_leaf], minlength=len(ensemble.roots) + 1)
    always = np.zeros(ensemble.targets, np.bool_)
    always[found[counts == leaves[found // ensemble.targets]] % ensemble.targets] = True
    never = ~np.isin(np.arange(ensemble.targets), ensemble.weight_target)
    return always, never


# Transforms


def _transformed(ensemble: Ensemble, scores: Array) -> Array:
    transform = _TRANSFORMS.get(ensemble.post_transform)
    return transform(scores) if transform else scores


def _exp(values: Array) -> Array:
    powers: Array = np.exp(values.astype(np.float64)).astype(values.dtype)
    return powers


def _logistic(scores: Array) -> Array:
    one = scores.dtype.type(1)
    upper = one / (one + _exp(-np.abs(scores)))
    found: Array = np.where(scores < 0, one - upper, upper)
    return found


def _softmax(scores: Array) -> Array:
    powers = _exp(scores - scores.max(axis=1, keepdims=True))
    shares: Array = powers / _in_order(powers)
    return shares


def _softmax_zero(scores: Array) -> Array:
    """Zero stays zero."""
    largest = scores.max(axis=1, keepdims=True)
    is_zero = np.abs(scores) <= scores.dtype.type(1e-7)
    powers = np.where(is_zero, scores * _exp(-largest), _exp(scores - largest))
    shares: Array = powers / _in_order(np.where(is_zero, 0, powers).astype(scores.dtype))
    return shares


def _in_order(values: Array) -> Array:
    """Row sums, added from the first column to the last."""
    total = values[:, 0].copy()
    for column in range(1, values.shape[1]):
        total += values[:, column]
    return total[:, None]


def _probit(scores: Array) -> Array:
    single = np.float32
    value = single(2) * scores.astype(single) - single(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        log = np.log(((1 - value) * (1 + value)).astype(np.float64)).astype(single)
        a = single(2) / (single(np.pi) * single(0.147)) + single(0.5) * log
        root = np.sqrt(np.sqrt(a * a - single(1) / single(0.147) * log) - a)
    found: Array = (single(1.41421356) * np.where(value < 0, -root, root)).astype(scores.dtype)
    return found


_TRANSFORMS = {"LOGISTIC": _logistic, "SOFTMAX": _softmax, "SOFTMAX_ZERO": _softmax_zero, "PROBIT": _probit}
