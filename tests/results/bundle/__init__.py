"""Tests of results/bundle."""
