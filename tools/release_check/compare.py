"""Where two readings differ, of what they both say."""


def common(one, other):
    """Both without the members that only one of them has: a later release says more."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = {key: common(one[key], other[key]) for key in one if key in other}
        return ({key: pair[0] for key, pair in pairs.items()},
                {key: pair[1] for key, pair in pairs.items()})
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [common(*pair) for pair in zip(one, other)]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return one, other


def different(one, other, where=""):
    """The first place where two readings differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        parts = [(f"{where}.{key}", one[key], other[key]) for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        parts = [(f"{where}[{at}]", *pair) for at, pair in enumerate(zip(one, other))]
    else:
        return f"{where or 'all of it'}: {str(one)[:300]}, and {str(other)[:300]}"
    return next(different(a, b, at) for at, a, b in parts if a != b)
