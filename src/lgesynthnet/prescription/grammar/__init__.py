"""The grammar: prescriptions as sentences, written and parsed."""
