#!/usr/bin/env bash
# Builds `peers` as a fresh user's crate would be: without a lock file and without a least Rust version, so that cargo picks
# the newest release of each dependency. Prints the path of the program.
#
# usage: benches/fresh.sh [--features FEATURES]
set -euo pipefail
cd "$(dirname "$0")/peers"
target=${CARGO_TARGET_DIR:-$PWD/target}
fresh=$target/fresh/peers

mkdir -p "$fresh"
# Under another name, so that both programs can stand side by side.
sed -e '/^rust-version/d' -e 's/sealed-session-peers/sealed-session-fresh/' \
    -e "s|path = \"../..\"|path = \"$(cd ../.. && pwd)\"|" Cargo.toml >"$fresh/Cargo.toml"
# The sources include `../../sessions`, and the plots go one folder up.
rm -rf "$fresh/src" "$fresh/Cargo.lock" "$target/fresh/sessions"
cp -rp src "$fresh/"
cp -rp ../sessions "$target/fresh/"
cd "$fresh"
cargo generate-lockfile --quiet
export CARGO_TARGET_DIR=$target
cargo build --quiet --release --bin sealed-session-fresh "$@"
echo "$target/release/sealed-session-fresh"
