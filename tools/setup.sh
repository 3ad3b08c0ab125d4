#!/bin/sh
# Makes .venv with everything that the other verbs of the Makefile need (`make setup`).
#
# It needs Debian with Python 3.11 or newer, and root or sudo if Debian packages are missing. Run again it does only
# what has changed: every step leaves a stamp in .venv/stamps that holds the digest of what the step was made from.
# Details go to .venv/setup.log. The index that Python packages come from is pip's own business (pip.conf, PIP_*).
#
# Environment: PYTHON, the interpreter for .venv (default: the first of python3.11 and python3 that is 3.11 or newer).

set -eu
umask 022
cd "$(dirname "$0")/.."

venv=.venv
log=$venv/setup.log
stamps=$venv/stamps
bin=$venv/bin
shared_libraries=services/unpacker/src/qscan_unpacker/sandbox/shared_libraries.txt
started=$(date +%s)
worked=no

# Daemons of Debian live where an ordinary user's PATH does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf 'setup: %s\n' "$*"; }

fail() {
    # fail TEXT…: one line each to standard error, then stop.
    for line in "$@"; do printf 'setup: %s\n' "$line" >&2; done
    exit 1
}

step() {
    # step TEXT HINT COMMAND…: say what is done, do it into the log; if it fails, show the log's tail and the hint.
    text=$1
    hint=$2
    shift 2
    worked=yes
    say "$text"
    printf '\n### %s\n+ %s\n' "$text" "$*" >>"$log"
    status=0
    "$@" </dev/null >"$venv/setup.step" 2>&1 9>&- || status=$?
    cat "$venv/setup.step" >>"$log"
    if [ "$status" -ne 0 ]; then
        tail -n 15 "$venv/setup.step" | sed 's/^/  | /' >&2
        fail "failed (exit status $status): $text" "$hint" "everything it said is in $log; then run make setup again"
    fi
    rm -f "$venv/setup.step"
}

digest() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

is_done() { [ "$(cat "$stamps/$1" 2>/dev/null)" = "$2" ]; }

mark_done() {
    mkdir -p "$stamps"
    printf '%s\n' "$2" >"$stamps/$1"
}

# ------------------------------------------------------------------------------------------- what is there

find_python() {
    for candidate in ${PYTHON:-python3.11 python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

compiles() {
    # A compiler alone is not enough: without the C library's headers it makes nothing.
    command -v cc >/dev/null || return 1
    printf '#include <stdio.h>\nint main(void) { return 0; }\n' | cc -x c -o "$venv/setup.a.out" - 2>/dev/null
    status=$?
    rm -f "$venv/setup.a.out"
    return $status
}

missing_packages() {
    is_done venv "$venv_key" || "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "$python_package"
    is_done queue "$queue_key" || compiles || echo gcc libc6-dev
    # apt itself stands on libseccomp, so that is missing on other systems only.
    grep -v '^#' "$shared_libraries" | while read -r file package; do
        ldconfig -p | grep -qF "$file " || echo "$package"
    done
    command -v clamd >/dev/null || echo clamav-daemon
    command -v spamassassin >/dev/null || echo spamassassin
    command -v spamd >/dev/null || echo spamd
    "$python" -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library("archive"))' || echo libarchive13
}

python=$(find_python) || fail \
    "${PYTHON:-neither python3.11 nor python3} is no Python 3.11 or newer" \
    "install one (Debian 12: apt-get install python3) or name one: make setup PYTHON=/path/to/python3"

if [ -e "$venv" ] && [ ! -d "$venv" ]; then
    fail "$venv is there and is no directory: move it away and run make setup again"
fi
mkdir -p "$venv"
exec 9>"$venv/setup.lock"
if command -v flock >/dev/null && ! flock -n 9; then
    say "another make setup is at work here; waiting for it"
    flock 9
fi
trap 'say "interrupted; run make setup again, it goes on where it was" >&2; exit 130' INT
trap 'exit 143' TERM HUP

# Scripts in .venv/bin hold the path of the tree, and compiled packages the version of the interpreter.
venv_key=$(printf '%s\n' "$(pwd -P)" "$("$python" -c 'import sys; print(sys.version, sys.base_prefix)')" | sha256sum)
packages_key=$(digest requirements/dev.txt)
members_key=$(digest libs/*/pyproject.toml ingress/pyproject.toml services/*/pyproject.toml cli/pyproject.toml)
queue_key=$(id -u)-$(digest ingress/qscan-queue/qscan-queue.c ingress/qscan-queue/Makefile tools/setup.sh)

# -------------------------------------------------------------------------------------- Debian's packages

# A Python that is not Debian's brings its own venv module or is broken: no package would help it.
python_package=$("$python" -c 'import sys
print("python%d.%d-venv" % sys.version_info[:2] if sys.base_prefix == "/usr" else "")')
missing=$(missing_packages | xargs)

if [ -n "$missing" ]; then
    [ -n "$python_package" ] || "$python" -c 'import ensurepip, venv' 2>/dev/null || fail \
        "$python has no venv module, and it is not Debian's" \
        "use another one: make setup PYTHON=/usr/bin/python3"
    command -v apt-get >/dev/null || fail "needed and not found: $missing (Debian's names)" \
        "there is no apt-get here; install them in this system's way and run make setup again"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 1 ] && sudo -v; }; }; then
            as_root='sudo -n'
        else
            fail "these Debian packages are missing: $missing" \
                "you are not root and sudo does not let you, so run this as root and make setup again afterwards:" \
                "    sh $(pwd -P)/tools/install-packages.sh $missing" \
                "it is apt-get install --no-install-recommends, and neither starts nor enables anything on this host"
        fi
    fi
    # shellcheck disable=SC2086  # two lists of words
    step "installing Debian packages, nothing is started or enabled by it: $missing" \
        "apt-get says above what is wrong; is the network there, does apt-get update work as root?" \
        $as_root sh tools/install-packages.sh $missing
    left=$(missing_packages | xargs)
    [ -z "$left" ] || fail "apt-get was content, but these are still not there: $left" "see $log"
fi

# ------------------------------------------------------------------------------------------------- .venv

if ! is_done venv "$venv_key" || ! [ -x "$bin/python" ]; then
    find "$venv" -mindepth 1 -maxdepth 1 ! -name 'setup.*' -exec rm -rf {} +
    step "making $venv with $python ($("$python" -V))" \
        "is there room on this disk? another interpreter: make setup PYTHON=/path/to/python3" \
        "$python" -m venv "$venv"
    mark_done venv "$venv_key"
fi

if ! is_done packages "$packages_key"; then
    count=$(grep -c '^[a-z].*==' requirements/dev.txt)
    step "installing $count Python packages, each of them locked by its hash" \
        "pip takes its index from your pip configuration ($bin/pip config list)" \
        "$bin/python" -m pip install --only-binary :all: --require-hashes -r requirements/dev.txt
    mark_done packages "$packages_key"
    rm -f "$stamps/members"
fi

if ! is_done members "$members_key"; then
    set -- # the members, as pip wants them
    for file in libs/*/pyproject.toml ingress/pyproject.toml services/*/pyproject.toml cli/pyproject.toml; do
        set -- "$@" --editable "${file%/pyproject.toml}"
    done
    # --no-index: their names must not be asked for on any index, where a stranger could have taken them.
    step "installing the $(($# / 2)) members of this repository" \
        "one of their pyproject.toml files is probably not right" \
        "$bin/python" -m pip install --no-index --no-deps --no-build-isolation "$@"
    step "checking that the lock has what the members ask for" \
        "make lock writes the lock anew from the members' pyproject.toml files" \
        "$bin/python" -m pip check
    mark_done members "$members_key"
fi

# -------------------------------------------------------------------------------------------- qscan-queue

if ! is_done queue "$queue_key" || ! [ -x "$bin/qscan-queue" ]; then
    step "compiling qscan-queue, which will answer to uid $(id -u) and root" \
        "is the C compiler all right? try: cc --version" \
        env MAKEFLAGS= make --no-print-directory -C ingress/qscan-queue \
        OUT="$(pwd -P)/$bin/qscan-queue" INGRESS_UID="$(id -u)"
    mark_done queue "$queue_key"
fi

if [ "$worked" = yes ]; then
    say "done in $(($(date +%s) - started)) s"
else
    say "everything is in place"
fi
