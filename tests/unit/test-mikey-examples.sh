#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Do the two examples agree on keys, talking over pipes?
set -eu
builddir=${G_TEST_BUILDDIR:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 1..3
mkfifo "$work/there" "$work/back"
"$builddir/examples/mikey-responder" "$work/there" "$work/back" >"$work/bob" &
bob=$!
status=0
timeout 20 "$builddir/examples/mikey-initiator" "$work/there" "$work/back" >"$work/alice" || status=$?
wait "$bob" || status=$?
[ "$status" -eq 0 ] && echo "ok 1 - both come to an end" || echo "not ok 1 - both come to an end"
if grep -q 'alice: sip:bob@example.org answered' "$work/alice" &&
   grep -q 'bob: sip:alice@example.org calls' "$work/bob"; then
    echo "ok 2 - each knows who the other is"
else
    echo "not ok 2 - each knows who the other is"
fi
sed -n 's/^alice: crypto/crypto/p' "$work/alice" >"$work/a"
sed -n 's/^bob: crypto/crypto/p' "$work/bob" >"$work/b"
if [ "$(wc -l <"$work/a")" -eq 2 ] && cmp -s "$work/a" "$work/b"; then
    echo "ok 3 - both have the same keys"
else
    echo "not ok 3 - both have the same keys"
fi
