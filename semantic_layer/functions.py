"""Owns what a guarded statement may be made of, as data: functions, table functions, kinds of node and types.

Everything is an allow-list, so that what a later DuckDB or sqlglot adds is refused until somebody has looked at it. Left
out on purpose: whatever reads files, settings, names or statistics; runs text as SQL; keeps or changes state (sequences,
variables, logs); raises an error with chosen text; waits; or makes a large value from a small one. Knows nothing of
statements.
"""

from sqlglot import exp

# Functions as DuckDB's own parser names them in the statement that is to run.
AGGREGATES = frozenset(
    """
    any_value approx_count_distinct approx_quantile arbitrary arg_max arg_max_null arg_max_nulls_last arg_min
    arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bool_and bool_or corr
    count count_if count_star countif covar_pop covar_samp entropy favg first fsum geomean geometric_mean
    group_concat histogram histogram_exact json_group_array json_group_object kahan_sum kurtosis kurtosis_pop
    last list listagg mad max max_by mean median min min_by mode product quantile quantile_cont quantile_disc
    regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
    reservoir_quantile sem skewness stddev stddev_pop stddev_samp string_agg sum sum_no_overflow sumkahan
    var_pop var_samp variance wavg weighted_avg
    """.split()
)

WINDOWS = frozenset(
    """
    cume_dist dense_rank fill first_value lag last_value lead nth_value ntile percent_rank rank rank_dense
    row_number
    """.split()
)

OPERATORS = frozenset("+ - * / // % ** ^ || & | << >> ~ ~~ !~~ ~~* !~~* ~~~ ^@ ->> && @> <@ <->".split())

NUMBERS = frozenset(
    """
    abs acos acosh add asin asinh atan atan2 atanh bit_count cbrt ceil ceiling cos cosh cot degrees divide even exp
    factorial fdiv floor fmod gamma gcd greatest greatest_common_divisor isfinite isinf isnan lcm least
    least_common_multiple lgamma ln log log10 log2 mod multiply pi pow power radians random round round_even
    roundbankers sign signbit sin sinh sqrt subtract tan tanh trunc xor
    """.split()
)

STRINGS = frozenset(
    """
    array_to_string ascii base64 bin bit_length char_length character_length chr concat concat_ws contains
    damerau_levenshtein editdist3 ends_with format format_bytes formatreadabledecimalsize formatreadablesize
    from_base64 from_binary from_hex hamming hash hex ilike_escape instr jaccard jaro_similarity
    jaro_winkler_similarity lcase left left_grapheme len length length_grapheme levenshtein like_escape lower
    lpad ltrim md5 mismatches nfc_normalize not_ilike_escape not_like_escape octet_length ord overlay position
    prefix printf regexp_escape regexp_extract regexp_extract_all regexp_full_match regexp_matches
    regexp_replace regexp_split_to_array repeat replace reverse right right_grapheme rpad rtrim sha1 sha256
    split split_part starts_with str_split str_split_regex string_split string_split_regex string_to_array
    strip_accents strlen strpos substr substring substring_grapheme suffix to_base64 to_binary to_hex translate
    trim ucase unhex unicode upper url_decode url_encode uuid
    """.split()
)

DATES = frozenset(
    """
    age ago century current_date current_localtime current_localtimestamp date_add date_diff date_part date_sub
    date_trunc datediff datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear days_in_month
    decade epoch epoch_ms epoch_ns epoch_us era get_current_time get_current_timestamp hour isodow isoyear
    julian last_day localtimestamp make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns
    make_timestamptz microsecond millennium millisecond minute month monthname nanosecond now quarter second
    strftime strptime time_bucket timezone timezone_hour timezone_minute to_centuries to_days to_decades
    to_hours to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds
    to_timestamp to_weeks to_years today transaction_timestamp try_strptime week weekday weekofyear year
    yearweek
    """.split()
)

LISTS = frozenset(
    """
    aggregate array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains
    array_cosine_distance array_cosine_similarity array_distance array_distinct array_dot_product array_extract
    array_filter array_grade_up array_has array_has_all array_has_any array_indexof array_inner_product
    array_intersect array_length array_pop_back array_pop_front array_position array_prepend array_push_back
    array_push_front array_reduce array_reverse array_reverse_sort array_select array_slice array_sort
    array_transform array_unique array_value array_where array_zip cardinality element_at filter flatten
    generate_series grade_up json json_array json_array_length json_contains json_exists json_extract
    json_extract_path json_extract_path_text json_extract_string json_keys json_merge_patch json_object
    json_pretty json_structure json_type json_valid json_value list_aggr list_aggregate list_any_value
    list_append list_apply list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor
    list_bool_and list_bool_or list_cat list_concat list_contains list_cosine_distance list_cosine_similarity
    list_count list_distance list_distinct list_dot_product list_element list_entropy list_extract list_filter
    list_first list_grade_up list_has list_has_all list_has_any list_histogram list_indexof list_inner_product
    list_intersect list_kurtosis list_last list_mad list_max list_median list_min list_mode list_pack
    list_position list_prepend list_product list_reduce list_reverse list_reverse_sort list_select list_sem
    list_skewness list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum list_transform
    list_unique list_value list_var_pop list_var_samp list_where list_zip map map_concat map_contains
    map_contains_entry map_contains_value map_entries map_extract map_extract_value map_from_entries map_keys
    map_values range reduce row struct_concat struct_contains struct_extract struct_extract_at struct_has
    struct_insert struct_keys struct_pack struct_position struct_values to_json unnest
    """.split()
)

CONDITIONS = frozenset("if nullif typeof".split())

FUNCTIONS = AGGREGATES | WINDOWS | OPERATORS | NUMBERS | STRINGS | DATES | LISTS | CONDITIONS
TABLE_FUNCTIONS = frozenset({"generate_series", "range", "unnest"})

# Functions that apply the aggregate which their second argument names.
LIST_AGGREGATES = frozenset({"aggregate", "array_aggr", "array_aggregate", "list_aggr", "list_aggregate"})

# Words that DuckDB reads as a call when they are not a column.
CALLED_BARE = frozenset(
    """
    current_catalog current_database current_date current_localtime current_localtimestamp current_query
    current_role current_schema current_time current_timestamp current_user localtime localtimestamp session_user
    user
    """.split()
)


def _kinds(names: str) -> frozenset[type[exp.Expr]]:
    return frozenset(getattr(exp, name) for name in names.split())


# What sqlglot's tree of a statement may consist of, beside functions.
NODES = _kinds(
    """
    Select Union Except Intersect Subquery Values Table TableAlias From Join Lateral CTE With Where Group Having
    Qualify Order Ordered Limit LimitOptions Offset Distinct Window WindowSpec Filter WithinGroup IgnoreNulls
    RespectNulls TableSample Cube Rollup GroupingSets Star Column Columns Identifier Alias Paren Tuple Var Literal
    Boolean Null RawString ByteString DataType DataTypeParam ColumnDef Interval Slice Bracket Dot Lambda Comprehension
    PropertyEQ Add Sub Mul Div IntDiv Mod Neg BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitwiseLeftShift
    BitwiseRightShift DPipe EQ NEQ GT GTE LT LTE NullSafeEQ NullSafeNEQ Is In Between Like ILike SimilarTo Glob
    Escape Not Any All AtTimeZone Collate Fetch JSONKeyValue JSONPath JSONPathRoot JSONPathKey JSONPathSubscript
    JSONPathWildcard
    """
)

# The functions that sqlglot has a kind of node for; those it has none for are looked up by name in FUNCTIONS.
CALLS = _kinds(
    """
    And Or Case If Cast TryCast Try Coalesce Nullif Exists Anonymous Extract Grouping GroupingId Abs Acos Acosh Asin
    Asinh Atan Atan2 Atanh Cbrt Ceil Cos Cosh Cot Degrees Exp Factorial Floor Greatest IsInf IsNan Least Ln Log Pi
    Pow Radians Rand Round Sign Sin Sinh Sqrt Tan Tanh Trunc AnyValue ApproxDistinct ApproxQuantile ArgMax ArgMin
    ArrayAgg Avg BitwiseAndAgg BitwiseOrAgg BitwiseXorAgg Corr Count CountIf CovarPop CovarSamp First GroupConcat
    Kurtosis Last LogicalAnd LogicalOr Max Median Min Mode PercentileCont PercentileDisc Quantile RegrAvgx RegrAvgy
    RegrCount RegrIntercept RegrR2 RegrSlope RegrSxx RegrSxy RegrSyy Skewness Stddev StddevPop StddevSamp Sum
    Variance VariancePop CumeDist DenseRank FirstValue Lag LastValue Lead NthValue Ntile PercentRank Rank RowNumber
    Ascii BitLength Chr Concat ConcatWs Contains EndsWith Format FromBase64 Hex Left Length Levenshtein Lower MD5
    Overlay Pad RegexpExtract RegexpExtractAll RegexpFullMatch RegexpLike RegexpReplace RegexpSplit Repeat Replace
    Reverse Right SHA SHA2 Split SplitPart StartsWith StrPosition Substring ToBase64 Translate Trim Typeof Unhex
    Unicode Upper Uuid CurrentDate CurrentTime CurrentTimestamp Date DateAdd DateBin DateDiff DateFromParts DateSub
    DateTrunc Day DayOfMonth DayOfWeek DayOfWeekIso DayOfYear Dayname Hour LastDay Localtime Localtimestamp Minute
    Month Monthname Quarter Second StrToTime TimeFromParts TimeToStr TimeToUnix TimestampAdd TimestampDiff
    TimestampFromParts TimestampSub TimestampTrunc ToDays TsOrDsToDate UnixToTime Week WeekOfYear Year Array
    ArrayAppend ArrayConcat ArrayContainedBy ArrayContains ArrayContainsAll ArrayDistinct ArrayFilter ArrayIntersect
    ArrayMax ArrayMin ArrayOverlaps ArrayPosition ArrayPrepend ArrayReverse ArraySize ArraySlice ArraySort
    ArrayToString CosineDistance JarowinklerSimilarity EuclideanDistance Explode Flatten GenerateSeries JSONArray JSONExtract
    JSONExtractScalar JSONKeys JSONObject JSONType Map MapFromEntries MapKeys ParseJSON Reduce Struct StructExtract
    ToMap Transform Unnest
    """
)

TYPES = frozenset(
    exp.DataType.Type[name]
    for name in """
    BOOLEAN TINYINT SMALLINT INT BIGINT INT128 UTINYINT USMALLINT UINT UBIGINT UINT128 FLOAT DOUBLE DECIMAL VARCHAR
    TEXT CHAR UUID VARBINARY DATE TIME TIMETZ TIMESTAMP TIMESTAMPNTZ TIMESTAMPTZ TIMESTAMP_S TIMESTAMP_MS
    TIMESTAMP_NS INTERVAL JSON ARRAY LIST STRUCT MAP
    """.split()
)

# What DuckDB's own tree may consist of: its classes of expression, its kinds of table and the others, its types.
READ_CLASSES = frozenset(
    """
    BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA OPERATOR
    POSITIONAL_REFERENCE STAR SUBQUERY TYPE WINDOW
    """.split()
)
READ_KINDS = frozenset(
    """
    SELECT_NODE SET_OPERATION_NODE BASE_TABLE SUBQUERY JOIN TABLE_FUNCTION EMPTY EXPRESSION_LIST DISTINCT_MODIFIER
    LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER ORDER_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING
    """.split()
)
READ_JOINS = frozenset({"REGULAR", "NATURAL", "CROSS", "ASOF"})
READ_TYPES = frozenset(
    """
    BOOLEAN TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT FLOAT DOUBLE
    DECIMAL VARCHAR TEXT CHAR BLOB UUID DATE TIME TIMESTAMP TIMESTAMPTZ TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS TIMETZ
    INTERVAL JSON LIST ARRAY STRUCT ROW MAP INT INT128 UINT128
    """.split()
)
