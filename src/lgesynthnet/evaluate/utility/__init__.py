"""Utility: how well segmenters that were trained with synthetic samples segment and detect scar."""
