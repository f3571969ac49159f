"""Templates into one file of HTML: every value escaped, nothing from outside."""

from __future__ import annotations

from mlserve_cli.errors import ExtraMissing


def render(template: str, **values: object) -> bytes:
    """A page as UTF-8. Raises ExtraMissing (69) where Jinja2 is not installed."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise ExtraMissing("jinja2", "report") from error

    environment = Environment(
        loader=PackageLoader("mlserve_cli.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values).encode()
