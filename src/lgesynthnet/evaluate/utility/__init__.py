"""Utility: what samples are worth to a segmenter."""
