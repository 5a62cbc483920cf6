"""What is trained: models, their kernels and memory, and where tokens and experts go; no time."""
