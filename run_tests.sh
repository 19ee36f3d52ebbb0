#!/usr/bin/env bash
# Lint, types, import rules, documents and all tests. Arguments go to pytest: ./run_tests.sh tests/unit -k zone
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./.ci/environment.sh
prepare_environment .venv "[test,postgresql,mysql,etcd,redis]"
bin=.venv/bin
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/lint-imports"
"$bin/mypy"
"$bin/sphinx-build" -q -W --keep-going -b html doc/source doc/build/html
# One process a core; each file in one of them. "-n 0" runs all in one, for a debugger.
exec "$bin/python" -m pytest -n auto --dist loadfile "$@"
