"""Painting: the inpainter, the baselines, and the compositing that all of them share."""
