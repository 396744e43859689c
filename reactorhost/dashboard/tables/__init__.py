"""Tables that the live view and the printed pages share."""
