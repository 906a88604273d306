"""Writes the corpora that can be had from the test vectors. Run once, then minimise: see README.md."""

import hashlib
import json
import pathlib
import zlib

here = pathlib.Path(__file__).parent
vectors = json.loads((here.parent / "tests/vectors/v1.json").read_text())


def add(target, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(content).hexdigest()).write_bytes(content)


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


for vector in vectors:
    pairs = [f"{name}={value}" for name, value in vector["cookies"].items()]
    if sum(map(len, pairs)) < 1500:
        add("cookie_header", "; ".join(pairs).encode())
        add("cookie_header", "\n".join(["a=b", *pairs, "c=\u00e9"]).encode())
    add("ring_text", vector["key"].encode())
    if "body" in vector and len(vector["body"]) < 4000:
        body = bytes.fromhex(vector["body"])
        times = varint(1_763_996_400) + varint(5)
        add("message", bytes([vector["format"]]) + times + b"\0" + body + b"\x80")
        add("message", bytes([0x20 | vector["format"]]) + times + bytes(16) + b"\0" + body + b"\x80\0\0")
        head = varint(len(body) << 2)
        add("message", bytes([0x40 | vector["format"]]) + times + b"\x02\x04\x00" + head + body + b"\x80")

# Segments of each kind behind the tag of each method.
times = varint(1_763_996_400) + b"\0"
for tag, compressed in [(0x01, b"\x1f" + b"\xa5" + b"\x01\x00" + b"\x20" + b"\x50" + b"\xa5" * 5)]:
    segment = varint(len(compressed) << 2 | 1) + varint(60) + compressed
    add("message", bytes([tag]) + times + segment + b"\x80")
for text in (b'{"alg":"RS256","typ":"JWT","kid":"1"}', b"\xa5shirt" * 20):
    for use_text in (0, 1):
        dictionary = (here.parent / "src/message/dictionary-1.txt").read_bytes()
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9, 0, *([dictionary] if use_text else []))
        compressed = compressor.compress(text) + compressor.flush()
        segment = varint(len(compressed) << 2 | use_text << 1 | 1) + varint(len(text)) + compressed
        add("message", bytes([0x81]) + times + segment + b"\x80")

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
