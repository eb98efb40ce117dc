"""What every door asks of the platform, in values: predict, accept, wait, again. Knows no HTTP."""
