"""What people encode, as the text that their telephones understand.

Pure functions, from checked fields to text. What a field may be by itself is declared
in edge/contents.py; what one demands of another is checked here, and raises BadField.
"""
