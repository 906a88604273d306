#!/usr/bin/env bash
# Counts the instructions of encode and decode under callgrind and holds them against
# instructions.txt: more than 5 % over it fails, whatever the noise of the machine.
# `instructions.sh --update` writes the file anew.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || { echo "valgrind is missing: apt install valgrind" >&2; exit 1; }
baseline=benches/instructions.txt
built() {
    cargo bench --quiet --no-run --bench instructions --message-format json "$@" |
        python3 -c '
import json, sys
found = [m["executable"] for m in map(json.loads, sys.stdin)
         if m.get("executable") and m["target"]["name"] == "instructions"]
print(found[-1])'
}
binary=$(built)

# Start and end of the process cancel out between two numbers of rounds.
collected() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binary" "$@" 2>&1 |
        awk '/Collected/ { print $NF }'
}
of_one() {
    few=$(collected "$@" 10)
    many=$(collected "$@" 110)
    echo $(((many - few) / 100))
}
counts=$(for session in login shop openid_connect; do
    for operation in encode decode change; do
        echo "$operation $session $(of_one $operation $session)"
    done
done
# Tokens of 7 KB, and maps in an order of their own each time.
for session in large flags nested; do
    echo "encode+cookies $session $(of_one encode+cookies $session)"
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
        if (rows != 12) { print "the baseline does not have all twelve counts" > "/dev/stderr"; exit 1 }
        exit failed > 0
    }'

# A session that fits its cookies costs next to nothing new where a store is set or another library's cookies are read:
# some 350 instructions, a third of a system call. The bound is 450, in one program.
binary=$(built --features store)
for setting in store reader; do
    for operation in encode decode; do
        plain=$(of_one $operation login)
        with=$(of_one $operation+$setting login)
        awk -v plain="$plain" -v with="$with" -v what="$operation+$setting" 'BEGIN {
            slow = with > plain + 450
            printf "%-24s %8d, without %8d: %+.1f %%%s\n", what, with, plain, (with / plain - 1) * 100, slow ? "  SLOWER" : ""
            exit slow
        }'
    done
done
