"""The name of an architecture comes in; an encoder goes out."""
