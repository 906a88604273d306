"""Writes the corpora that can be had from the test vectors and from the writer in `tests/interop`, whose requirements it
has. Run once, then minimise: see README.md. It tells how the reader in `tests/interop` takes the messages."""

import collections
import hashlib
import json
import pathlib
import sys

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "tests/interop"))
import seal  # noqa: E402
import sealed  # noqa: E402

vectors = json.loads((here.parent / "tests/vectors/v1.json").read_text())
outcomes = collections.Counter()

# The targets read at this time.
NOW = 1_763_996_400


def add(target, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(content).hexdigest()).write_bytes(content)


class Messages(seal.Writer):
    """Writes what would be sealed, in the place of cookies."""

    def envelope(self, form, packed, began, age, *rest):
        return super().envelope(form, packed, NOW, 0, *rest)

    def add(self, name, message, **_):
        if len(message) > 4000:
            return
        add("message", message)
        try:
            sealed.unpack(sealed.parse_message(message)[1])
            outcomes["opens"] += 1
        except sealed.Refused as refused:
            outcomes[str(refused)] += 1


for vector in vectors:
    pairs = [f"{name}={value}" for name, value in vector["cookies"].items()]
    if sum(map(len, pairs)) < 1500:
        add("cookie_header", "; ".join(pairs).encode())
        add("cookie_header", "\n".join(["a=b", *pairs, "c=\u00e9"]).encode())
    add("ring_text", vector["key"].encode())
    if "body" in vector and len(vector["body"]) < 4000:
        body = bytes.fromhex(vector["body"])
        messages = Messages(len(body))
        head = sealed.write_varint(len(body) << 2) if body else b""
        skipped = sealed.write_varint(1000 << 1) + seal.sized(b"\xa5")
        for packed, more in [(b"\0" + body, ()), (b"\0" + body, (0, bytes(16))), (head + body, (0, None, skipped))]:
            message = messages.envelope(vector["format"], packed, NOW, 0, *more)
            messages.add(vector["name"], message + b"\x80")

messages = Messages(1)
messages.malformed()
for number in range(100):
    messages.session(number)
print(f"message: {dict(outcomes)}")


# A choice of one of so many ways, as `arbitrary` reads it.
def way(index, of):
    return ((index << 32) // of + 1).to_bytes(4, "little")


legacy = json.loads((here.parent / "tests/vectors/legacy.json").read_text())
for number, vector in enumerate(legacy):
    value = vector["value"].encode()
    add("legacy", bytes([number]) + way(0, 3) + value)
    add("legacy", bytes([number]) + way(1, 3) + b"\0\0\0\0\0")
    add("legacy", bytes([number]) + way(1, 3) + b"\x11\0\x04\0\x01=%3D")
for text in (
    '{"user":"7","cart":"[\\"a\\"]"}',
    '{"v":1,"state":{"user":7}}',
    "eyJ2IjoxLCJyZWNvcmQiOnsiaWQiOiIxIiwiZGF0YSI6eyJ1c2VyIjo3fSwiZXhwaXJ5X2RhdGUiOiI5OTk5LTEyLTMxVDIzOjU5OjU5WiJ9fQ",
    "[1,null,true,1e400]",
):
    add("legacy", b"\0" + way(2, 3) + text.encode())

# No change and a reference; junk and a reference; a change at a place, with a cut.
reference = "A" * 64
add("blob", b"\0" + b"junk" + reference.encode() + b"\4")
add("blob", b"\0" + reference.encode() + b"\0")
add("blob", b"\1" + b"\0\0" + reference.encode() + b"\0\0")
add("blob", b"\1" + b"\7\0\1" + b"\1\0" + reference[:-1].encode() + b"\0\1")
