"""Bulk jobs: a file is cut into chunks, chunks are answered by whoever is free, and their parts become one output.

plan (the parent's first claim) → chunks, each a job of its own → merge (the parent's second claim).
"""
