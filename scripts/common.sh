# SPDX-License-Identifier: Apache-2.0
# What setup, run and test share. Sourced by bash with $top set to the source tree and pipefail on.

python=/usr/bin/python3

say()
{
    printf '%s\n' "$*" >&2
}

die()
{
    say "$(basename "$0"): $*"
    exit 1
}

# configure_and_make DIR [CONFIGURE ARGUMENT...]
# Does nothing that has been done: make rebuilds what is older than its sources, configure included.
# Who comes while another one builds waits for him.
configure_and_make()
{
    local dir=$1 lock
    shift
    mkdir -p "$top/.conclave"
    exec {lock}>"$top/.conclave/build.lock"
    flock "$lock"
    if [ ! -x "$top/configure" ]; then
        say "preparing configure"
        "$top/autogen.sh" >"$top/autogen.log" 2>&1 || {
            cat "$top/autogen.log" >&2
            die "autogen.sh failed"
        }
        rm -f "$top/autogen.log"
    fi
    if [ ! -f "$dir/Makefile" ]; then
        say "configuring in $dir"
        mkdir -p "$dir"
        (cd "$dir" && "$top/configure" --quiet "$@") || die "configure failed, see $dir/config.log"
    fi
    # The first line of output is the first thing that had to be built.
    make -s -C "$dir" -j"$(nproc)" all | {
        if read -r _; then
            say "building in $dir"
            cat >/dev/null
        fi
    } || die "the build failed"
    exec {lock}>&-
}
