"""The downstream segmenter as a product: trained on a user's patients and on samples, its operating points on patients it has not seen."""
