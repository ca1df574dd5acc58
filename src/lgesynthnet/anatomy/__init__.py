"""Heart coordinates of short-axis slices: LV centre, RV insertions, wall depth and AHA segments."""
