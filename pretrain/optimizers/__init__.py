"""A row of published settings and a method come in; an optimizer with its schedules goes out."""
