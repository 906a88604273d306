"""Seals random sessions, and malformed messages behind a valid seal, with the writer that was made from the page alone.

    python3 tests/interop/seal.py --seed 1 --count 2000 > sealed.json

Prints a list in the form of tests/vectors/v1.json. The same seed gives the same list.
"""

import argparse
import base64
import json
import random
import string
import uuid
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

    # Bodies, as a list of parts: each is (bytes of the body, a segment that stands for them or None).

    def json_body(self):
        """A JSON object with strings, some of which stand for fewer bytes, cut at places of our choice."""
        parts = [(b'{"a":1', None)]
        for i in range(self.random.randrange(6)):
            parts.append((f',"f{i}":'.encode(), None))
            pick = self.random.random()
            if pick < 0.2:
                parts += [(b'"', None), (self.text(200).encode() * self.random.randrange(4), None), (b'"', None)]
            elif pick < 0.4:
                parts += [(b'["', None), self.run(b'","'), (b'"]', None)]
            elif pick < 0.6:
                claims = (CLAIMS % self.text(40)).encode() * self.random.randrange(1, 4)
                segment = self.compressed(claims, lambda n: n << 5 | 3, sealed.CLAIMS)
                parts += [(b'"', None), (to_text(claims).encode(), segment), (b'"', None)]
            else:
                text, head, value = self.value(self.random.randrange(7), self.random.randrange(1, 300))
                parts += [(b'"', None), (text.encode(), write_varint(head) + value), (b'"', None)]
        parts.append((b"}", None))
        return parts

    def value(self, kind, n):
        """A string, its head, and what it stands for."""
        raw = self.random.randbytes(16 if kind == 2 else n)
        number = self.random.choice([0, 1, self.random.randrange(1 << 64)])
        if kind in (0, 1, 6):
            text = {0: to_text(raw), 1: raw.hex(), 6: base64.b64encode(raw).decode()}[kind]
            return text, {0: n << 2 | 2, 1: n << 5 | 1 << 2 | 3, 6: n << 5 | 7 << 2 | 3}[kind], raw
        if kind == 2:
            return str(uuid.UUID(bytes=raw)), 2 << 2 | 3, raw
        if kind == 3:
            return str(number), 3 << 2 | 3, write_varint(number)
        form = n % 8
        units = min(self.random.randrange(253_402_300_800) * 1000 ** (form & 3), (1 << 64) - 1)
        return sealed.time_text(units, form), form << 5 | 4 << 2 | 3, write_varint(units)

    def run(self, separator):
        """Values of one head with a separator between them."""
        count, kind, n = self.random.randrange(2, 30), self.random.randrange(7), self.random.randrange(1, 40)
        values = [self.value(kind, n) for _ in range(count)]
        segment = write_varint(count << 5 | 5 << 2 | 3) + sized(separator) + write_varint(values[0][1])
        return separator.join(text.encode() for text, _, _ in values), segment + b"".join(value for _, _, value in values)

    def messagepack_body(self):
        """A string or a list of small numbers."""
        if self.random.random() < 0.5:
            raw = self.text(250).encode() * self.random.randrange(1, 9)
            return [(b"\xda" + len(raw).to_bytes(2, "big"), None), (raw, None)]
        count = self.random.randrange(60, 400)
        return [(b"\xdc" + count.to_bytes(2, "big"), None), (bytes(self.random.choices(range(128), k=count)), None)]

    def compressed(self, content, head, dictionary):
        method = self.random.choice(["LZ4", "DEFLATE"])
        out = deflate_or_lz4(content, method, dictionary)
        return write_varint(head(len(out))) + write_varint(len(content) << 1 | (method == "DEFLATE")) + out

    def pack(self, parts):
        packed = b""
        for i, (plain, segment) in enumerate(parts):
            is_last = i == len(parts) - 1
            if is_last and segment is None and self.random.random() < 0.7:
                return packed + b"\x00" + plain
            if not plain:
                continue
            pick = self.random.random()
            if segment is None and pick < 0.4:
                segment = self.compressed(plain, lambda n: n << 2 | 1, b"")
            elif segment is None and pick < 0.6:
                segment = self.compressed(plain, lambda n: n << 5 | 6 << 2 | 3, sealed.WORDS)
            elif segment is None:
                segment = write_varint(len(plain) << 2) + plain
            packed += segment
        return packed

    def envelope(self, form, packed, began=None, age=None, schema=0, session_id=None, extensions=b""):
        tag = form | (schema != 0) << 4 | (session_id is not None) << 5
        tag |= (extensions != b"") << 6
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
        began = self.random.choice([0, 1, 1_763_996_400, self.random.randrange(1 << 40)])
        age = self.random.choice([0, 1, self.random.randrange(1 << 25)])
        schema = self.random.choice([0, 0, 1, 200, self.random.randrange(1, 1 << 32)])
        session_id = self.random.randbytes(16) if pick() < 0.4 else None
        extensions, lifetime = self.extensions() if pick() < 0.5 else (b"", {})
        packed = self.pack(parts)
        message = self.envelope(form, packed, began, age, schema, session_id, extensions)
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
        bad("flag 0x80", b"\x81" + times + body + end, "UnsupportedFormat")
        start = b"\x01" + times
        for method, flag in (("LZ4", 0), ("DEFLATE", 1)):
            whole = deflate_or_lz4(bytes(100), method, b"")

            def segment(raw, expanded, head=None):
                head = len(raw) << 2 | 1 if head is None else head
                return start + write_varint(head) + write_varint(expanded << 1 | flag) + raw + end

            bad(f"{method}: expanded too small", segment(whole, 99))
            bad(f"{method}: expanded too large", segment(whole, 101))
            bad(f"{method}: expanded over the limit", segment(whole, 65_537))
            bad(f"{method}: expanded 2^62", segment(whole, 1 << 62))
            bad(f"{method}: nothing compressed", segment(b"", 5))
            bad(f"{method}: no claims compressed", segment(b"", 5, 3))
            bad(f"{method}: no words compressed", segment(b"", 5, 6 << 2 | 3))
            bad(f"{method}: cut", segment(whole[:-1], 100))
            bad(f"{method}: trailing byte", segment(whole + b"\x01", 100))
            bad(f"{method}: noise", segment(b"\xff" * 9, 100))
            bomb = deflate_or_lz4(bytes(65_000), method, b"")
            bad(f"{method}: bomb that announces little", segment(bomb, 10))
            two = (write_varint(len(bomb) << 2 | 1) + write_varint(65_000 << 1 | flag) + bomb) * 2
            bad(f"{method}: two that are over the limit together", start + two + end)
            claims = deflate_or_lz4(bytes(60_000), method, sealed.CLAIMS)
            bad(f"{method}: over the limit as text", segment(claims, 60_000, len(claims) << 5 | 3))
        bad("DEFLATE: expanded 0", start + b"\x09\x01\x03\x00" + end)
        bad("LZ4: expanded 0", start + b"\x05\x00\x00" + end)
        bad("DEFLATE: what is LZ4", start + write_varint(len(zeros) << 2 | 1) + b"\xc9\x01" + zeros + end)
        bad("segment: longer than the message", start + write_varint(9 << 2) + b"\x01" + end)
        bad("segment: head cut", start + b"\xff" + b"\x80")
        bad("segment: head not minimal", start + b"\x84\x00\x01" + end)
        bad("segment: 2^62 bytes", start + b"\xfc" + b"\xff" * 8 + b"\x01" + b"\x01" + end)
        for name, segment in [
            ("base64url of nothing", b"\x02"),
            ("hex of nothing", b"\x07"),
            ("base64 of nothing", b"\x1f"),
            ("UUID cut", b"\x0b" + bytes(15)),
            ("UUID that counts", b"\x2b" + bytes(16)),
            ("number absent", b"\x0f"),
            ("number that counts", b"\x2f\x05"),
            ("number not minimal", b"\x0f\x80\x00"),
            ("number over 64 bits", b"\x0f" + b"\xff" * 9 + b"\x02"),
            ("time of form 8", b"\x93\x02\x05"),
            ("time of the year 10000", b"\x13" + write_varint(253_402_300_800)),
            ("run of none", b"\x17\x00\x0f"),
            ("run of one", b"\x37\x00\x0f\x05"),
            ("run cut", b"\x77\x00\x0f\x05\x05"),
            ("run of 2^58", write_varint(1 << 63 | 0x17) + b"\x00\x0f\x05\x05"),
            ("run over the limit", write_varint(5000 << 5 | 0x17) + sized(bytes(16)) + b"\x0f" + bytes(5000)),
            ("run with 17 bytes between", b"\x57" + sized(bytes(17)) + b"\x0f\x05\x05"),
            ("run of plain bytes", b"\x57\x00\x04\x05\x05"),
            ("run of runs", b"\x57\x00\x57\x00\x0f\x05\x05\x05\x05"),
            ("run without a head", b"\x57\x00"),
        ]:
            bad(f"segment: {name}", start + segment + end)
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
                head = deflate_or_lz4(body, "LZ4", b"")
                packed = write_varint(len(head) << 2 | 1) + write_varint(len(body) << 1) + head
            else:
                packed = b"\x00" + body
            bad(f"body: {name}", bytes([form]) + times + packed + end, "Deserialize")


def sized(raw):
    return write_varint(len(raw)) + raw


def write_lifetime(lifetime):
    flags = ("absolute" in lifetime) | ("idle" in lifetime) << 1 | ("browser_session" in lifetime) << 2
    return bytes([flags]) + b"".join(write_varint(lifetime[name]) for name in ("absolute", "idle") if name in lifetime)


def deflate_or_lz4(raw, method, dictionary):
    if method == "LZ4":
        options = {"dict": dictionary} if dictionary else {}
        return lz4.block.compress(raw, store_size=False, **options)
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15, 8, 0, *([dictionary] if dictionary else []))
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
