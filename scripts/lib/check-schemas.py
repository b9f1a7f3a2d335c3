#!/usr/bin/env python3
"""Checks the JSON Schemas in docs/schema with a validator that is not ours.

usage: check-schemas.py TOP

Every sample (sla/, policies/, packaging/etc, the good files of the tests, the
boxes of docs/declarations.md) is valid; and none of them any more when a key
that is required is taken out, or one that nobody knows is put in, anywhere.
"""
import copy
import pathlib
import re
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """As editors read YAML (1.2): a moment is a text, and 1e-3 a number."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"), list("-+.0123456789"))


def texts(top):
    for pattern in ("sla/*.yaml", "policies/*.yaml", "packaging/etc/*.yaml", "Tests/DeclarationsTests/Files/good/*.yaml"):
        for file in sorted(top.glob(pattern)):
            yield file.relative_to(top), file.read_text(encoding="utf-8-sig")
    for name in ("docs/declarations.md",):
        for number, box in enumerate(re.findall(r"```yaml\n(.*?)```", (top / name).read_text(), re.S)):
            yield f"{name}, box {number + 1}", box


def mappings(schema, value):
    """Each mapping of a document with the schema that it is to have, where that names its keys."""
    for option in schema.get("anyOf", []):
        if jsonschema.Draft7Validator(option).is_valid(value):
            yield from mappings(option, value)
    if isinstance(value, dict):
        if "properties" in schema:
            yield schema, value
        for key, inner in value.items():
            yield from mappings(schema.get("properties", {}).get(key) or schema.get("additionalProperties") or {}, inner)
    elif isinstance(value, list):
        for item in value:
            yield from mappings(schema.get("items", {}), item)


def main():
    top = pathlib.Path(sys.argv[1])
    validators = {}
    for file in sorted((top / "docs/schema").glob("*.json")):
        schema = yaml.safe_load(file.read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        validators[file.stem] = jsonschema.Draft7Validator(schema)
    troubles, documents, changes = [], 0, 0
    for name, text in texts(top):
        for document in yaml.load_all(text, Loader):
            if document is None:
                continue
            documents += 1
            validator = validators[document["kind"]]
            troubles += [f"{name}: {list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(document)]
            for number, (schema, _) in enumerate(list(mappings(validator.schema, document))):
                for key in [*schema.get("required", []), None]:
                    changed = copy.deepcopy(document)
                    mapping = list(mappings(validator.schema, changed))[number][1]
                    if key is None:
                        mapping["nobodyKnowsThis"] = 1
                    else:
                        del mapping[key]
                    changes += 1
                    if validator.is_valid(changed):
                        troubles.append(f"{name}: is valid {'with an unknown key' if key is None else f'without {key}'}")
    print("\n".join(troubles) if troubles else f"{documents} documents are valid by their schemas, {changes} damaged ones are not")
    return 1 if troubles or documents < 20 or changes < 100 else 0


sys.exit(main())
