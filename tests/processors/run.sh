#!/usr/bin/env bash
# Compiles the crate for processors other than x86-64, and runs the vectors on two of them in an emulator.
#
#     tests/processors/run.sh         # what the checks run
#     tests/processors/run.sh --all   # compiles for more targets
#
# Debian's compiler comes with the sources of its standard library, so that the library of any target can be built.
set -euo pipefail
cd "$(dirname "$0")"

packages="rustc-web rust-web-src qemu-user gcc-s390x-linux-gnu libc6-dev-s390x-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross"
if ! dpkg --status $packages >/dev/null 2>&1; then
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -qq --yes --no-install-recommends $packages >/dev/null
fi

export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_PROFILE_TEST_DEBUG=0 CARGO_PROFILE_DEV_DEBUG=0
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER=s390x-linux-gnu-gcc
export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER="qemu-s390x -L /usr/s390x-linux-gnu"
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_RUNNER="qemu-arm -L /usr/arm-linux-gnueabihf"
std=-Zbuild-std=std,panic_abort

compiled="wasm32-unknown-unknown"
[[ ${1-} == --all ]] && compiled+=" wasm32-wasip1 riscv64gc-unknown-linux-gnu i686-unknown-linux-gnu aarch64-unknown-linux-gnu"
for target in $compiled; do
    cargo check --quiet --lib $std --target "$target"
    echo "$target: compiled, not run"
done
for target in s390x-unknown-linux-gnu armv7-unknown-linux-gnueabihf; do
    cargo test --quiet -Zbuild-std --target "$target" --test vectors
    echo "$target: run in an emulator"
done
