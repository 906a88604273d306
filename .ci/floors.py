"""Holds that the imports between the rooms of src/ run one way, downwards.

A room is a folder or a file of src/; its floor stands below. A file may import from its own room and from rooms on lower
floors. Rooms on the top floor use the public interface alone: `use crate::{Name}` of what src/lib.rs exports. Documentation
links do not count, and src/lib.rs exports everything. The table of floors in CONTRIBUTING.md must say the same.
"""

import re
import sys
from pathlib import Path

FLOORS = [
    ["bytes", "cutoff", "error", "observe", "redis", "timer"],
    ["xaes"],
    ["keys", "legacy", "message"],
    ["seal"],
    ["store"],
    ["cookie", "revocation"],
    ["codec"],
    ["web", "bin"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
TOP = len(FLOORS) - 1

root = Path(__file__).parent.parent / "src"
# Rooms that are modules of the public interface: what they export there is it.
PUBLIC = set(re.findall(r"^pub mod (\w+);", (root / "lib.rs").read_text(), re.M))
faults = []
for path in sorted(root.rglob("*.rs")):
    room = path.relative_to(root).parts[0].removesuffix(".rs")
    if room == "lib":
        continue
    if room not in FLOOR:
        faults.append(f"{path}: the room {room} has no floor; give it one in .ci/floors.py")
        continue
    if room == "bin":
        continue  # a crate of its own: the compiler holds it to the public interface
    code = re.sub(r"//.*", "", path.read_text())
    for found in re.finditer(r"\bcrate::(\{[^;]*\}|\w+)", code):
        line = code[: found.start()].count("\n") + 1
        names = re.findall(r"(?:^|[{,])\s*(\w+)", found[1]) if found[1].startswith("{") else [found[1]]
        for name in names:
            if name in FLOOR:
                down = FLOOR[name] < FLOOR[room] or name == room
                if not down or (
                    FLOOR[room] == TOP and name != room and name not in PUBLIC
                ):
                    faults.append(f"src/{path.relative_to(root)}:{line}: {room} imports from {name}")
            elif FLOOR[room] < TOP:
                faults.append(f"src/{path.relative_to(root)}:{line}: {room} imports {name} from the crate's root")

guide = (root.parent / "CONTRIBUTING.md").read_text()
told = re.findall(r"^\| (\d+) \| (`.*?`) \|", guide, re.M)
told = [re.findall(r"`(\w+)`", rooms) for _, rooms in sorted(told, key=lambda row: int(row[0]))]
if [sorted(rooms) for rooms in told] != [sorted(rooms) for rooms in FLOORS]:
    faults.append(f"CONTRIBUTING.md: its table of floors {told} is not {FLOORS}")

print(*faults, sep="\n") if faults else print("all imports run downwards")
sys.exit(bool(faults))
