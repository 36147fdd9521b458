"""values.yaml as data: each value with its sentence, its kind and its default.

The comments are the only place where a value is described; the schema, the README's table and the
file of defaults are made of them.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parents[2] / "helm" / "metastore"

SIZE = r"[0-9]+ *([bB]|[kKmMgGtT]([bB]|[iI][bB]?))?"
DURATION = r"([0-9]{1,9}(us|ms|s|m|h))+"
# Kubernetes' own grammar, without what is negative.
QUANTITY = r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?"
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
AMOUNTS = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}

# What may stand behind `@schema`, besides JSON.
KINDS = {
    "duration": {"type": ["string", "integer"], "pattern": f"^(0|{DURATION})?$", "maximum": 0},
    "duration-or-count": {"type": ["string", "integer"], "pattern": f"^([0-9]+|{DURATION})?$", "minimum": 0},
    "size": {"type": ["string", "integer"], "pattern": f"^({SIZE})?$", "minimum": 0},
    "signed-size": {"type": ["string", "integer"], "pattern": f"^(-?{SIZE})?$"},
    "share": {"type": ["string", "integer"], "pattern": f"^([0-9]+(\\.[0-9]{{1,2}})? *%|{SIZE})?$", "minimum": 0},
    "count": {"type": ["string", "integer"], "pattern": "^[0-9]*$", "minimum": 0},
    "positive": {"type": "integer", "minimum": 1},
    "positive-or-empty": {"type": ["string", "integer"], "pattern": "^([1-9][0-9]*)?$", "minimum": 1},
    "not-negative": {"type": "integer", "minimum": 0},
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "switch": {"enum": ["", True, False, "true", "false"]},
    "scrape-time": {"type": "string", "pattern": "^([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$"},
    "quantity": {"type": ["string", "integer"], "pattern": f"^{QUANTITY}$", "minimum": 1},
    "quantity-or-empty": {"type": ["string", "integer"], "pattern": f"^({QUANTITY})?$", "minimum": 1},
    "path": {"type": "string", "pattern": "^/[^ :]*[^/ :]$"},
    "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "labels": TEXTS,
    "names": {"type": "array", "items": {"type": "string"}},
    "secrets": {"type": "array", "items": {"type": ["string", "object"], "required": ["name"]}},
    "object": {"type": "object"},
    "objects": {"type": "array", "items": {"type": "object"}},
    "anything-list": {"type": "array", "items": {"type": ["object", "string"]}},
    "variables": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "value": {"type": ["string", "null"]}, "valueFrom": {"type": "object"}},
            "additionalProperties": False,
        },
    },
    "resources": {
        "type": "object",
        "properties": {"requests": AMOUNTS, "limits": AMOUNTS, "claims": {"type": "array"}},
        "additionalProperties": False,
    },
}
KIND_OF_DEFAULT = {bool: {"type": "boolean"}, int: {"type": "integer"}, str: {"type": "string"}}

# A group that a chart that includes this one writes into.
OPEN = {("global",)}
# What such a chart has as the condition of including this one; Helm hands it on.
CONDITION = {"enabled": {"description": "Not read: for a chart that includes this one.", "type": "boolean"}}


@dataclass(frozen=True)
class Value:
    path: tuple[str, ...]
    sentence: str
    kind: str
    default: object

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def schema(self) -> dict:
        if self.kind.startswith("{"):
            return json.loads(self.kind)
        return KINDS[self.kind] if self.kind else KIND_OF_DEFAULT[type(self.default)]


def lookup(tree, path):
    for key in path:
        tree = tree[key]
    return tree


def read(text: str | None = None) -> list[Value]:
    """Every value that has a comment. A key without one is a group, or a mistake."""
    text = (CHART / "values.yaml").read_text() if text is None else text
    defaults = yaml.safe_load(text)
    found, path, sentence, kind, leaf_indent = [], [], [], "", None
    for number, line in enumerate(text.splitlines(), 1):
        indent = len(line) - len(line.lstrip())
        if leaf_indent is not None and line.strip() and indent > leaf_indent:
            continue  # inside a value that is documented as a whole
        leaf_indent = None
        comment = line.strip()
        if comment.startswith("# -- "):
            sentence = [comment[5:]]
        elif comment.startswith("# @schema "):
            kind = comment[10:]
        elif comment.startswith("#") or not comment:
            continue
        else:
            key, rest = re.fullmatch(r" *([A-Za-z]+):(.*)", line).groups()
            path = path[: indent // 2] + [key]
            if sentence or kind:
                value = Value(tuple(path), " ".join(sentence), kind, lookup(defaults, path))
                found.append(value)
                leaf_indent = indent
            elif rest.strip():
                raise ValueError(f"values.yaml:{number}: {'.'.join(path)} has no sentence")
            sentence, kind = [], ""
    return found


def schema() -> dict:
    root = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "metastore",
        "description": "Made from values.yaml by tests/pod/documents.",
        "type": "object",
        "properties": dict(CONDITION),
        "additionalProperties": False,
    }
    for value in read():
        group = root
        for depth, key in enumerate(value.path[:-1], 1):
            is_open = value.path[:depth] in OPEN
            fresh = {"type": "object", "properties": {}, "additionalProperties": is_open}
            group = group["properties"].setdefault(key, fresh)
        if value.kind == "rest":
            group["additionalProperties"] = True
        else:
            group["properties"][value.path[-1]] = {"description": value.sentence, **value.schema()}
    return root


def schema_text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def defaults() -> dict[str, object]:
    """Path → default of each value, and of a group with Kubernetes' own fields, where a key left empty takes one away."""
    found = {}
    for value in read():
        group = value.path[:-1]
        if value.kind == "rest":
            found.setdefault(".".join(group), {})[value.path[-1]] = value.default
        else:
            found[value.name] = value.default
    return found


def defaults_text() -> str:
    head = "# Made from values.yaml by tests/pod/documents, for templates/_defaults.tpl.\n"
    return head + "".join(f"{path}: {json.dumps(default, ensure_ascii=False)}\n" for path, default in defaults().items())


def table() -> str:
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for value in read():
        if not value.sentence:
            continue
        default = json.dumps(value.default, ensure_ascii=False) if value.default not in ("", [], {}) else ""
        default = f"`{default}`" if default else ""
        name = value.name if value.kind != "rest" else ".".join(value.path[:-1]) + ".*"
        sentence = value.sentence.replace("|", "\\|")
        rows.append(f"| `{name}` | {default if value.kind != 'rest' else ''} | {sentence} |")
    return "\n".join(rows)


def readme() -> str:
    text = (CHART / "README.md").read_text()
    before, rest = text.split("<!-- values -->\n")
    _, after = rest.split("<!-- /values -->\n")
    return f"{before}<!-- values -->\n{table()}\n<!-- /values -->\n{after}"
