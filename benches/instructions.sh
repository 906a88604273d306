#!/usr/bin/env bash
# Counts the instructions of encode and decode under callgrind and holds them against
# instructions.txt: more than 5 % over it fails, whatever the noise of the machine.
# `instructions.sh --update` writes the file anew.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || { echo "valgrind is missing: apt install valgrind" >&2; exit 1; }
baseline=benches/instructions.txt
binary=$(cargo bench --quiet --no-run --bench instructions --message-format json |
    python3 -c '
import json, sys
found = [m["executable"] for m in map(json.loads, sys.stdin)
         if m.get("executable") and m["target"]["name"] == "instructions"]
print(found[-1])')

# Start and end of the process cancel out between two numbers of rounds.
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binary" "$@" 2>&1 |
        awk '/Collected/ { print $NF }'
}
counts=$(for session in login shop openid_connect; do
    for operation in encode decode; do
        few=$(collected $operation $session 10)
        many=$(collected $operation $session 110)
        echo "$operation $session $(((many - few) / 100))"
    done
done)

if [[ ${1:-} == --update ]]; then
    echo "$counts" | tee "$baseline"
    exit
fi
join <(awk '{ print $1 "/" $2, $3 }' "$baseline" | sort) \
    <(echo "$counts" | awk '{ print $1 "/" $2, $3 }' | sort) |
    awk '{
        ratio = $3 / $2
        slow = ratio > 1.05
        printf "%-24s %8d, was %8d: %+.1f %%%s\n", $1, $3, $2, (ratio - 1) * 100, slow ? "  SLOWER" : ""
        failed += slow
        rows++
    }
    END {
        if (rows != 6) { print "the baseline does not have all six counts" > "/dev/stderr"; exit 1 }
        exit failed > 0
    }'
