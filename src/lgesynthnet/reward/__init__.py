"""Rewards that teach the generator beside its images: frozen judges of a decoded estimate, differentiable in the image."""
