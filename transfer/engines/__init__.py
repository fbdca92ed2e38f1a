"""A recipe comes in; models that train and predict go out: one interface, two implementations."""
