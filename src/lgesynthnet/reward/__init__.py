"""What a generator is taught by beside its pictures: frozen judges of a decoded estimate, differentiable in the image."""
