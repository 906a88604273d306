"""Bytes and instructions of three sessions, over the thresholds of compression: a copy of the crate is built and
counted, under callgrind, for each value of each. Needs valgrind; takes some ten minutes.

usage: benches/thresholds.py
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "thresholds"
SESSIONS = ["login", "shop", "openid_connect"]
# What is replaced in src/message/pack.rs, and by what.
THRESHOLDS = {
    "MIN_COMPRESS": (r"(const MIN_COMPRESS: usize = )\d+", [16, 32, 48, 64, 96, 128, 256, 512]),
    "MIN_LZ4": (r"(const MIN_LZ4: usize = )\d+", [48, 64, 96, 128, 256, 512]),
    "saving, 1 in": (r"(value\.len\(\) - value\.len\(\) / )\d+", [256, 64, 32, 16, 8, 4, 2]),
    "MIN_TOKEN": (r"(const MIN_TOKEN: usize = )\d+", [8, 16, 32, 64, 128, 256]),
}


def build() -> str:
    lines = subprocess.run(
        ["cargo", "bench", "--quiet", "--no-run", "--bench", "instructions", "--message-format", "json"],
        cwd=COPY, check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    messages = map(json.loads, lines)
    return [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "instructions"][-1]


def instructions(binary: str, operation: str, session: str) -> int:
    def collected(times: int) -> int:
        tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        run = subprocess.run([*tool, binary, operation, session, str(times)], capture_output=True, text=True)
        return int(re.search(r"Collected : (\d+)", run.stderr)[1])

    return (collected(60) - collected(10)) // 50


def main() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    for file in listed.stdout.splitlines():
        if file.startswith(("src/", "benches/", "examples/", "tests/", "docs/", "Cargo", "README")):
            (COPY / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, COPY / file)
    original = (ROOT / "src" / "pack.rs").read_text()
    for name, (pattern, values) in THRESHOLDS.items():
        assert len(re.findall(pattern, original)) == 1, name
        print(f"\n| {name} | " + " | ".join(f"{s}: bytes | encode | decode" for s in SESSIONS) + " |")
        print("|--:" * (1 + 3 * len(SESSIONS)) + "|")
        for value in values:
            (COPY / "src" / "pack.rs").write_text(re.sub(pattern, rf"\g<1>{value}", original))
            binary = build()
            cells = []
            for session in SESSIONS:
                size = subprocess.run([binary, "bytes", session, "1"], check=True, capture_output=True, text=True)
                cells.append(size.stdout.strip())
                cells += [f"{instructions(binary, op, session):,}" for op in ("encode", "decode")]
            print(f"| {value} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
