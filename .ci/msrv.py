"""Holds rust-version against what the dependencies state: no less than the highest of them."""

import json
import sys

metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
root = next(p for p in metadata["packages"] if p["name"] == "sealed-session")

# What users build: normal and build dependencies, not those of tests.
reached, todo = set(), [root["id"]]
while todo:
    here = todo.pop()
    if here in reached:
        continue
    reached.add(here)
    for dependency in nodes[here]["deps"]:
        if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
            todo.append(dependency["pkg"])


def version(package):
    parts = [int(part) for part in (package["rust_version"] or "1.0").split(".")]
    return parts + [0] * (3 - len(parts))


stated = version(root)
higher = [p["name"] for p in map(packages.get, reached) if version(p) > stated]
print(f"rust-version {root['rust_version']}; {len(reached) - 1} dependencies with all features")
if higher:
    sys.exit(f"these need a newer Rust: {', '.join(sorted(higher))}")
