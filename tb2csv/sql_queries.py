"""SQL queries on frames, run by polars.

polars' SQL reads any file that a query names with ``read_csv`` and the like, and it has statements that drop and change
tables. A query here does neither. The parser that runs it decides that, so no text can look harmless to another parser:

- The query runs as the body of a common table expression, which the grammar allows only for queries.
- A name in a place for tables must be that of a table of ours or of the query's own common table expressions, and must
  not be a table function of polars. A name with a dot is refused.

Each query has a context of its own, with the tables that it names and no others.

polars adds the float32 numbers of a group one by one in float32 (2.1.0): the sum of a million times 0.1 is 1% too
large, and no sum of ones exceeds 2**24 per thread. So the argument of ``sum`` gets a wider type before it is added.

Before polars 2, a table hides a common table expression of its name, so the query reads other rows than it says. So
queries need a later polars than the rest of tb2csv. Version 2.0 is the last for Python 3.10.

polars calls itself once for each operator in a chain. With a few hundred more than are allowed here, that ends the
process, and a larger stack of the calling thread does not help (polars 2.1.0). So the number of operators is limited.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Final

from tb2csv.errors import OptionError, Tb2csvError, check_type
from tb2csv.late_modules import pl
from tb2csv.messages import advice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The oldest version of polars that answers queries.
_OLDEST: Final = (2, 0)

#: The name of the common table expression that a query becomes; its own names cannot hide it, as it encloses them.
_ENCLOSING: Final = "tb2csv query"

#: A call of a table function without arguments; it cannot read anything.
_CALL: Final = 'select * from "{}"()'

#: The maximum number of operators in a query.
MAX_OPERATORS: Final = 300
#: What may be an operator, and the strings, quoted names and comments in which none is counted.
_TOKEN: Final = re.compile(
    r"""'[^']*'|"[^"]*"|--[^\n]*|(?P<operator>[-+*/%<>=!|&^~:#@?]+|\b(?:and|or|xor|not|is|like|ilike|rlike|regexp|between|in"""
    r"""|union|except|intersect|join|when)\b)""",
    re.IGNORECASE,
)

#: What begins or ends the arguments of a call, and the strings, quoted names and comments in which nothing does.
_CALLS: Final = re.compile(
    r"""'[^']*'|"[^"]*"|--[^\n]*|/\*.*?\*/|(?P<sum>\bsum\s*\((?:\s*distinct\b)?)|(?P<open>\()|(?P<close>\))""",
    re.IGNORECASE | re.DOTALL,
)


def run_query(query: str, tables: Mapping[str, Callable[[], pl.LazyFrame]]) -> pl.DataFrame:
    """Return the rows that a SELECT statement gives.

    Args:
        query: one SELECT statement, which may begin with WITH, in the SQL of polars.
        tables: functions that return the tables by name; only those of the tables that the query names are called.

    Raises:
        OptionError: the query is not text or not a SELECT statement, names what is not a table, has too many operators,
            or cannot be run.
        Tb2csvError: polars is too old, or does not list the names of tables.
    """
    check_type("query", query, str, "a SELECT statement as text")
    _check_version()
    operators = sum(found["operator"] is not None for found in _TOKEN.finditer(query))
    if operators > MAX_OPERATORS:
        message = (
            f"The query has {operators:,} operators, and the limit is {MAX_OPERATORS}; use in (…) for many values."
        )
        raise OptionError(message)
    text = query.rstrip("; \t\r\n")
    enclosed = f'with "{_ENCLOSING}" as (\n{text}\n)\nselect * from "{_ENCLOSING}"'
    _table_names(text)  # for the line numbers of a syntax error
    wide = _with_wide_sums(enclosed)
    try:
        names = sorted({*_table_names(enclosed), *_table_names(wide)})
    except OptionError as error:
        message = "This is not a query: give one SELECT statement, which may begin with WITH."
        raise OptionError(message) from error
    others = [name for name in names if name not in tables and name != _ENCLOSING]
    for name in others:
        if "." in name or _is_table_function(name):
            message = f"A query reads only the tables of the log, and {name!r} is not one of them"
            raise OptionError(message, advice(f"use {', '.join(tables)}"))
    context = pl.SQLContext({name: tables[name]() for name in names if name in tables}, register_globals=False)
    try:
        return _with_types(context.execute(wide), context.execute(enclosed)).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        is_about_tables = isinstance(error, pl.exceptions.SQLInterfaceError) and others
        ways_out = [advice(f"the tables are {', '.join(tables)}")] if is_about_tables else []
        raise OptionError(_failure(error), *ways_out) from error


def _with_wide_sums(query: str) -> str:
    """Return a query whose sums add float32 numbers in float64, and integers in 64 bits or more.

    The common type of float32 and int64 is float64 in polars, so the argument gets it from a null that is never taken.
    """
    parts: list[str] = []
    is_sum: list[bool] = []
    end = 0
    for found in _CALLS.finditer(query):
        if found["sum"] or found["open"]:
            is_sum.append(found["sum"] is not None)
            if is_sum[-1]:
                parts += query[end : found.end()], " coalesce("
                end = found.end()
        elif found["close"] and is_sum and is_sum.pop():
            parts += query[end : found.start()], ", cast(null as bigint))"
            end = found.start()
    return "".join([*parts, query[end:]])


def _with_types(wide: pl.LazyFrame, narrow: pl.LazyFrame) -> pl.LazyFrame:
    """Return the rows of a query with wide sums; durations and uint64 have their types of ``narrow``."""
    restored = (
        pl.col(name).cast(dtype)
        for name, dtype in narrow.collect_schema().items()
        if dtype.is_temporal() or dtype == pl.UInt64
    )
    return wide.with_columns(restored)


def _check_version() -> None:
    """Raise Tb2csvError if polars is too old for queries."""
    if tuple(map(int, re.findall(r"\d+", pl.__version__)[:2])) < _OLDEST:
        version = ".".join(map(str, _OLDEST))
        message = (
            f"Queries need polars {version} or later, because polars {pl.__version__} answers some of them wrongly"
        )
        raise Tb2csvError(message, advice(f"run pip install 'polars>={version}'"))


def _table_names(query: str) -> list[str]:
    """Return the names in all places for tables in a query, however deep, as polars parses it.

    Raises:
        OptionError: polars cannot parse the query.
        Tb2csvError: this version of polars does not list the names.
    """
    try:
        # polars has no public way to this.
        list_names: Callable[..., list[str]] = importlib.import_module("polars._plr").PySQLContext.table_identifiers
    except (ImportError, AttributeError) as error:
        message = (
            f"polars {pl.__version__} does not list the tables of a query, without which no query is run; "
            "install polars 2.1, or 2.0 for Python 3.10."
        )
        raise Tb2csvError(message) from error
    try:
        return list_names(query, include_schema=True, unique=True)
    except pl.exceptions.PolarsError as error:
        raise OptionError(_failure(error)) from error


def _is_table_function(name: str) -> bool:
    """Return whether polars takes a name for a table function; without arguments, it cannot read anything."""
    quoted = name.replace('"', '""')
    try:
        pl.SQLContext(register_globals=False).execute(_CALL.format(quoted)).collect_schema()
    except pl.exceptions.PolarsError as error:
        return str(error) != f"'{name}' is not a supported table function"
    return True


def _failure(error: BaseException) -> str:
    """Return a fact about what polars reports, without the plan of the query and its own structures."""
    line = str(error).strip().partition("\n")[0].removeprefix("sql parser error: ").rstrip(".")
    return f"The query cannot be run: {line}"
