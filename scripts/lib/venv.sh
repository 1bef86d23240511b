# Sourced by the scripts here: makes the project's virtual environment and puts it first on PATH.
# Needs nothing but Python with venv. HUZHENG_VENV chooses another place than .venv, HUZHENG_PYTHON the Python to make it with.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${HUZHENG_VENV:-$root/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac

# Empty while an environment made here is not finished; then what it was made from.
stamp_file=$venv/huzheng.stamp

is_fit() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# plyvel has wheels up to CPython 3.12, so those come first; and of these the distribution's own, which is compiled with optimisations
# that one compiled on this machine (pyenv's) mostly lacks: a node takes some tenth less time with it (docs/performance.md).
find_python() {
    local name names=(/usr/bin/python3.12 /usr/bin/python3.11 python3.12 python3.11 python3 python3.13 python3.14)
    [ -z "${HUZHENG_PYTHON:-}" ] || names=("$HUZHENG_PYTHON")
    for name in "${names[@]}"; do
        if is_fit "$name"; then
            echo "$name"
            return
        fi
    done
    [ -z "${HUZHENG_PYTHON:-}" ] || echo "HUZHENG_PYTHON is $HUZHENG_PYTHON, which does not do." >&2
    echo "Huzheng needs Python 3.11 or later with the venv module (Debian: apt-get install python3 python3-venv)." >&2
    return 1
}

make_venv() {
    local python
    if is_fit "$venv/bin/python"; then
        # Finished before, or somebody's own. What an attempt left unfinished is made anew.
        if [ -s "$stamp_file" ] || [ ! -e "$stamp_file" ]; then return; fi
    elif [ -n "$(ls -A "$venv" 2>/dev/null)" ] && [ ! -e "$stamp_file" ]; then
        echo "$venv is in the way: it is no virtual environment with Python 3.11 or later, and was not made here." >&2
        return 1
    fi
    python=$(find_python) || return 1
    # The stamp comes first: an attempt that is killed leaves nothing that looks like somebody's own.
    mkdir -p "$venv" && : > "$stamp_file" && find "$venv" -mindepth 1 ! -path "$stamp_file" -delete &&
        "$python" -m venv "$venv"
}

# The two variables hold the build's own environment to the locked versions too: older and newer pips look at one each.
install() {
    make_venv || return 1
    echo "Setting up $venv with $("$venv/bin/python" --version) ..." >&2
    if "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then
        echo "plyvel has no wheel for this Python and is compiled; that needs a C++ compiler and LevelDB's headers" \
            "(Debian: apt-get install g++ python3-dev libleveldb-dev). Python 3.11 and 3.12 need neither." >&2
    fi
    cd "$root" && PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[dev]" >&2
}

# The path is part of it: an environment knows its project by it.
stamp="$root $(cat "$root/setup.cfg" "$root/constraints.txt" "$root/pyproject.toml" | cksum)"
if [ ! -x "$venv/bin/python" ] || [ "$(cat "$stamp_file" 2>/dev/null)" != "$stamp" ]; then
    install || exit 1
    echo "$stamp" > "$stamp_file"
fi
export PATH="$venv/bin:$PATH"
cd "$root" || exit 1
