"""In: checkouts of public image sets, side by side. Out: small sets with fixed splits that a suite takes."""
