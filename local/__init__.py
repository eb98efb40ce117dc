"""The embedded engines and the supervisor behind `./run up`."""
