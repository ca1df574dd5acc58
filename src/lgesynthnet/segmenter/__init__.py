"""The readers: networks that find scar in an image, each with a role and a fingerprint."""
