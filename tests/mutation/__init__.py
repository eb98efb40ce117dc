"""Which changes of the code no test notices: `./run mutate`."""
