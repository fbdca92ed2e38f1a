"""Tests of results/exchange."""
