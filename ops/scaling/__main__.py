"""`make scaling`: print every table, or put them into docs/scaling.md."""

import sys
from pathlib import Path
from typing import Final

from local.paths import ROOT
from ops.scaling.tables import TABLES, NoPlace, put_into

DOCUMENT: Final = ROOT / "docs" / "scaling.md"


def main(argv: list[str], document: Path = DOCUMENT) -> int:
    """With `--write`, write the document; without, print."""
    if argv != ["--write"]:
        for name, render in TABLES.items():
            print(f"{name}\n\n{render()}")
        return 0
    before = document.read_text(encoding="utf-8")
    try:
        after = put_into(before)
    except NoPlace as error:
        print(f"{document.name}: {error}", file=sys.stderr)
        return 1
    document.write_text(after, encoding="utf-8")
    print(f"{document.name}: {'nothing new' if after == before else 'written'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
