"""`make sbom`: under which licences the dependencies are, by their own metadata.

Owns docs/licences.md, and which licences something that is deployed may be under. The software bills of materials
themselves are cyclonedx-py's.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

from local.paths import ROOT

DOCUMENT: Final = ROOT / "docs" / "licences.md"
DEPLOYED: Final = {
    "gatehouse": ROOT / "layers" / "gatehouse" / "requirements.txt",
    "powertools": ROOT / "layers" / "powertools" / "requirements.txt",
}
DEVELOPMENT: Final = ROOT / "requirements" / "dev.txt"

# They ask for their text to go along, and for nothing else.
PERMISSIVE: Final = frozenset({"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"})

# What packages write that do not use SPDX expressions yet.
_SPDX: Final = {
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "BSD": "BSD",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "MIT license": "MIT",
    "MPL-2.0": "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "PSFL": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The MIT License (MIT)": "MIT",
}
UNKNOWN: Final = "unknown"


class Locked(NamedTuple):
    """A package in a locked requirements file."""

    name: str
    version: str


def read_locked(file: Path) -> list[Locked]:
    """Return the packages of a requirements file, in its order."""
    return [
        Locked(name, version)
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def licence_of(about: metadata.PackageMetadata) -> str:
    """Return the licence that a package's metadata names: an expression, or a list of what it says in other places."""
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier", []) if each.startswith("License")]
    said = [*classifiers, str(about.get("License", "")).partition("\n")[0].strip()]
    found = {_SPDX[each] for each in said if each in _SPDX}
    if any(each.startswith("BSD-") for each in found):
        found.discard("BSD")  # said with and without its number of clauses
    return ", ".join(sorted(found)) or UNKNOWN


def is_permissive(licence: str) -> bool:
    """Whether every licence that is named is one of `PERMISSIVE`."""
    return set(re.split(r", | AND | OR |[()]", licence)) - {""} <= PERMISSIVE


def installed(packages: Iterable[Locked]) -> list[tuple[Locked, str]]:
    """Return those that are installed here, each with its licence. The others are for other systems."""
    found = []
    for package in packages:
        try:
            found.append((package, licence_of(metadata.metadata(package.name))))
        except metadata.PackageNotFoundError:
            continue
    return found


def render() -> str:
    """Return docs/licences.md."""
    lines = [
        "# Licences",
        "",
        "Gatehouse itself is under the [MIT licence](../LICENSE). This page is written by `make sbom` from the",
        "packages' own metadata, beside the software bills of materials in `.local/sbom` (CycloneDX).",
        "",
        "## Deployed",
        "",
        "What goes to AWS beside Gatehouse's own code. boto3 and the secrets extension are there already, and AWS's.",
        "",
        "| package | version | licence | layer |",
        "| --- | --- | --- | --- |",
    ]
    for layer, file in DEPLOYED.items():
        lines += [
            f"| {each.name} | {each.version} | {licence} | {layer} |" for each, licence in installed(read_locked(file))
        ]
    lines += [
        "",
        "## For development alone",
        "",
        "What tests, the emulator and the checks use on a developer's machine. None of it is changed, deployed or",
        "handed on, which is what MPL-2.0 would ask something for.",
        "",
        "| licence | packages |",
        "| --- | --- |",
    ]
    by_licence: dict[str, list[str]] = {}
    for package, licence in installed(read_locked(DEVELOPMENT)):
        by_licence.setdefault(licence, []).append(package.name)
    lines += [f"| {licence} | {', '.join(sorted(names))} |" for licence, names in sorted(by_licence.items())]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str], document: Path = DOCUMENT) -> int:
    """With `--write`, write the document; without, print it. 1 where something deployed may not be."""
    text = render()
    if list(argv) == ["--write"]:
        document.write_text(text, encoding="utf-8")
        print(f"Written to {document.name}")
    else:
        print(text)
    refused = [
        f"{package.name}: {licence}"
        for file in DEPLOYED.values()
        for package, licence in installed(read_locked(file))
        if not is_permissive(licence)
    ]
    for each in refused:
        print(f"Deployed, and not under a permissive licence: {each}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
