"""An opened file comes in; the one network in it that the field evaluates goes out, proven whole."""
