"""What is in custody: to look at, prove, back up and take back."""
