"""Draw the cavity and the wall of images that nobody has labelled."""
