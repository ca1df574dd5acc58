"""The prescription of a scar: its type, its language, priors, drawing it as a mask, and measuring a mask."""
