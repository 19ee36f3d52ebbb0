# Sourced by run.sh and run_tests.sh: a virtual environment with the project installed in it.

# Prints the first interpreter of a supported version. PYTHON=... overrides the choice.
supported_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
            2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# prepare_environment DIRECTORY EXTRAS: installs only when something that decides it has changed.
prepare_environment() {
    local directory=$1 extras=$2 python wanted
    if ! python=$(supported_python); then
        echo "This needs Python 3.11, 3.12 or 3.13, and found none. Install one, or name it:" \
            "PYTHON=/path/to/python3.12 $0" >&2
        exit 1
    fi
    # Two starts at the same time must not install into one directory.
    if command -v flock >/dev/null; then
        exec 9>"$directory.lock"
        flock 9
    fi
    wanted=$({ "$python" -c 'import sys; print(sys.version)'; pwd; cat setup.py constraints.txt; } |
        cksum)
    # What was installed with more extras serves a run without them as well.
    if ! grep -qsxF "$wanted" "$directory/.installed$extras" &&
        { [ -n "$extras" ] || ! grep -qsxF "$wanted" "$directory"/.installed*; }; then
        rm -f "$directory"/.installed*
        install_project "$directory" "$extras" "$python"
        echo "$wanted" >"$directory/.installed$extras"
    fi
    if command -v flock >/dev/null; then
        exec 9>&-
    fi
}

install_project() {
    local directory=$1 extras=$2 python=$3 log=$1.log
    echo "Installing into $directory with $("$python" --version) (about a minute) ..." >&2
    # Upgraded in place, so that what uses it now goes on; begun anew with another Python, or when
    # the checkout was moved or copied, for the scripts name the interpreter by its whole path.
    local clear=--clear
    if [ "$("$directory/bin/python" --version 2>&1)" = "$("$python" --version)" ] &&
        [[ "$("$directory/bin/pip" --version 2>&1)" == *" $PWD/$directory/"* ]]; then
        clear=--upgrade
    fi
    if ! "$python" -m venv "$clear" "$directory" >"$log" 2>&1; then
        cat "$log" >&2
        echo "$python cannot make a virtual environment (Debian: install python3-venv)." >&2
        exit 1
    fi
    if ! "$directory/bin/python" -m pip install --disable-pip-version-check --quiet \
        --constraint constraints.txt --editable ".$extras" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "The installation failed; the whole log is in $log." \
            "Check that pip can reach a package index, then start again." >&2
        exit 1
    fi
}
