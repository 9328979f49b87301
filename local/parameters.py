"""Parameters of a template: which there are, and those that a run is told in `PARAMETERS`.

Owns the form `Name=value;Name=value`, and that a name must be the template's.
"""

import re
from pathlib import Path


def declared(template: Path) -> set[str]:
    """Return the names of a template's parameters."""
    section = template.read_text(encoding="utf-8").partition("\nParameters:\n")[2].partition("\n\n")[0]
    return set(re.findall(r"^  (\w+):$", section, re.MULTILINE))


def parse(text: str, template: Path, faults: list[str]) -> dict[str, str]:
    """Return the parameters that a text names; what is wrong with it is added to `faults`."""
    parameters = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isalnum():
            faults.append("PARAMETERS must be of the form Name=value;Name=value")
            break
        parameters[name.strip()] = value.strip()
    unknown = sorted(parameters.keys() - declared(template))
    faults.extend(f"PARAMETERS: the template has no parameter {name}" for name in unknown)
    return parameters
