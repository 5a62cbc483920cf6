"""The engine: GPUs, links and collectives that take time, and know nothing of experts."""
