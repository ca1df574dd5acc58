"""Segmenters: scar inside a known wall, or the whole heart from the image alone. Each has a fingerprint."""
