"""Real processes and engines, killed, frozen and cut off at random from a seed; a ledger outside says what was
promised."""
