#!/usr/bin/env python3
"""Measures all that README.md in this folder tells of time, writes it there, and draws the plots. Some four minutes, once
all is built, on a machine that does nothing else.

usage: benches/measure.py [SECTION]...    default: all

Between `<!-- SECTION -->` and `<!-- end -->`, README.md is written by this program.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

BENCHES = Path(__file__).resolve().parent
README = BENCHES / "README.md"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", BENCHES / "peers" / "target")).resolve()
BUILT = TARGET / "measured"
# Debian's libc6 2.41 or later, unpacked: `dpkg -x libc6_*.deb DIRECTORY`.
GLIBC = os.environ.get("NEWER_GLIBC")


def run(*command: object, cwd: Path = BENCHES) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Programs:
    """The measuring program, built as it is asked for."""

    def __init__(self) -> None:
        BUILT.mkdir(parents=True, exist_ok=True)
        self.known: dict[str, Path] = {}

    def get(self, which: str) -> Path:
        if which not in self.known:
            self.known[which] = self.build(which)
        return self.known[which]

    def build(self, which: str) -> Path:
        if which == "locked":
            env = dict(os.environ, CARGO_TARGET_DIR=str(TARGET))
            subprocess.run(
                ["cargo", "build", "--quiet", "--release", "--locked"], cwd=BENCHES / "peers", check=True, env=env
            )
            built = TARGET / "release" / "sealed-session-peers"
            shutil.copy(TARGET / "release" / "memory", BUILT / "memory")
        else:
            features = ["--features", "aws-lc-rs"] if which == "aws-lc-rs" else []
            built = Path(run("./fresh.sh", *features))
        shutil.copy(built, BUILT / which)
        return BUILT / which


PROGRAMS = Programs()


def measured(which: str, section: str, *loader: object) -> str:
    """Returns what one section of the program prints, without its title."""
    text = run(*loader, PROGRAMS.get(which), section)
    return re.sub(r"^## .*\n+", "", text)


def shapes(which: str, *loader: object) -> str:
    return measured(which, "shapes", *loader)


def rows(table: str) -> list[list[str]]:
    """Returns the cells of a table's body."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def glibc() -> str:
    if not GLIBC:
        return "Not measured: NEWER_GLIBC names no folder with an unpacked libc6 of 2.41 or later."
    libraries = Path(GLIBC) / "usr" / "lib" / "x86_64-linux-gnu"
    loader = libraries / "ld-linux-x86-64.so.2"
    # What is not of the C library, such as OpenSSL, is the machine's own.
    paths = f"{libraries}:/usr/lib/x86_64-linux-gnu"
    return shapes("fresh", loader, "--library-path", paths)


def against_targets() -> str:
    """Holds the fresh user's table against what was wanted."""
    small = {"empty", "login", "40 permissions", "names not of ASCII"}
    missed, lines = 0, [
        "| session | decode | wanted | change | not read back | wanted | bytes | wanted | decode over floor | wanted |"
    ]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")

    def cell(value: str, most: float, between: str | None = None) -> str:
        nonlocal missed
        over = float(value) > most
        missed += over
        cells = [f"**{value}**" if over else value, between, str(most)]
        return " | ".join(cell for cell in cells if cell is not None)

    for cells in rows(shapes_of("shapes")):
        name, json, _, decode, floor, _, change, _, _, _, _, size, unread, _ = cells
        lines.append(
            f"| {name} | {cell(decode, 0.9 if name in small else 0.7)} "
            f"| {cell(change, 0.8 if name in ('shop', 'OpenID Connect') else 1.0, unread)} "
            f"| {cell(size, 0.65) if int(json) >= 400 else f'{size} | '} | {cell(floor, 1.3)} |"
        )
    lines.append(f"\nIn bold what was missed: {missed}.")
    return "\n".join(lines)


def shapes_of(section: str) -> str:
    """Returns a section of README.md."""
    return re.search(marked(section), README.read_text(), re.S)[2]


def marked(section: str) -> str:
    return rf"(<!-- {re.escape(section)} -->\n)(.*?)(<!-- end -->)"


def program(section: str):
    return lambda: measured("fresh", section)


def growth() -> str:
    PROGRAMS.get("locked")  # which builds the program that counts memory
    return measured("fresh", "growth")


SECTIONS = {
    "shapes": lambda: shapes("fresh"),
    "targets": against_targets,
    "shapes, lock file": lambda: shapes("locked"),
    "shapes, AWS-LC": lambda: shapes("aws-lc-rs"),
    "shapes, glibc 2.41": glibc,
    "peers": program("peers"),
    "formats": program("formats"),
    "header": program("header"),
    "refused": program("refused"),
    "growth": growth,
    "threads": program("threads"),
    "redis": program("redis"),
    "servers": program("servers"),
    "revocation": program("revocation"),
    "aes": lambda: "```text\n" + run("cargo", "run", "--quiet", "--release", cwd=BENCHES / "aes-avx512") + "\n```",
}


def main() -> None:
    wanted = sys.argv[1:] or list(SECTIONS)
    if unknown := set(wanted) - set(SECTIONS):
        sys.exit(f"no section has this name: {', '.join(unknown)}\n\n{__doc__}")
    for section in wanted:
        start = time.monotonic()
        text = SECTIONS[section]()
        readme, count = re.subn(
            marked(section), lambda match: f"{match[1]}\n{text}\n\n{match[3]}", README.read_text(), flags=re.S
        )
        if count != 1:
            sys.exit(f"README.md has no place for {section}")
        README.write_text(readme)
        print(f"{section}: {time.monotonic() - start:.0f} s", flush=True)
    # Drawn where the program was built.
    for plot in (TARGET / "fresh").glob("*.svg"):
        shutil.copy(plot, BENCHES)


if __name__ == "__main__":
    main()
