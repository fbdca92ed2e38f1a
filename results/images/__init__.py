"""The outcomes of one trial by test image come in; intervals and paired tests over the images go out."""
