"""What is wrong with a bot's login, its stores and its processes: one look, then one check for each known trouble."""
