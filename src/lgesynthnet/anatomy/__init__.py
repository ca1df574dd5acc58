"""Where things are in a heart: LV centre, RV insertions, wall depth, AHA segments. No torch."""
