"""Learn a prior of the scars from labelled patients."""
