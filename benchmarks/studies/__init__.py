"""In: checkouts of public image sets, a study's YAML. Out: the records of its steps, commands of ours."""
