"""Version 2 of the API: v1's routes over the same serving, and what is other in their answers, errors and contract."""
