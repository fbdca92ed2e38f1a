"""A machine or a user's suite comes in; what is wrong with it goes out, each with its fix."""
