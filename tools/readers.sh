#!/bin/sh
# Installs the independent readers of mail that tests/corpus compares qscan with (`make readers`, part of `make test`).
#
# Debian packages go onto the system (root or sudo), everything else into build/readers: the npm packages that
# tests/corpus/readers/package-lock.json names, and a small program on top of GMime. Run again it does only what has
# changed. It ends well also where a reader cannot be had: it says which and why, and the tests judge that.

set -eu
umask 022
cd "$(dirname "$0")/.."

sources=tests/corpus/readers
built=build/readers
log=$built/setup.log

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
mkdir -p "$built"

say() { printf 'readers: %s\n' "$*"; }

quietly() {
    # quietly COMMAND…: into the log; its tail is shown if the command fails.
    printf '+ %s\n' "$*" >>"$log"
    "$@" </dev/null >>"$log" 2>&1 && return
    tail -n 5 "$log" | sed 's/^/  | /' >&2
    return 1
}

missing_packages() {
    perl -MMIME::Parser -e 1 2>/dev/null || echo libmime-tools-perl
    perl -MEmail::MIME -e 1 2>/dev/null || echo libemail-mime-perl
    [ -x "$built/gmime" ] || pkg-config --exists gmime-3.0 2>/dev/null || echo libgmime-3.0-dev pkg-config
    [ -x "$built/gmime" ] || command -v cc >/dev/null || echo gcc libc6-dev
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
    command -v clamscan >/dev/null || echo clamav
}

missing=$(missing_packages | xargs)
if [ -n "$missing" ]; then
    as_root=
    if [ "$(id -u)" -ne 0 ]; then as_root='sudo -n'; fi
    if ! command -v apt-get >/dev/null; then
        say "there is no apt-get to install $missing with; some readers will be left out" >&2
    elif [ -n "$as_root" ] && ! { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; then
        say "neither root nor sudo; some readers will be left out until someone runs this as root:" >&2
        say "    sh $(pwd -P)/tools/install-packages.sh $missing" >&2
    else
        say "installing Debian packages: $missing"
        # shellcheck disable=SC2086  # two lists of words
        quietly $as_root sh tools/install-packages.sh $missing ||
            say "apt-get failed; some readers will be left out; everything it said is in $log" >&2
    fi
fi

if [ "$built/gmime" -nt "$sources/gmime.c" ]; then
    :
elif pkg-config --exists gmime-3.0 2>/dev/null; then
    say "compiling the reader on top of GMime"
    # shellcheck disable=SC2046  # a list of flags
    quietly cc -std=c11 -O1 -Wall -Wextra -Werror -o "$built/gmime" "$sources/gmime.c" \
        $(pkg-config --cflags --libs gmime-3.0) || say "gmime will be left out" >&2
fi

if ! cmp -s "$sources/package-lock.json" "$built/node_modules/.of-lock" && command -v npm >/dev/null; then
    say "installing mailparser and postal-mime"
    cp "$sources/package.json" "$sources/package-lock.json" "$built/"
    # No script of any package is run: they are JavaScript alone.
    if quietly npm ci --prefix "$built" --ignore-scripts --no-audit --no-fund; then
        cp "$sources/package-lock.json" "$built/node_modules/.of-lock"
    else
        say "npm failed; mailparser and postal-mime will be left out; everything it said is in $log" >&2
    fi
fi
