"""Synthesis: plan attempts, paint them, judge them, keep what passes."""
