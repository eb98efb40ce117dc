"""A first model.yaml for a graph of somebody's own: what can be seen is written, what cannot is asked of a person."""
