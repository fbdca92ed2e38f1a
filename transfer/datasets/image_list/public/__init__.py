"""The name of a public set and the data root come in; a task, or images to be retrieved, go out."""
