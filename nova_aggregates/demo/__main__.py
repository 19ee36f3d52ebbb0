import sys

from nova_aggregates.demo.main import main

if __name__ == "__main__":
    sys.exit(main())
