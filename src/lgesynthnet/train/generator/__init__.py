"""The stages of the generator."""
