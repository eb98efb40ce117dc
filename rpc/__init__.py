"""The front door for gRPC: the Open Inference Protocol V2, and gRPC's own health protocol. What is served, to whom and
for how much is as over HTTP."""
