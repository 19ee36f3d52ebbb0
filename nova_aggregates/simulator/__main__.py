"""``python -m nova_aggregates.simulator`` is ``nova-aggregates-simulator``."""

import sys

from nova_aggregates.simulator.main import main

if __name__ == "__main__":
    sys.exit(main())
