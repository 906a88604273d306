"""Opens the blobs of tests/vectors/blob/v1.json, by docs/FORMAT.md alone. With --write it makes them anew."""

import hashlib
import json
import pathlib
import sys

import sealed

file = pathlib.Path(__file__).parents[1] / "vectors/blob/v1.json"


def cipher(vector, nonce):
    """The AES-GCM key, the nonce and the associated data of a blob."""
    reference = bytes.fromhex(vector["reference"])
    assert len(reference) in (48, 64)
    identifier, key = reference[:16], reference[16:48]
    header = bytes(5)
    binding = sealed.associated_data(header, vector["cookie_name"], bytes.fromhex(vector["context"]))[len(header) :]
    data = b"sealed-session/blob/1" + vector["kind"].encode() + identifier + binding
    gcm, short_nonce = sealed.xaes(key, nonce)
    return gcm, short_nonce, data


def made():
    for name, kind, previous, content in [
        ("a session", "S", b"", b"\0\xa7session"),
        ("a session in the place of another", "S", bytes(range(16)), b"\0\xa7session"),
        ("a value beside a session", "A", b"", b"\x01\0\xa5value"),
    ]:
        noise = hashlib.shake_128(name.encode()).digest(72)
        vector = {
            "name": name,
            "cookie_name": "__Host-session",
            "context": b"tenant".hex(),
            "kind": kind,
            "reference": (noise[:48] + previous).hex(),
        }
        nonce = noise[48:]
        gcm, short_nonce, data = cipher(vector, nonce)
        message = content + b"\x80" + bytes(7)
        blob = nonce + gcm.encrypt(short_nonce, message, data)
        yield vector | {"blob": blob.hex(), "content": content.hex()}


if "--write" in sys.argv:
    file.write_text(json.dumps(list(made()), indent=2) + "\n")
vectors = json.loads(file.read_text())
for vector in vectors:
    blob = bytes.fromhex(vector["blob"])
    gcm, short_nonce, data = cipher(vector, blob[:24])
    content, marker, zeros = gcm.decrypt(short_nonce, blob[24:], data).rpartition(b"\x80")
    assert marker and not zeros.strip(b"\0")
    assert content.hex() == vector["content"], vector["name"]
print(f"{file.name}: {len(vectors)} blobs")
