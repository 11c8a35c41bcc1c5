// started here
