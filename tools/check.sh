#!/bin/sh
# Everything that can be said about the code without running it (`make check`): check.sh MEMBER…
#
# Every check is run, whatever the ones before it found; a check that passes is silent.

set -u
cd "$(dirname "$0")/.." || exit
bin=.venv/bin
said=$(mktemp)
trap 'rm -f "$said"' EXIT
failed=

check() {
    # check NAME COMMAND…
    name=$1
    shift
    "$@" >"$said" 2>&1 && return
    failed="$failed $name"
    printf -- '--- %s: %s\n' "$name" "$*"
    cat "$said"
}

members=$*
code="$members tools"
for folder in tests benchmarks; do
    [ ! -d "$folder" ] || code="$code $folder"
done

# shellcheck disable=SC2086  # lists of words
{
    check lint "$bin/ruff" check --quiet .
    check format "$bin/ruff" format --check --quiet .
    check rules "$bin/python" -m tools.lint $code
    check dependencies "$bin/python" -m tools.lint.dependencies $members
    check imports "$bin/lint-imports" --no-cache --no-logo
    # The folder av-gateway is no identifier, so to mypy its tests are the package `tests`, as the tests of the root are.
    check types "$bin/mypy" --exclude '^services/av-gateway/tests/' $code
    check types "$bin/mypy" services/av-gateway/tests
    # There is no wheel of shellcheck for every architecture; where it is missing, CI's has looked.
    [ ! -x "$bin/shellcheck" ] || check shell "$bin/shellcheck" tools/*.sh deploy/*.sh .ci/run
}

if [ -n "$failed" ]; then
    printf 'check: failed:%s (make fmt mends formatting, and what ruff can mend safely)\n' "$failed" >&2
    exit 1
fi
echo "check: lint, format, own rules, dependencies, imports, types and shell are in order"
