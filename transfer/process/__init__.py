"""The seed, a device and a function come in; processes that draw, stop, fail and report alike go out."""
