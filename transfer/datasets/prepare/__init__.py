"""The name of a public set comes in; its folder, whole and checked, or a verdict on a copy goes out."""
