"""What a client of the API would notice of a change of docs/openapi.yaml.

Owns what counts as breaking. What is asked of a client may get less and never more; what is answered may get more and
never less. In doubt it breaks: whoever means it changes the baseline (CONTRIBUTING.md). It takes documents whose
references are expanded.
"""

from collections.abc import Iterator
from typing import Any, Literal

from tests.support.api_document import Json, operations

type Side = Literal["asked", "answered"]

LOWEST = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
HIGHEST = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
# Of these, only the same is the same.
FORMS = ("pattern", "format", "anyOf", "oneOf", "not", "additionalProperties")


def breaking_changes(old: Json, new: Json) -> list[str]:
    """Return what no longer holds of the old document, a line for each; none where every client goes on working."""
    return list(_of_routes(operations(old), operations(new)))


def _of_routes(old: dict[str, Json], new: dict[str, Json]) -> Iterator[str]:
    for route, operation in old.items():
        if route not in new:
            yield f"{route}: the route is gone"
            continue
        yield from _of_security(operation, new[route], route)
        yield from _of_parameters(operation, new[route], route)
        yield from _of_request(operation.get("requestBody"), new[route].get("requestBody"), route)
        yield from _of_answers(operation["responses"], new[route]["responses"], route)


def _of_security(old: Json, new: Json, route: str) -> Iterator[str]:
    # Each way in that there was, one without any credential included, is one still.
    for way in old["security"] or [{}]:
        if not any(set(each) <= set(way) for each in new["security"] or [{}]):
            yield f"{route}: {' and '.join(way) or 'no credential'} is no longer enough"


def _of_parameters(old: Json, new: Json, route: str) -> Iterator[str]:
    before = {(each["in"], each["name"]): each for each in old.get("parameters", [])}
    after = {(each["in"], each["name"]): each for each in new.get("parameters", [])}
    for key, parameter in after.items():
        was = before.get(key, {})
        if parameter.get("required") and not was.get("required"):
            yield f"{route}: parameter {key[1]} is required"
    for key, was in before.items():
        where = f"{route}: parameter {key[1]}"
        if key in after:
            yield from _of_schema(was["schema"], after[key]["schema"], where, "asked")
        else:
            yield f"{where} is gone"


def _of_request(old: Json | None, new: Json | None, route: str) -> Iterator[str]:
    if new is not None and new.get("required") and not (old or {}).get("required"):
        yield f"{route}: a body is required"
    for media, was in (old or {}).get("content", {}).items():
        where = f"{route}: body of type {media}"
        content = (new or {}).get("content", {})
        if media in content:
            yield from _of_schema(was.get("schema", {}), content[media].get("schema", {}), where, "asked")
        else:
            yield f"{where} is no longer taken"


def _of_answers(old: Json, new: Json, route: str) -> Iterator[str]:
    for status, was in old.items():
        where = f"{route}: {status}"
        if status not in new:
            yield f"{where} is gone"
            continue
        for name, header in was.get("headers", {}).items():
            now = new[status].get("headers", {}).get(name)
            if now is None:
                yield f"{where}: header {name} is gone"
            elif header.get("required") and not now.get("required"):
                yield f"{where}: header {name} is no longer promised"
        content = new[status].get("content", {})
        for media, of_type in was.get("content", {}).items():
            if media in content:
                yield from _of_schema(of_type["schema"], content[media]["schema"], f"{where}: {media}", "answered")
            else:
                yield f"{where}: {media} is gone"


def _of_schema(old: Json, new: Json, where: str, side: Side) -> Iterator[str]:
    old, new = _flat(old), _flat(new)
    yield from _of_types(old, new, where, side)
    yield from _of_values(old, new, where)
    yield from _of_bounds(old, new, where, side)
    yield from _of_members(old, new, where, side)
    if "items" in old:
        yield from _of_schema(old["items"], new.get("items", {}), f"{where}[]", side)


def _flat(schema: Json) -> Json:
    """Return a schema with its `allOf` merged: of each member, what is said last is added to what was said before."""
    flat: Json = {"properties": {}, "required": []}
    for part in [*map(_flat, schema.get("allOf", [])), {name: schema[name] for name in schema if name != "allOf"}]:
        properties = flat["properties"] | {
            name: {**flat["properties"].get(name, {}), **member} for name, member in part.get("properties", {}).items()
        }
        flat |= {**part, "properties": properties, "required": [*flat["required"], *part.get("required", [])]}
    return flat


def _of_types(old: Json, new: Json, where: str, side: Side) -> Iterator[str]:
    was, now = _types(old), _types(new)
    less, more = (was, now) if side == "asked" else (now, was)
    # No type at all is any type.
    if more and not (less and less <= more):
        yield f"{where}: its type was {_listed(was)} and is {_listed(now)}"


def _types(schema: Json) -> set[str]:
    types = schema.get("type", [])
    return {types} if isinstance(types, str) else set(types)


def _of_values(old: Json, new: Json, where: str) -> Iterator[str]:
    was, now = _values(old), _values(new)
    if was is None and now is not None:
        yield f"{where}: it had any value and has one of {_listed(now)}"
    for value in was or []:
        if now is not None and value not in now:
            yield f"{where}: the value {value} is gone"


def _values(schema: Json) -> list[Any] | None:
    values: list[Any] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    return values


def _of_bounds(old: Json, new: Json, where: str, side: Side) -> Iterator[str]:
    for name in (*LOWEST, *HIGHEST):
        was, now = old.get(name), new.get(name)
        looser, tighter = (was, now) if side == "asked" else (now, was)
        if tighter is None or tighter == looser:
            continue
        if looser is None or (tighter > looser) == (name in LOWEST):
            yield f"{where}: {name} was {was} and is {now}"
    for name in FORMS:
        was, now = old.get(name), new.get(name)
        # A form that is no longer asked for does no harm, and one that is newly promised neither.
        if was != now and (now if side == "asked" else was) is not None:
            yield f"{where}: its {name} has changed"


def _of_members(old: Json, new: Json, where: str, side: Side) -> Iterator[str]:
    was, now = set(old["required"]), set(new["required"])
    if side == "asked":
        yield from (f"{where}: member {name} is required" for name in sorted(now - was))
    else:
        yield from (f"{where}: member {name} is no longer promised" for name in sorted(was - now))
    for name, member in old["properties"].items():
        if name in new["properties"]:
            yield from _of_schema(member, new["properties"][name], f"{where}: member {name}", side)
        else:
            yield f"{where}: member {name} is gone"


def _listed(values: object) -> str:
    return ", ".join(sorted(map(str, values))) if isinstance(values, (set, list)) and values else "anything"
