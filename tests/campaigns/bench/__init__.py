"""Measures dockd against tools that a user would pick instead, on this machine's own disk: `python
-m tests.campaigns.bench`.
"""
