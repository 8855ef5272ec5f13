"""The book: the lessons as they are stored, made for reading. ``python -m course.book`` builds it with Jupyter Book.

Two steps. First the pages are made of what the repository holds (``pages.py`` names them all): each stored notebook
with its solutions and its quiz's answers folded in, the glossary, the exam map, the files that lessons link to. Then
Jupyter Book, which is Sphinx with MyST, makes HTML of them (``build.py``). Nothing is executed, and nothing fetched.
"""
