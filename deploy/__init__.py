"""What runs Tapgate outside the two programs: units for a real machine, and a whole town on this one."""
