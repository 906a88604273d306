"""The format of a sealed session, version 1, written from docs/FORMAT.md alone.

The sections are those of the page. `open_cookies` reads; what it refuses is a `Refused` with the name that the page
gives. The parts that writing needs are here too: see seal.py.
"""

import base64
import datetime
import hashlib
import pathlib
import re
import uuid
import zlib

import lz4.block
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MESSAGE = pathlib.Path(__file__).parents[2] / "src/message"
CLAIMS = (MESSAGE / "dictionary-1.txt").read_bytes()
WORDS = (MESSAGE / "words-1.txt").read_bytes()
MAX_TEXT = 12_288
MAX_BODY = 65_536


class Refused(Exception):
    """There is no session; the argument is the name of the error."""


def refuse_unless(condition, name):
    if not condition:
        raise Refused(name)


# Notation


def to_text(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_text(text):
    """Decodes base64url strictly; None where that is not possible."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text, re.ASCII) or len(text) % 4 == 1:
        return None
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return raw if to_text(raw) == text else None


def write_varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


class Reader:
    """Takes fields off the front of a message."""

    def __init__(self, raw):
        self.raw = raw

    def take(self, n):
        refuse_unless(n <= len(self.raw), "Message")
        taken, self.raw = self.raw[:n], self.raw[n:]
        return taken

    def varint(self):
        number = 0
        for shift in range(0, 64, 7):
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            refuse_unless(number < 1 << 64, "Message")
            if byte & 0x80 == 0:
                refuse_unless(byte != 0 or shift == 0, "Message")
                return number
        raise Refused("Message")


# 1. Keys

PREFIX = "SEALED-SESSION-KEY-1-"


class Key:
    def __init__(self, secret):
        self.secret = secret
        self.id = self._derive(b"sealed-session key id", 4)
        self.sealing_key = self._derive(b"sealed-session/1 XAES-256-GCM", 32)

    @classmethod
    def from_text(cls, text):
        raw = from_text(text.removeprefix(PREFIX))
        secret, checksum = raw[:32], raw[32:]
        assert text.startswith(PREFIX) and len(raw) == 36
        assert checksum == hashlib.sha256(PREFIX.encode() + secret).digest()[:4]
        return cls(secret)

    def to_text(self):
        return PREFIX + to_text(self.secret + hashlib.sha256(PREFIX.encode() + self.secret).digest()[:4])

    def _derive(self, info, length):
        return HKDF(hashes.SHA256(), length, salt=None, info=info).derive(self.secret)


# 2. Cookies and text


def join(name, cookies):
    """Puts the text together. `cookies` maps names to values."""
    text = cookies[name]
    refuse_unless(len(text) <= MAX_TEXT, "Malformed")
    head = from_text(text[:8]) if len(text) >= 8 else None
    refuse_unless(head is not None, "Malformed")
    try:
        chunks, _ = parse_header(head)
    except Refused as refusal:
        looks_like_ours = len(text) >= 60 and re.fullmatch(r"[A-Za-z0-9_-]*", text, re.ASCII)
        refuse_unless(looks_like_ours or refusal.args != ("UnsupportedVersion",), "Malformed")
        raise
    if chunks == 1:
        return text
    tag = text[8:12]
    refuse_unless(len(tag) == 4, "Malformed")
    for i in range(1, chunks):
        value = cookies.get(f"{name}.{i}")
        refuse_unless(value is not None, "MissingChunk")
        refuse_unless(value.startswith(tag), "MixedChunks")
        text += value[4:]
        refuse_unless(len(text) <= MAX_TEXT, "Malformed")
    return text


def split(name, text, lengths):
    """Splits a text into shares of these lengths and the rest."""
    shares, rest = [], text
    for length in lengths:
        shares.append(rest[:length])
        rest = rest[length:]
    shares.append(rest)
    cookies = {name: shares[0]}
    for i, share in enumerate(shares[1:], 1):
        cookies[f"{name}.{i}"] = text[8:12] + share
    return cookies


# 3. The seal


def parse_header(sealed):
    refuse_unless(len(sealed) >= 5, "Malformed")
    version, chunks = sealed[0] >> 4, sealed[0] & 0x0F
    refuse_unless(version != 0, "Malformed")
    refuse_unless(version == 1, "UnsupportedVersion")
    refuse_unless(chunks != 0, "Malformed")
    refuse_unless(chunks <= 4, "TooManyChunks")
    return chunks, sealed[1:5]


def associated_data(header, name, context):
    hashed = hashlib.sha256()
    for part in (b"sealed-session/1", name.encode(), context):
        hashed.update(len(part).to_bytes(8, "big") + part)
    return header + hashed.digest()


def xaes(key, nonce):
    """Derives the AES-256-GCM key and nonce of one message."""

    def aes(block):
        encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()
        return encryptor.update(block) + encryptor.finalize()

    def xor(a, b):
        return bytes(x ^ y for x, y in zip(a, b))

    lead = int.from_bytes(aes(bytes(16)), "big")
    k1 = (lead << 1) & (1 << 128) - 1
    if lead >> 127:
        k1 ^= 0x87
    k1 = k1.to_bytes(16, "big")
    m1 = b"\x00\x01\x58\x00" + nonce[:12]
    m2 = b"\x00\x02\x58\x00" + nonce[:12]
    return AESGCM(aes(xor(m1, k1)) + aes(xor(m2, k1))), nonce[12:]


def seal(key, nonce, message, chunks, name, context):
    header = bytes([1 << 4 | chunks]) + key.id
    gcm, short_nonce = xaes(key.sealing_key, nonce)
    return header + nonce + gcm.encrypt(short_nonce, message, associated_data(header, name, context))


def open_sealed(key, sealed, name, context):
    _, key_id = parse_header(sealed)
    refuse_unless(len(sealed) >= 45, "Malformed")
    refuse_unless(key_id == key.id, "UnknownKey")
    header, nonce, rest = sealed[:5], sealed[5:29], sealed[29:]
    gcm, short_nonce = xaes(key.sealing_key, nonce)
    try:
        return gcm.decrypt(short_nonce, rest, associated_data(header, name, context))
    except InvalidTag:
        raise Refused("InvalidTag") from None


# 4. The message


def parse_message(message):
    """Gives the fields of the message, and `packed`."""
    stripped = message.rstrip(b"\x00")
    refuse_unless(stripped.endswith(b"\x80"), "Message")
    reader = Reader(stripped[:-1])
    tag = reader.take(1)[0]
    flags, form = tag & 0xF0, tag & 0x0F
    refuse_unless(form in (1, 2, 3, 4) and not flags & 0x80, "UnsupportedFormat")
    began, age = reader.varint(), None
    refuse_unless(began < 1 << 40, "Message")
    age = reader.varint()
    refuse_unless(age < 1 << 40, "Message")
    schema = 0
    if flags & 0x10:
        schema = reader.varint()
        refuse_unless(0 < schema < 1 << 32, "Message")
    session_id = reader.take(16).hex() if flags & 0x20 else None
    lifetime = parse_extensions(reader.take(reader.varint())) if flags & 0x40 else {}
    fields = {"format": form, "began": began, "sealed": began + age, "schema": schema, "id": session_id}
    fields |= {"lifetime": lifetime} if lifetime else {}
    return fields, reader.raw


def parse_extensions(block):
    """Gives the lifetime: all that is known of extensions."""
    refuse_unless(1 <= len(block) <= 512, "Message")
    reader, last, lifetime = Reader(block), 0, {}
    while reader.raw:
        head = reader.varint()
        kind, critical = head >> 1, head & 1
        refuse_unless(kind > last, "Message")
        last = kind
        content = reader.take(reader.varint())
        if kind == 3:
            refuse_unless(critical, "Message")
            lifetime = parse_lifetime(Reader(content))
        else:
            refuse_unless(not critical, "UnsupportedFormat")
    return lifetime


def parse_lifetime(reader):
    flags, lifetime = reader.take(1)[0], {}
    refuse_unless(flags & ~7 == 0, "UnsupportedFormat")
    for flag, name in ((1, "absolute"), (2, "idle")):
        if flags & flag:
            lifetime[name] = reader.varint()
            refuse_unless(1 <= lifetime[name] < 1 << 40, "Message")
    if flags & 4:
        lifetime["browser_session"] = True
    refuse_unless(lifetime and not reader.raw, "Message")
    return lifetime


# 5. Packing


def inflate(reader, n, dictionary=b""):
    expanded = reader.varint()
    deflate, expanded = expanded & 1, expanded >> 1
    refuse_unless(1 <= expanded <= MAX_BODY, "Message")
    raw = reader.take(n)
    if deflate:
        try:
            inflater = zlib.decompressobj(-15, *([dictionary] if dictionary else []))
            out = inflater.decompress(raw, expanded + 1)
        except zlib.error:
            raise Refused("Message") from None
        refuse_unless(inflater.eof and not inflater.unused_data, "Message")
    else:
        try:
            options = {"dict": dictionary} if dictionary else {}
            out = lz4.block.decompress(raw, uncompressed_size=expanded, **options)
        except lz4.block.LZ4BlockError:
            raise Refused("Message") from None
    refuse_unless(len(out) == expanded, "Message")
    return out


def time_text(units, form):
    unit = 1000 ** (form & 3)
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=units // unit)
    except OverflowError:
        raise Refused("Message") from None
    fraction = f".{units % unit:0{3 * (form & 3)}}" if form & 3 else ""
    return moment.isoformat(timespec="seconds") + fraction + ("+00:00" if form & 4 else "Z")


def value(head, reader):
    """What one value of a head stands for that may be in a run."""
    n, kind = (head >> 2, 2) if head & 3 == 2 else (head >> 5, head >> 2 & 7 | 8)
    refuse_unless(head & 3 >= 2, "Message")
    if kind == 2 or kind in (8 | 1, 8 | 7):
        refuse_unless(n != 0, "Message")
        raw = reader.take(n)
        return {2: to_text, 8 | 1: bytes.hex, 8 | 7: lambda raw: base64.b64encode(raw).decode()}[kind](raw)
    if kind == 8 | 4:
        refuse_unless(n < 8, "Message")
        return time_text(reader.varint(), n)
    refuse_unless(n == 0, "Message")
    if kind == 8 | 2:
        return str(uuid.UUID(bytes=reader.take(16)))
    refuse_unless(kind == 8 | 3, "Message")
    return str(reader.varint())


def run(n, reader):
    refuse_unless(n >= 2, "Message")
    m = reader.varint()
    refuse_unless(m <= 16, "Message")
    separator = reader.take(m)
    head = reader.varint()
    out = b""
    for i in range(n):
        out += (separator if i else b"") + value(head, reader).encode()
        refuse_unless(len(out) <= MAX_BODY, "Message")
    return out


def unpack(packed):
    reader, body = Reader(packed), b""
    while reader.raw:
        head = reader.varint()
        n, kind = (head >> 2, None) if head & 3 < 3 else (head >> 5, head >> 2 & 7)
        counts_bytes = head & 3 < 3 or kind in (0, 6)
        refuse_unless(n != 0 or head == 0 or not counts_bytes, "Message")
        if head == 0:
            body += reader.take(len(reader.raw))
        elif head & 3 == 0:
            body += reader.take(n)
        elif head & 3 == 1:
            body += inflate(reader, n)
        elif kind == 0:
            body += to_text(inflate(reader, n, CLAIMS)).encode()
        elif kind == 6:
            body += inflate(reader, n, WORDS)
        elif kind == 5:
            body += run(n, reader)
        else:
            body += value(head, reader).encode()
        refuse_unless(len(body) <= MAX_BODY, "Message")
    return body


def open_cookies(key, name, context, cookies):
    text = join(name, cookies)
    sealed = from_text(text)
    refuse_unless(sealed is not None, "Malformed")
    message = open_sealed(key, sealed, name, context)
    fields, packed = parse_message(message)
    return fields | {"body": unpack(packed).hex()}
