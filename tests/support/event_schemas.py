"""The schemas of docs/schemas, and holding events against them."""

import json
import re
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from tests.conftest import ROOT

type Json = dict[str, Any]

FOLDER = ROOT / "docs" / "schemas"
SCHEMAS: dict[str, Json] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def as_received(source: str, detail_type: str, detail: object) -> Json:
    """Return the event as a rule's target gets it, around this detail."""
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "account": "111122223333",
        "time": "2026-11-22T05:16:55Z",
        "region": "ap-south-1",
        "resources": [],
        "source": source,
        "detail-type": detail_type,
        "detail": detail,
    }


def schemas_for(detail_type: str) -> list[str]:
    """Return the names of the schemas that are for events of this type: exactly one, where all is well."""
    return [name for name, schema in SCHEMAS.items() if _is_for(schema["properties"]["detail-type"], detail_type)]


def _is_for(names: Json, detail_type: str) -> bool:
    return Draft202012Validator(names).is_valid(detail_type)


def constant_types(name: str) -> set[str]:
    """Return the detail types that a schema names one by one; none where it has a pattern for them."""
    names = SCHEMAS[name]["properties"]["detail-type"]
    return {names["const"]} if "const" in names else set(names.get("enum", ()))


def check(event: Json) -> str:
    """Hold an event against the schema for its type, and return the schema's name. Raises `ValidationError`."""
    detail_type = str(event.get("detail-type"))
    found = schemas_for(detail_type)
    if len(found) != 1:
        raise ValidationError(f"{detail_type}: one schema is wanted in docs/schemas, and there are {found}")
    Draft202012Validator(SCHEMAS[found[0]]).validate(event)
    detail = event["detail"]
    # What no schema can say: both name the same source.
    expected = f"{detail['source']}.{detail['kind']}" if "kind" in detail else detail.get("source")
    if expected is not None and detail_type != f"{expected}.received":
        raise ValidationError(f"{detail_type} tells of {expected}")
    return found[0]


def is_valid(event: Json) -> bool:
    """Say whether an event is as its schema says."""
    try:
        check(event)
    except ValidationError:
        return False
    return True


def title(name: str) -> str:
    """Return a schema's title with its variables left out, for comparing it with file names: `smallcase.received`."""
    return re.sub(r"<\w+>\.", "", str(SCHEMAS[name]["title"]))
