"""The languages of courses: which one a text is in, and the table of words and wordings of each."""
