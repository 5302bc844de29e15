"""What each state of a job asks for: one module for each, and the floor they all stand on."""
