#!/usr/bin/env bash
# Brings the whole service up beside simulated hosts and walks through the job: ./run.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./.ci/environment.sh
prepare_environment .venv ""
exec .venv/bin/python -m nova_aggregates.demo "$@"
