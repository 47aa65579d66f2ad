"""Prints the providers of a genai-prices wheel as JSON, without installing it or what it needs.

usage: python3 dump_genai_prices.py genai_prices-X.Y.Z-py3-none-any.whl
The wheel's data.py is a literal made of constructors: they are replaced by functions that keep their arguments.
"""
import datetime
import json
import re
import sys
import zipfile
from decimal import Decimal

with zipfile.ZipFile(sys.argv[1]) as wheel:
    source = wheel.read('genai_prices/data.py').decode()
    version = re.search(r'genai_prices-([^-]+)\.dist-info', '\n'.join(wheel.namelist())).group(1)

KINDS = {'Provider', 'ModelInfo', 'ModelPrice', 'TieredPrices', 'Tier', 'PriceVariant', 'ConditionalPrice'}


def keep(name):
    def make(*args, **arguments):
        if args:
            raise SystemExit(f'{name} has positional arguments: this script does not know what they mean')
        kept = {key: value for key, value in arguments.items() if value is not None}
        return kept if name in KINDS else {'is': name, **kept}

    return make


names = set(re.findall(r'\b([A-Z]\w+)\(', source)) - {'Decimal'}
body = source[source.index('providers: list[Provider]') :].replace('providers: list[Provider]', 'providers', 1)
scope = {name: keep(name) for name in names}
scope.update(Decimal=Decimal, datetime=datetime)
exec(body, {'__builtins__': {}}, scope)  # noqa: S102 - a literal; no builtins are in reach


def plain(value):
    if isinstance(value, Decimal):
        return format(value, 'f')
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    raise TypeError(repr(value))


json.dump({'version': version, 'providers': scope['providers']}, sys.stdout, default=plain, ensure_ascii=False)
