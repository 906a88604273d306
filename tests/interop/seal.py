"""Seals random sessions, and malformed messages behind a valid seal, with the writer that was made from the page alone.

    python3 tests/interop/seal.py --seed 1 --count 2000 > sealed.json

Prints a list in the form of tests/vectors/v1.json. The same seed gives the same list.
"""

import argparse
import json
import random
import string
import zlib

import lz4.block

import sealed
from sealed import to_text, write_varint

ALPHABET = string.ascii_letters + string.digits + " .-_@/"
CLAIMS = '{"alg":"RS256","typ":"JWT","kid":"%s"}'


class Writer:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.vectors = []

    def text(self, most):
        return "".join(self.random.choices(ALPHABET, k=self.random.randrange(most)))

    # Bodies, as a list of parts: each is (bytes of the body, bytes they stand for if text).

    def json_body(self):
        """A JSON object with strings, some of which are base64url, cut at places of our choice."""
        parts = [(b'{"a":1', None)]
        for i in range(self.random.randrange(5)):
            raw = self.random.choice(
                [
                    lambda: self.random.randbytes(self.random.randrange(12, 300)),
                    lambda: (CLAIMS % self.text(40)).encode() * self.random.randrange(1, 4),
                    lambda: b"",
                ]
            )()
            parts.append((f',"f{i}":"'.encode(), None))
            if raw:
                parts.append((to_text(raw).encode(), raw))
            else:
                parts.append((self.text(200).encode() * self.random.randrange(4), None))
            parts.append((b'"', None))
        parts.append((b"}", None))
        return parts

    def messagepack_body(self):
        """A string or a list of small numbers."""
        if self.random.random() < 0.5:
            raw = self.text(250).encode() * self.random.randrange(1, 9)
            return [(b"\xda" + len(raw).to_bytes(2, "big"), None), (raw, None)]
        count = self.random.randrange(60, 400)
        return [(b"\xdc" + count.to_bytes(2, "big"), None), (bytes(self.random.choices(range(128), k=count)), None)]

    def pack(self, parts, method):
        packed = b""
        for i, (plain, raw) in enumerate(parts):
            is_last = i == len(parts) - 1
            if is_last and raw is None and self.random.random() < 0.7:
                return packed + b"\x00" + plain
            content = plain if raw is None else raw
            if not content:
                continue
            compressed = self.random.random() < 0.5
            head = (raw is not None) << 1 | compressed
            out = deflate_or_lz4(content, method, raw is not None) if compressed else content
            expanded = write_varint(len(content)) if compressed else b""
            packed += write_varint(len(out) << 2 | head) + expanded + out
        return packed

    def envelope(self, form, packed, method="LZ4", began=None, age=None, schema=0, session_id=None, extensions=b""):
        tag = form | (schema != 0) << 4 | (session_id is not None) << 5
        tag |= (extensions != b"") << 6 | (method == "DEFLATE") << 7
        out = bytes([tag]) + write_varint(began) + write_varint(age)
        out += write_varint(schema) if schema else b""
        out += session_id or b""
        out += write_varint(len(extensions)) + extensions if extensions else b""
        return out + packed

    def extensions(self):
        """Some of those that a reader may skip, and the lifetime of the session, if it has one."""
        kinds = {self.random.choice([1000, 1001, self.random.randrange(1002, 1 << 40)]) for _ in range(self.random.randrange(4))}
        all = {kind: write_varint(kind << 1) + sized(self.random.randbytes(self.random.randrange(90))) for kind in kinds}
        lifetime = {}
        if self.random.random() < 0.5:
            for name, longest in (("absolute", 1 << 40), ("idle", 1 << 20)):
                if self.random.random() < 0.7:
                    # Long enough that the session has not ended where it is opened.
                    lifetime[name] = self.random.randrange(1 << 26, longest) if longest > 1 << 26 else longest
            if self.random.random() < 0.5:
                lifetime["browser_session"] = True
        if lifetime:
            all[3] = write_varint(3 << 1 | 1) + sized(write_lifetime(lifetime))
        return b"".join(all[kind] for kind in sorted(all)), lifetime

    def add(self, name, message, chunks=1, cookie_name="__Host-session", context=b"", **expected):
        key = sealed.Key(self.random.randbytes(32))
        raw = sealed.seal(key, self.random.randbytes(24), message, chunks, cookie_name, context)
        text = to_text(raw)
        # Shares of any lengths, but the first holds the header and the set tag.
        cuts = sorted(self.random.sample(range(12, len(text)), chunks - 1))
        lengths = [b - a for a, b in zip([0, *cuts], cuts)]
        self.vectors.append(
            {
                "name": name,
                "key": key.to_text(),
                "cookie_name": cookie_name,
                "context": context.hex(),
                "cookies": sealed.split(cookie_name, text, lengths),
                **expected,
            }
        )

    def session(self, number):
        pick = self.random.random
        form, parts = (2, self.json_body()) if pick() < 0.6 else (1, self.messagepack_body())
        method = self.random.choice(["LZ4", "DEFLATE"])
        began = self.random.choice([0, 1, 1_763_996_400, self.random.randrange(1 << 40)])
        age = self.random.choice([0, 1, self.random.randrange(1 << 25)])
        schema = self.random.choice([0, 0, 1, 200, self.random.randrange(1, 1 << 32)])
        session_id = self.random.randbytes(16) if pick() < 0.4 else None
        extensions, lifetime = self.extensions() if pick() < 0.5 else (b"", {})
        packed = self.pack(parts, method)
        message = self.envelope(form, packed, method, began, age, schema, session_id, extensions)
        message += b"\x80" + bytes(self.random.randrange(70))
        self.add(
            f"random {number}",
            message,
            chunks=self.random.choice([1, 1, 2, 3, 4]),
            cookie_name=self.random.choice(["__Host-session", "id", "a.b-c"]),
            context=self.random.choice([b"", b"shop", self.random.randbytes(9)]),
            format=form,
            began=began,
            sealed=began + age,
            schema=schema,
            id=session_id and session_id.hex(),
            **({"lifetime": lifetime} if lifetime else {}),
            body=b"".join(plain for plain, _ in parts).hex(),
        )

    def malformed(self):
        """Each rule of sections 4 to 6 broken once."""
        times = write_varint(1_763_996_400) + b"\x05"
        end = b"\x80"
        body = b"\x00\x01"  # the rest: the number 1
        zeros = lz4.block.compress(bytes(100), store_size=False)

        def bad(name, message, error="Message"):
            self.add(name, message, error=error)

        bad("message: empty", b"")
        bad("message: all padding", bytes(8))
        bad("message: no end of padding", b"\x01" + times + body)
        bad("message: only the end of padding", end)
        bad("message: no times", b"\x01" + end)
        bad("message: no age", b"\x01\x05" + end)
        for form in (0, 5, 15):
            bad(f"format {form}", bytes([form]) + times + body + end, "UnsupportedFormat")
        bad("began: not minimal", b"\x01\x85\x00\x05" + body + end)
        bad("began: zero, not minimal", b"\x01\x80\x00\x05" + body + end)
        bad("began: 2^40", b"\x01" + write_varint(1 << 40) + b"\x05" + body + end)
        bad("began: over 64 bits", b"\x01" + b"\xff" * 9 + b"\x02\x05" + body + end)
        bad("began: eleven bytes", b"\x01" + b"\x80" * 10 + b"\x01\x05" + body + end)
        bad("age: 2^40", b"\x01\x05" + write_varint(1 << 40) + body + end)
        bad("schema: 0 in full", b"\x11" + times + b"\x00" + body + end)
        bad("schema: 2^32", b"\x11" + times + write_varint(1 << 32) + body + end)
        bad("schema: absent", b"\x11" + times + end)
        bad("id: 15 bytes", b"\x21" + times + b"\x07" * 15 + end)
        bad("extensions: too long", b"\x41" + times + b"\x09\x10\x00" + end)
        bad("extensions: 2^64 - 1", b"\x41" + times + write_varint((1 << 64) - 1) + body + end)
        for name, block, error in [
            ("none", b"", "Message"),
            ("over 512 bytes", b"\x10\xfe\x03" + bytes(510), "Message"),
            ("type 0", b"\x00\x00", "Message"),
            ("one type twice", b"\x10\x00\x10\x00", "Message"),
            ("descending types", b"\x12\x00\x10\x00", "Message"),
            ("head not minimal", b"\x90\x00\x00", "Message"),
            ("head cut", b"\x90", "Message"),
            ("no length", b"\x10", "Message"),
            ("longer than all", b"\x10\x02\x00", "Message"),
            ("critical and not known", write_varint(1000 << 1 | 1) + b"\x00", "UnsupportedFormat"),
            ("a lifetime that is not critical", b"\x06\x01\x04", "Message"),
            ("a lifetime without flags", b"\x07\x00", "Message"),
            ("a lifetime of nothing", b"\x07\x01\x00", "Message"),
            ("a lifetime with a flag of later", b"\x07\x01\x08", "UnsupportedFormat"),
            ("a lifetime of 0 seconds", b"\x07\x02\x01\x00", "Message"),
            ("a lifetime of 2^40 seconds", b"\x07\x07\x02" + write_varint(1 << 40), "Message"),
            ("a lifetime cut", b"\x07\x02\x03\x05", "Message"),
            ("a lifetime and more", b"\x07\x02\x04\x00", "Message"),
        ]:
            bad(f"extensions: {name}", b"\x41" + times + sized(block) + body + end, error)
        for method, flag in (("LZ4", 0x01), ("DEFLATE", 0x81)):
            whole = deflate_or_lz4(bytes(100), method, False)
            start = bytes([flag]) + times

            def segment(raw, expanded, kind=1):
                return start + write_varint(len(raw) << 2 | kind) + write_varint(expanded) + raw + end

            bad(f"{method}: expanded too small", segment(whole, 99))
            bad(f"{method}: expanded too large", segment(whole, 101))
            bad(f"{method}: expanded over the limit", segment(whole, 65_537))
            bad(f"{method}: expanded 2^63", segment(whole, 1 << 63))
            bad(f"{method}: nothing compressed", segment(b"", 5))
            bad(f"{method}: cut", segment(whole[:-1], 100))
            bad(f"{method}: trailing byte", segment(whole + b"\x01", 100))
            bad(f"{method}: noise", segment(b"\xff" * 9, 100))
            bomb = deflate_or_lz4(bytes(65_000), method, False)
            bad(f"{method}: bomb that announces little", segment(bomb, 10))
            two = start + (write_varint(len(bomb) << 2 | 1) + write_varint(65_000) + bomb) * 2 + end
            bad(f"{method}: two that are over the limit together", two)
            bad(f"{method}: over the limit as text", segment(deflate_or_lz4(bytes(60_000), method, True), 60_000, 3))
        bad("DEFLATE: what is LZ4", b"\x81" + times + write_varint(len(zeros) << 2 | 1) + b"\x64" + zeros + end)
        bad("segment: longer than the message", b"\x01" + times + write_varint(9 << 2) + b"\x01" + end)
        bad("segment: head cut", b"\x01" + times + b"\xff" + b"\x80")
        bad("segment: head not minimal", b"\x01" + times + b"\x84\x00\x01" + end)
        bad("segment: 2^62 bytes", b"\x01" + times + b"\xfc" + b"\xff" * 8 + b"\x01" + b"\x01" + end)
        for name, form, body in [
            ("empty", 1, b""),
            ("two values", 1, b"\x01\x01"),
            ("string cut", 1, b"\xa5abc"),
            ("string of 4 GiB", 1, b"\xdb\xff\xff\xff\xff"),
            ("list of 4 Gi values", 1, b"\xdd\xff\xff\xff\xff"),
            ("map of 4 Gi values", 1, b"\xdf\xff\xff\xff\xff"),
            ("10,000 lists deep", 1, b"\x91" * 10_000 + b"\x01"),
            ("reserved byte", 1, b"\xc1"),
            ("string not of UTF-8", 1, b"\xa2\xff\xfe"),
            ("JSON cut", 2, b'{"a":'),
            ("JSON with two values", 2, b"1 1"),
            ("JSON 10,000 deep", 2, b"[" * 10_000),
        ]:
            if len(body) > 9000:
                head = deflate_or_lz4(body, "LZ4", False)
                packed = write_varint(len(head) << 2 | 1) + write_varint(len(body)) + head
            else:
                packed = b"\x00" + body
            bad(f"body: {name}", bytes([form]) + times + packed + end, "Deserialize")


def sized(raw):
    return write_varint(len(raw)) + raw


def write_lifetime(lifetime):
    flags = ("absolute" in lifetime) | ("idle" in lifetime) << 1 | ("browser_session" in lifetime) << 2
    return bytes([flags]) + b"".join(write_varint(lifetime[name]) for name in ("absolute", "idle") if name in lifetime)


def deflate_or_lz4(raw, method, text):
    if method == "LZ4":
        options = {"dict": sealed.DICTIONARY} if text else {}
        return lz4.block.compress(raw, store_size=False, **options)
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15, 8, 0, *([sealed.DICTIONARY] if text else []))
    return compressor.compress(raw) + compressor.flush()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Seals random sessions and malformed messages.")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--count", type=int, default=60)
    options = arguments.parse_args()
    writer = Writer(options.seed)
    writer.malformed()
    for number in range(options.count):
        writer.session(number)
    print("[" + ",\n".join(json.dumps(vector) for vector in writer.vectors) + "]")
