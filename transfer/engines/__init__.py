"""What trains and predicts: one small interface (`base`), two implementations, chosen by name (`choose`)."""
