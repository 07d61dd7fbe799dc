"""`python -m bench` is `python -m bench.throughput`."""

from bench.throughput import main

main()
