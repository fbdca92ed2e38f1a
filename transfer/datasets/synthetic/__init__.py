"""Names of data sets come in; generated ones in the layout of the real ones go out."""
