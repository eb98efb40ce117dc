"""A model check of the core: every order of the moves of two workers, of time and of faults, against the product's own
SQL in a real Postgres.

A state (`state`) is written into the tables (`tables`), each move that it allows (`moves`, `faults`) is made and rolled
back, and what it did is held against what ARCHITECTURE.md promises (`promises`). `explore` goes on from every state
that is new, and tells a breach as the history that led to it. `sabotages` are what must be found.
"""
