"""Run whole-pipeline files in other engines and on other platforms, and compare their outputs.

Each script is a module: ``python -m conformance.run_engine`` and so on, from the repository's root.
"""
