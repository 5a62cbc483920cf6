"""janus-sim: a simulator of Mixture-of-Experts training on GPU clusters."""
