# Sourced by the scripts here: makes the project's virtual environment and puts it first on PATH.
# Needs nothing but Python with venv. HUZHENG_VENV chooses another place than .venv.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${HUZHENG_VENV:-$root/.venv}

# plyvel has wheels up to CPython 3.12, so those come first.
find_python() {
    local name
    for name in "${HUZHENG_PYTHON:-}" python3.12 python3.11 python3 python3.13 python3.14; do
        if [ -n "$name" ] && "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "Huzheng needs Python 3.11 or later with the venv module (Debian: apt-get install python3 python3-venv)." >&2
    return 1
}

install() {
    local python
    python=$(find_python) || return 1
    if ! "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then
        echo "$("$python" --version): plyvel has no wheel for it and is compiled; that needs a C++ compiler and libleveldb-dev." >&2
    fi
    echo "Setting up $venv with $("$python" --version) ..." >&2
    "$python" -m venv "$venv" || return 1
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint "$root/constraints.txt" --editable "$root[dev]" >&2
}

stamp=$(cat "$root/setup.cfg" "$root/constraints.txt" "$root/pyproject.toml" | cksum)
if [ "$(cat "$venv/huzheng.stamp" 2>/dev/null)" != "$stamp" ]; then
    install || exit 1
    echo "$stamp" > "$venv/huzheng.stamp"
fi
export PATH="$venv/bin:$PATH"
cd "$root" || exit 1
