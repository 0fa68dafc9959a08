#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes symbols.txt, structs.txt and values.txt anew, after the public API changed. usage: tests/abi/update.sh [BUILD_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build}
meson compile -C "$build" muse:shared_library >/dev/null
python3 tests/abi/check_abi.py --update "$build/libmuse/libmuse.so" . "${CC:-cc}"
git --no-pager diff --stat -- tests/abi
