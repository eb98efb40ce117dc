"""Why a model answers as it does: how much each feature of an input moved the answer away from the usual one.

Exact where the graph is trees or linear (`forest`, `linear`), measured with a stated error where it is not (`sampled`);
`explainer` chooses. Arithmetic alone: a graph is read here as it stands, and nothing of it is run.
"""
