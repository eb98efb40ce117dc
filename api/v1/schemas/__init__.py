"""The HTTP contract of v1 in Marshmallow: what comes in is checked by these, what goes out is documented by them."""
