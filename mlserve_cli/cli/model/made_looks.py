"""What `quantize` and `prune` show of what they made: where it is, what was done, and each gate as a small table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlserve_cli.cli.model.looks import DONE
from mlserve_cli.errors import shown
from mlserve_cli.optimize.gate import LEAST, named, number

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.optimize.made import Made
    from mlserve_cli.registry import GateResult


def made_lines(made: Made) -> list[str]:
    """Lines for people."""
    lines = [
        _head(made),
        f"  made of   {shown(made.parent, limit=400)}",
        f"  size      {made.size_bytes:,} bytes, before {made.parent_bytes:,}",
        *(f"  step      {shown(step, limit=400)}" for step in made.steps),
        *(f"  note      {shown(note, limit=400)}" for note in made.notes),
    ]
    for gate in made.described.gates:
        lines += [f"  {gate.name} gate passed on {gate.rows:,} rows", *_gate_table(gate)]
    return lines


def made_facts(made: Made) -> Facts:
    """The same for machines."""
    change = made.change
    return {
        **DONE,
        "name": made.described.name,
        "version": change.version if change else None,
        "already": change.already if change else False,
        "digest": made.digest,
        "path": made.folder.encode(errors="surrogateescape").decode(errors="replace"),
        "parent": made.parent,
        "parent_bytes": made.parent_bytes,
        "size_bytes": made.size_bytes,
        "steps": list(made.steps),
        "notes": list(made.notes),
        "gates": msgspec.to_builtins(made.described.gates),
    }


def _head(made: Made) -> str:
    change = made.change
    if change is None:
        return f"packaged {shown(made.described.name)} in {shown(made.folder, limit=400)}"
    done = "is there already as" if change.already else "registered as"
    return f"{made.described.name} {done} {change.name}:{change.version}"


def _gate_table(gate: GateResult) -> list[str]:
    rows = [
        (
            named(figure),
            number(value),
            f"at most {number(gate.limits[figure])}"
            if figure in gate.limits
            else f"at least {number(gate.limits[LEAST + figure])}"
            if LEAST + figure in gate.limits
            else "",
        )
        for figure, value in gate.figures.items()
    ]
    wide = max((len(name) for name, _, _ in rows), default=0)
    return [f"    {name:<{wide}}  {value:>10}  {limit}".rstrip() for name, value, limit in rows]
