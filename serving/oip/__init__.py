"""The Open Inference Protocol V2 (kserve's) in values: a model's inputs and answers as named tensors. Knows neither
HTTP nor gRPC, which are two doors to it."""
