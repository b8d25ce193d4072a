"""What central published and this gate holds: taken up part by part, tried out, put to use."""
