"""What the views show, as plain classes: numbers in, numbers of the compiled network out."""
