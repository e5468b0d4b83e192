#!/usr/bin/env bash
# Runs a command that changes lerobot/ while no other make target sets up this checkout.
#
#   scripts/locked.sh ./apply_patches.sh apply
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/patch_tool/lock.sh
. scripts/patch_tool/lock.sh
take_lock
trap give_lock EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"$@"
