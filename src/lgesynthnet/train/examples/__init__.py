"""Training examples: prepared once from patients, then read by every stage."""
