"""Follows the bytes of a key through sealing and refusing, as ctgrind does: valgrind's memcheck takes them for undefined,
and tells of each branch and each address in memory that depends on them. Each of those has to be one that is known
here, and why it tells nothing.

usage: tests/secrets/check.py [--features aws-lc-rs]      needs valgrind, with its headers
"""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "target" / "secrets"
# A function on the stack, how many places there are in it, and why what depends on the key there may be seen.
KNOWN = {
    "Key::from_bytes": (1, "whether all bytes of a key are equal, once, when it is loaded"),
    "decrypt_inout_detached": (1, "whether the tag is right: the answer tells it"),
    "codec::open::open": (2, "which key has this id, and the id is public; whether the tag is right"),
    "base64url::encode": (99, "the characters of what was sealed, which goes to the client"),
}


def main() -> None:
    build = ["cargo", "build", "--quiet", "--release", "--target-dir", str(TARGET), *sys.argv[1:]]
    subprocess.run(build, cwd=HERE, check=True)
    report = TARGET / "memcheck.xml"
    tool = ["valgrind", "--tool=memcheck", "--num-callers=40", "--xml=yes", f"--xml-file={report}"]
    run = subprocess.run([*tool, TARGET / "release" / "sealed-session-secrets"], check=True, capture_output=True, text=True)
    print(run.stdout, end="")
    assert run.stdout.count("refused true") == 3, "a changed cookie was opened"

    unknown = []
    places = {name: [] for name in KNOWN}
    for error in ElementTree.parse(report).getroot().iter("error"):
        stack = [frame.findtext("fn", "?") for frame in error.iter("frame")]
        what = f"{error.findtext('kind')}: " + " < ".join(stack[:6])
        name = next((name for name in KNOWN if any(name in function for function in stack)), None)
        places.get(name, unknown).append(what)
    for name, (most, why) in KNOWN.items():
        if places[name]:
            print(f"{len(places[name])} in {name}: {why}")
        if len(places[name]) > most:
            unknown += places[name]
    assert places["Key::from_bytes"], "memcheck did not follow the key"
    if unknown:
        sys.exit("depends on the key, and is not known:\n" + "\n".join(unknown))


if __name__ == "__main__":
    main()
