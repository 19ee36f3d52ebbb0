"""Measures the service, beside the least that eventlet can do and beside a real Nova.

``python -m benchmarks --help`` tells how; doc/source/benchmarks.rst has results.
"""
