"""`make scaling`: print every table, or put them into docs/scaling.md."""

import sys
from pathlib import Path
from typing import Final

from local.paths import ROOT
from ops.document_tables import NoPlace, write_into
from ops.scaling.tables import TABLES

DOCUMENT: Final = ROOT / "docs" / "scaling.md"


def main(argv: list[str], document: Path = DOCUMENT) -> int:
    """With `--write`, write the document; without, print."""
    if argv != ["--write"]:
        for name, render in TABLES.items():
            print(f"{name}\n\n{render()}")
        return 0
    try:
        is_new = write_into(document, TABLES)
    except NoPlace as error:
        print(f"{document.name}: {error}", file=sys.stderr)
        return 1
    print(f"{document.name}: {'written' if is_new else 'nothing new'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
