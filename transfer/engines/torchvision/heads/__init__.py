"""Features of regions come in; losses or detections go out: one head a task."""
