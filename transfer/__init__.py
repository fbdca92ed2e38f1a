"""Transfer: recipes, data, metrics and the two engines that fine-tune a converted backbone."""
