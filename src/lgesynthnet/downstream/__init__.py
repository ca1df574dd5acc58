"""The downstream segmenter as a product: trained on a user's patients and on samples, with thresholds from patients it has not seen."""
