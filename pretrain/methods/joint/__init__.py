"""A row of values comes in; a method of the joint-embedding frame goes out, made of encoder, heads and target."""
