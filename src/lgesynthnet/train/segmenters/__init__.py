"""The training of segmenters."""
