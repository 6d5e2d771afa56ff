"""Pages made from templates that lie beside the code that fills them in."""

from pathlib import Path

import jinja2


def templates(folder: Path) -> jinja2.Environment:
    """An environment for the templates of a folder: what is filled in is escaped, and a missing name is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
