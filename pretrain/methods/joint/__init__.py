"""A row of values comes in; a method goes out, put together of an encoder, heads, a target and a memory."""
