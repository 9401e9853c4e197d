"""A page in the browser on which a reader can watch and turn every number of a network.

Needs Panel. Every view draws what a compiled layer or model computed; the models of the views
(``demo/models``) are plain classes that know nothing of a page.
"""
