"""The other sides of `inline`: the same model behind nothing but the server of somebody else, which checks nothing and
keeps nothing."""
