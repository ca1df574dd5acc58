"""Keep or reject a sample, and say why. No torch."""
