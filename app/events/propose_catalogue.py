"""What `vitrine layout` says of a catalogue: the layout's part, and which file it is."""

from pathlib import Path

from app.events.guess_catalogue import CatalogueGuess
from app.events.layout import CATEGORY, CatalogueColumns
from app.events.yaml_lines import Lines, as_yaml


def add_catalogue(out: Lines, guess: CatalogueGuess, source: str) -> None:
    """Add how a catalogue is read; of one that bears our names, only that it is there.

    Parameters
    ----------
    source
        What the log was named by.
    """
    if guess.is_log:
        said = "lines of the log name its products: give --catalogue the same file as --events"
    else:
        said = (
            f"{guess.sample.file.name} beside the log names {guess.held:.0%} of the products sampled: "
            f"give --catalogue {guess.sample.file}"
        )
        if Path(source).is_dir():
            said += ", and --events the files of the log in place of their folder"
    if _speaks_our_names(guess):
        out.add(f"# {said}.")
        return
    out.add("catalogue:", said)
    out.add("  columns:")
    for name in CatalogueColumns.model_fields:
        if name in guess.columns:
            out.add(f"    {name}: {as_yaml(guess.columns[name].column)}")
    if guess.delimiter != ",":
        out.add(f"  delimiter: {as_yaml(guess.delimiter)}")
    if guess.separator != ".":
        out.add(f"  category_separator: {as_yaml(guess.separator)}", "many categories hold it")


def _speaks_our_names(guess: CatalogueGuess) -> bool:
    """Whether it is read as it should be without a word in the layout."""
    ours = all(one.column == name for name, one in guess.columns.items() if name != "category_code")
    category = guess.columns.get("category_code")
    known = category is None or category.column in ("category_code", CATEGORY)
    return ours and known and (guess.delimiter, guess.separator) == (",", ".")
