"""The name of a public set comes in; its folder goes out, whole and checked, or not at all."""
